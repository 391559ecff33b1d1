/**
 * LZ4 in its frame format, the only form that Kafka's batches carry:
 *
 *     04 22 4D 18 │ FLG │ BD │ content size 8, if flagged │ HC
 *     { size 4, top bit: stored │ block │ checksum 4, if flagged } ... │ 00 00 00 00 │ content checksum 4, if flagged
 *
 * The framing is done here and the blocks natively, for two reasons: a decoder of whole frames grows its output for as long
 * as there is input, and through this binding it is several times slower. Every block is measured before it is decoded: its
 * tokens say how long its contents are, and the sum is held against the limit while no memory has been taken yet.
 *
 * Like Kafka's reader this takes one frame with independent blocks and no dictionary. Unlike it, content size and checksums
 * are verified where they are present: other clients refuse to read what contradicts them.
 */
import { createRequire } from 'node:module'
import { CompressionError, plain } from './codecs.ts'
import { refuseTinyBlocks } from './tiny-blocks.ts'
import { xxhash32 } from './xxhash32.ts'

/** Blocks with four bytes (little endian) of uncompressed size in front. */
type Lz4 = {
  compressSync(data: Uint8Array): Uint8Array
  uncompressSync(data: Uint8Array): Uint8Array
}

const frameMagic = 0x184d2204
const flagVersion1 = 0x40
const flagVersionMask = 0xc0
const flagIndependent = 0x20
const flagBlockChecksum = 0x10
const flagContentSize = 0x08
const flagContentChecksum = 0x04
const flagReserved = 0x02
const flagDictionary = 0x01

/** Set in a block's size when its bytes are stored as they are. */
const storedBit = 0x80000000

/** What is written: blocks of 64 KiB (class 4), as Kafka's producer does. */
const writtenBlockBytes = 65536
const writtenBlockDescriptor = 0x40

let loaded: Lz4 | undefined

function lz4(): Lz4 {
  try {
    loaded ??= createRequire(import.meta.url)('lz4-napi') as Lz4
    return loaded
  } catch (error) {
    throw new CompressionError('UNSUPPORTED', 'lz4', 'the native module does not load on this platform', error)
  }
}

function corrupt(message: string, cause?: unknown): CompressionError {
  return new CompressionError('CORRUPT', 'lz4', message, cause)
}

/** One frame of independent blocks. */
export function lz4Compress(bytes: Uint8Array): Uint8Array {
  const blockCount = Math.ceil(bytes.length / writtenBlockBytes)
  const result = new Uint8Array(7 + bytes.length + 4 * blockCount + 4)
  const view = new DataView(result.buffer)
  view.setUint32(0, frameMagic, true)
  result[4] = flagVersion1 | flagIndependent
  result[5] = writtenBlockDescriptor
  result[6] = xxhash32(result, 4, 6) >>> 8
  let position = 7
  for (let start = 0; start < bytes.length; start += writtenBlockBytes) {
    const contents = bytes.subarray(start, start + writtenBlockBytes)
    const block = lz4().compressSync(contents).subarray(4)
    const isStored = block.length >= contents.length
    const chosen = isStored ? contents : block
    view.setUint32(position, isStored ? chosen.length + storedBit : chosen.length, true)
    result.set(chosen, position + 4)
    position += 4 + chosen.length
  }
  return result.subarray(0, position + 4)
}

/** Contents of the frame in `bytes`, at most `outputBytesMax` bytes. Throws `CompressionError`. */
export function lz4Decompress(bytes: Uint8Array, outputBytesMax: number): Uint8Array {
  const frame = measureFrame(bytes, outputBytesMax)
  const result = new Uint8Array(frame.contentBytes)
  // The native call wants a block's uncompressed size in the four bytes before it, where the frame has the compressed one.
  const scratch = new Uint8Array(bytes)
  let position = 0
  for (const block of frame.blocks) {
    if (block.isStored) result.set(bytes.subarray(block.start, block.end), position)
    else result.set(decodeBlock(scratch, block), position)
    position += block.contentBytes
  }
  if (frame.contentChecksum !== undefined && frame.contentChecksum !== xxhash32(result)) {
    throw corrupt('content checksum does not match')
  }
  return result
}

interface Block {
  readonly start: number
  readonly end: number
  readonly isStored: boolean
  readonly contentBytes: number
}

interface Frame {
  readonly blocks: readonly Block[]
  readonly contentBytes: number
  readonly contentChecksum: number | undefined
}

function decodeBlock(scratch: Uint8Array, block: Block): Uint8Array {
  new DataView(scratch.buffer).setUint32(block.start - 4, block.contentBytes, true)
  let contents: Uint8Array
  try {
    contents = plain(lz4().uncompressSync(scratch.subarray(block.start - 4, block.end)))
  } catch (error) {
    if (error instanceof CompressionError) throw error
    throw corrupt(error instanceof Error ? error.message : String(error), error)
  }
  if (contents.length !== block.contentBytes) {
    throw corrupt(`block of ${contents.length} bytes, its tokens say ${block.contentBytes}`)
  }
  return contents
}

