import type { Entry, Message } from '@milena/raft'
import { BatchBuilder, batchHeader } from '@milena/wire-protocol'
import { describe, expect, it } from 'vitest'
import { Marks } from '../kept/marks.ts'
import { takeable } from './entry-check.ts'

type Append = Extract<Message<Uint8Array>, { kind: 'append' }>

const marks = Marks.bootstrap({ kind: 'simple', voters: [1, 2], learners: [] })
const writes = { marks, bytesHeld: 0 }
const node = { termAt: () => 0 }
const roomFor = (bytes: number) => ({ refusesAppends: false, writable: (wanted: number) => wanted <= bytes })
const anyRoom = roomFor(Infinity)

function entry(offset: number): Entry<Uint8Array> {
  const builder = new BatchBuilder({ baseOffset: offset })
  builder.append({ key: null, value: Buffer.alloc(1000, offset), timestamp: 0n })
  const payload = builder.build()
  return { kind: 'data', index: offset + 1, term: 1, width: 1, bytes: payload.length, payload }
}

function append(entries: Entry<Uint8Array>[]): Append {
  return { kind: 'append', from: 1, to: 2, term: 1, previous: { index: 0, term: 0 }, entries, commitIndex: 0 }
}

function flipped(source: Entry<Uint8Array>): Entry<Uint8Array> {
  if (source.kind !== 'data') throw new Error('records expected')
  const payload = new Uint8Array(source.payload)
  payload[payload.length - 1]! ^= 1
  expect(batchHeader.computeCrc(payload, 0)).not.toBe(batchHeader.crc(payload, 0))
  return { ...source, payload }
}

describe('What is taken of entries that a leader sent', () => {
  it('is all of them where there is room', () => {
    const message = append([entry(0), entry(1), entry(2)])
    expect(takeable(message, writes, node, anyRoom)).toBe(message)
  })

  it('is the first ones where there is room for those only: a message may be larger than all memory', () => {
    const message = append([entry(0), entry(1), entry(2)])
    expect(takeable(message, writes, node, roomFor(2500))?.entries).toEqual(message.entries.slice(0, 2))
  })

  it('is nothing where there is room for none', () => {
    expect(takeable(append([entry(0)]), writes, node, roomFor(500))).toBeUndefined()
  })

  it('is nothing when one was changed on its way, or has another offset', () => {
    expect(takeable(append([entry(0), flipped(entry(1))]), writes, node, anyRoom)).toBeUndefined()
    expect(takeable(append([entry(0), entry(2)]), writes, node, anyRoom)).toBeUndefined()
  })

  it('is nothing while much waits already, or the store refuses', () => {
    const message = append([entry(0)])
    expect(takeable(message, { marks, bytesHeld: 5 * 1024 * 1024 }, node, anyRoom)).toBeUndefined()
    expect(takeable(message, writes, node, { ...anyRoom, refusesAppends: true })).toBeUndefined()
  })

  it('is all when there are no records: nothing has to be stored', () => {
    const message = append([])
    expect(takeable(message, writes, node, roomFor(0))).toBe(message)
  })
})
