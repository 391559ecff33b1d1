/**
 * Decides whether a batch that came in may be appended, as Kafka decides it: same checks, same order, same error codes
 * (recorded from a Kafka 4.3 broker, see validate-batch.test.ts). Runs on the shard that owns the partition, on the bytes as
 * they were received; it neither copies nor changes them, and it never throws on what a client sent.
 *
 * Order: the envelope (one batch, length, magic), codec against API version, base offset, size, checksum, header counts,
 * producer fields, then the records one by one. Compressed batches are decompressed for that, within a hard limit.
 */
import { attributeBits, headerBytes, logOverheadBytes, magicV2 } from './batch-header.ts'
import * as batchHeader from './batch-header.ts'
import { codecName, codecNumber, CompressionError } from '../compression/codecs.ts'
import { decompress } from '../compression/compression.ts'
import type { ErrorName } from '../errors.ts'
import { RecordCursor } from './record-cursor.ts'
import type { BatchValidation, InvalidBatch, RecordRefusal, ValidationOptions } from './validation.ts'

/** Bytes up to and including the magic: with fewer there is no batch to speak of. */
const bytesUpToMagic = 17

/** The smallest record of the oldest format, below which Kafka calls a length damaged rather than short. */
const legacyRecordBytesMin = 14

/** First Produce version that may carry zstd (KIP-110). */
const zstdFromApiVersion = 7

/** The most refused records that an answer lists; further ones are only counted. */
export const recordRefusalsMax = 100

/**
 * Checks the batch in `bytes[start, end)`: the whole `records` field of one partition of a Produce request. `options` may be
 * one long-lived object per topic.
 */
export function validateBatch(
  bytes: Uint8Array,
  start: number,
  end: number,
  options: ValidationOptions
): BatchValidation {
  return (
    checkEnvelope(bytes, start, end, options) ??
    checkHeader(bytes, start, options) ??
    checkRecords(bytes, start, options)
  )
}

function invalid(error: ErrorName, message: string, recordErrors: readonly RecordRefusal[] = []): InvalidBatch {
  return { kind: 'invalid', error, message, recordErrors }
}

/** Exactly one batch of magic 2 between `start` and `end`. */
function checkEnvelope(
  bytes: Uint8Array,
  start: number,
  end: number,
  options: ValidationOptions
): InvalidBatch | undefined {
  const byteCount = end - start
  if (byteCount < logOverheadBytes) return invalid('INVALID_RECORD', 'No record batch')
  const length = batchHeader.batchLength(bytes, start)
  if (length < legacyRecordBytesMin) return invalid('CORRUPT_MESSAGE', `Batch length ${length} is below any format's`)
  if (byteCount < bytesUpToMagic) return invalid('INVALID_RECORD', 'No complete record batch')
  const magic = batchHeader.magic(bytes, start)
  if (magic < 0 || magic > magicV2) return invalid('CORRUPT_MESSAGE', `Magic ${magic} is no record format`)
  if (length > byteCount - logOverheadBytes) {
    return invalid('INVALID_RECORD', `Batch length ${length}, but ${byteCount - logOverheadBytes} bytes follow it`)
  }
  if (magic !== magicV2) return invalid('INVALID_RECORD', `Record batches must have magic 2, not ${magic}`)
  if (length < headerBytes - logOverheadBytes) {
    return invalid('CORRUPT_MESSAGE', `Batch length ${length} is below that of a header`)
  }
  if (options.apiVersion < zstdFromApiVersion && batchHeader.codec(bytes, start) === codecNumber('zstd')) {
    return invalid('UNSUPPORTED_COMPRESSION_TYPE', `zstd needs Produce version ${zstdFromApiVersion} or newer`)
  }
  if (length !== byteCount - logOverheadBytes) {
    return invalid('INVALID_RECORD', 'A partition takes exactly one record batch in a request')
  }
  return undefined
}

