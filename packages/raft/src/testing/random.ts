/**
 * Chance for tests: the same seed gives the same numbers.
 */

/** Draws an integer in `[0, bound)`; 0 when `bound` is 0. */
export type Random = (bound: number) => number

/** Mulberry32, a generator of 32 bits of state. */
export function seededRandom(seed: number): Random {
  let state = seed | 0
  return bound => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * bound)
  }
}
