/**
 * LZ4 in its frame format, the only form that Kafka's batches carry:
 *
 *     04 22 4D 18 │ FLG │ BD │ content size 8, if flagged │ HC │ { size 4 LE │ block │ checksum 4, if flagged } ...
 *                 │ 00 00 00 00 │ content checksum 4, if flagged
 *
 * The native decoder grows its output for as long as there is input. So the frame is measured first: the tokens of every
 * block say how long its contents are, without copying a byte, and the sum is held against the limit before the decoder
 * runs. Like Kafka's reader this takes one frame with independent blocks and no dictionary, and ignores what follows it.
 */
import { createRequire } from 'node:module'
import { CompressionError, plain } from './codecs.ts'

type Lz4 = {
  compressFrameSync(data: Uint8Array, options: { contentChecksum: boolean }): Uint8Array
  decompressFrameSync(data: Uint8Array): Uint8Array
}

const frameMagic = 0x184d2204
const flags = {
  dictionary: 0x01,
  reserved: 0x02,
  contentChecksum: 0x04,
  contentSize: 0x08,
  blockChecksum: 0x10,
  independent: 0x20
}
const versionMask = 0xc0
const version1 = 0x40

/** Set in a block's size when its bytes are stored as they are. */
const storedBit = 0x80000000

/** Block size classes 4 to 7: 64 KiB, 256 KiB, 1 MiB, 4 MiB. */
const blockBytesByClass = [65536, 262144, 1048576, 4194304]

let loaded: Lz4 | undefined

function lz4(): Lz4 {
  try {
    loaded ??= createRequire(import.meta.url)('lz4-napi') as Lz4
    return loaded
  } catch (error) {
    throw new CompressionError('UNSUPPORTED', 'lz4', 'the native module does not load on this platform', error)
  }
}

/** One frame of independent blocks. */
export function lz4Compress(bytes: Uint8Array): Uint8Array {
  return plain(lz4().compressFrameSync(bytes, { contentChecksum: false }))
}

/** Contents of the frame at the front of `bytes`, at most `outputBytesMax` bytes. Throws `CompressionError`. */
export function lz4Decompress(bytes: Uint8Array, outputBytesMax: number): Uint8Array {
  const frame = measureFrame(bytes, outputBytesMax)
  let contents: Uint8Array
  try {
    contents = lz4().decompressFrameSync(bytes.subarray(0, frame.end))
  } catch (error) {
    if (error instanceof CompressionError) throw error
    throw corrupt(error instanceof Error ? error.message : String(error), error)
  }
  if (contents.length !== frame.contentBytes) throw corrupt(`${contents.length} bytes instead of ${frame.contentBytes}`)
  return plain(contents)
}

function corrupt(message: string, cause?: unknown): CompressionError {
  return new CompressionError('CORRUPT', 'lz4', message, cause)
}

/** Where the frame ends and how long its contents are, from the structure alone. */
function measureFrame(bytes: Uint8Array, outputBytesMax: number): { end: number; contentBytes: number } {
  if (bytes.length < 7) throw corrupt('frame header cut off')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (view.getUint32(0, true) !== frameMagic) throw corrupt('no frame magic')
  const flag = bytes[4]!
  const blockBytesMax = checkDescriptor(flag, bytes[5]!)
  const checksumBytes = (flag & flags.blockChecksum) !== 0 ? 4 : 0
  let position = (flag & flags.contentSize) !== 0 ? 15 : 7
  let contentBytes = 0
  for (;;) {
    if (bytes.length - position < 4) throw corrupt('frame without an end')
    const field = view.getUint32(position, true)
    position += 4
    if (field === 0) break
    const stored = field >= storedBit
    const length = stored ? field - storedBit : field
    if (length > blockBytesMax || length + checksumBytes > bytes.length - position) {
      throw corrupt(`block of ${length} bytes, ${bytes.length - position} are left`)
    }
    const blockBytes = stored ? length : measureBlock(bytes, position, position + length)
    if (blockBytes > blockBytesMax)
      throw corrupt(`block unpacks to ${blockBytes} bytes, declared were ${blockBytesMax}`)
    contentBytes += blockBytes
    if (contentBytes > outputBytesMax) {
      throw new CompressionError('TOO_LARGE', 'lz4', `contents above the limit of ${outputBytesMax} bytes`)
    }
    position += length + checksumBytes
  }
  const end = position + ((flag & flags.contentChecksum) !== 0 ? 4 : 0)
  if (end > bytes.length) throw corrupt('content checksum cut off')
  return { end, contentBytes }
}

/** The largest block that the frame may hold. */
function checkDescriptor(flag: number, blockDescriptor: number): number {
  if ((flag & versionMask) !== version1) throw corrupt(`frame version ${flag >>> 6}`)
  if ((flag & flags.reserved) !== 0 || (blockDescriptor & 0x8f) !== 0) throw corrupt('reserved bits are set')
  if ((flag & flags.dictionary) !== 0) throw new CompressionError('UNSUPPORTED', 'lz4', 'needs a dictionary')
  if ((flag & flags.independent) === 0) throw new CompressionError('UNSUPPORTED', 'lz4', 'blocks depend on each other')
  const blockBytesMax = blockBytesByClass[(blockDescriptor >>> 4) - 4]
  if (blockBytesMax === undefined) throw corrupt(`block size class ${blockDescriptor >>> 4}`)
  return blockBytesMax
}

/**
 * Length of a block's contents: tokens of `literal length:4 │ match length:4`, each 15 continued by bytes of up to 255,
 * literals, and a two-byte match offset that the last token lacks.
 */
function measureBlock(bytes: Uint8Array, start: number, end: number): number {
  let position = start
  let contentBytes = 0
  while (position < end) {
    const token = bytes[position++]!
    let literals = token >>> 4
    if (literals === 15) {
      let more = 255
      while (more === 255 && position < end) literals += more = bytes[position++]!
    }
    position += literals
    contentBytes += literals
    if (position >= end) break
    position += 2
    let match = (token & 0x0f) + 4
    if (match === 19) {
      let more = 255
      while (more === 255 && position < end) match += more = bytes[position++]!
    }
    contentBytes += match
  }
  if (position !== end) throw corrupt('block cut off within a sequence')
  return contentBytes
}
