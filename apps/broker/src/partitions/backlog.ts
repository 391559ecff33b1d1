/** Batches that wait, as copies, for the log to take them, and the memory that all partitions of a shard may use for that. */

/** Memory that waiting batches of all partitions of a shard may take. */
export class BacklogBudget {
  readonly bytesMax: number
  #bytes = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  take(bytes: number): boolean {
    if (this.#bytes + bytes > this.bytesMax) return false
    this.#bytes += bytes
    return true
  }

  give(bytes: number): void {
    this.#bytes -= bytes
  }
}

/** The batches of one partition, in order. */
export class Backlog {
  readonly #budget: BacklogBudget
  #batches: Uint8Array[] = []

  constructor(budget: BacklogBudget) {
    this.#budget = budget
  }

  get isEmpty(): boolean {
    return this.#batches.length === 0
  }

  get first(): Uint8Array | undefined {
    return this.#batches[0]
  }

  /** Keeps a copy; false: the shard's memory for that is used up. */
  add(batch: Uint8Array): boolean {
    if (!this.#budget.take(batch.length)) return false
    this.#batches.push(new Uint8Array(batch))
    return true
  }

  dropFirst(): void {
    const batch = this.#batches.shift()
    if (batch !== undefined) this.#budget.give(batch.length)
  }

  clear(): void {
    for (const batch of this.#batches) this.#budget.give(batch.length)
    this.#batches = []
  }
}
