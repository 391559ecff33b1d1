/**
 * A small deterministic random source (splitmix32) for the simulated disk: the same seed gives the same crash, tear and
 * completion order on every machine. Not for secrets, and not for production code paths.
 */
export class SeededRandom {
  #state: number

  /** Only the low 32 bits of `seed` count. */
  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** A 32-bit unsigned integer. */
  nextUint32(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }

  /** An integer in [0, bound); `bound` is at least 1. */
  below(bound: number): number {
    return Math.floor((this.nextUint32() / 0x1_0000_0000) * bound)
  }

  /** True with this probability, in [0, 1]. */
  chance(probability: number): boolean {
    return this.nextUint32() / 0x1_0000_0000 < probability
  }

  /** Reorders in place (Fisher-Yates). */
  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const other = this.below(i + 1)
      const item = items[i] as T
      items[i] = items[other] as T
      items[other] = item
    }
    return items
  }

  /** An independent source, so that one consumer's draws do not shift another's. */
  fork(): SeededRandom {
    return new SeededRandom(this.nextUint32())
  }
}
