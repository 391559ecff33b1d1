/**
 * Whether this shard's disk is too slow to lead with: for seconds on end, majorities have records durable that are not durable
 * here yet.
 *
 *   committed ─────────────────────●   by the followers' disks
 *   flushed   ────────●            │   here
 *                     └── behind: more than what was committed one look ago
 *
 * Compared with the others and not with a clock: where all disks stall together, or nothing is written, or a commit needs this
 * disk too, nobody is better off elsewhere. A stall of a second or two is over before it counts; disks do that.
 */
import type { ReplicatedLog } from '../../replication/contract.ts'

/** Time between two looks, ms; so much later than at a majority records are durable here, at least, to count as behind. */
export const SLOW_DISK_LOOK_MS = 250
/** Looks behind after which leadership is handed over: 3 s. */
const LOOKS_BEHIND = 12
/** Looks that one without anything behind takes back. */
const LOOKS_FORGIVEN = 3

/** What of a group is looked at. */
export type WatchedGroup = Pick<ReplicatedLog, 'name' | 'role' | 'committedOffset'> & {
  readonly log: Pick<ReplicatedLog['log'], 'flushedOffset'>
}

export class SlowDisk {
  /** Groups led here that had more committed than durable here at the last look, with what was committed. */
  #ahead = new Map<string, number>()
  #looksBehind = 0

  /** Looks at the groups of the shard, every `SLOW_DISK_LOOK_MS`. True: whoever else can should lead; it is judged anew then. */
  look(groups: Iterable<WatchedGroup>): boolean {
    const before = this.#ahead
    this.#ahead = new Map()
    let isBehind = false
    for (const { name, role, committedOffset, log } of groups) {
      if (role !== 'leader' || log.flushedOffset >= committedOffset) continue
      this.#ahead.set(name, committedOffset)
      isBehind ||= log.flushedOffset < (before.get(name) ?? 0)
    }
    this.#looksBehind = isBehind ? this.#looksBehind + 1 : Math.max(0, this.#looksBehind - LOOKS_FORGIVEN)
    if (this.#looksBehind < LOOKS_BEHIND) return false
    this.#looksBehind = 0
    return true
  }
}
