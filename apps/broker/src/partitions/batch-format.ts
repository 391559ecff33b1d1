/**
 * Tells the storage engine where a Kafka record batch keeps what the engine must know. The one place where the two meet.
 */
import type { EntryFormat } from '@milena/storage-engine'
import { batchHeader } from '@milena/wire-protocol'

/** The largest batch that any topic can allow (max.message.bytes is bounded by the request size; this bounds what is stored). */
export const BATCH_BYTES_MAX = 16 * 1024 * 1024

export const batchFormat: EntryFormat = {
  headerBytes: batchHeader.headerBytes,
  entryBytesMax: BATCH_BYTES_MAX,
  lengthAt(bytes, position) {
    if (position + batchHeader.headerBytes > bytes.length) return 0
    if (batchHeader.magic(bytes, position) !== batchHeader.magicV2) return 0
    const length = batchHeader.totalBytes(bytes, position)
    return length >= batchHeader.headerBytes && length <= BATCH_BYTES_MAX ? length : 0
  },
  baseOffsetAt: batchHeader.baseOffset,
  lastOffsetAt: batchHeader.lastOffset,
  maxTimestampAt: batchHeader.maxTimestamp,
  isIntact(bytes, position, length) {
    return (
      batchHeader.totalBytes(bytes, position) === length &&
      batchHeader.computeCrc(bytes, position) === batchHeader.crc(bytes, position)
    )
  }
}
