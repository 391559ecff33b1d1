/**
 * The newest bytes of one log: a chain of page-aligned chunks that mirror the segment files exactly, so that a range is
 * written to its file straight from here (start rounded down to a page, end rounded up) and read as views without a copy.
 *
 * ```
 *   segment file   0       4K      8K      12K                 28K
 *                  ├───────┼───────┼─────────────────┬─────────┤
 *   chunks         [ 4 KiB ]       [ 16 KiB          ^ end     ]      sizes grow 4K, 16K, 64K, 256K, 1M with use
 *                     ^ from (what lies before, in this page, is on disk only: a *hole*)
 * ```
 *
 * Positions here are *log positions*: bytes counted along the log, across its segments. A chunk belongs to one segment.
 * Chunks are pinned while they hold bytes that are not destaged, and while a read holds views; otherwise they are the cache,
 * evicted oldest first. A log that rests long enough holds no memory at all; its next append starts a page with a hole,
 * which is filled from disk before that page is written.
 */
import { assert } from '../assert.ts'
import { orderFor, pageBytes } from './arena.ts'
import { Block, PagePool, type BlockOwner } from './page-pool.ts'

const orderLargest = 8

export interface Chunk {
  readonly block: Block
  /** Log position of the block's first byte; a multiple of a page inside the segment's file. */
  readonly position: number
  /** First log position whose byte may be read here. */
  readonly from: number
  /** What lies before was read back from the disk, to be written again with its page. Nobody has verified it: it is not served. */
  isHoleFilled: boolean
  /** Log position after the last valid byte. */
  end: number
}

export class TailCache implements BlockOwner {
  readonly #pool: PagePool
  readonly #chunks: Chunk[] = []
  #nextOrder = 0
  readonly #orderMax: number
  /** Result of `peek`: bytes and where in them. */
  peekBytes: Uint8Array
  peekStart = 0
  readonly #scratch: Uint8Array

  /** `scratch` must hold an entry's header; it may be shared between all caches of a store. */
  constructor(pool: PagePool, scratch: Uint8Array) {
    this.#pool = pool
    this.#scratch = scratch
    this.peekBytes = scratch
    this.#orderMax = Math.min(orderLargest, orderFor(pool.arena.bytes.length / 32))
  }

  get chunks(): readonly Chunk[] {
    return this.#chunks
  }

  /** First log position held; Infinity when nothing is. */
  get start(): number {
    return this.#chunks.length === 0 ? Infinity : this.#chunks[0]!.from
  }

  /**
   * Makes room for `[end, end + length)` of the segment whose file begins at log position `segmentStart` and is not expected to
   * grow beyond `segmentBytes`. False: no memory, and nothing has changed.
   */
  reserve(end: number, length: number, segmentStart: number, segmentBytes: number): boolean {
    const last = this.#chunks.at(-1)
    const tail = last !== undefined && last.position >= segmentStart ? last : undefined
    const next =
      tail !== undefined
        ? tail.position + tail.block.byteCount
        : segmentStart + Math.floor((end - segmentStart) / pageBytes) * pageBytes
    if (next >= end + length) return true
    // The entry begins in the last chunk, which may be destaged: looking for memory must not evict it.
    const pinned = tail?.block.held !== false
    if (tail !== undefined) this.#pool.pin(tail.block)
    const room = this.#extend(next, end, length, segmentStart + segmentBytes)
    if (tail !== undefined && !pinned && (!room || tail.end === tail.position + tail.block.byteCount))
      this.#pool.unpin(tail.block)
    return room
  }

