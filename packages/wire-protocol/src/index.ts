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
export { makeCodec, requestCodec, responseCodec, type Codec, type CodecKind } from './codec.ts'
export { DecodeError, EncodeError, type DecodeErrorCode, type EncodeErrorCode } from './codec-errors.ts'
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
export { ELEMENTS_MAX, Reader } from './reader.ts'
export { Writer } from './writer.ts'
export * as schema from './schema.ts'
export { ZERO_UUID } from './schema.ts'
export type { Api, BytesInput, RequestInput, RequestOf, ResponseInput, ResponseOf, VersionRange } from './schema.ts'
