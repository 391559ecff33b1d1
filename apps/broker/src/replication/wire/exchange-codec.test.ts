import { readFileSync } from 'node:fs'
import type { Message } from '@milena/raft'
import { BatchBuilder, batchHeader } from '@milena/wire-protocol'
import fc from 'fast-check'
import protobuf from 'protobufjs'
import { describe, expect, it } from 'vitest'
import { ExchangeWriter, readExchange, type EntryRun, type Outgoing } from './exchange-codec.ts'
import {
  decodeInstall,
  decodeMarks,
  decodePromised,
  encodeInstall,
  encodeMarks,
  encodePromised
} from '../kept/group-state.ts'
import { Marks } from '../kept/marks.ts'
import { decodeTransfer, encodeTransfer } from '../group/snapshots.ts'

// The reference: protobufjs reads the schema file and decodes by reflection.
const schema = protobuf.parse(readFileSync(new URL('./raft.proto', import.meta.url), 'utf8')).root
const lookup = (name: string): protobuf.Type => schema.lookupType(`milena.replication.v1.${name}`)

const id = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const term = fc.integer({ min: 0, max: 2 ** 31 - 1 })
const place = fc.record({ index: id, term })
const ids = fc.uniqueArray(id, { minLength: 1, maxLength: 4 })
const membership = fc.oneof(
  fc.record({ kind: fc.constant('simple' as const), voters: ids, learners: ids }),
  fc.record({ kind: fc.constant('joint' as const), incoming: ids, outgoing: ids, learners: ids, learnersNext: ids })
)
const envelope = { from: id, to: id, term }
const of = <K extends string>(kind: K) => ({ kind: fc.constant(kind), ...envelope })

const message: fc.Arbitrary<Message<Uint8Array>> = fc.oneof(
  fc.record({ ...of('preVote'), last: place }),
  fc.record({ ...of('preVoteResponse'), granted: fc.boolean() }),
  fc.record({ ...of('vote'), last: place, transfer: fc.boolean() }),
  fc.record({ ...of('voteResponse'), granted: fc.boolean() }),
  fc.record({ ...of('append'), previous: place, entries: fc.constant([]), commitIndex: id }),
  fc.record({ ...of('appendResponse'), result: fc.constant('matched' as const), matchIndex: id }),
  fc.record({ ...of('appendResponse'), result: fc.constant('rejected' as const), rejectedIndex: id, hint: place }),
  fc.record({ ...of('heartbeat'), commitIndex: id, readSequence: id, quiesce: fc.boolean() }),
  fc.record({ ...of('heartbeatResponse'), readSequence: id }),
  fc.record({ ...of('commit'), commitIndex: id }),
  fc.record({ ...of('installSnapshot'), snapshot: fc.record({ last: place, membership }) }),
  fc.record(of('timeoutNow')),
  fc.record({ ...of('readIndex'), request: id }),
  fc.record({ ...of('readIndexResponse'), request: id, result: fc.constant('ready' as const), index: id }),
  fc.record({ ...of('readIndexResponse'), request: id, result: fc.constant('notLeader' as const) }),
  fc.record({ ...of('repairRequest'), range: fc.record({ start: id, end: id }), lastTerm: term }),
  fc.record({ ...of('repairResponse'), range: fc.record({ start: id, end: id }), entries: fc.constant([]) })
)
const outgoing: fc.Arbitrary<Outgoing> = fc.oneof(
  { weight: 17, arbitrary: message },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('join' as const, 'invite' as const), from: id }) }
)
const key = { key: 0x1f_ffff_ffff_ffff, check: 0xfedc_ba98 }

function exchange(messages: readonly Outgoing[], run?: EntryRun): Uint8Array {
  const writer = new ExchangeWriter()
  for (const one of messages) writer.add(key, one, run)
  return Buffer.concat(writer.finish())
}

function batch(baseOffset: number, count: number, epoch: number): Uint8Array {
  const builder = new BatchBuilder({ baseOffset })
  for (let i = 0; i < count; i++) builder.append({ key: null, value: Buffer.from(`${baseOffset + i}`), timestamp: 1n })
  const bytes = builder.build()
  batchHeader.setLeaderEpoch(bytes, 0, epoch)
  return bytes
}

const previous = { index: 7, term: 2 }
const append = { kind: 'append', from: 1, to: 2, term: 3, previous, entries: [], commitIndex: 5 } as const

