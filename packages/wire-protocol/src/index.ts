/**
 * The Kafka wire protocol, both directions: messages of every API in every version, frames, record batches, compression and
 * the error table. README.md has the contract and an example. From outermost to innermost:
 *
 * - frames: `encodeRequest`, `encodeResponse`, `decodeRequestHeader`, `decodeResponseHeader`;
 * - messages: `requestCodec(apis.fetch, 17)` and `responseCodec`, over a `Reader` or a `Writer`;
 * - schemas: `apis`, `apiByKey`, and the notation they are written in, `schema`;
 * - record batches: `validateBatch`, `iterateRecords`, `BatchBuilder`, `batchHeader`; `compress` and `decompress`;
 * - errors: Kafka's table by name and number. `DecodeError`, `EncodeError`, `BatchError` and `CompressionError` are our own.
 *
 * Nothing here keeps state between calls but caches that depend on schemas alone; nothing does I/O. One writer is shared by
 * all frames of a thread, so encoding is synchronous. Invariant: nothing is allocated from a length that the received bytes
 * do not back.
 */
export { errorCode, errorMessage, errorName, errorNames, isRetriable, type ErrorName } from './errors.ts'
export { compress, decompress, type DecompressOptions } from './compression/compression.ts'
export { codecName, codecNames, codecNumber, CompressionError } from './compression/codecs.ts'
export type { CodecName, CompressionErrorCode } from './compression/codecs.ts'
export * as batchHeader from './records/batch-header.ts'
export { type TimestampType } from './records/batch-header.ts'
export { BatchBuilder, type BatchOptions, type RecordInput } from './records/batch-builder.ts'
export { buildEndTransactionMarker, readEndTransactionMarker } from './records/control-records.ts'
export type { EndTransactionMarker, TransactionOutcome } from './records/control-records.ts'
export { crc32c, crc32cImplementation } from './records/crc32c.ts'
export { BatchRecord, iterateRecords, type RecordHeader } from './records/iterate-records.ts'
export { BatchError, decompressedBytesMaxDefault } from './records/open-batch.ts'
export { recompressBatch, type RecompressOptions } from './records/recompress-batch.ts'
export { findRecordByTimestamp, maxTimestampRecord, type TimestampedOffset } from './records/search-timestamp.ts'
export { validateBatch } from './records/validate-batch.ts'
export { defaultValidationOptions } from './records/validation.ts'
export type {
  BatchValidation,
  InvalidBatch,
  RecordRefusal,
  ValidationOptions,
  ValidBatch
} from './records/validation.ts'
export { apiByKey, apis, type ApiName } from './apis.ts'
export { makeCodec, requestCodec, responseCodec, type Codec, type CodecKind } from './codec/codec.ts'
export { DecodeError, EncodeError, type DecodeErrorCode, type EncodeErrorCode } from './codec/codec-errors.ts'
export {
  decodeRequestHeader,
  decodeResponseHeader,
  encodeRequest,
  encodeResponse,
  readRequestHeader,
  readResponseHeader,
  type RequestHeader,
  type ResponseHeader
} from './frame.ts'
export { ELEMENTS_MAX, Reader } from './codec/reader.ts'
export { Writer } from './codec/writer.ts'
export * as schema from './schema.ts'
export { ZERO_UUID } from './schema.ts'
export type { Api, BytesInput, RequestInput, RequestOf, ResponseInput, ResponseOf, VersionRange } from './schema.ts'
