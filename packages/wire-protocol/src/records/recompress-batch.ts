/**
 * The same records in another compression: for brokers that store what they take in a codec of their own choice
 * (`compression.type`). Records are neither parsed nor changed, and nothing of the header but codec, length and checksum.
 */
import { codecNumber, codecName, type CodecName } from '../compression/codecs.ts'
import { compress, decompress } from '../compression/compression.ts'
import * as batchHeader from './batch-header.ts'
import { decompressedBytesMaxDefault } from './open-batch.ts'

export interface RecompressOptions {
  readonly codec: CodecName
  /** Of gzip or zstd; see `compress`. */
  readonly level?: number | undefined
  /** The most that the records may unpack to; default 64 MiB. The result is not larger than that and the codec's own overhead. */
  readonly decompressedBytesMax?: number
}

/**
 * A copy of the batch at `start`, which must be valid (`validateBatch`), with its records in another codec. Throws
 * `CompressionError`: UNSUPPORTED for a codec that this machine lacks, TOO_LARGE beyond `decompressedBytesMax`.
 */
export function recompressBatch(bytes: Uint8Array, start: number, options: RecompressOptions): Uint8Array {
  const { codec, level, decompressedBytesMax: outputBytesMax = decompressedBytesMaxDefault } = options
  const from = codecName(batchHeader.codec(bytes, start)) ?? 'none'
  const end = start + batchHeader.totalBytes(bytes, start)
  const packed = bytes.subarray(start + batchHeader.headerBytes, end)
  const records = compress(codec, decompress(from, packed, { outputBytesMax }), level)
  const batch = new Uint8Array(batchHeader.headerBytes + records.length)
  batch.set(bytes.subarray(start, start + batchHeader.headerBytes))
  batch.set(records, batchHeader.headerBytes)
  batchHeader.setCodec(batch, 0, codecNumber(codec))
  batchHeader.setTotalBytes(batch, 0, batch.length)
  batchHeader.updateCrc(batch, 0)
  return batch
}
