/**
 * How messages name a group: by a hash of its name, 53 bits to look it up and 32 more to check, so that a message costs no
 * text. Two groups of one shard with the same key are refused at opening; two of different shards never answer each other
 * because of the check.
 */
import { createHash } from 'node:crypto'

export interface GroupKey {
  /** Safe integer. */
  readonly key: number
  /** Unsigned, 32 bits. */
  readonly check: number
}

export function groupKeyOf(name: string): GroupKey {
  const digest = createHash('sha256').update(name).digest()
  return { key: digest.readUIntBE(0, 6) * 32 + (digest[6]! >>> 3), check: digest.readUInt32BE(7) }
}
