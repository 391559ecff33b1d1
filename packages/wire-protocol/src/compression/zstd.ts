/**
 * Zstandard (RFC 8878) through node:zlib, with the decoder's memory bounded as well as its output.
 *
 * A frame declares the window that its decoder must keep, and producers at levels 20 to 22 declare up to 128 MiB for batches
 * of a few KiB. No match can reach back further than the contents are long, so the frames are walked first, block header by
 * block header, for an upper bound of their contents; where the declared window is larger than that bound or the output
 * limit, a smaller one is written into a copy of the header. The decoder then never holds more than the limit.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { CompressionError, plain } from './codecs.ts'
import { checkedContents, firstChunkBytes, refuseInflate } from './inflate-limits.ts'

const frameMagic = 0xfd2fb528
const skippableMagic = 0x184d2a50
const blockContentBytesMax = 128 * 1024

/** The largest window that Kafka's own decoder takes: 128 MiB. */
const windowLogMax = 27
const windowLogMin = 10

/** A window smaller than a block would shrink the blocks themselves. */
const patchedWindowLogMin = 17

/** `level` 1 to 22, 3 when absent. */
export function zstdCompress(bytes: Uint8Array, level: number = constants.ZSTD_CLEVEL_DEFAULT): Uint8Array {
  return plain(
    zstdCompressSync(bytes, {
      pledgedSrcSize: bytes.length,
      params: { [constants.ZSTD_c_compressionLevel]: level }
    })
  )
}

/** Contents of all frames, at most `outputBytesMax` bytes. Throws `CompressionError`. */
export function zstdDecompress(bytes: Uint8Array, outputBytesMax: number): Uint8Array {
  const plan = planFrames(bytes, outputBytesMax)
  if (plan.contentBytesBound === 0) return new Uint8Array(0)
  try {
    const contents = zstdDecompressSync(plan.bytes, {
      maxOutputLength: Math.max(1, outputBytesMax),
      chunkSize: firstChunkBytes(plan.contentBytesBound, bytes.length, outputBytesMax),
      params: { [constants.ZSTD_d_windowLogMax]: plan.windowLog }
    })
    return checkedContents('zstd', contents, outputBytesMax)
  } catch (error) {
    throw refuseInflate('zstd', error, outputBytesMax)
  }
}

interface Plan {
  /** The input, or a copy with smaller windows. */
  bytes: Uint8Array
  /** The largest window any frame needs. */
  windowLog: number
  contentBytesBound: number
}

interface FrameHeader {
  readonly blocksStart: number
  /** Position of the window descriptor; undefined for a single segment, whose window is its content. */
  readonly windowAt: number | undefined
  readonly windowBytes: number
  readonly contentBytes: number | undefined
  readonly hasChecksum: boolean
}

function corrupt(message: string): CompressionError {
  return new CompressionError('CORRUPT', 'zstd', message)
}

function planFrames(input: Uint8Array, outputBytesMax: number): Plan {
  const view = new DataView(input.buffer, input.byteOffset, input.length)
  const plan: Plan = { bytes: input, windowLog: patchedWindowLogMin, contentBytesBound: 0 }
  let position = 0
  while (position < input.length) {
    if (input.length - position < 8) throw corrupt('frame header cut off')
    const magic = view.getUint32(position, true)
    if ((magic & 0xfffffff0) === (skippableMagic | 0)) {
      position += 8 + view.getUint32(position + 4, true)
      if (position > input.length) throw corrupt('skippable frame cut off')
      continue
    }
    if (magic !== frameMagic) throw corrupt('no frame magic')
    const header = readHeader(input, view, position)
    const blocks = walkBlocks(input, header)
    position = blocks.end
    const bound = Math.min(header.contentBytes ?? Infinity, blocks.contentBytesBound)
    if (header.contentBytes !== undefined && header.contentBytes > blocks.contentBytesBound) {
      throw corrupt(`content size ${header.contentBytes} is beyond what the blocks hold`)
    }
    if (blocks.contentBytesLeast > outputBytesMax || (header.contentBytes ?? 0) > outputBytesMax) {
      throw new CompressionError('TOO_LARGE', 'zstd', `contents above the limit of ${outputBytesMax} bytes`)
    }
    plan.contentBytesBound += bound
    shrinkWindow(plan, input, header, Math.min(bound, outputBytesMax))
  }
  return plan
}

