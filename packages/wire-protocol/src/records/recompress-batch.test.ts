import { expect, test } from 'vitest'
import { codecNames, codecNumber } from '../compression/codecs.ts'
import { BatchBuilder } from './batch-builder.ts'
import * as batchHeader from './batch-header.ts'
import { iterateRecords } from './iterate-records.ts'
import { recompressBatch } from './recompress-batch.ts'
import { validateBatch } from './validate-batch.ts'
import { defaultValidationOptions } from './validation.ts'

const text = (i: number): Buffer => Buffer.from(`value ${i} `.repeat(20))

function batch(codec: (typeof codecNames)[number]): Uint8Array {
  const builder = new BatchBuilder({ codec, producerId: 9n, producerEpoch: 3, baseSequence: 5, leaderEpoch: 2 })
  for (let i = 0; i < 30; i++) {
    const headers = [{ key: 'h', value: text(i) }]
    builder.append({
      timestamp: 1_700_000_000_000n + BigInt(i % 7),
      key: i % 3 === 0 ? null : text(i),
      value: text(i),
      headers
    })
  }
  return builder.build()
}

/** Everything but what must differ: length, checksum, codec. */
function restOfHeader(bytes: Uint8Array): Buffer {
  const header = Buffer.from(bytes.subarray(0, batchHeader.headerBytes))
  header.fill(0, 8, 12).fill(0, 17, 21)
  header[22] = header[22]! & ~batchHeader.attributeBits.codec
  return header
}

const contents = (bytes: Uint8Array): unknown[] =>
  Array.from(iterateRecords(bytes, 0), record => [
    record.offset,
    record.timestamp,
    record.key && Buffer.from(record.key).toString(),
    record.value && Buffer.from(record.value).toString()
  ])

test.each(codecNames.flatMap(from => codecNames.map(to => [from, to] as const)))(
  'from %s to %s: the same records and header, in a batch that is valid, and the input as it was',
  (from, to) => {
    const input = batch(from)
    const before = Buffer.from(input)
    // Behind something else: positions count from the batch, not from the buffer.
    const placed = Buffer.concat([Buffer.alloc(7, 0xff), input])
    const output = recompressBatch(placed, 7, { codec: to })
    expect(Buffer.from(placed.subarray(7)).equals(before)).toBe(true)
    expect(batchHeader.codec(output, 0)).toBe(codecNumber(to))
    expect(restOfHeader(output)).toEqual(restOfHeader(input))
    expect(contents(output)).toEqual(contents(input))
    const options = { ...defaultValidationOptions, apiVersion: 13, timestampAfterMaxMs: Infinity }
    expect(validateBatch(output, 0, output.length, options).kind).toBe('valid')
  }
)

test('levels reach gzip and zstd', () => {
  const input = batch('none')
  for (const codec of ['gzip', 'zstd'] as const) {
    const sizes = [1, 9].map(level => recompressBatch(input, 0, { codec, level }).length)
    expect(sizes[1]).toBeLessThan(sizes[0] ?? 0)
  }
  expect(recompressBatch(input, 0, { codec: 'zstd', level: -131_072 }).length).toBeGreaterThan(0)
})

test('records that unpack to more than is allowed are refused before the memory is taken', () => {
  const input = batch('gzip')
  expect(() => recompressBatch(input, 0, { codec: 'none', decompressedBytesMax: 100 })).toThrow(
    expect.objectContaining({ code: 'TOO_LARGE' })
  )
})