function checkHeader(bytes: Uint8Array, start: number, options: ValidationOptions): InvalidBatch | undefined {
  const fromClient = options.origin === 'client'
  if (fromClient && batchHeader.baseOffsetBigInt(bytes, start) !== 0n) {
    return invalid('INVALID_RECORD', `Base offset ${batchHeader.baseOffsetBigInt(bytes, start)} must be 0`)
  }
  const byteCount = batchHeader.totalBytes(bytes, start)
  if (byteCount > options.batchBytesMax) {
    return invalid('MESSAGE_TOO_LARGE', `Batch of ${byteCount} bytes, at most ${options.batchBytesMax} are allowed`)
  }
  if (batchHeader.crc(bytes, start) !== batchHeader.computeCrc(bytes, start)) {
    return invalid('CORRUPT_MESSAGE', 'The checksum of the batch does not match its bytes')
  }
  const codec = batchHeader.codec(bytes, start)
  if (codecName(codec) === undefined) return invalid('UNSUPPORTED_COMPRESSION_TYPE', `Unknown codec ${codec}`)
  return checkCounts(bytes, start) ?? (fromClient ? checkClientFields(bytes, start) : undefined)
}

function checkCounts(bytes: Uint8Array, start: number): InvalidBatch | undefined {
  const recordCount = batchHeader.recordCount(bytes, start)
  const lastOffsetDelta = batchHeader.lastOffsetDelta(bytes, start)
  if (lastOffsetDelta < 0) return invalid('INVALID_RECORD', `Last offset delta ${lastOffsetDelta} is negative`)
  if (recordCount <= 0) return invalid('INVALID_RECORD', `Record count ${recordCount} is not positive`)
  if (lastOffsetDelta !== recordCount - 1) {
    return invalid('INVALID_RECORD', `Last offset delta ${lastOffsetDelta} contradicts ${recordCount} records`)
  }
  return undefined
}

function checkClientFields(bytes: Uint8Array, start: number): InvalidBatch | undefined {
  if (batchHeader.isControl(bytes, start)) return invalid('INVALID_RECORD', 'Clients must not write control records')
  if (!batchHeader.hasProducerId(bytes, start)) return undefined
  const baseSequence = batchHeader.baseSequence(bytes, start)
  if (baseSequence < 0) return invalid('INVALID_RECORD', `Sequence ${baseSequence} of an idempotent batch is negative`)
  const producerEpoch = batchHeader.producerEpoch(bytes, start)
  if (producerEpoch < -1) return invalid('INVALID_PRODUCER_EPOCH', `Producer epoch ${producerEpoch}`)
  return undefined
}

function checkRecords(bytes: Uint8Array, start: number, options: ValidationOptions): BatchValidation {
  const batchEnd = start + batchHeader.totalBytes(bytes, start)
  const codec = codecName(batchHeader.codec(bytes, start)) ?? 'none'
  let records = bytes
  let recordsStart = start + headerBytes
  let recordsEnd = batchEnd
  if (codec !== 'none') {
    try {
      records = decompress(codec, bytes.subarray(recordsStart, batchEnd), {
        outputBytesMax: options.decompressedBytesMax
      })
    } catch (error) {
      if (error instanceof CompressionError) return refuseCompressed(error)
      throw error
    }
    recordsStart = 0
    recordsEnd = records.length
  }
  const cursor = new RecordCursor(records, recordsStart, recordsEnd, batchHeader.baseTimestamp(bytes, start))
  return new RecordCheck(cursor, options).run(bytes, start)
}

function refuseCompressed(error: CompressionError): InvalidBatch {
  switch (error.code) {
    case 'TOO_LARGE':
      return invalid('MESSAGE_TOO_LARGE', error.message)
    case 'UNSUPPORTED':
      return invalid('UNSUPPORTED_COMPRESSION_TYPE', error.message)
    case 'CORRUPT':
      return invalid('CORRUPT_MESSAGE', error.message)
  }
}

/** The pass over the records of one batch. */
class RecordCheck {
  private readonly cursor: RecordCursor
  private readonly options: ValidationOptions
  private readonly refusals: RecordRefusal[] = []
  private refusalCount = 0
  private timestampRefused = false
  private maxTimestampMs = -1
  private maxTimestamp: bigint | undefined
  private maxTimestampOffsetDelta = 0

