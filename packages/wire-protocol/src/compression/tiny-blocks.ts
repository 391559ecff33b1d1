/**
 * Snappy and lz4 streams may be cut into blocks of any size, and each block costs a native call of about two microseconds: a
 * megabyte of blocks with one byte in each would hold the thread for a second. Writers cut at 32 or 64 KiB, so a stream of
 * many blocks with little in them is hostile.
 */
import { CompressionError, type CodecName } from './codecs.ts'

/** Up to so many blocks may be of any size. */
const anyBlocksMax = 64

/** Beyond that, blocks hold so much on average. */
const averageBlockBytesMin = 1024

/** Refuses streams of very many very small blocks. */
export function refuseTinyBlocks(codec: CodecName, blockCount: number, contentBytes: number): void {
  if (blockCount <= anyBlocksMax || blockCount * averageBlockBytesMin <= contentBytes) return
  throw new CompressionError('CORRUPT', codec, `${blockCount} blocks for ${contentBytes} bytes`)
}
