/**
 * From a stored batch to a cursor over its records, unpacking them first when they are compressed. For batches that passed
 * `validateBatch` once, or came from a broker: damage is exceptional here and throws.
 */
import { codecName } from '../compression/codecs.ts'
import { decompress } from '../compression/compression.ts'
import * as batchHeader from './batch-header.ts'
import { RecordCursor } from './record-cursor.ts'

/** The most that the records of one batch may unpack to where the caller gives no limit: 64 MiB. */
export const decompressedBytesMaxDefault = 64 * 1024 * 1024

/** The bytes are no intact batch of magic 2. Compressed records that do not unpack throw `CompressionError` instead. */
export class BatchError extends Error {
  override readonly name = 'BatchError'
  readonly code = 'CORRUPT'
}

/** A cursor at the first record of the batch at `start`, which must lie in `bytes` completely. */
export function openBatch(
  bytes: Uint8Array,
  start: number,
  decompressedBytesMax: number = decompressedBytesMaxDefault
): RecordCursor {
  if (bytes.length - start < batchHeader.headerBytes) throw new BatchError('Batch header cut off')
  if (batchHeader.magic(bytes, start) !== batchHeader.magicV2) {
    throw new BatchError(`Magic ${batchHeader.magic(bytes, start)} instead of 2`)
  }
  const byteCount = batchHeader.totalBytes(bytes, start)
  if (byteCount < batchHeader.headerBytes || byteCount > bytes.length - start) {
    throw new BatchError(`Batch of ${byteCount} bytes where ${bytes.length - start} are left`)
  }
  const codec = codecName(batchHeader.codec(bytes, start))
  if (codec === undefined) throw new BatchError(`Unknown codec ${batchHeader.codec(bytes, start)}`)
  const recordsStart = start + batchHeader.headerBytes
  const baseTimestamp = batchHeader.baseTimestamp(bytes, start)
  if (codec === 'none') return new RecordCursor(bytes, recordsStart, start + byteCount, baseTimestamp)
  const compressed = bytes.subarray(recordsStart, start + byteCount)
  const records = decompress(codec, compressed, { outputBytesMax: decompressedBytesMax })
  return new RecordCursor(records, 0, records.length, baseTimestamp)
}

/** Moves the cursor to record `index` of the batch; throws where there is none. */
export function nextRecord(cursor: RecordCursor, index: number): void {
  if (!cursor.next()) throw new BatchError(`Record ${index}: ${cursor.problem ?? 'not there'}`)
}
