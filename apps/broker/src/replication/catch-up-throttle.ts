/**
 * Rates that an operator gives to replicas that catch up, on the leader that sends to them.
 *
 * Only what is sent to a follower that is not in sync counts, and nothing that the group needs: a voter that others wait for,
 * because fewer than a majority are in sync, is sent all it can take. So a rate, however low, costs nobody a place among those
 * in sync and no commit its majority; it makes a move or a return take longer, as long as more is sent than produced.
 *
 * A budget fills with time, up to `SAVED_MS` of its rate. A send takes what is there, or `RUN_BYTES_MIN` when that is more,
 * and the debt is waited for: over a second or more the rate holds, whatever the size of batches.
 */
import type { BrokerId } from './contract.ts'

/** One rate. Sends with the same key share it. */
export interface CatchUpLimit {
  readonly key: string
  readonly bytesPerSecond: number
}

/** Where the rates come from. */
export interface CatchUpThrottle {
  /** What is sent now to `follower`, which is not in sync, counts against all of these; none: not limited. */
  limitsOf(group: string, follower: BrokerId): readonly CatchUpLimit[]
}

/** What must be known of a group. */
export interface ThrottledGroup {
  readonly name: string
  readonly inSync: readonly BrokerId[]
  readonly membership: { readonly voters: readonly BrokerId[] }
}

/** Time for which budgets that nobody uses fill. */
const SAVED_MS = 1_000
/** What a new budget begins with. */
const FIRST_MS = 50
/** Smallest send: below it the cost of reading outweighs what it evens out. */
export const RUN_BYTES_MIN = 64 * 1024
const UNLIMITED: readonly CatchUpLimit[] = []

interface Budget {
  bytes: number
  bytesPerSecond: number
  /** Nobody asked since it was last filled. */
  idle: boolean
}

export class CatchUpBudgets {
  readonly #throttle: CatchUpThrottle | undefined
  readonly #budgets = new Map<string, Budget>()

  constructor(throttle: CatchUpThrottle | undefined) {
    this.#throttle = throttle
  }

  /** The rates that hold for what `group` sends to `follower` now. */
  limitsFor(group: ThrottledGroup, follower: BrokerId): readonly CatchUpLimit[] {
    const limits = this.#throttle?.limitsOf(group.name, follower) ?? UNLIMITED
    return limits.length === 0 || isNeeded(group, follower) ? UNLIMITED : limits
  }

  /** Takes as many of `bytesMax` as there is budget for; 0: none, ask again after the next `refill`. */
  take(limits: readonly CatchUpLimit[], bytesMax: number): number {
    if (limits.length === 0) return bytesMax
    let room = Infinity
    for (const limit of limits) room = Math.min(room, this.#budget(limit).bytes)
    if (room <= 0) return 0
    const taken = Math.min(bytesMax, Math.max(room, RUN_BYTES_MIN))
    this.giveBack(limits, -taken)
    return taken
  }

  /** What was taken and not needed. */
  giveBack(limits: readonly CatchUpLimit[], bytes: number): void {
    for (const limit of limits) this.#budget(limit).bytes += bytes
  }

  refill(elapsedMs: number): void {
    for (const [key, budget] of this.#budgets) {
      const { bytesPerSecond, idle } = budget
      const full = (bytesPerSecond * SAVED_MS) / 1000
      budget.bytes = Math.min(full, budget.bytes + (bytesPerSecond * elapsedMs) / 1000)
      // One that is full again, and that nobody asks for, need not be remembered.
      if (idle && budget.bytes >= full) this.#budgets.delete(key)
      budget.idle = true
    }
  }

  #budget({ key, bytesPerSecond }: CatchUpLimit): Budget {
    let budget = this.#budgets.get(key)
    if (budget === undefined) {
      budget = { bytes: (bytesPerSecond * FIRST_MS) / 1000, bytesPerSecond, idle: false }
      this.#budgets.set(key, budget)
    }
    budget.bytesPerSecond = bytesPerSecond
    budget.idle = false
    return budget
  }
}

/** In sync, or a voter without which there is no majority of those in sync. */
function isNeeded({ inSync, membership }: ThrottledGroup, follower: BrokerId): boolean {
  if (inSync.includes(follower)) return true
  const { voters } = membership
  return voters.includes(follower) && inSync.length <= Math.floor(voters.length / 2)
}
