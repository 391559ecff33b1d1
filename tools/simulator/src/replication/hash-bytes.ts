/**
 * Hash of bytes, 48 bits: to tell batches apart, not against anybody. A run compares some ten thousand batches with each other
 * and a night some million runs: 32 bits take two of them for the same one every few hundred runs.
 */
import { createHash } from 'node:crypto'

/** A whole number below 2^48. `initial`: the hash of what came before. */
export function hashBytes(bytes: Uint8Array, initial = 0): number {
  return createHash('sha1').update(bytes).update(String(initial)).digest().readUIntBE(0, 6)
}