/** Makes sure that the decoder keeps no larger window for this frame than its contents can use. */
function shrinkWindow(plan: Plan, input: Uint8Array, header: FrameHeader, usefulBytes: number): void {
  const usefulLog = Math.max(patchedWindowLogMin, Math.ceil(Math.log2(Math.max(1, usefulBytes))))
  const declaredLog = Math.ceil(Math.log2(header.windowBytes))
  if (header.windowAt !== undefined && declaredLog > usefulLog) {
    // Not slice(): on a Buffer that would be a view of the caller's bytes.
    if (plan.bytes === input) plan.bytes = new Uint8Array(input)
    plan.bytes[header.windowAt] = (usefulLog - windowLogMin) << 3
  }
  plan.windowLog = Math.max(plan.windowLog, Math.min(declaredLog, usefulLog))
}

function readHeader(bytes: Uint8Array, view: DataView, start: number): FrameHeader {
  const descriptor = bytes[start + 4]!
  const isSingleSegment = (descriptor & 0x20) !== 0
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!
  const sizeFlag = descriptor >>> 6
  const isSizeAbsent = sizeFlag === 0 && !isSingleSegment
  const contentSizeBytes = isSizeAbsent ? 0 : 1 << sizeFlag
  if ((descriptor & 0x08) !== 0) throw corrupt('reserved bit is set')
  let position = start + 5
  const windowAt = isSingleSegment ? undefined : position++
  if (position + dictionaryBytes + contentSizeBytes > bytes.length) throw corrupt('frame header cut off')
  for (let index = 0; index < dictionaryBytes; index++) {
    if (bytes[position + index] !== 0) throw corrupt('needs a dictionary')
  }
  position += dictionaryBytes
  let contentBytes: number | undefined
  if (contentSizeBytes === 1) contentBytes = bytes[position]!
  else if (contentSizeBytes === 2) contentBytes = view.getUint16(position, true) + 256
  else if (contentSizeBytes === 4) contentBytes = view.getUint32(position, true)
  else if (contentSizeBytes === 8) contentBytes = Number(view.getBigUint64(position, true))
  const windowBytes = windowAt === undefined ? (contentBytes ?? 0) : declaredWindow(bytes[windowAt]!)
  const hasChecksum = (descriptor & 0x04) !== 0
  return { blocksStart: position + contentSizeBytes, windowAt, windowBytes, contentBytes, hasChecksum }
}

function declaredWindow(descriptor: number): number {
  const base = 2 ** (windowLogMin + (descriptor >>> 3))
  const bytes = base + (base / 8) * (descriptor & 7)
  if (bytes > 2 ** windowLogMax) throw corrupt(`window of ${bytes} bytes`)
  return bytes
}

/** Steps from block to block: 3 bytes of `last:1 │ type:2 │ size:21`, then the block. */
function walkBlocks(
  bytes: Uint8Array,
  header: FrameHeader
): { end: number; contentBytesLeast: number; contentBytesBound: number } {
  let position = header.blocksStart
  let contentBytesLeast = 0
  let contentBytesBound = 0
  for (;;) {
    if (bytes.length - position < 3) throw corrupt('frame without an end')
    const field = bytes[position]! | (bytes[position + 1]! << 8) | (bytes[position + 2]! << 16)
    const type = (field >>> 1) & 3
    const size = field >>> 3
    if (type === 3 || size > blockContentBytesMax) throw corrupt(`block of type ${type} and ${size} bytes`)
    position += 3 + (type === 1 ? 1 : size)
    if (position > bytes.length) throw corrupt('block cut off')
    if (type !== 2) contentBytesLeast += size
    contentBytesBound += type === 2 ? blockContentBytesMax : size
    if ((field & 1) !== 0) break
  }
  const end = position + (header.hasChecksum ? 4 : 0)
  if (end > bytes.length) throw corrupt('checksum cut off')
  return { end, contentBytesLeast, contentBytesBound }
}
