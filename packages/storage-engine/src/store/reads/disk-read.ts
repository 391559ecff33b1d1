/**
 * Reads of what is no longer in the tail cache: O_DIRECT, in blocks of up to 1 MiB taken from the store's page memory, every
 * returned entry verified by its checksum.
 *
 * A block read from disk stays cached until somebody needs its memory, so a consumer that takes 64 KiB at a time causes one
 * device read per MiB. When a log is read sequentially the next blocks are fetched while the current one is being served. When
 * no memory can be had a read waits; appends cannot take the part of the memory that is reserved for reads.
 *
 * Damage: an entry whose checksum or header is wrong is recorded in the log's damage list and refused with `CORRUPT`, now and
 * later; entries before and after it stay readable.
 */
import { StoreError } from '../../errors.ts'
import type { EntryFormat, ReadResult } from '../../log-store.ts'
import { orderFor, pageBytes } from '../../memory/arena.ts'
import { Block, PagePool, type BlockOwner } from '../../memory/page-pool.ts'
import type { Segment } from '../../segments/segment.ts'
import type { SegmentFiles } from '../../segments/segment-files.ts'
import { pageCeil } from '../../segments/segment-writer.ts'
import { recordDamage, wrongBytes } from './damage.ts'
import type { SegmentIndexes } from './segment-indexes.ts'
import type { StoreLog } from '../store-log.ts'
import { PooledRead, emptyRead } from './tail-read.ts'

const blockBytesMax = 1 << 20
const blockBytesMin = 64 << 10
/** Blocks that are read ahead of a reader, if all of those together take less than a quarter of the memory; otherwise one. */
const readAheadBlocks = 3
/** What a read of a segment without an index walks over rather than having all of the segment read for an index. */
const walkBytesMax = 32 << 20

/** Bytes of one segment, read from disk. */
export interface DiskBlock {
  readonly segment: Segment
  /** File position of the first byte; a multiple of a page. */
  readonly filePosition: number
  /** The bytes; valid once `loaded` resolves. */
  readonly bytes: Uint8Array
  readonly pooled: Block
  readonly loaded: Promise<void>
  /** Bytes that the file held and that are destaged. */
  validBytes: number
  /** The entry that begins in the block, or right behind it, and is not wholly in it; once it was looked for. */
  rest?: { readonly position: number; readonly next: number }
}

/** A whole entry inside a block. */
interface Place {
  readonly block: DiskBlock
  readonly at: number
  readonly length: number
}

/** One read: keeps the block that it looks at from being evicted, and knows whether its log was cut since it began. */
class Hold {
  readonly #pool: PagePool
  readonly #log: StoreLog
  readonly #generation: number
  #block: Block | undefined

  constructor(pool: PagePool, log: StoreLog) {
    this.#pool = pool
    this.#log = log
    this.#generation = log.generation
  }

  /** What was read is true of the log's former life only: nothing may be concluded from it for later reads. */
  get outdated(): boolean {
    return this.#log.generation !== this.#generation
  }

  take(block: Block): void {
    this.#pool.retain(block)
    this.release()
    this.#block = block
  }

  release(): void {
    if (this.#block !== undefined) this.#pool.release(this.#block)
    this.#block = undefined
  }
}

export class DiskReader implements BlockOwner {
  readonly #pool: PagePool
  readonly #format: EntryFormat
  readonly #files: SegmentFiles
  readonly #indexes: SegmentIndexes
  readonly #logOf = new Map<Block, StoreLog>()
  readonly #waiting: (() => void)[] = []
  /** Blocks read ahead that nobody has read from yet. */
  readonly #ahead = new Set<Block>()
  readonly #aheadMax: number
  /** A read waits for memory: whoever can free some should. */
  onWaiting: () => void = () => {}

  constructor(pool: PagePool, format: EntryFormat, files: SegmentFiles, indexes: SegmentIndexes) {
    this.#pool = pool
    this.#format = format
    this.#files = files
    this.#indexes = indexes
    this.#aheadMax = Math.floor(pool.arena.bytes.length / 4 / blockBytesMax)
  }

