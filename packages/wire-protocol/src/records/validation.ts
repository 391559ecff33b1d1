/**
 * What a broker asks of a batch before it appends it, and what it learns: the options and answers of `validateBatch`.
 * The checks themselves live in validate-batch.ts (header) and record-cursor.ts (records).
 */
import type { CodecName } from '../compression/codecs.ts'
import type { ErrorName } from '../errors.ts'
import type { TimestampType } from './batch-header.ts'

/** What to check and against which settings of topic and broker. */
export interface ValidationOptions {
  /** Version of the Produce request: zstd needs 7 or newer (KIP-110). */
  readonly apiVersion: number
  /** `client` for producers; `coordinator` for the broker's own batches, which may be control batches and keep their base offset. */
  readonly origin: 'client' | 'coordinator'
  /** cleanup.policy contains compact: every record needs a key. */
  readonly compacted: boolean
  /** message.timestamp.type. With LogAppendTime the timestamps of the records are not looked at. */
  readonly timestampType: TimestampType
  /** Wall clock, ms since the epoch, for the two bounds that follow. */
  readonly nowMs: number
  /** message.timestamp.before.max.ms; Kafka's default, 2^63 - 1, excludes only what an int64 can hardly hold. */
  readonly timestampBeforeMaxMs: number
  /** message.timestamp.after.max.ms; Kafka's default is 3,600,000. */
  readonly timestampAfterMaxMs: number
  /** max.message.bytes: the largest batch as it stands in the log, compressed. */
  readonly batchBytesMax: number
  /** The most that a compressed batch may unpack to; more is refused before the memory is taken. */
  readonly decompressedBytesMax: number
}

/** Kafka's defaults for a topic, and 64 MiB for the contents of one compressed batch. */
export const defaultValidationOptions: ValidationOptions = {
  apiVersion: 13,
  origin: 'client',
  compacted: false,
  timestampType: 'CreateTime',
  nowMs: 0,
  timestampBeforeMaxMs: 2 ** 63,
  timestampAfterMaxMs: 3_600_000,
  batchBytesMax: 1_048_588,
  decompressedBytesMax: 64 * 1024 * 1024
}

/** The batch may be appended. Facts from its header, and from its records where they were walked. */
export interface ValidBatch {
  readonly kind: 'valid'
  /** Bytes of the batch, header included. */
  readonly byteCount: number
  readonly recordCount: number
  /** Offsets that the batch takes, minus one. */
  readonly lastOffsetDelta: number
  readonly codec: CodecName
  readonly isTransactional: boolean
  readonly isControl: boolean
  /** -1n without idempotence; then epoch and sequence are -1, too. */
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly baseSequence: number
  /** Largest timestamp among the records, ms (what the header should say); -1n when they carry none. */
  readonly maxTimestamp: bigint
  /** The first record with that timestamp, relative to the base offset. */
  readonly maxTimestampOffsetDelta: number
  /**
   * Whether the header's timestamp type or maxTimestamp differs from what the log must hold: the caller then runs
   * `batchHeader.setMaxTimestamp` (always so with LogAppendTime, where the time is the caller's).
   */
  readonly timestampNeedsPatch: boolean
}

/** One record that was refused, for ProduceResponse.recordErrors (KIP-467). */
export interface RecordRefusal {
  /** Index of the record in the batch. */
  readonly batchIndex: number
  readonly message: string
}

/** The batch must be refused, with what to answer. */
export interface InvalidBatch {
  readonly kind: 'invalid'
  readonly error: ErrorName
  readonly message: string
  /** Records at fault when single records are (key, timestamp, offset), otherwise empty. */
  readonly recordErrors: readonly RecordRefusal[]
}

/** What `validateBatch` makes of a batch. */
export type BatchValidation = ValidBatch | InvalidBatch
