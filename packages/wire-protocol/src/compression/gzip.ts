/**
 * gzip (RFC 1952) through node:zlib. Several members after each other read as one, as Java's GZIPInputStream has it; the
 * trailer of each (checksum, size) must be there and match.
 */
import { constants, gunzipSync, gzipSync } from 'node:zlib'
import { CompressionError, plain } from './codecs.ts'
import { checkedContents, firstChunkBytes, refuseInflate } from './inflate-limits.ts'

/** Smallest complete member: ten bytes of header, two of an empty deflate stream, eight of trailer. */
const memberBytesMin = 20

/** `level` 1 to 9, or -1 for zlib's default. */
export function gzip(bytes: Uint8Array, level: number = constants.Z_DEFAULT_COMPRESSION): Uint8Array {
  return plain(gzipSync(bytes, { level }))
}

/** Contents of at most `outputBytesMax` bytes. Throws `CompressionError`. */
export function gunzip(bytes: Uint8Array, outputBytesMax: number): Uint8Array {
  if (bytes.length < memberBytesMin)
    throw new CompressionError('CORRUPT', 'gzip', `${bytes.length} bytes are no member`)
  // The last four bytes claim the size; believed as the size of the first piece of output only, within bounds.
  const claimed = new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 4, 4).getUint32(0, true)
  try {
    const contents = gunzipSync(bytes, {
      maxOutputLength: Math.max(1, outputBytesMax),
      chunkSize: firstChunkBytes(claimed, bytes.length, outputBytesMax)
    })
    return checkedContents('gzip', contents, outputBytesMax)
  } catch (error) {
    throw refuseInflate('gzip', error, outputBytesMax)
  }
}
