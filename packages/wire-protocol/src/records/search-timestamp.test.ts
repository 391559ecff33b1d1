import { describe, expect, test } from 'vitest'
import { BatchBuilder, type BatchOptions } from './batch-builder.ts'
import * as batchHeader from './batch-header.ts'
import { findRecordByTimestamp, maxTimestampRecord } from './search-timestamp.ts'

function batchOf(timestamps: readonly bigint[], options: BatchOptions = {}): Uint8Array {
  const builder = new BatchBuilder({ baseOffset: 100, ...options })
  for (const timestamp of timestamps) builder.append({ timestamp, key: null, value: null })
  return builder.build()
}

describe('findRecordByTimestamp', () => {
  const batch = batchOf([10n, 30n, 20n, 30n, 40n])

  test('finds the first record at or after the time, though times do not ascend', () => {
    expect(findRecordByTimestamp(batch, 0, 0n)).toEqual({ offset: 100, timestamp: 10n })
    expect(findRecordByTimestamp(batch, 0, 11n)).toEqual({ offset: 101, timestamp: 30n })
    expect(findRecordByTimestamp(batch, 0, 31n)).toEqual({ offset: 104, timestamp: 40n })
    expect(findRecordByTimestamp(batch, 0, 40n)).toEqual({ offset: 104, timestamp: 40n })
    expect(findRecordByTimestamp(batch, 0, 41n)).toBeUndefined()
  })

  test('passes over records before the lowest offset wanted', () => {
    expect(findRecordByTimestamp(batch, 0, 15n, 102)).toEqual({ offset: 102, timestamp: 20n })
    expect(findRecordByTimestamp(batch, 0, 15n, 105)).toBeUndefined()
  })

  test('looks into compressed batches', () => {
    const compressed = batchOf([10n, 30n, 20n], { codec: 'zstd' })
    expect(findRecordByTimestamp(compressed, 0, 15n)).toEqual({ offset: 101, timestamp: 30n })
  })

  test('with LogAppendTime the first record stands for all', () => {
    const appended = batchOf([10n, 30n])
    batchHeader.setMaxTimestamp(appended, 0, 'LogAppendTime', 500n)
    expect(findRecordByTimestamp(appended, 0, 400n)).toEqual({ offset: 100, timestamp: 500n })
    expect(findRecordByTimestamp(appended, 0, 400n, 101)).toEqual({ offset: 101, timestamp: 500n })
    expect(findRecordByTimestamp(appended, 0, 501n)).toBeUndefined()
  })

  test('is exact beyond 2^53', () => {
    const late = 2n ** 60n
    const batch = batchOf([late, late + 1n, late + 2n])
    expect(findRecordByTimestamp(batch, 0, late + 1n)).toEqual({ offset: 101, timestamp: late + 1n })
    const mixed = batchOf([5n, 2n ** 53n + 1n])
    expect(findRecordByTimestamp(mixed, 0, 2n ** 53n + 1n)).toEqual({ offset: 101, timestamp: 2n ** 53n + 1n })
  })
})

describe('maxTimestampRecord', () => {
  test('is the first of the records with the largest timestamp', () => {
    expect(maxTimestampRecord(batchOf([10n, 30n, 20n, 30n]), 0)).toEqual({ offset: 101, timestamp: 30n })
    expect(maxTimestampRecord(batchOf([-1n, -1n]), 0)).toEqual({ offset: 100, timestamp: -1n })
    expect(maxTimestampRecord(batchOf([2n ** 60n, 2n ** 60n + 1n], { codec: 'gzip' }), 0)).toEqual({
      offset: 101,
      timestamp: 2n ** 60n + 1n
    })
  })

  test('with LogAppendTime it is the first record', () => {
    const appended = batchOf([10n, 30n])
    batchHeader.setMaxTimestamp(appended, 0, 'LogAppendTime', 500n)
    expect(maxTimestampRecord(appended, 0)).toEqual({ offset: 100, timestamp: 500n })
  })

  test('a batch without records has none', () => {
    expect(maxTimestampRecord(batchOf([]), 0)).toBeUndefined()
  })
})
