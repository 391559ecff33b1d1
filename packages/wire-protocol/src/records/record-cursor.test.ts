/** The cursor against a slow reader that follows the format word for word, on records of every shape and on damage. */
import { describe, expect, test } from 'vitest'
import { BatchBuilder } from './batch-builder.ts'
import * as batchHeader from './batch-header.ts'
import { RecordCursor } from './record-cursor.ts'

interface PlainRecord {
  end: number
  attributes: number
  timestamp: bigint
  offsetDelta: number
  key: [number, number] | null
  value: [number, number] | null
  headerCount: number
}

/** All records in `bytes[start, end)`, up to the first that does not fit. */
function slowRecords(bytes: Uint8Array, start: number, end: number, base: bigint): [PlainRecord[], boolean] {
  let position = start
  const number = (bits: bigint, limit: number): bigint => {
    let raw = 0n
    for (let shift = 0n; shift < bits + (bits === 32n ? 3n : 6n); shift += 7n) {
      if (position >= limit) throw new Error('cut off')
      const byte = bytes[position++]!
      raw |= BigInt(byte & 0x7f) << shift
      if (byte >= 0x80) continue
      const kept = BigInt.asUintN(Number(bits), raw)
      return (kept >> 1n) ^ -(kept & 1n)
    }
    throw new Error('too long')
  }
  const part = (limit: number): [number, number] | null => {
    const length = Number(number(32n, limit))
    if (length < 0) return null
    if (position + length > limit) throw new Error('part too long')
    position += length
    return [position - length, length]
  }
  const records: PlainRecord[] = []
  try {
    while (position < end) {
      const length = Number(number(32n, end))
      const limit = position + length
      if (length < 1 || limit > end) throw new Error('record too long')
      const attributes = bytes[position++]!
      const timestamp = BigInt.asIntN(64, base + number(64n, limit))
      const offsetDelta = Number(number(32n, limit))
      const key = part(limit)
      const value = part(limit)
      const headerCount = Number(number(32n, limit))
      if (headerCount < 0 || headerCount > limit - position) throw new Error('header count')
      for (let index = 0; index < headerCount; index++) {
        if (part(limit) === null) throw new Error('header key')
        part(limit)
      }
      if (position !== limit) throw new Error('parts do not fill the record')
      records.push({ end: limit, attributes, timestamp, offsetDelta, key, value, headerCount })
    }
  } catch {
    return [records, false]
  }
  return [records, true]
}

function cursorRecords(bytes: Uint8Array, start: number, end: number, base: bigint): [PlainRecord[], boolean] {
  const cursor = new RecordCursor(bytes, start, end, base)
  const records: PlainRecord[] = []
  while (cursor.next()) {
    const { recordEnd, attributes, timestamp, offsetDelta, keyStart, keyBytes, valueStart, valueBytes } = cursor
    records.push({
      end: recordEnd,
      attributes,
      timestamp,
      offsetDelta,
      key: keyBytes < 0 ? null : [keyStart, keyBytes],
      value: valueBytes < 0 ? null : [valueStart, valueBytes],
      headerCount: cursor.headerCount
    })
    expect(cursor.remainingBytes).toBe(end - recordEnd)
  }
  expect(cursor.next()).toBe(false)
  return [records, cursor.problem === undefined]
}

const seed = Number(process.env['FUZZ_SEED'] ?? 20_261_123)
const rounds = Number(process.env['FUZZ_ROUNDS'] ?? 6000)
let state = seed
const below = (bound: number): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return Math.floor((state / 2 ** 32) * bound)
}

const baseTimestamps = [0n, 1_700_000_000_000n, -1n, 2n ** 53n - 1n, 2n ** 53n - 2n ** 21n, 2n ** 60n, -(2n ** 63n)]
const deltas = [
  0n,
  1n,
  -1n,
  64n,
  5000n,
  -(2n ** 20n),
  2n ** 20n,
  2n ** 21n,
  2n ** 34n,
  2n ** 48n,
  2n ** 55n,
  2n ** 63n - 1n
]
const sizes = [0, 1, 60, 63, 64, 65, 300, 8191, 8192, 8193]

/** Random records, and where they start. */
function randomBatch(): { bytes: Uint8Array; base: bigint } {
  const base = baseTimestamps[below(baseTimestamps.length)]!
  const builder = new BatchBuilder()
  const part = (): Uint8Array | null =>
    below(5) === 0 ? null : new Uint8Array(sizes[below(below(10) === 0 ? sizes.length : 4)]!).fill(below(256))
  let offsetDelta = below(3) === 0 ? below(2 ** 28) : 0
  for (let count = 1 + below(5); count > 0; count--) {
    const headers = Array.from({ length: below(3) === 0 ? below(4) : 0 }, () => ({ key: 'h', value: part() }))
    const timestamp = BigInt.asIntN(64, base + deltas[below(deltas.length)]!)
    builder.append({ timestamp, key: part(), value: part(), headers }, offsetDelta)
    offsetDelta += 1 + below(below(2) === 0 ? 1 : 20_000)
  }
  const bytes = builder.build()
  return { bytes, base: batchHeader.baseTimestamp(bytes, 0) }
}

describe('RecordCursor', () => {
  test(`reads intact records of every shape as the slow reader does (seed ${seed})`, () => {
    for (let round = 0; round < rounds; round++) {
      const { bytes, base } = randomBatch()
      const expected = slowRecords(bytes, batchHeader.headerBytes, bytes.length, base)
      expect(expected[1]).toBe(true)
      expect(cursorRecords(bytes, batchHeader.headerBytes, bytes.length, base)).toEqual(expected)
    }
  })

  test(`stops at the same damage as the slow reader (seed ${seed})`, () => {
    let stopped = 0
    for (let round = 0; round < rounds; round++) {
      const { bytes, base } = randomBatch()
      const start = batchHeader.headerBytes
      const damaged = start + below(Math.min(80, bytes.length - start))
      bytes[damaged] = below(3) === 0 ? below(256) : bytes[damaged]! + 1 - 2 * below(2)
      const end = below(3) === 0 ? start + below(bytes.length - start) : bytes.length
      const expected = slowRecords(bytes, start, end, base)
      if (!expected[1]) stopped++
      expect(cursorRecords(bytes, start, end, base)).toEqual(expected)
    }
    expect(stopped).toBeGreaterThan(rounds / 4)
  })

  test('says what is wrong with a record', () => {
    const problemOf = (...bytes: number[]): string | undefined => {
      const cursor = new RecordCursor(Uint8Array.from(bytes), 0, bytes.length, 0n)
      while (cursor.next());
      return cursor.problem
    }
    expect(problemOf(14, 0, 0, 0, 1, 1, 0)).toBe('record of 7 bytes where 6 are left')
    expect(problemOf(12, 0, 0, 0, 1, 1, 0)).toBeUndefined()
    expect(problemOf(0)).toBe('record without attributes')
    expect(problemOf(0x80)).toBe('number cut off')
    expect(problemOf(12, 0, 0, 0, 1, 1, 4)).toBe('2 headers in 0 bytes')
    expect(problemOf(14, 0, 0, 0, 1, 1, 0, 0)).toBe('record of 7 bytes whose parts take 6')
    expect(problemOf(12, 0, 0, 0, 20, 1, 0)).toBe('part of 10 bytes where 2 are left')
    expect(problemOf(16, 0, 0, 0, 1, 1, 2, 1, 0)).toBe('header without a key')
  })
})
