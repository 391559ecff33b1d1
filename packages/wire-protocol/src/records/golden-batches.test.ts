/** Batches that Kafka's own builder wrote, read; and the same written by ours, byte for byte where no codec interferes. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { codecName, codecNames } from '../compression/codecs.ts'
import * as batchHeader from './batch-header.ts'
import { BatchBuilder } from './batch-builder.ts'
import { buildEndTransactionMarker, readEndTransactionMarker } from './control-records.ts'
import { iterateRecords } from './iterate-records.ts'
import { validateBatch } from './validate-batch.ts'
import { defaultValidationOptions } from './validation.ts'

const golden = new Map(
  readFileSync(new URL('kafka-batches.txt', import.meta.url), 'utf8')
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('#'))
    .map(line => [line.split(' ')[0]!, new Uint8Array(Buffer.from(line.split(' ')[1]!, 'base64'))])
)
const options = { ...defaultValidationOptions, nowMs: 1_700_000_000_000 }
const text = (value: string): Uint8Array => new TextEncoder().encode(value)

function batchOf(name: string): Uint8Array {
  const batch = golden.get(name)
  if (batch === undefined) throw new Error(`no golden batch ${name}`)
  return batch
}

function rebuild(batch: Uint8Array): Uint8Array {
  const builder = new BatchBuilder({
    codec: codecName(batchHeader.codec(batch, 0)) ?? 'none',
    baseOffset: batchHeader.baseOffset(batch, 0),
    leaderEpoch: batchHeader.leaderEpoch(batch, 0),
    timestampType: batchHeader.timestampType(batch, 0),
    producerId: batchHeader.producerId(batch, 0),
    producerEpoch: batchHeader.producerEpoch(batch, 0),
    baseSequence: batchHeader.baseSequence(batch, 0),
    isTransactional: batchHeader.isTransactional(batch, 0)
  })
  for (const record of iterateRecords(batch)) builder.append({ ...record, headers: record.headers() })
  return builder.build()
}

/** All that the records of a batch say, as one line. */
function digestOf(batch: Uint8Array): string {
  const hex = (bytes: Uint8Array | null): string => (bytes === null ? 'null' : Buffer.from(bytes).toString('hex'))
  return [...iterateRecords(batch)]
    .map(record => {
      const headers = record.headers().map(({ key, value }) => `${hex(key)}=${hex(value)}`)
      return [record.offset, record.timestamp, hex(record.key), hex(record.value), ...headers].join(' ')
    })
    .join('\n')
}

describe('batches that Kafka wrote', () => {
  test.each(codecNames)('four records read back whole through %s', codec => {
    const records = [...iterateRecords(batchOf(`short-${codec}`))].map(record => ({
      offset: record.offset,
      timestamp: record.timestamp,
      key: record.key,
      value: record.value,
      headers: record.headers()
    }))
    const empty = new Uint8Array(0)
    const time = 1_700_000_000_000n
    expect(records).toEqual([
      { offset: 0, timestamp: time, key: text('k0'), value: text('v0'), headers: [] },
      {
        offset: 1,
        timestamp: time + 5n,
        key: null,
        value: text('value one'),
        headers: [
          { key: text('a'), value: Uint8Array.of(1) },
          { key: text('a'), value: null }
        ]
      },
      { offset: 2, timestamp: time + 5n, key: empty, value: null, headers: [] },
      { offset: 3, timestamp: time - 70_000n, key: text('k3'), value: empty, headers: [{ key: empty, value: empty }] }
    ])
  })

  test.each(codecNames)('a broker accepts them with the facts of their header, %s', codec => {
    const batch = batchOf(`short-${codec}`)
    const isTransactional = codec === 'gzip' || codec === 'lz4'
    expect(validateBatch(batch, 0, batch.length, options)).toEqual({
      kind: 'valid',
      byteCount: batch.length,
      recordCount: 4,
      lastOffsetDelta: 3,
      codec,
      isTransactional,
      isControl: false,
      producerId: isTransactional ? 4611686018427387905n : -1n,
      producerEpoch: isTransactional ? 7 : -1,
      baseSequence: isTransactional ? 2147483646 : -1,
      maxTimestamp: 1_700_000_000_005n,
      maxTimestampOffsetDelta: 1,
      timestampNeedsPatch: false
    })
  })

  test.each(codecNames.slice(1))('a value that needs several blocks of %s reads back whole', codec => {
    const expected = Uint8Array.from({ length: 70_000 }, (_, index) => index % 251)
    const [record] = [...iterateRecords(batchOf(`long-${codec}`))]
    expect(Buffer.compare(record!.value!, expected)).toBe(0)
  })

  test('our builder writes the same bytes without a codec, and the same records with one', () => {
    for (const [name, batch] of golden) {
      if (batchHeader.isControl(batch, 0)) continue
      const ours = rebuild(batch)
      expect(digestOf(ours)).toBe(digestOf(batch))
      if (batchHeader.codec(batch, 0) === 0 && name !== 'log-append-time') expect(ours, name).toEqual(batch)
    }
  })

  test('with LogAppendTime every record reads as the time of the append', () => {
    const batch = batchOf('log-append-time')
    const timestamps = [...iterateRecords(batch)].map(record => record.timestamp)
    expect(timestamps).toEqual([batchHeader.maxTimestamp(batch, 0), batchHeader.maxTimestamp(batch, 0)])
    expect(batchHeader.timestampType(batch, 0)).toBe('LogAppendTime')
    expect([...iterateRecords(batch)].map(record => record.offset)).toEqual([40, 41])
  })

  test.each(['abort', 'commit'] as const)('the %s marker reads, and ours is the same bytes', outcome => {
    const batch = batchOf(outcome)
    const marker = { outcome, coordinatorEpoch: outcome === 'abort' ? 9 : 2147483647 }
    expect(readEndTransactionMarker(batch, 0)).toEqual(marker)
    const ours = buildEndTransactionMarker({
      ...marker,
      producerId: 77n,
      producerEpoch: 4,
      timestamp: 1_700_000_000_000n,
      baseOffset: outcome === 'abort' ? 10 : 11,
      leaderEpoch: 3
    })
    expect(ours).toEqual(batch)
  })

  test.each([...golden.keys()])('every truncation of %s is refused, none throws', name => {
    const batch = batchOf(name)
    const step = batch.length > 1000 ? 7 : 1
    for (let length = 0; length < batch.length; length += step) {
      const verdict = validateBatch(batch, 0, length, options)
      expect(verdict.kind).toBe('invalid')
    }
  })

  test.each([...golden.keys()])('every truncation of %s with a length and checksum that fit it is refused', name => {
    const whole = batchOf(name)
    const step = whole.length > 1000 ? 13 : 1
    for (let length = batchHeader.headerBytes; length < whole.length; length += step) {
      const batch = whole.slice(0, length)
      new DataView(batch.buffer).setInt32(8, length - 12)
      batchHeader.setBaseOffset(batch, 0, 0)
      batchHeader.updateCrc(batch, 0)
      expect(validateBatch(batch, 0, length, { ...options, origin: 'coordinator' }).kind).toBe('invalid')
      expect(() => [...iterateRecords(batch)]).toThrow()
    }
  })
})
