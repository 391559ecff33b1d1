/**
 * Chance, from one seed. Every concern has a stream of its own, named: a draw more in one place does not shift the others, so
 * a run keeps its shape while code is added to it, and a fault can be taken away without changing the rest.
 *
 * The generator is sfc32 (Doty-Humphrey), good and fast; not for secrets.
 */

/** One stream of random numbers. */
export class Random {
  #a: number
  #b: number
  #c: number
  #counter = 1

  /** Two 32-bit numbers make the stream. */
  constructor(high: number, low: number) {
    this.#a = high | 0
    this.#b = low | 0
    this.#c = (high ^ (low << 7)) | 0
    for (let warmUp = 0; warmUp < 12; warmUp++) this.uint32()
  }

  /** An integer in [0, 2^32). */
  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    return sum >>> 0
  }

  /** A number in [0, 1). */
  fraction(): number {
    return this.uint32() / 0x1_0000_0000
  }

  /** An integer in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.fraction() * bound)
  }

  /** An integer in [least, most]. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1)
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.fraction() < probability
  }

  /** A waiting time of a process without memory. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.fraction())
  }

  /** Between `least` and `most`, every order of magnitude alike. */
  logUniform(least: number, most: number): number {
    return least * (most / least) ** this.fraction()
  }

  /** One of `items`, which is not empty. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T
  }

  /** A new array in another order. */
  shuffled<T>(items: readonly T[]): T[] {
    const copy = items.slice()
    for (let i = copy.length - 1; i > 0; i--) {
      const other = this.below(i + 1)
      const item = copy[i] as T
      copy[i] = copy[other] as T
      copy[other] = item
    }
    return copy
  }
}

/** The streams of a run. */
export class RandomStreams {
  readonly #seed: number

  /** `seed`: a safe integer. */
  constructor(seed: number) {
    this.#seed = seed
  }

  /** The stream of a concern: the same name gives the same numbers, from the start. */
  of(concern: string): Random {
    return new Random(...hashString(`${this.#seed}/${concern}`))
  }
}

/** 64 bits of a string, as two numbers of 32 (cyrb53's mixing). */
export function hashString(text: string): [number, number] {
  let high = 0xdeadbeef
  let low = 0x41c6ce57
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    high = Math.imul(high ^ code, 0x9e3779b1)
    low = Math.imul(low ^ code, 0x5f356495)
  }
  high = Math.imul(high ^ (high >>> 16), 0x85ebca6b) ^ Math.imul(low ^ (low >>> 13), 0xc2b2ae35)
  low = Math.imul(low ^ (low >>> 16), 0x85ebca6b) ^ Math.imul(high ^ (high >>> 13), 0xc2b2ae35)
  return [high >>> 0, low >>> 0]
}