  /** Memory may be available again. */
  retryWaiting(): void {
    for (const retry of this.#waiting.splice(0)) retry()
  }

  evict(pooled: Block): void {
    const log = this.#logOf.get(pooled)!
    this.#logOf.delete(pooled)
    this.#ahead.delete(pooled)
    const at = log.reads.findIndex(read => read.pooled === pooled)
    if (at >= 0) log.reads.splice(at, 1)
  }

  /** Forgets what was read of the log at and after a log position (it was cut off) or all of it. */
  invalidate(log: StoreLog): void {
    for (const { pooled } of log.reads.splice(0)) {
      this.#logOf.delete(pooled)
      this.#ahead.delete(pooled)
      this.#pool.drop(pooled)
    }
  }

  /**
   * As `Log.read`; `offset` is below the destaged end. Ends at the end of a block or segment at the latest. When the log was cut
   * meanwhile, an error says nothing: the caller looks again.
   */
  async read(
    log: StoreLog,
    offset: number,
    maxBytes: number,
    endBefore: number,
    atLeastOne: boolean
  ): Promise<ReadResult> {
    const sequential = log.readers.positionAt(offset) >= 0
    const window = sequential ? blockBytesMax : maxBytes + log.options.indexIntervalBytes + pageBytes
    const hold = new Hold(this.#pool, log)
    try {
      const start = await this.#seek(log, log.segmentAt(offset), offset, window, hold)
      if (start.length > maxBytes && !atLeastOne) return emptyRead(this.#pool, offset)
      const result = this.#collect(log, start, offset, maxBytes, endBefore, sequential, hold)
      if (result !== undefined) return result
      const { block, at } = start
      throw await this.#corrupt(log, block.segment, this.#format.baseOffsetAt(block.bytes, at), block, at, hold)
    } finally {
      hold.release()
    }
  }

  /**
   * What `accepts` returns for the first entry from the one with `offset` on for which it returns something, looking at
   * destaged entries that begin below `endBefore`. It sees headers only; the entry that it took has been verified.
   */
  async find<T>(
    log: StoreLog,
    offset: number,
    endBefore: number,
    accepts: (bytes: Uint8Array, at: number) => T | undefined
  ): Promise<T | undefined> {
    const end = Math.min(endBefore, log.destagedOffset)
    const hold = new Hold(this.#pool, log)
    try {
      for (let next = offset; next < end;) {
        const segment = log.segmentAt(next)
        const { block, at: start, length: first } = await this.#seek(log, segment, next, blockBytesMax, hold)
        next = this.#format.baseOffsetAt(block.bytes, start)
        let at = start
        for (let length = first; length > 0 && next < end; length = this.#entryIn(block, at, next)) {
          const found = accepts(block.bytes, at)
          if (found !== undefined && log.isWhole(block.bytes, at, length)) return found
          if (found !== undefined) throw await this.#corrupt(log, segment, next, block, at, hold)
          next = this.#format.lastOffsetAt(block.bytes, at) + 1
          at += length
        }
        if (hold.outdated) return undefined
        log.readers.note(offset, next, segment.startPosition + block.filePosition + at)
      }
      return undefined
    } finally {
      hold.release()
    }
  }

  /** File position of the entry that begins with `offset`. The log is destaged. */
  async positionOf(log: StoreLog, segment: Segment, offset: number): Promise<number> {
    if (offset === segment.baseOffset) return 0
    const hold = new Hold(this.#pool, log)
    try {
      const { block, at } = await this.#seek(log, segment, offset, blockBytesMin, hold)
      if (this.#format.baseOffsetAt(block.bytes, at) !== offset)
        throw new StoreError('OUT_OF_RANGE', `offset ${offset} is inside an entry`, { log: log.name })
      return block.filePosition + at
    } finally {
      hold.release()
    }
  }

  /** Finds the entry that contains `offset`, whole inside one block, which `hold` keeps. */
  async #seek(log: StoreLog, segment: Segment, offset: number, window: number, hold: Hold): Promise<Place> {
    const { headerBytes } = this.#format
    let { position, next } = await this.#startFor(log, segment, offset)
    let needed = headerBytes
    for (let bytes = window; ; bytes = blockBytesMax) {
      const block = await this.#blockAt(log, segment, position, needed, Math.min(bytes, blockBytesMax), hold)
      let at = position - block.filePosition
      if (block.validBytes - at >= needed) {
        for (let length = this.#entryIn(block, at, next); length > 0; length = this.#entryIn(block, at, next)) {
          const lastOffset = this.#format.lastOffsetAt(block.bytes, at)
          if (lastOffset >= offset) return { block, at, length }
          at += length
          next = lastOffset + 1
        }
        position = block.filePosition + at
        needed = block.validBytes - at < headerBytes ? headerBytes : this.#lengthAt(block, at, next)
        if (needed > 0 && position + needed <= this.#readableBytes(log, segment)) continue
      }
      if (segment.index.coveredFrom <= position) throw await this.#corrupt(log, segment, next, block, at, hold)
      // It came here without an index; the index knows the way around damage.
      await this.#indexes.load(log, segment)
      const mark = segment.index.atOffset(offset)!
      position = mark.filePosition
      next = mark.offset
      needed = headerBytes
    }
  }

  async #startFor(log: StoreLog, segment: Segment, offset: number): Promise<{ position: number; next: number }> {
    const known = log.readers.positionAt(offset)
    if (known >= segment.startPosition && known < segment.endPosition)
      return { position: known - segment.startPosition, next: offset }
    const hasFile = segment.finished && segment.marks.length === 0
    let mark = hasFile ? segment.index.atOffset(offset) : segment.markFor(offset, walkBytesMax)
    if (mark === undefined) {
      await this.#indexes.load(log, segment)
      mark = segment.index.atOffset(offset)!
    }
    return { position: mark.filePosition, next: mark.offset }
  }

  /** Length of the whole, plausible entry with base offset `offset` at `at`; 0 when it is not (wholly) there. */
  #entryIn(block: DiskBlock, at: number, offset: number): number {
    const length = this.#lengthAt(block, at, offset)
    return at + length <= block.validBytes ? length : 0
  }

  #lengthAt(block: DiskBlock, at: number, offset: number): number {
    const { headerBytes, lengthAt, entryBytesMax, baseOffsetAt, lastOffsetAt } = this.#format
    if (block.validBytes - at < headerBytes) return 0
    const length = lengthAt.call(this.#format, block.bytes, at)
    if (length < headerBytes || length > entryBytesMax) return 0
    if (baseOffsetAt.call(this.#format, block.bytes, at) !== offset) return 0
    return lastOffsetAt.call(this.#format, block.bytes, at) < offset ? 0 : length
  }

  /** The read's result; undefined when its first entry is not what was written. */
  #collect(
    log: StoreLog,
    start: Place,
    offset: number,
    maxBytes: number,
    endBefore: number,
    sequential: boolean,
    hold: Hold
  ): ReadResult | undefined {
    const { block } = start
    const { segment } = block
    let { at, length } = start
    let next = this.#format.baseOffsetAt(block.bytes, at)
    while (length > 0 && next < endBefore && (at === start.at || at + length - start.at <= maxBytes)) {
      if (!log.isWhole(block.bytes, at, length)) {
        if (at === start.at) return undefined
        break
      }
      next = this.#format.lastOffsetAt(block.bytes, at) + 1
      at += length
      length = this.#entryIn(block, at, next)
    }
    if (!hold.outdated) {
      log.readers.note(offset, next, segment.startPosition + block.filePosition + at)
      this.#ahead.delete(block.pooled)
      if (sequential) this.#readAhead(log, block, at, next, readAheadBlocks)
    }
    const slice = block.bytes.subarray(start.at, at)
    return new PooledRead(this.#pool, [slice], slice.length, next, [block.pooled])
  }

  /**
   * Starts reading what follows the last whole entry of `block`, unless that is under way or there is no spare memory; and when
   * it is there, what follows that, `depth` blocks in all: a device that rests while an answer is on its way is too slow.
   */
  #readAhead(log: StoreLog, block: DiskBlock, from: number, offset: number, depth: number): void {
    const { position, next } = (block.rest ??= this.#restOf(block, from, offset))
    if (position >= this.#readableBytes(log, block.segment)) return
    // The block usually holds the first bytes of the next entry, too; they are no use without the rest.
    const cached = this.#cached(log, block.segment, position)
    const following = cached === undefined || cached === block ? this.#loadAhead(log, block, position, depth) : cached
    if (following === undefined || depth === 1) return
    const goOn = (): void => {
      // Evicted, or the log was cut: its memory holds something else.
      if (!log.reads.includes(following)) return
      this.#readAhead(log, following, position - following.filePosition, next, depth - 1)
    }
    following.loaded.then(goOn, () => {})
  }

  #loadAhead(log: StoreLog, { segment }: DiskBlock, position: number, depth: number): DiskBlock | undefined {
    const isFirst = depth === readAheadBlocks
    if (!isFirst && this.#ahead.size >= this.#aheadMax) return undefined
    const block = this.#load(log, segment, position, 0, blockBytesMax)
    if (block !== undefined) this.#ahead.add(block.pooled)
    return block
  }

  /** Where the first entry begins that is not wholly in the block, looking from a known one on. */
  #restOf(block: DiskBlock, from: number, offset: number): { position: number; next: number } {
    let at = from
    let next = offset
    for (let length = this.#entryIn(block, at, next); length > 0; length = this.#entryIn(block, at, next)) {
      next = this.#format.lastOffsetAt(block.bytes, at) + 1
      at += length
    }
    return { position: block.filePosition + at, next }
  }

  /** Bytes of the segment's file that may be read. */
  #readableBytes(log: StoreLog, segment: Segment): number {
    return Math.min(segment.byteCount, log.destagedPosition - segment.startPosition)
  }

  #cached(log: StoreLog, segment: Segment, position: number): DiskBlock | undefined {
    for (let index = log.reads.length - 1; index >= 0; index--) {
      const block = log.reads[index]!
      if (block.segment !== segment || block.filePosition > position) continue
      if (position < block.filePosition + block.validBytes) return block
    }
    return undefined
  }

  /** A loaded block with `needed` bytes from `position` on (fewer when the file has fewer), kept by `hold`. */
  async #blockAt(
    log: StoreLog,
    segment: Segment,
    position: number,
    needed: number,
    window: number,
    hold: Hold
  ): Promise<DiskBlock> {
    for (;;) {
      const cached = this.#cached(log, segment, position)
      if (cached !== undefined) {
        hold.take(cached.pooled)
        await cached.loaded
        if (cached.filePosition + cached.validBytes - position >= needed) return cached
      }
      // Who asks for memory, or waits for it, holds none: what is missing could be in the hands of those who wait.
      hold.release()
      const block = this.#load(log, segment, position, needed, window)
      if (block !== undefined) {
        hold.take(block.pooled)
        await block.loaded
        return block
      }
      this.onWaiting()
      await new Promise<void>(resolve => this.#waiting.push(resolve))
    }
  }

  /**
   * Starts reading `window` bytes (if there are as many) from the page of `position` on, and more if the `needed` ones are not
   * among them; undefined when there is no memory at the moment.
   */
  #load(log: StoreLog, segment: Segment, position: number, needed: number, window: number): DiskBlock | undefined {
    const filePosition = Math.floor(position / pageBytes) * pageBytes
    const readable = this.#readableBytes(log, segment) - filePosition
    const wanted = Math.max(window, blockBytesMin, needed + position - filePosition)
    const byteCount = pageCeil(Math.min(wanted, readable))
    const pooled = this.#pool.allocateForRead(orderFor(byteCount), this)
    if (pooled === undefined) return undefined
    const bytes = this.#pool.arena.bytes.subarray(pooled.start, pooled.start + pooled.byteCount)
    const target = bytes.subarray(0, Math.min(bytes.length, pageCeil(readable)))
    this.#pool.retain(pooled)
    this.#logOf.set(pooled, log)
    const loaded = this.#files
      .use(segment, 'write', file => file.read(target, filePosition))
      .then(count => {
        block.validBytes = Math.min(count, readable)
      })
      .finally(() => {
        this.#pool.unpin(pooled)
        this.#pool.release(pooled)
      })
    const block: DiskBlock = {
      segment,
      filePosition,
      bytes,
      pooled,
      loaded,
      validBytes: Math.min(target.length, readable)
    }
    log.reads.push(block)
    loaded.catch(() => this.#discard(log, block))
    return block
  }

  #discard(log: StoreLog, block: DiskBlock): void {
    const at = log.reads.indexOf(block)
    if (at < 0) return
    log.reads.splice(at, 1)
    this.#logOf.delete(block.pooled)
    this.#ahead.delete(block.pooled)
    this.#pool.drop(block.pooled)
  }

  /** Records the damage: the entry when its header is plausible, otherwise up to the next index mark or the segment's end. */
  async #corrupt(
    log: StoreLog,
    segment: Segment,
    offset: number,
    block: DiskBlock,
    at: number,
    hold: Hold
  ): Promise<StoreError> {
    if (!hold.outdated) await this.#indexes.load(log, segment)
    if (hold.outdated) return new StoreError('CORRUPT', `offset ${offset} was cut off meanwhile`, { log: log.name })
    const length = this.#lengthAt(block, at, offset)
    const filePosition = block.filePosition + at
    const entry = length > 0 ? { length, lastOffset: this.#format.lastOffsetAt(block.bytes, at) } : undefined
    const end = { offset: Math.min(segment.endOffset, log.endOffset), filePosition: segment.byteCount }
    const reason = wrongBytes(segment, filePosition)
    const behind = recordDamage(log, segment, { offset, filePosition, entry }, end, reason)
    return new StoreError('CORRUPT', `offsets ${offset} to ${behind.offset - 1}: ${reason}`, { log: log.name })
  }
}
