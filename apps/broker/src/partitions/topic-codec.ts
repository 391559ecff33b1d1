/**
 * The codec in which a topic keeps its batches (`compression.type`): as the producer compressed them, or always the same one.
 *
 * A batch that has the codec already is stored as it came, whatever level it was compressed with; so is every batch of a topic
 * that says `producer`. Others are unpacked and compressed again on the shard that leads the partition, in one stretch: that
 * costs its CPU, and for as long as it takes nothing else runs there.
 */
import {
  CompressionError,
  recompressBatch,
  type CodecName,
  type ErrorName,
  type ValidBatch
} from '@milena/wire-protocol'
import type { TopicSettings } from '../settings/topic-settings.ts'

type CodecSettings = Pick<TopicSettings, 'compression.type' | 'compression.gzip.level' | 'compression.zstd.level'>

export interface StoredBatchLimits {
  /** Largest batch that may be stored; what compression brought in may not fit any more. */
  readonly batchBytesMax: number
  readonly decompressedBytesMax: number
}

/** The bytes to store: the input itself where nothing is to be done, otherwise a batch of its own. Or why there are none. */
export function inTopicCodec(
  records: Uint8Array,
  { codec, byteCount }: Pick<ValidBatch, 'codec' | 'byteCount'>,
  settings: CodecSettings,
  { batchBytesMax, decompressedBytesMax }: StoredBatchLimits
): Uint8Array | { readonly error: ErrorName; readonly message: string } {
  const type = settings['compression.type']
  if (type === 'producer') return records
  const wanted = (type === 'uncompressed' ? 'none' : type) as CodecName
  if (codec === wanted) return records
  try {
    const level = levelOf(wanted, settings)
    const stored = recompressBatch(records, 0, { codec: wanted, level, decompressedBytesMax })
    if (stored.length <= batchBytesMax) return stored
    const message = `The batch of ${byteCount} bytes would have ${stored.length} with compression.type=${type}; ${batchBytesMax} are allowed.`
    return { error: 'MESSAGE_TOO_LARGE', message }
  } catch (error) {
    if (!(error instanceof CompressionError)) throw error
    const tooLarge = error.code === 'TOO_LARGE'
    return { error: tooLarge ? 'MESSAGE_TOO_LARGE' : 'UNSUPPORTED_COMPRESSION_TYPE', message: error.message }
  }
}

/** Snappy has no levels, and lz4's compressor here has one. */
function levelOf(codec: CodecName, settings: CodecSettings): number | undefined {
  if (codec === 'gzip') return settings['compression.gzip.level']
  return codec === 'zstd' ? settings['compression.zstd.level'] : undefined
}