describe('an exchange', () => {
  it('comes back as it was written', () => {
    fc.assert(
      fc.property(fc.array(outgoing, { maxLength: 5 }), messages => {
        const received = readExchange(exchange(messages))
        expect(received.map(one => one.message)).toEqual(messages)
        for (const { group } of received) expect(group).toEqual(key)
      })
    )
  })

  it('is what the schema says', () => {
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 3 }), messages => {
        const bytes = exchange(messages)
        const decoded = lookup('Exchange').decode(bytes.subarray(4)) as unknown as {
          messages: { from: number; to: number; term: number; group: number; check: number }[]
        }
        expect(decoded.messages.map(({ from, to, term: t }) => [from, to, t])).toEqual(
          messages.map(one => [one.from, one.to, one.term])
        )
        for (const one of decoded.messages) expect([one.group, one.check]).toEqual([key.key, key.check])
      })
    )
  })

  it('carries batches and marks in the order of their indexes', () => {
    const first = batch(4, 3, 2)
    const second = batch(7, 1, 3)
    const members = { kind: 'simple', voters: [1, 2], learners: [] } as const
    const run = {
      marks: [
        { index: 11, term: 3, membership: undefined },
        { index: 13, term: 3, membership: members }
      ],
      slices: [first.subarray(0, 20), first.subarray(20), second],
      byteCount: first.length + second.length
    }
    const [received] = readExchange(exchange([append], run))
    const entries = received?.message.kind === 'append' ? received.message.entries : []
    expect(entries.map(entry => ({ ...entry, payload: undefined }))).toEqual([
      { kind: 'data', index: 8, term: 2, width: 3, bytes: first.length, payload: undefined },
      { kind: 'noop', index: 11, term: 3, payload: undefined },
      { kind: 'data', index: 12, term: 3, width: 1, bytes: second.length, payload: undefined },
      { kind: 'membership', index: 13, term: 3, membership: members, payload: undefined }
    ])
    const [data] = entries
    expect(data?.kind === 'data' && Buffer.compare(data.payload, first)).toBe(0)
  })

  it('that is cut off anywhere, or whose batches are not whole, is refused', () => {
    const one = batch(0, 2, 3)
    const bytes = exchange([append, append], { marks: [], slices: [one], byteCount: one.length })
    for (let end = 0; end < bytes.length; end++) {
      expect(() => readExchange(bytes.subarray(0, end)), `${end} bytes`).toThrow(RangeError)
    }
    const longer = one.slice()
    new DataView(longer.buffer).setInt32(8, 1_000_000)
    expect(() => readExchange(exchange([append], { marks: [], slices: [longer], byteCount: longer.length }))).toThrow(
      RangeError
    )
  })

  it('with a message of a kind that is not known here is read without it', () => {
    const later = lookup('Exchange')
    const head = later.encode(
      later.fromObject({
        messages: [
          { kind: 99, from: 1 },
          { kind: 11, from: 1, to: 2 }
        ]
      })
    )
    const body = head.finish()
    const bytes = Buffer.concat([Buffer.alloc(4), body])
    bytes.writeUInt32BE(body.length)
    expect(readExchange(bytes).map(({ message: { kind } }) => kind)).toEqual(['timeoutNow'])
  })
})

describe('what is kept', () => {
  const marks = fc
    .tuple(
      fc.record({ offset: id, count: id, term, membership: fc.option(membership, { nil: undefined }) }),
      fc.array(fc.oneof(fc.record({ offset: id, term }), fc.record({ offset: id, term, membership })), { maxLength: 5 })
    )
    .map(([base, list]) => new Marks(base, list))

  it('comes back as it was written', () => {
    fc.assert(
      fc.property(
        marks,
        fc.uint8Array(),
        id,
        term,
        fc.option(id, { nil: undefined }),
        (list, data, replica, t, votedFor) => {
          expect(decodeMarks(encodeMarks(list))).toEqual(list)
          const install = decodeInstall(encodeInstall({ marks: list, data }))
          expect([install.marks, [...install.data]]).toEqual([list, [...data]])
          const promised = { replica, hardState: { term: t, votedFor } }
          expect(decodePromised(encodePromised(promised))).toEqual(promised)
          const transfer = { group: key, from: replica, to: 1, term: t, marks: list, data }
          const copy = decodeTransfer(encodeTransfer(transfer))
          expect({ ...copy, data: [...copy.data] }).toEqual({ ...transfer, data: [...data] })
        }
      )
    )
  })

  it('is refused when any bit of it is another', () => {
    const sealed = encodePromised({ replica: 5, hardState: { term: 7, votedFor: 5 } })
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const flipped = sealed.slice()
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      expect(() => decodePromised(flipped), `bit ${bit}`).toThrow(RangeError)
    }
  })
})