  constructor(cursor: RecordCursor, options: ValidationOptions) {
    this.cursor = cursor
    this.options = options
  }

  run(batch: Uint8Array, start: number): BatchValidation {
    const cursor = this.cursor
    const recordCount = batchHeader.recordCount(batch, start)
    for (let index = 0; index < recordCount; index++) {
      if (!cursor.next()) {
        return invalid('INVALID_RECORD', `Record ${index} of ${recordCount}: ${cursor.problem ?? 'not there'}`)
      }
      this.checkRecord(index)
    }
    if (cursor.remainingBytes > 0) {
      return invalid('INVALID_RECORD', `${cursor.remainingBytes} bytes behind the last of ${recordCount} records`)
    }
    return this.refusalCount > 0 ? this.refused() : this.accepted(batch, start)
  }

  private checkRecord(index: number): void {
    const cursor = this.cursor
    const options = this.options
    if (cursor.offsetDelta !== index) this.refuse(index, `Offset delta ${cursor.offsetDelta} instead of ${index}`)
    else if (options.compacted && cursor.keyBytes < 0)
      this.refuse(index, 'Compacted topics take no record without a key')
    else if (options.timestampType === 'CreateTime') this.checkTimestamp(index)
  }

  private checkTimestamp(index: number): void {
    const time = this.cursor.timestampMs
    const { nowMs, timestampBeforeMaxMs, timestampAfterMaxMs } = this.options
    if (time !== -1 && (nowMs - time > timestampBeforeMaxMs || time - nowMs > timestampAfterMaxMs)) {
      this.timestampRefused = true
      this.refuse(index, `Timestamp ${this.cursor.timestamp} lies outside the accepted range around ${nowMs}`)
      return
    }
    if (time < this.maxTimestampMs) return
    if (time > this.maxTimestampMs || (this.maxTimestamp !== undefined && this.cursor.timestamp > this.maxTimestamp)) {
      this.maxTimestampMs = time
      this.maxTimestamp = this.cursor.timestampIsExact ? undefined : this.cursor.timestamp
      this.maxTimestampOffsetDelta = index
    }
  }

  private refuse(batchIndex: number, message: string): void {
    this.refusalCount++
    if (this.refusals.length < recordRefusalsMax) this.refusals.push({ batchIndex, message })
  }

  private refused(): InvalidBatch {
    const first = this.refusals[0]!
    return invalid(
      this.timestampRefused ? 'INVALID_TIMESTAMP' : 'INVALID_RECORD',
      `${this.refusalCount} records refused, the first at index ${first.batchIndex}: ${first.message}`,
      this.refusals
    )
  }

  private accepted(batch: Uint8Array, start: number): BatchValidation {
    const flags = batchHeader.attributes(batch, start)
    const idempotent = batchHeader.hasProducerId(batch, start)
    const maxTimestamp = this.maxTimestamp ?? BigInt(this.maxTimestampMs)
    return {
      kind: 'valid',
      byteCount: batchHeader.totalBytes(batch, start),
      recordCount: batchHeader.recordCount(batch, start),
      lastOffsetDelta: batchHeader.lastOffsetDelta(batch, start),
      codec: codecName(flags & attributeBits.codec) ?? 'none',
      isTransactional: (flags & attributeBits.transactional) !== 0,
      isControl: (flags & attributeBits.control) !== 0,
      producerId: idempotent ? batchHeader.producerId(batch, start) : -1n,
      producerEpoch: batchHeader.producerEpoch(batch, start),
      baseSequence: batchHeader.baseSequence(batch, start),
      maxTimestamp,
      maxTimestampOffsetDelta: this.maxTimestampOffsetDelta,
      timestampNeedsPatch:
        this.options.timestampType === 'LogAppendTime' ||
        (flags & attributeBits.logAppendTime) !== 0 ||
        batchHeader.maxTimestamp(batch, start) !== maxTimestamp
    }
  }
}
