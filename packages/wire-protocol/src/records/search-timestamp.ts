/**
 * Timestamps inside one batch, for ListOffsets: the first record at or after a time (KIP-79) and the record with the largest
 * timestamp (KIP-734). Both walk the records without making objects of them.
 */
import * as batchHeader from './batch-header.ts'
import { decompressedBytesMaxDefault, nextRecord, openBatch } from './open-batch.ts'
import type { RecordCursor } from './record-cursor.ts'

/** A record that a search by time found. */
export interface TimestampedOffset {
  readonly offset: number
  /** Ms since the epoch. */
  readonly timestamp: bigint
}

/**
 * The first record of the batch at `start` whose timestamp is `timestamp` or later and whose offset is at least `minOffset`.
 * Timestamps need not ascend within a batch. Throws as `iterateRecords` does.
 */
export function findRecordByTimestamp(
  bytes: Uint8Array,
  start: number,
  timestamp: bigint,
  minOffset = 0,
  decompressedBytesMax: number = decompressedBytesMaxDefault
): TimestampedOffset | undefined {
  const max = batchHeader.maxTimestamp(bytes, start)
  if (max < timestamp) return undefined
  const isAppendTime = batchHeader.timestampType(bytes, start) === 'LogAppendTime'
  const cursor = openBatch(bytes, start, decompressedBytesMax)
  const baseOffset = batchHeader.baseOffset(bytes, start)
  const recordCount = batchHeader.recordCount(bytes, start)
  for (let index = 0; index < recordCount; index++) {
    nextRecord(cursor, index)
    const offset = baseOffset + cursor.offsetDelta
    if (offset < minOffset) continue
    if (isAppendTime) return { offset, timestamp: max }
    if (isAtLeast(cursor, timestamp)) return { offset, timestamp: cursor.timestamp }
  }
  return undefined
}

/** The first of the records with the largest timestamp; undefined for a batch that compaction has emptied. */
export function maxTimestampRecord(
  bytes: Uint8Array,
  start: number,
  decompressedBytesMax: number = decompressedBytesMaxDefault
): TimestampedOffset | undefined {
  const cursor = openBatch(bytes, start, decompressedBytesMax)
  const baseOffset = batchHeader.baseOffset(bytes, start)
  const recordCount = batchHeader.recordCount(bytes, start)
  const isAppendTime = batchHeader.timestampType(bytes, start) === 'LogAppendTime'
  let found: TimestampedOffset | undefined
  for (let index = 0; index < recordCount; index++) {
    nextRecord(cursor, index)
    const offset = baseOffset + cursor.offsetDelta
    if (isAppendTime) return { offset, timestamp: batchHeader.maxTimestamp(bytes, start) }
    if (found === undefined || !isAtMost(cursor, found.timestamp)) found = { offset, timestamp: cursor.timestamp }
  }
  return found
}

function isAtLeast(cursor: RecordCursor, timestamp: bigint): boolean {
  // Mixed comparison of number and bigint is exact and makes no bigint.
  return cursor.timestampIsExact ? cursor.timestampMs >= timestamp : cursor.timestamp >= timestamp
}

function isAtMost(cursor: RecordCursor, timestamp: bigint): boolean {
  return cursor.timestampIsExact ? cursor.timestampMs <= timestamp : cursor.timestamp <= timestamp
}
