/** Batches made to hurt rather than to be wrong: bombs, and seeded damage behind a checksum that is right. */
import { describe, expect, test } from 'vitest'
import { codecNames } from '../compression/codecs.ts'
import type { ErrorName } from '../errors.ts'
import { BatchBuilder } from './batch-builder.ts'
import * as batchHeader from './batch-header.ts'
import { crc32c } from './crc32c.ts'
import { iterateRecords } from './iterate-records.ts'
import { findRecordByTimestamp, maxTimestampRecord } from './search-timestamp.ts'
import { validateBatch } from './validate-batch.ts'
import { defaultValidationOptions, type ValidationOptions } from './validation.ts'

const now = 1_700_000_000_000
const options: ValidationOptions = { ...defaultValidationOptions, nowMs: now, batchBytesMax: 2_000_000 }
const mebibyte = 1024 * 1024

function codeOf(bytes: Uint8Array, more: Partial<ValidationOptions> = {}): ErrorName {
  const verdict = validateBatch(bytes, 0, bytes.length, { ...options, ...more })
  return verdict.kind === 'valid' ? 'NONE' : verdict.error
}

describe('bombs', () => {
  test.each(codecNames.slice(1))('a batch in %s above the limit for its contents takes no memory for them', codec => {
    const builder = new BatchBuilder({ codec })
    builder.append({ timestamp: BigInt(now), key: null, value: new Uint8Array(24 * mebibyte) })
    const bytes = builder.build()
    expect(codeOf(bytes, { decompressedBytesMax: mebibyte })).toBe('MESSAGE_TOO_LARGE')
    const before = process.memoryUsage().rss
    for (let round = 0; round < 8; round++) codeOf(bytes, { decompressedBytesMax: mebibyte })
    expect(process.memoryUsage().rss - before).toBeLessThan(32 * mebibyte)
    expect(codeOf(bytes)).toBe('NONE')
  })

  test('headers by the hundred thousand cost one pass and no objects', () => {
    const builder = new BatchBuilder()
    const header = { key: '', value: null }
    builder.append({ timestamp: BigInt(now), key: null, value: null, headers: new Array(100_000).fill(header) })
    const bytes = builder.build()
    // Processor time: what else the machine does has no part in it.
    const start = process.cpuUsage()
    expect(codeOf(bytes)).toBe('NONE')
    expect(process.cpuUsage(start).user / 1000).toBeLessThan(1000)
  })
})

describe('damage', () => {
  const seed = Number(process.env['FUZZ_SEED'] ?? 20_261_123)
  const rounds = Number(process.env['FUZZ_ROUNDS'] ?? 8000)

  /** The same pseudo-random numbers for the same seed. */
  function randomBelow(start: number): (bound: number) => number {
    let state = start
    return bound => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return Math.floor((state / 2 ** 32) * bound)
    }
  }

  const originals = (['none', ...codecNames] as const).map(codec => {
    const builder = new BatchBuilder({ codec })
    for (let index = 0; index < 6; index++) {
      const headers = [{ key: 'a', value: Uint8Array.of(index) }]
      builder.append({
        timestamp: BigInt(now + index),
        key: Uint8Array.of(107),
        value: new Uint8Array(index * 3),
        headers
      })
    }
    return builder.build()
  })

  function damage(below: (bound: number) => number): Uint8Array {
    const bytes = originals[below(originals.length)]!.slice()
    for (let count = 1 + below(3); count > 0; count--) bytes[below(bytes.length)] = below(256)
    // Most damage would end at the checksum: make it right, so that the checks behind it are reached.
    if (below(8) !== 0) new DataView(bytes.buffer).setUint32(17, crc32c(bytes, batchHeader.checksummedFrom))
    return below(16) === 0 ? bytes.subarray(0, below(bytes.length)) : bytes
  }

  test(`validation never throws, and what it accepts reads to the end (seed ${seed})`, () => {
    const below = randomBelow(seed)
    const outcomes = new Map<ErrorName, number>()
    for (let round = 0; round < rounds; round++) {
      const bytes = damage(below)
      const code = codeOf(bytes)
      outcomes.set(code, (outcomes.get(code) ?? 0) + 1)
      if (code !== 'NONE') continue
      const records = [...iterateRecords(bytes)]
      expect(records.map(record => record.offset)).toEqual(records.map((_, index) => index))
      expect(records.length).toBe(batchHeader.recordCount(bytes, 0))
      for (const record of records) expect(record.headers().length).toBe(record.headerCount)
      expect(maxTimestampRecord(bytes, 0)).toBeDefined()
    }
    // Were damage never to get past the checksum, or never to be noticed, this test would prove nothing.
    for (const code of ['NONE', 'INVALID_RECORD', 'CORRUPT_MESSAGE', 'INVALID_TIMESTAMP'] as const) {
      expect(outcomes.get(code) ?? 0, code).toBeGreaterThan(rounds / 500)
    }
  })

  test(`iteration and search end in records or in an error, whatever the bytes (seed ${seed + 1})`, () => {
    const below = randomBelow(seed + 1)
    let failed = 0
    for (let round = 0; round < rounds / 4; round++) {
      const bytes = damage(below)
      try {
        for (const record of iterateRecords(bytes)) record.headers()
        findRecordByTimestamp(bytes, 0, BigInt(now + below(6)))
        maxTimestampRecord(bytes, 0)
      } catch (error) {
        expect(['BatchError', 'CompressionError']).toContain((error as Error).name)
        failed++
      }
    }
    expect(failed).toBeGreaterThan(rounds / 40)
  })
})
