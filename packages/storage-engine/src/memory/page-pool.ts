/**
 * Who holds which block of the arena, and who must give way.
 *
 * A block is *pinned* while its owner needs it (bytes not yet destaged, a read in flight) or while a reader holds views of
 * it; otherwise it is *cached* and may be evicted, oldest first, when somebody else needs memory. Blocks enter the queue of
 * candidates when they stop being pinned by their owner; a candidate that has become pinned again is skipped and comes back
 * later. Appends leave `readReservePages` for disk reads, so that a flood of producers cannot starve consumers of old data.
 */
import { assert } from '../assert.ts'
import { Arena, pageBytes, pageShift } from './arena.ts'

/** What holds a block. `evict` must forget it at once; the pool frees the memory afterwards. */
export interface BlockOwner {
  evict(block: Block): void
}

/** 2^order pages of the arena in somebody's hands. */
export class Block {
  readonly page: number
  readonly order: number
  readonly owner: BlockOwner
  /** Readers that hold views. */
  readers = 0
  /** Pinned by the owner. Change through `PagePool.pin` / `unpin` only. */
  held = true
  queued = false
  /** Forgotten by the owner; freed when the last reader leaves. */
  orphaned = false

  constructor(page: number, order: number, owner: BlockOwner) {
    this.page = page
    this.order = order
    this.owner = owner
  }

  /** Position of the first byte inside `Arena.bytes`. */
  get start(): number {
    return this.page << pageShift
  }

  get byteCount(): number {
    return pageBytes << this.order
  }
}

export class PagePool {
  readonly arena: Arena
  readonly #readReservePages: number
  /** Candidates for eviction, oldest first: a ring that is compacted when its head has moved far. */
  #queue: Block[] = []
  #queueHead = 0
  #evictablePages = 0
  /** Logs that hold memory now; kept by their tail caches. */
  activeLogs = 0
  /** Runs whenever memory may have become available. */
  onRelease: () => void = () => {}

  constructor(arena: Arena, readReservePages: number) {
    this.arena = arena
    this.#readReservePages = readReservePages
  }

  /** Bytes that could be given out now, by evicting everything that is only cached. */
  get availableBytes(): number {
    return (this.arena.freePages + this.#evictablePages) * pageBytes
  }

  /** Bytes that appends may take now. */
  get appendableBytes(): number {
    return Math.max(0, this.availableBytes - this.#readReservePages * pageBytes)
  }

  /**
   * The largest block that a log should take ahead of its need: with many logs growing at the same time, room that each has
   * and does not use is memory that the others wait for. A quarter of what an even split would give.
   */
  get fairOrder(): number {
    const pages = this.arena.pageCount / (4 * Math.max(1, this.activeLogs))
    return pages < 2 ? 0 : 31 - Math.clz32(pages)
  }

  /** A block of at least 2^order pages for a read, evicting what is necessary; undefined when too much is pinned. */
  allocateForRead(order: number, owner: BlockOwner): Block | undefined {
    let page = this.arena.allocate(order)
    while (page < 0 && this.#evictOne()) page = this.arena.allocate(order)
    return page < 0 ? undefined : new Block(page, order, owner)
  }

  /** A block of up to 2^order pages (smaller when memory is scattered) for an append; undefined: append answers `full`. */
  allocateForAppend(order: number, owner: BlockOwner): Block | undefined {
    let wanted = order
    while (wanted > 0 && this.appendableBytes < pageBytes << wanted) wanted--
    if (this.appendableBytes < pageBytes << wanted) return undefined
    let budget = 4 << wanted
    for (;;) {
      const page = this.arena.allocate(wanted)
      if (page >= 0) return new Block(page, wanted, owner)
      const evicted = budget > 0 ? this.#evictOne() : 0
      if (evicted > 0) budget -= evicted
      else if (wanted > 0) {
        wanted--
        budget = 4 << wanted
      } else return undefined
    }
  }

  /** The owner needs the block again. */
  pin(block: Block): void {
    if (block.held) return
    if (block.readers === 0) this.#evictablePages -= 1 << block.order
    block.held = true
  }

  /** The owner keeps the block as cache only. */
  unpin(block: Block): void {
    if (!block.held) return
    block.held = false
    if (block.readers > 0) return
    this.#evictablePages += 1 << block.order
    this.#enqueue(block)
    this.onRelease()
  }

  /** A reader takes views of the block. */
  retain(block: Block): void {
    if (block.readers++ === 0 && !block.held) this.#evictablePages -= 1 << block.order
  }

  release(block: Block): void {
    assert(block.readers > 0, 'a reader releases once')
    if (--block.readers > 0) return
    if (block.orphaned) this.#free(block)
    else if (!block.held) {
      this.#evictablePages += 1 << block.order
      this.#enqueue(block)
    } else return
    this.onRelease()
  }

  /** The owner has forgotten the block: it is freed now, or when its last reader leaves. */
  drop(block: Block): void {
    assert(!block.orphaned, 'a block is dropped once')
    if (!block.held && block.readers === 0) this.#evictablePages -= 1 << block.order
    block.held = true
    block.orphaned = true
    if (block.readers === 0) {
      this.#free(block)
      this.onRelease()
    }
  }

  #free(block: Block): void {
    this.arena.free(block.page, block.order)
  }

  #enqueue(block: Block): void {
    if (block.queued) return
    block.queued = true
    this.#queue.push(block)
  }

  /** Pages freed; 0 when nothing can be evicted. */
  #evictOne(): number {
    while (this.#queueHead < this.#queue.length) {
      const block = this.#queue[this.#queueHead++]!
      if (this.#queueHead > 1024 && this.#queueHead * 2 > this.#queue.length) {
        this.#queue = this.#queue.slice(this.#queueHead)
        this.#queueHead = 0
      }
      block.queued = false
      if (block.held || block.readers > 0 || block.orphaned) continue
      this.#evictablePages -= 1 << block.order
      block.held = true
      block.orphaned = true
      block.owner.evict(block)
      this.#free(block)
      return 1 << block.order
    }
    this.#queue.length = 0
    this.#queueHead = 0
    return 0
  }
}
