/**
 * Counts what is under way: a queue of (last index, bytes), freed from the front up to an index. Used for appends in flight to
 * one follower and for proposals that wait for commit. A ring that grows by doubling; nothing is allocated in between.
 */
import type { Index } from '../entries.ts'

export class ByteWindow {
  count = 0
  bytes = 0
  // Of one length, a power of two; empty until first used, because most groups of a host are idle.
  #lastIndexes: number[] = []
  #sizes: number[] = []
  #head = 0

  /** `lastIndex` is not below the one added before. */
  add(lastIndex: Index, bytes: number): void {
    if (this.count === this.#sizes.length) this.#grow()
    const at = (this.#head + this.count) & (this.#sizes.length - 1)
    this.#lastIndexes[at] = lastIndex
    this.#sizes[at] = bytes
    this.count++
    this.bytes += bytes
  }

  /** Removes what ends at or before `index`. */
  freeTo(index: Index): void {
    while (this.count > 0 && this.#lastIndexes[this.#head]! <= index) {
      this.bytes -= this.#sizes[this.#head]!
      this.#head = (this.#head + 1) & (this.#sizes.length - 1)
      this.count--
    }
  }

  #grow(): void {
    const { length } = this.#sizes
    const lastIndexes: number[] = []
    const sizes: number[] = []
    for (let position = 0; position < length; position++) {
      const from = (this.#head + position) & (length - 1)
      lastIndexes.push(this.#lastIndexes[from]!)
      sizes.push(this.#sizes[from]!)
    }
    for (let position = length; position < Math.max(4, length * 2); position++) {
      lastIndexes.push(0)
      sizes.push(0)
    }
    this.#lastIndexes = lastIndexes
    this.#sizes = sizes
    this.#head = 0
  }
}
