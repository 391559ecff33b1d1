/** Random ids from a seed, as production makes them of unpredictable bytes. */
import type { Random } from '../world/random.ts'

/** `count` random bytes. */
export function randomBytesOf(random: Random, count: number): Uint8Array {
  return new Uint8Array(count).map(() => random.below(256))
}

/** 22 characters of base64url, never one that tools would take for an option. */
export function randomId(random: Random): string {
  for (;;) {
    const id = Buffer.from(randomBytesOf(random, 16)).toString('base64url')
    if (!id.startsWith('-')) return id
  }
}
