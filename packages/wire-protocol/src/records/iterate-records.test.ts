import { describe, expect, test } from 'vitest'
import { codecNames, CompressionError } from '../compression/codecs.ts'
import { BatchBuilder, type RecordInput } from './batch-builder.ts'
import * as batchHeader from './batch-header.ts'
import { iterateRecords } from './iterate-records.ts'
import { BatchError } from './open-batch.ts'

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

function build(records: readonly RecordInput[], options = {}): Uint8Array {
  const builder = new BatchBuilder(options)
  for (const record of records) builder.append(record)
  return builder.build()
}

const three: RecordInput[] = [
  { timestamp: 5n, key: text('a'), value: text('first'), headers: [{ key: 'h', value: text('x') }] },
  { timestamp: 3n, key: null, value: text('second') },
  { timestamp: 9n, key: text('c'), value: null }
]

describe('iterateRecords', () => {
  test('keys, values and header values are views of the batch', () => {
    const batch = build(three)
    for (const record of iterateRecords(batch)) {
      const views = [record.key, record.value, ...record.headers().map(header => header.value)]
      for (const view of views) if (view !== null) expect(view.buffer).toBe(batch.buffer)
    }
  })

  test('goes no further than it is asked', () => {
    const batch = build(three)
    batch.fill(0xff, batch.length - 5)
    const records = iterateRecords(batch)
    expect(records.next().value).toMatchObject({ offset: 0, timestamp: 5n })
    expect(records.next().value).toMatchObject({ offset: 1, timestamp: 3n })
    expect(() => records.next()).toThrow(BatchError)
  })

  test('offsets count from the base offset, with the gaps that compaction leaves', () => {
    const builder = new BatchBuilder({ baseOffset: 2 ** 40 })
    builder.append(three[0]!, 2)
    builder.append(three[1]!, 7)
    const batch = builder.build()
    expect([...iterateRecords(batch)].map(record => record.offset)).toEqual([2 ** 40 + 2, 2 ** 40 + 7])
    expect(batchHeader.lastOffset(batch, 0)).toBe(2 ** 40 + 7)
    expect(batchHeader.recordCount(batch, 0)).toBe(2)
  })

  test('reads the batch at a position, whatever surrounds it', () => {
    const batch = build(three, { codec: 'lz4' })
    const bytes = new Uint8Array(Buffer.concat([Buffer.alloc(11, 1), batch, Buffer.alloc(5, 2)]))
    expect([...iterateRecords(bytes, 11)].map(record => record.timestamp)).toEqual([5n, 3n, 9n])
  })

  test.each(codecNames.slice(1))('unpacks %s to the limit and not beyond', codec => {
    const batch = build([{ timestamp: 0n, key: null, value: new Uint8Array(5000) }], { codec })
    expect([...iterateRecords(batch, 0, 6000)]).toHaveLength(1)
    expect(() => [...iterateRecords(batch, 0, 4000)]).toThrow(CompressionError)
  })

  test('a count that the bytes contradict is an error in both directions', () => {
    for (const count of [2, 4]) {
      const batch = build(three)
      new DataView(batch.buffer).setInt32(57, count)
      expect(() => [...iterateRecords(batch)]).toThrow(BatchError)
    }
  })

  test('what is no batch of magic 2 is an error', () => {
    expect(() => [...iterateRecords(new Uint8Array(0))]).toThrow(BatchError)
    expect(() => [...iterateRecords(new Uint8Array(60))]).toThrow(BatchError)
    const old = build(three)
    old[16] = 1
    expect(() => [...iterateRecords(old)]).toThrow(BatchError)
    const unknownCodec = build(three)
    unknownCodec[22] = 6
    expect(() => [...iterateRecords(unknownCodec)]).toThrow(BatchError)
  })
})
