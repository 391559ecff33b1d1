/**
 * Writes ranges of a log from its tail cache into its segments, and finishes sealed segments.
 *
 * Contract: when `write` resolves, the bytes are durable in the file (O_DSYNC; space reserved, name synced). Bytes behind the
 * range up to the end of its last page are whatever the page holds: later entries, or zeros. Rewriting the last page of an
 * earlier write is safe because the bytes that it held before are written again unchanged: whichever mix of old and new
 * 512-byte sectors survives, they are there.
 * Calls for one log must not overlap (the log's gate sees to that). A file that another store has a name of is copied first.
 */
import { assert } from '../assert.ts'
import type { AlignedBuffer, Disk, DiskFile } from '../disk.ts'
import { DiskError } from '../errors.ts'
import { pageBytes } from '../memory/arena.ts'
import type { PagePool } from '../memory/page-pool.ts'
import type { TailCache } from '../memory/tail-cache.ts'
import type { Segment } from './segment.ts'
import type { SegmentFiles } from './segment-files.ts'

const growBytesMin = 64 << 10
const growBytesMax = 16 << 20

/** Whole pages of the arena, and where they go. */
interface Piece {
  readonly start: number
  readonly end: number
  readonly filePosition: number
}

export class SegmentWriter {
  readonly #disk: Disk
  readonly #files: SegmentFiles
  readonly #pool: PagePool
  /** Shorter ranges are written at once. */
  readonly #gentleBytesMin: number
  readonly #sparePages: AlignedBuffer[] = []
  /** As many as there were short ranges written at once. */
  readonly #spareRanges: AlignedBuffer[] = []
  /**
   * During recovery: bytes in the file behind a range, up to the end of its last page, are kept as they are. They may belong
   * to a direct write that a later journal frame speaks of.
   */
  keepsBehind = false

  constructor(disk: Disk, files: SegmentFiles, pool: PagePool, gentleBytesMin: number) {
    this.#gentleBytesMin = gentleBytesMin
    this.#disk = disk
    this.#files = files
    this.#pool = pool
  }

