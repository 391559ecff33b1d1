/**
 * Reads from the tail cache: synchronous, views only, no copy, no checksum (these bytes have not left memory since they were
 * appended or verified by recovery).
 *
 * Where an entry begins is found from the nearest known boundary (where a reader stopped, the flushed or destaged end, a mark of
 * the sparse index) by walking entry headers, which never takes more than an index interval and one entry.
 */
import { assert } from '../../assert.ts'
import type { EntryFormat, ReadResult } from '../../log-store.ts'
import type { Block, PagePool } from '../../memory/page-pool.ts'
import type { StoreLog } from '../store-log.ts'

/** An entry boundary: log position and the offset of the entry that begins there. */
export interface Boundary {
  position: number
  offset: number
}

const noBlocks: readonly Block[] = []

/** Views of blocks, kept from eviction until released. */
export class PooledRead implements ReadResult {
  readonly slices: readonly Uint8Array[]
  readonly byteCount: number
  readonly nextOffset: number
  readonly #pool: PagePool
  #blocks: readonly Block[]
  #released = false

  constructor(
    pool: PagePool,
    slices: readonly Uint8Array[],
    byteCount: number,
    nextOffset: number,
    blocks: readonly Block[]
  ) {
    this.#pool = pool
    this.slices = slices
    this.byteCount = byteCount
    this.nextOffset = nextOffset
    this.#blocks = blocks
    for (const block of blocks) pool.retain(block)
  }

  release(): void {
    assert(!this.#released, 'a read result is released once')
    this.#released = true
    const blocks = this.#blocks
    this.#blocks = noBlocks
    for (const block of blocks) this.#pool.release(block)
  }
}

export function emptyRead(pool: PagePool, offset: number): ReadResult {
  return new PooledRead(pool, [], 0, offset, noBlocks)
}

export class TailReader {
  readonly #pool: PagePool
  readonly #format: EntryFormat

  constructor(pool: PagePool, format: EntryFormat) {
    this.#pool = pool
    this.#format = format
  }

  /** The entries from `offset` on, or undefined when they do not begin in the tail cache. `endBefore` is above `offset`. */
  read(
    log: StoreLog,
    offset: number,
    maxBytes: number,
    endBefore: number,
    atLeastOne: boolean
  ): ReadResult | undefined {
    const from = this.#boundaryAtOrBefore(log, offset)
    if (from === undefined) return undefined
    const start = this.#walk(log, from, (_, lastOffset) => lastOffset < offset)
    const limit = endBefore >= log.endOffset ? endOf(log) : this.#limit(log, start, endBefore)
    const end = limit.position - start.position <= maxBytes ? limit : this.#cut(log, start, limit, maxBytes, atLeastOne)
    log.readers.note(offset, end.offset, end.position)
    return this.#views(log, start.position, end.position, end.position === start.position ? offset : end.offset)
  }

  /**
   * What `accepts` returns for the first entry, from the one with `offset` on and below `endBefore`, for which it returns
   * something; undefined when that entry does not begin in the tail cache.
   */
  find<T>(
    log: StoreLog,
    offset: number,
    endBefore: number,
    accepts: (bytes: Uint8Array, at: number) => T | undefined
  ): { readonly found: T | undefined } | undefined {
    const from = this.#boundaryAtOrBefore(log, offset)
    if (from === undefined) return undefined
    let found: T | undefined
    this.#walk(log, from, (_, lastOffset) => {
      const { peekBytes, peekStart } = log.tail
      if (this.#format.baseOffsetAt(peekBytes, peekStart) >= endBefore) return false
      if (lastOffset >= offset) found = accepts(peekBytes, peekStart)
      return found === undefined
    })
    return { found }
  }

  #views(log: StoreLog, from: number, to: number, nextOffset: number): ReadResult {
    const slices: Uint8Array[] = []
    const blocks: Block[] = []
    if (to > from)
      log.tail.forEachPiece(from, to, (chunk, start, length) => {
        slices.push(this.#pool.arena.bytes.subarray(start, start + length))
        blocks.push(chunk.block)
      })
    return new PooledRead(this.#pool, slices, to - from, nextOffset, blocks)
  }

  /** The nearest known boundary at or before the entry with `offset`, if it is in the tail cache. */
  #boundaryAtOrBefore(log: StoreLog, offset: number): Boundary | undefined {
    const start = log.tail.start
    const known = log.readers.positionAt(offset)
    if (known >= start) return { position: known, offset }
    if (offset >= log.flushedOffset && log.flushedPosition >= start)
      return this.#nearer(log, offset, { position: log.flushedPosition, offset: log.flushedOffset })
    if (offset >= log.destagedOffset && log.destagedPosition >= start)
      return this.#nearer(log, offset, { position: log.destagedPosition, offset: log.destagedOffset })
    return this.#nearer(log, offset, undefined)
  }

  /** The index mark for `offset` when it is in the tail and nearer than `known`. */
  #nearer(log: StoreLog, offset: number, known: Boundary | undefined): Boundary | undefined {
    const segment = log.segmentAt(offset)
    const mark = segment.index.atOffset(offset)
    if (mark === undefined) return known
    const position = segment.startPosition + mark.filePosition
    if (position < log.tail.start || (known !== undefined && known.position >= position)) return known
    return { position, offset: mark.offset }
  }

  /** Moves over entries while `passes` holds for (end position, last offset); returns the first boundary that stays. */
  #walk(log: StoreLog, from: Boundary, passes: (endPosition: number, lastOffset: number) => boolean): Boundary {
    const format = this.#format
    let { position, offset } = from
    while (position < log.endPosition) {
      log.tail.peek(position, format.headerBytes)
      const { peekBytes, peekStart } = log.tail
      const length = format.lengthAt(peekBytes, peekStart)
      assert(
        length > 0 && format.baseOffsetAt(peekBytes, peekStart) === offset,
        'the tail holds whole entries in order'
      )
      const lastOffset = format.lastOffsetAt(peekBytes, peekStart)
      if (!passes(position + length, lastOffset)) break
      position += length
      offset = lastOffset + 1
    }
    return { position, offset }
  }

  /** The first boundary whose offset is at least `endBefore`. */
  #limit(log: StoreLog, start: Boundary, endBefore: number): Boundary {
    if (endBefore === log.flushedOffset) return { position: log.flushedPosition, offset: log.flushedOffset }
    const known = this.#boundaryAtOrBefore(log, endBefore)
    const from = known !== undefined && known.position > start.position ? known : start
    let offset = from.offset
    return this.#walk(log, from, (_, lastOffset) => {
      const passes = offset < endBefore
      offset = lastOffset + 1
      return passes
    })
  }

  /** The last boundary that is at most `maxBytes` behind `start`; one entry when `atLeastOne` and none fits. */
  #cut(log: StoreLog, start: Boundary, limit: Boundary, maxBytes: number, atLeastOne: boolean): Boundary {
    const last = Math.min(limit.position, start.position + maxBytes)
    let from = start
    const segment = log.segmentAtPosition(last)
    const mark = segment.index.atPosition(last - segment.startPosition)
    if (mark !== undefined && segment.startPosition + mark.filePosition > start.position)
      from = { position: segment.startPosition + mark.filePosition, offset: mark.offset }
    const end = this.#walk(log, from, endPosition => endPosition <= last)
    if (end.position > start.position || !atLeastOne) return end
    let taken = 0
    return this.#walk(log, start, () => taken++ === 0)
  }
}

function endOf(log: StoreLog): Boundary {
  return { position: log.endPosition, offset: log.endOffset }
}
