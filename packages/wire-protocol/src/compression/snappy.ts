/**
 * Snappy in the two forms that Kafka's clients write: raw (one block: varint of the size, then elements) and xerial, the
 * framing of snappy-java:
 *
 *     82 'S' 'N' 'A' 'P' 'P' 'Y' 00 │ version int32 │ compatible int32 │ { length int32 │ raw block } ...
 *
 * Written is xerial with blocks of 32 KiB, like Kafka itself does. Every block states the size of its contents in front, so
 * all sizes are added up, and held against the limit and against what snappy can reach, before memory is taken.
 */
import { createRequire } from 'node:module'
import { CompressionError, plain } from './codecs.ts'
import { refuseTinyBlocks } from './tiny-blocks.ts'

type Snappy = {
  compressSync(input: Uint8Array, options: { copyOutputData: true }): Uint8Array
  uncompressSync(input: Uint8Array, options: { asBuffer: true; copyOutputData: true }): Uint8Array
}

// Copied into V8's own memory: handing over the library's own costs three times as much, in page faults and finalisers.
const compressOptions = { copyOutputData: true } as const
const uncompressOptions = { asBuffer: true, copyOutputData: true } as const

const magic = Uint8Array.of(0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00)
const xerialHeaderBytes = 16
const xerialVersion = 1
const xerialBlockBytes = 32 * 1024

/** A copy element of three bytes yields 64; nothing in the format yields more per byte. */
const ratioMax = 22

let loaded: Snappy | undefined

function snappy(): Snappy {
  try {
    loaded ??= createRequire(import.meta.url)('snappy') as Snappy
    return loaded
  } catch (error) {
    throw new CompressionError('UNSUPPORTED', 'snappy', 'the native module does not load on this platform', error)
  }
}

/** A xerial stream. */
export function snappyCompress(bytes: Uint8Array): Uint8Array {
  const blocks: Uint8Array[] = []
  let byteCount = xerialHeaderBytes
  for (let start = 0; start < bytes.length; start += xerialBlockBytes) {
    const block = snappy().compressSync(bytes.subarray(start, start + xerialBlockBytes), compressOptions)
    blocks.push(block)
    byteCount += 4 + block.length
  }
  const result = new Uint8Array(byteCount)
  const view = new DataView(result.buffer)
  result.set(magic)
  view.setInt32(8, xerialVersion)
  view.setInt32(12, xerialVersion)
  let position = xerialHeaderBytes
  for (const block of blocks) {
    view.setInt32(position, block.length)
    result.set(block, position + 4)
    position += 4 + block.length
  }
  return result
}

/** Contents of a raw block or a xerial stream, at most `outputBytesMax` bytes. Throws `CompressionError`. */
export function snappyDecompress(bytes: Uint8Array, outputBytesMax: number): Uint8Array {
  const blocks = startsWithMagic(bytes, 0) ? xerialBlocks(bytes) : [{ start: 0, end: bytes.length }]
  let byteCount = 0
  for (const block of blocks) byteCount += statedBytes(bytes, block.start, block.end)
  if (byteCount > outputBytesMax) {
    throw new CompressionError('TOO_LARGE', 'snappy', `${byteCount} bytes, the limit is ${outputBytesMax}`)
  }
  refuseTinyBlocks('snappy', blocks.length, byteCount)
  if (blocks.length === 1) return uncompressBlock(bytes, blocks[0]!)
  const result = new Uint8Array(byteCount)
  let position = 0
  for (const block of blocks) {
    const contents = uncompressBlock(bytes, block)
    result.set(contents, position)
    position += contents.length
  }
  return result
}

interface Range {
  readonly start: number
  readonly end: number
}

function uncompressBlock(bytes: Uint8Array, block: Range): Uint8Array {
  const input = bytes.subarray(block.start, block.end)
  try {
    return plain(snappy().uncompressSync(input, uncompressOptions))
  } catch (error) {
    if (error instanceof CompressionError) throw error
    throw new CompressionError('CORRUPT', 'snappy', error instanceof Error ? error.message : String(error), error)
  }
}

function startsWithMagic(bytes: Uint8Array, position: number): boolean {
  if (bytes.length - position < xerialHeaderBytes) return false
  for (let index = 0; index < magic.length; index++) if (bytes[position + index] !== magic[index]) return false
  return true
}

/** Where the blocks of a xerial stream lie. A header may stand again between blocks: streams can be joined. */
function xerialBlocks(bytes: Uint8Array): Range[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const blocks: Range[] = []
  let position = 0
  while (position < bytes.length) {
    if (startsWithMagic(bytes, position)) {
      position += xerialHeaderBytes
      continue
    }
    if (bytes.length - position < 4) throw new CompressionError('CORRUPT', 'snappy', 'block length cut off')
    const length = view.getInt32(position)
    position += 4
    if (length <= 0 || length > bytes.length - position) {
      const left = bytes.length - position
      throw new CompressionError('CORRUPT', 'snappy', `block of ${length} bytes where ${left} are left`)
    }
    blocks.push({ start: position, end: position + length })
    position += length
  }
  return blocks
}

/** The size that a raw block states in front; refused when its bytes cannot yield so much. */
function statedBytes(bytes: Uint8Array, start: number, end: number): number {
  let size = 0
  for (let index = 0; index < 5; index++) {
    if (start + index >= end) break
    const byte = bytes[start + index]!
    size += (byte & 0x7f) * 2 ** (7 * index)
    if (byte >= 0x80) continue
    if (size > (end - start) * ratioMax) {
      throw new CompressionError('CORRUPT', 'snappy', `${end - start} bytes cannot hold ${size}`)
    }
    return size
  }
  throw new CompressionError('CORRUPT', 'snappy', 'size of a block cut off or above 32 bits')
}