/** Walks the frame: every field checked, every block measured, nothing decoded. */
function measureFrame(bytes: Uint8Array, outputBytesMax: number): Frame {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const header = readHeader(bytes, view)
  const checksumBytes = header.hasBlockChecksum ? 4 : 0
  const blocks: Block[] = []
  let position = header.end
  let contentBytes = 0
  for (;;) {
    if (bytes.length - position < 4) throw corrupt('frame without an end')
    const field = view.getUint32(position, true)
    position += 4
    if (field === 0) break
    const isStored = field >= storedBit
    const length = isStored ? field - storedBit : field
    const end = position + length
    if (length > header.blockBytesMax || end + checksumBytes > bytes.length) {
      throw corrupt(`block of ${length} bytes where ${bytes.length - position} are left`)
    }
    const blockBytes = isStored ? length : measureBlock(bytes, position, end)
    if (blockBytes > header.blockBytesMax) throw corrupt(`block of ${blockBytes} bytes, above ${header.blockBytesMax}`)
    contentBytes += blockBytes
    if (contentBytes > outputBytesMax) {
      throw new CompressionError('TOO_LARGE', 'lz4', `contents above the limit of ${outputBytesMax} bytes`)
    }
    if (header.hasBlockChecksum && view.getUint32(end, true) !== xxhash32(bytes, position, end)) {
      throw corrupt('block checksum does not match')
    }
    blocks.push({ start: position, end, isStored, contentBytes: blockBytes })
    position = end + checksumBytes
  }
  refuseTinyBlocks('lz4', blocks.length, contentBytes)
  if (header.contentBytes !== undefined && header.contentBytes !== BigInt(contentBytes)) {
    throw corrupt(`content of ${contentBytes} bytes, declared were ${header.contentBytes}`)
  }
  const frameEnd = position + (header.hasContentChecksum ? 4 : 0)
  if (frameEnd > bytes.length) throw corrupt('content checksum cut off')
  if (frameEnd < bytes.length) throw corrupt(`${bytes.length - frameEnd} bytes behind the frame`)
  return {
    blocks,
    contentBytes,
    contentChecksum: header.hasContentChecksum ? view.getUint32(position, true) : undefined
  }
}

interface FrameHeader {
  readonly end: number
  readonly blockBytesMax: number
  readonly contentBytes: bigint | undefined
  readonly hasBlockChecksum: boolean
  readonly hasContentChecksum: boolean
}

function readHeader(bytes: Uint8Array, view: DataView): FrameHeader {
  if (bytes.length < 7) throw corrupt('frame header cut off')
  if (view.getUint32(0, true) !== frameMagic) throw corrupt('no frame magic')
  const flag = bytes[4]!
  const descriptor = bytes[5]!
  if ((flag & flagVersionMask) !== flagVersion1) throw corrupt(`frame version ${flag >>> 6}`)
  if ((flag & flagReserved) !== 0 || (descriptor & 0x8f) !== 0) throw corrupt('reserved bits are set')
  if ((flag & flagDictionary) !== 0) throw corrupt('needs a dictionary')
  if ((flag & flagIndependent) === 0) throw corrupt('blocks depend on each other')
  const sizeClass = descriptor >>> 4
  if (sizeClass < 4) throw corrupt(`block size class ${sizeClass}`)
  const hasContentSize = (flag & flagContentSize) !== 0
  const checksumAt = hasContentSize ? 14 : 6
  if (checksumAt >= bytes.length) throw corrupt('frame header cut off')
  if (bytes[checksumAt] !== ((xxhash32(bytes, 4, checksumAt) >>> 8) & 0xff))
    throw corrupt('header checksum does not match')
  return {
    end: checksumAt + 1,
    // Classes 4 to 7: 64 KiB, 256 KiB, 1 MiB, 4 MiB.
    blockBytesMax: 2 ** (8 + 2 * sizeClass),
    contentBytes: hasContentSize ? view.getBigUint64(6, true) : undefined,
    hasBlockChecksum: (flag & flagBlockChecksum) !== 0,
    hasContentChecksum: (flag & flagContentChecksum) !== 0
  }
}

/**
 * Length of a block's contents: tokens of `literal length:4 │ match length:4`, each 15 continued by bytes of up to 255, then
 * the literals, then a match offset of two bytes that the last token lacks.
 */
function measureBlock(bytes: Uint8Array, start: number, end: number): number {
  let position = start
  let contentBytes = 0
  while (position < end) {
    const token = bytes[position++]!
    let literalBytes = token >>> 4
    if (literalBytes === 15) {
      for (let more = 255; more === 255 && position < end;) literalBytes += more = bytes[position++]!
    }
    position += literalBytes
    contentBytes += literalBytes
    if (position >= end) break
    position += 2
    let matchBytes = (token & 0x0f) + 4
    if (matchBytes === 19) {
      for (let more = 255; more === 255 && position < end;) matchBytes += more = bytes[position++]!
    }
    contentBytes += matchBytes
  }
  if (position !== end) throw corrupt('block cut off within a sequence')
  return contentBytes
}
