/**
 * What gzip and zstd share: node:zlib unpacks into pieces of `chunkSize` until `maxOutputLength` is passed. The first piece
 * is sized after what the input claims, so that the usual batch needs one piece and no joining, but never beyond what the
 * input's own length makes plausible: the claim is a stranger's.
 */
import { CompressionError, plain, type CodecName } from './codecs.ts'

const chunkBytesMin = 1024
const chunkBytesMax = 4 * 1024 * 1024
const plausibleRatio = 64

/** Size of the pieces that node:zlib unpacks into. */
export function firstChunkBytes(claimedBytes: number, inputBytes: number, outputBytesMax: number): number {
  const plausible = Math.min(claimedBytes, inputBytes * plausibleRatio, outputBytesMax, chunkBytesMax)
  // A little more than the claim: zlib stops for a new piece when the last one is exactly full.
  return Math.max(plausible, chunkBytesMin) + 64
}

/** The output, once more against the limit: node:zlib knows none below one byte. */
export function checkedContents(codec: CodecName, contents: Uint8Array, outputBytesMax: number): Uint8Array {
  if (contents.length > outputBytesMax) throw tooLarge(codec, outputBytesMax)
  return plain(contents)
}

function tooLarge(codec: CodecName, outputBytesMax: number, cause?: unknown): CompressionError {
  return new CompressionError('TOO_LARGE', codec, `contents above the limit of ${outputBytesMax} bytes`, cause)
}

/** Our error for one of node:zlib. */
export function refuseInflate(codec: CodecName, error: unknown, outputBytesMax: number): CompressionError {
  if (error instanceof CompressionError) return error
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ERR_BUFFER_TOO_LARGE') return tooLarge(codec, outputBytesMax, error)
  return new CompressionError('CORRUPT', codec, error instanceof Error ? error.message : String(error), error)
}