  /** Makes log positions `[from, to)`, all inside `segment`, durable in its file. `NO_SPACE`: nothing has been written. */
  async write(tail: TailCache, segment: Segment, from: number, to: number): Promise<void> {
    await this.#files.use(segment, 'create', async file => {
      await this.#prepare(file, tail, segment, from, to)
      await Promise.all(this.#pieces(tail, segment, from, to).map(piece => this.#writePiece(file, piece)))
    })
  }

  /**
   * The same for destaging, which nobody waits for. A long range goes one piece after the other, with one flush for all of
   * them, so that the device always has room for the commits that clients do wait for. A short one is copied together and
   * written at once: pieces beside each other would cost a flush each, and split the reserved space of the file, which the file
   * system then puts together again (on ext4 with `discard`: by the thousand a second, until the device stands still).
   */
  async writeGently(tail: TailCache, segment: Segment, from: number, to: number): Promise<void> {
    await this.#files.use(segment, 'create', async file => {
      await this.#prepare(file, tail, segment, from, to)
      const pieces = this.#pieces(tail, segment, from, to)
      if (pieces.length === 1 && to - from < this.#gentleBytesMin) await this.#writePiece(file, pieces[0]!)
      else if (to - from < this.#gentleBytesMin) await this.#writeTogether(file, pieces)
      else await this.#writeInTurn(segment, pieces)
    })
  }

  async #writeTogether(file: DiskFile, pieces: readonly Piece[]): Promise<void> {
    // A range that begins and ends inside pages touches one page more than its length tells.
    const buffer = this.#spareRanges.pop() ?? this.#disk.allocateBuffer(pageCeil(this.#gentleBytesMin) + pageBytes)
    try {
      let length = 0
      for (const { start, end, filePosition } of pieces) {
        assert(filePosition === pieces[0]!.filePosition + length, 'pieces of a range continue each other')
        buffer.bytes.set(this.#pool.arena.bytes.subarray(start, end), length)
        length += end - start
      }
      await file.write(buffer.bytes.subarray(0, length), pieces[0]!.filePosition)
    } finally {
      this.#spareRanges.push(buffer)
    }
  }

  async #writeInTurn(segment: Segment, pieces: readonly Piece[]): Promise<void> {
    const unflushed = await this.#disk.open(segment.path, { mode: 'write', direct: true, durable: false })
    try {
      for (const piece of pieces) await this.#writePiece(unflushed, piece)
      await unflushed.sync()
    } finally {
      await unflushed.close()
    }
  }

  async #prepare(file: DiskFile, tail: TailCache, segment: Segment, from: number, to: number): Promise<void> {
    await this.#reserve(file, segment, pageCeil(to - segment.startPosition))
    await this.#fillHole(file, tail, segment, from)
    if (this.keepsBehind) await this.#fillBehind(file, tail, segment, to)
  }

  /** The pages of a range as they lie in memory: each piece continues the one before it in the file. */
  #pieces(tail: TailCache, segment: Segment, from: number, to: number): Piece[] {
    const pieces: Piece[] = []
    tail.forEachPiece(from, to, (chunk, first, length) => {
      const start = Math.floor(first / pageBytes) * pageBytes
      const end = pageCeil(first + length)
      const valid = chunk.block.start + chunk.end - chunk.position
      if (valid < end && !this.keepsBehind) this.#pool.arena.bytes.fill(0, valid, end)
      pieces.push({ start, end, filePosition: chunk.position - segment.startPosition + start - chunk.block.start })
    })
    return pieces
  }

  #writePiece(file: DiskFile, { start, end, filePosition }: Piece): Promise<void> {
    return file.write(this.#pool.arena.bytes.subarray(start, end), filePosition)
  }

  /** Gives a sealed segment its exact length and writes its index, both durable. */
  async finish(segment: Segment): Promise<void> {
    await this.#files.use(segment, 'create', async file => {
      await file.truncate(segment.byteCount)
      await file.sync()
    })
    segment.allocatedBytes = segment.byteCount
    if (segment.index.coveredFrom === 0) await this.#writeIndex(segment)
    segment.finished = true
  }

  close(): void {
    for (const buffer of [...this.#sparePages.splice(0), ...this.#spareRanges.splice(0)]) buffer.release()
  }

  async #writeIndex(segment: Segment): Promise<void> {
    const bytes = segment.index.encode(segment.byteCount)
    const buffer = this.#disk.allocateBuffer(bytes.length)
    try {
      buffer.bytes.set(bytes)
      // Not written over: an index of the same segment before a cut may be another store's as well.
      await this.#disk.remove(segment.indexPath)
      const file = await this.#disk.open(segment.indexPath, { mode: 'create', direct: true, durable: false })
      try {
        await file.write(buffer.bytes.subarray(0, pageCeil(bytes.length)), 0)
      } finally {
        await file.close()
      }
    } catch (error) {
      if (!(error instanceof DiskError && error.code === 'NO_SPACE')) throw error
    } finally {
      buffer.release()
    }
  }

  async #reserve(file: DiskFile, segment: Segment, needed: number): Promise<void> {
    if (segment.allocatedBytes < 0) segment.allocatedBytes = await file.size()
    else if (segment.allocatedBytes === 0) await this.#startFile(file, segment)
    while (segment.allocatedBytes < needed) {
      const step = Math.max(growBytesMin, Math.min(growBytesMax, segment.allocatedBytes))
      const target = Math.max(needed, segment.allocatedBytes + step)
      await file.allocate(Math.floor(segment.allocatedBytes / pageBytes) * pageBytes, target)
      segment.allocatedBytes = target
    }
  }

  /** A new segment may find the file of an older one with the same base that was cut off or trimmed before. */
  async #startFile(file: DiskFile, segment: Segment): Promise<void> {
    const size = await file.size()
    if (this.keepsBehind) segment.allocatedBytes = size
    else if (size > 0) await file.truncate(0)
  }

  /** The first page of a chain may begin inside: what lies before is read back so that it is written again unchanged. */
  async #fillHole(file: DiskFile, tail: TailCache, segment: Segment, from: number): Promise<void> {
    const chunk = tail.chunks[tail.indexAt(from)]!
    const holeEnd = chunk.from - chunk.position
    if (holeEnd === 0 || chunk.isHoleFilled || from >= chunk.position + pageBytes) return
    assert(holeEnd < pageBytes, 'a hole is smaller than a page')
    const page = this.#sparePages.pop() ?? this.#disk.allocateBuffer(pageBytes)
    try {
      const count = await file.read(page.bytes.subarray(0, pageBytes), chunk.position - segment.startPosition)
      if (count < holeEnd) throw new DiskError('IO', segment.path, `shorter than the ${holeEnd} bytes of its last page`)
      this.#pool.arena.bytes.set(page.bytes.subarray(0, holeEnd), chunk.block.start)
      chunk.isHoleFilled = true
    } finally {
      this.#sparePages.push(page)
    }
  }

  /** Copies what the file has behind `to`, up to the end of the page, into the chunk's memory. */
  async #fillBehind(file: DiskFile, tail: TailCache, segment: Segment, to: number): Promise<void> {
    const at = (to - segment.startPosition) % pageBytes
    const chunk = tail.chunks[tail.indexAt(to - 1)]!
    if (at === 0 || chunk.end !== to) return
    const page = this.#sparePages.pop() ?? this.#disk.allocateBuffer(pageBytes)
    try {
      const filePosition = to - segment.startPosition - at
      const count = await file.read(page.bytes.subarray(0, pageBytes), filePosition)
      page.bytes.fill(0, count, pageBytes)
      const start = chunk.block.start + segment.startPosition + filePosition - chunk.position
      this.#pool.arena.bytes.set(page.bytes.subarray(at, pageBytes), start + at)
    } finally {
      this.#sparePages.push(page)
    }
  }
}

export function pageCeil(bytes: number): number {
  return Math.ceil(bytes / pageBytes) * pageBytes
}