  /** Adds chunks from log position `next` on until `end + length` is covered. False: no memory, nothing was added. */
  #extend(next: number, end: number, length: number, segmentEnd: number): boolean {
    let added = 0
    while (next < end + length) {
      const room = orderFor(Math.max(1, segmentEnd - next))
      const needed = Math.min(this.#orderMax, orderFor(end + length - next))
      const order = Math.max(needed, Math.min(this.#nextOrder, room, this.#pool.fairOrder))
      const block = this.#pool.allocateForAppend(order, this)
      if (block === undefined) {
        // Older chunks may have been evicted meanwhile: count from the end.
        for (const chunk of this.#chunks.splice(this.#chunks.length - added)) this.#pool.drop(chunk.block)
        if (added > 0) this.#noteEmpty()
        return false
      }
      const from = Math.max(next, end)
      if (this.#chunks.length === 0) this.#pool.activeLogs++
      this.#chunks.push({ block, position: next, from, end: from, isHoleFilled: false })
      added++
      this.#nextOrder = Math.min(this.#orderMax, this.#nextOrder + 2)
      next += block.byteCount
    }
    return true
  }

  /** Copies `entry` to log position `position`, which `reserve` has made room for. */
  write(entry: Uint8Array, position: number): void {
    let index = this.#chunks.length - 1
    while (index > 0 && this.#chunks[index]!.from >= position && this.#chunks[index]!.position > position) index--
    let copied = 0
    while (copied < entry.length) {
      const chunk = this.#chunks[index++]!
      const at = position + copied - chunk.position
      assert(at >= 0 && at < chunk.block.byteCount, 'room was reserved for what is written')
      const count = Math.min(entry.length - copied, chunk.block.byteCount - at)
      const part = count === entry.length ? entry : entry.subarray(copied, copied + count)
      this.#pool.arena.bytes.set(part, chunk.block.start + at)
      this.#pool.pin(chunk.block)
      copied += count
      chunk.end = position + copied
    }
  }

  /** Points `peekBytes`/`peekStart` at `count` bytes from `position` (fewer at the very end of the log). */
  peek(position: number, count: number): void {
    let index = this.indexAt(position)
    const chunk = this.#chunks[index]!
    const at = position - chunk.position
    if (at + count <= chunk.block.byteCount || chunk.end < chunk.position + chunk.block.byteCount) {
      this.peekBytes = this.#pool.arena.bytes
      this.peekStart = chunk.block.start + at
      return
    }
    let copied = 0
    while (copied < count && index < this.#chunks.length) {
      const part = this.#chunks[index++]!
      const start = position + copied - part.position
      const length = Math.min(count - copied, part.end - part.position - start)
      if (length <= 0) break
      const from = part.block.start + start
      this.#scratch.set(this.#pool.arena.bytes.subarray(from, from + length), copied)
      copied += length
    }
    this.#scratch.fill(0, copied, count)
    this.peekBytes = this.#scratch
    this.peekStart = 0
  }

  /** Index of the chunk that holds `position`. */
  indexAt(position: number): number {
    let low = 0
    let high = this.#chunks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.#chunks[middle]!.position <= position) low = middle
      else high = middle - 1
    }
    return low
  }

  /** Calls back for each contiguous piece of `[from, to)` with its chunk and its first byte inside the arena. */
  forEachPiece(from: number, to: number, visit: (chunk: Chunk, start: number, length: number) => void): void {
    for (let index = this.indexAt(from), position = from; position < to; index++) {
      const chunk = this.#chunks[index]!
      assert(chunk !== undefined && position >= chunk.from, 'the tail holds what is asked for')
      const end = Math.min(to, chunk.end)
      if (end > position) visit(chunk, chunk.block.start + position - chunk.position, end - position)
      position = Math.max(position, end)
    }
  }

  /** Everything below `position` is in the segments: chunks that end there are cache from now on. */
  markDestaged(position: number): void {
    for (const chunk of this.#chunks) {
      if (chunk.end > position) break
      this.#pool.unpin(chunk.block)
    }
  }

  /**
   * Forgets everything at and after `position`. What is left is destaged: when readers hold views of the chunk that would be
   * written again, all of the cache is left to them instead.
   */
  truncate(position: number): void {
    while (this.#chunks.length > 0) {
      const last = this.#chunks.at(-1)!
      if (last.from < position && last.end <= position) return
      if (last.from < position && last.block.readers === 0) {
        last.end = position
        return
      }
      if (last.from < position) position = -Infinity
      this.#chunks.pop()
      this.#pool.drop(last.block)
      this.#noteEmpty()
    }
  }

  clear(): void {
    this.truncate(-Infinity)
  }

  evict(block: Block): void {
    const index = this.#chunks.findIndex(chunk => chunk.block === block)
    assert(index >= 0, 'an evicted chunk belongs to its log')
    const older = this.#chunks.splice(0, index + 1)
    for (let at = 0; at < index; at++) this.#pool.drop(older[at]!.block)
    this.#noteEmpty()
  }

  /** A log that holds nothing any more starts small again. */
  #noteEmpty(): void {
    if (this.#chunks.length > 0) return
    this.#nextOrder = 0
    this.#pool.activeLogs--
  }
}
