/**
 * Compresses and decompresses the record part of batches with Kafka's codecs. Both directions are synchronous: batches are
 * small, and a batch must be judged before the next one of the same partition.
 *
 * `decompress` never hands out, and never takes memory for, more than `outputBytesMax`: what an input claims about its size
 * is compared with the limit, and with what the codec can reach at best, before anything is allocated.
 */
import { CompressionError, type CodecName } from './codecs.ts'
import { gunzip, gzip } from './gzip.ts'
import { lz4Compress, lz4Decompress } from './lz4-frame.ts'
import { snappyCompress, snappyDecompress } from './snappy.ts'
import { zstdCompress, zstdDecompress } from './zstd.ts'

/** What unpacking may cost. */
export interface DecompressOptions {
  /**
   * The most bytes that may come out; one more is TOO_LARGE. While gzip and zstd unpack in pieces, up to twice as many are
   * held.
   */
  readonly outputBytesMax: number
}

/**
 * Compressed bytes as Kafka's clients read them; `none` gives back the input itself. `level` as in Kafka's
 * `compression.gzip.level` (1-9, -1 default) and `compression.zstd.level` (1-22, 3 default); snappy and lz4 have none here.
 */
export function compress(codec: CodecName, bytes: Uint8Array, level?: number): Uint8Array {
  switch (codec) {
    case 'none':
      return bytes
    case 'gzip':
      return gzip(bytes, level)
    case 'snappy':
      return snappyCompress(bytes)
    case 'lz4':
      return lz4Compress(bytes)
    case 'zstd':
      return zstdCompress(bytes, level)
  }
}

/**
 * The original bytes, in memory of their own (`none` gives back the input itself). Throws `CompressionError` and nothing
 * else.
 */
export function decompress(codec: CodecName, bytes: Uint8Array, options: DecompressOptions): Uint8Array {
  const { outputBytesMax } = options
  switch (codec) {
    case 'none':
      if (bytes.length > outputBytesMax)
        throw new CompressionError('TOO_LARGE', codec, `more than ${outputBytesMax} bytes`)
      return bytes
    case 'gzip':
      return gunzip(bytes, outputBytesMax)
    case 'snappy':
      return snappyDecompress(bytes, outputBytesMax)
    case 'lz4':
      return lz4Decompress(bytes, outputBytesMax)
    case 'zstd':
      return zstdDecompress(bytes, outputBytesMax)
  }
}
