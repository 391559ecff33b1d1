/**
 * The page memory of a shard: one stretch of aligned memory, taken once, cut into 4 KiB pages by a buddy allocator.
 *
 * A *block* is 2^order pages, aligned to its own size inside the arena. `allocate` and `free` cost a few array accesses and
 * never touch the blocks themselves (fresh guest memory is dear to fault: about one second a GB), so freed memory is given
 * out again as it is; whoever needs zeros writes them.
 *
 * Free blocks of one order form a doubly linked list through typed arrays, indexed by their first page.
 */
import { assert } from '../assert.ts'

/** Bytes of a page; the unit of allocation and of O_DIRECT transfers. */
export const pageBytes = 4096
/** log2(pageBytes). */
export const pageShift = 12

const none = -1

/** Smallest order whose blocks hold `bytes`. */
export function orderFor(bytes: number): number {
  const pages = Math.ceil(bytes / pageBytes)
  return pages <= 1 ? 0 : 32 - Math.clz32(pages - 1)
}

export class Arena {
  /** All of the memory. Owned by whoever allocated it; must outlive the arena. */
  readonly bytes: Uint8Array
  readonly pageCount: number
  /** Pages that no block holds. */
  freePages = 0
  readonly #next: Int32Array
  readonly #previous: Int32Array
  /** Order of the free block that starts at a page; `none` elsewhere. */
  readonly #freeOrder: Int8Array
  readonly #heads: Int32Array
  readonly #orderMax: number

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.pageCount = Math.floor(bytes.length / pageBytes)
    assert(this.pageCount > 0, 'an arena needs at least one page')
    this.#next = new Int32Array(this.pageCount).fill(none)
    this.#previous = new Int32Array(this.pageCount).fill(none)
    this.#freeOrder = new Int8Array(this.pageCount).fill(none)
    this.#orderMax = 31 - Math.clz32(this.pageCount)
    this.#heads = new Int32Array(this.#orderMax + 1).fill(none)
    this.#freeAll()
  }

  /** First page of a block of 2^order pages, or -1 when there is none. */
  allocate(order: number): number {
    let found = order
    while (found <= this.#orderMax && this.#heads[found] === none) found++
    if (found > this.#orderMax) return none
    const page = this.#heads[found]!
    this.#unlink(page, found)
    while (found > order) {
      found--
      this.#link(page + (1 << found), found)
    }
    this.freePages -= 1 << order
    return page
  }

  /** Gives back a block exactly as `allocate` gave it. */
  free(page: number, order: number): void {
    assert(this.#freeOrder[page] === none, 'a block is freed once')
    this.freePages += 1 << order
    let start = page
    let merged = order
    while (merged < this.#orderMax) {
      const buddy = start ^ (1 << merged)
      if (buddy + (1 << merged) > this.pageCount || this.#freeOrder[buddy] !== merged) break
      this.#unlink(buddy, merged)
      if (buddy < start) start = buddy
      merged++
    }
    this.#link(start, merged)
  }

  #freeAll(): void {
    let page = 0
    while (page < this.pageCount) {
      let order = page === 0 ? this.#orderMax : Math.min(this.#orderMax, 31 - Math.clz32(page & -page))
      while (page + (1 << order) > this.pageCount) order--
      this.#link(page, order)
      page += 1 << order
    }
    this.freePages = this.pageCount
  }

  #link(page: number, order: number): void {
    const head = this.#heads[order]!
    this.#next[page] = head
    this.#previous[page] = none
    if (head !== none) this.#previous[head] = page
    this.#heads[order] = page
    this.#freeOrder[page] = order
  }

  #unlink(page: number, order: number): void {
    const next = this.#next[page]!
    const previous = this.#previous[page]!
    if (previous === none) this.#heads[order] = next
    else this.#next[previous] = next
    if (next !== none) this.#previous[next] = previous
    this.#freeOrder[page] = none
  }
}
