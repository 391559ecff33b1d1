/**
 * Entries that were durable and cannot be read: what waits to be repaired, in ascending ranges. The replica goes on knowing
 * their terms (it votes by what it had) and acknowledges nothing from the first of them on.
 */
import type { Index, IndexRange } from '../entries.ts'

export class DamagedRanges {
  #ranges: IndexRange[]

  constructor(ranges: readonly IndexRange[]) {
    this.#ranges = ranges.filter(({ start, end }) => start < end).sort((left, right) => left.start - right.start)
  }

  /** Indexes that are damaged. */
  get count(): number {
    let count = 0
    for (const { start, end } of this.#ranges) count += end - start
    return count
  }

  get any(): boolean {
    return this.#ranges.length > 0
  }

  get first(): IndexRange | undefined {
    return this.#ranges[0]
  }

  /** All entries below are whole. */
  get intactEnd(): Index {
    return this.#ranges[0]?.start ?? Number.MAX_SAFE_INTEGER
  }

  touches(start: Index, end: Index): boolean {
    return this.#ranges.some(range => range.start < end && start < range.end)
  }

  add(range: IndexRange): void {
    this.removeBetween(range.start, range.end)
    this.#ranges.push(range)
    this.#ranges.sort((left, right) => left.start - right.start)
  }

  /** Nothing in `[start, end)` is damaged any more: repaired, truncated, compacted, or replaced by a snapshot. */
  removeBetween(start: Index, end: Index): void {
    if (this.#ranges.length === 0) return
    this.#ranges = this.#ranges.flatMap(range => [
      ...(range.start < start ? [{ start: range.start, end: Math.min(range.end, start) }] : []),
      ...(range.end > end ? [{ start: Math.max(range.start, end), end: range.end }] : [])
    ])
  }
}
