/**
 * Which groups are due at which tick, so that a shard with ten thousand sleeping groups looks at none of them. Buckets by tick
 * modulo their number; what is due later than one turn of the wheel passes its bucket until its time has come.
 */
const BUCKET_COUNT = 64

export interface Due {
  /** Tick at which it is due; `Infinity` when never. Kept by the wheel. */
  dueAt: number
}

export class TickWheel<Item extends Due> {
  readonly #buckets: Set<Item>[] = Array.from({ length: BUCKET_COUNT }, () => new Set<Item>())

  /** Sets when `item` is due, instead of what was set before. */
  schedule(item: Item, dueAt: number): void {
    if (item.dueAt === dueAt) return
    this.remove(item)
    item.dueAt = dueAt
    if (dueAt !== Infinity) this.#bucket(dueAt).add(item)
  }

  remove(item: Item): void {
    if (item.dueAt !== Infinity) this.#bucket(item.dueAt).delete(item)
    item.dueAt = Infinity
  }

  /** Takes out what is due at `tick`. Call for every tick, in order. */
  take(tick: number): Item[] {
    const due: Item[] = []
    for (const item of this.#bucket(tick)) if (item.dueAt <= tick) due.push(item)
    for (const item of due) this.remove(item)
    return due
  }

  #bucket(tick: number): Set<Item> {
    return this.#buckets[tick % BUCKET_COUNT]!
  }
}
