/**
 * The records of a batch one by one, for whoever looks inside: compaction, transforms, consoles, the consumer side of tools.
 * (The broker's produce and fetch paths never come here.) Nothing is copied: keys, values and headers are views of the
 * batch, or of the memory it was unpacked into.
 */
import * as batchHeader from './batch-header.ts'
import { BatchError, decompressedBytesMaxDefault, nextRecord, openBatch } from './open-batch.ts'
import { RecordCursor } from './record-cursor.ts'

/** A header of a record. Views of the batch. */
export interface RecordHeader {
  /** UTF-8, by convention; Kafka checks no encoding. */
  readonly key: Uint8Array
  readonly value: Uint8Array | null
}

/** One record. The views live as long as the batch's bytes stay as they are. */
export class BatchRecord {
  readonly offset: number
  /** Ms since the epoch: the record's own, or that of the append where the batch says LogAppendTime; -1n for none. */
  readonly timestamp: bigint
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headerCount: number
  private readonly headerBytes: Uint8Array

  /** Takes the record under the cursor. */
  constructor(cursor: RecordCursor, offset: number, timestamp: bigint) {
    const { bytes, keyStart, keyBytes, valueStart, valueBytes } = cursor
    this.offset = offset
    this.timestamp = timestamp
    this.key = keyBytes < 0 ? null : bytes.subarray(keyStart, keyStart + keyBytes)
    this.value = valueBytes < 0 ? null : bytes.subarray(valueStart, valueStart + valueBytes)
    this.headerCount = cursor.headerCount
    this.headerBytes = bytes.subarray(cursor.headersStart, cursor.recordEnd)
  }

  /** The headers in their order, keys possibly more than once. Read anew at every call. */
  headers(): RecordHeader[] {
    return RecordCursor.readHeaders(this.headerBytes, this.headerCount)
  }
}

/**
 * The records of the batch at `start`, lazily. A compressed batch is unpacked at the first step, to at most
 * `decompressedBytesMax` bytes. Throws `BatchError` where the batch turns out damaged, `CompressionError` where it does not
 * unpack; the checksum is not looked at.
 */
export function* iterateRecords(
  bytes: Uint8Array,
  start = 0,
  decompressedBytesMax: number = decompressedBytesMaxDefault
): Generator<BatchRecord, void, undefined> {
  const cursor = openBatch(bytes, start, decompressedBytesMax)
  const baseOffset = batchHeader.baseOffset(bytes, start)
  const recordCount = batchHeader.recordCount(bytes, start)
  const appendTime =
    batchHeader.timestampType(bytes, start) === 'LogAppendTime' ? batchHeader.maxTimestamp(bytes, start) : undefined
  for (let index = 0; index < recordCount; index++) {
    nextRecord(cursor, index)
    yield new BatchRecord(cursor, baseOffset + cursor.offsetDelta, appendTime ?? cursor.timestamp)
  }
  if (cursor.remainingBytes > 0) throw new BatchError(`${cursor.remainingBytes} bytes behind the last record`)
}
