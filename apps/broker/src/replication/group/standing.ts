/**
 * When a replica stands for election sooner than its silence would tell: because the link to its leader's shard broke, or because
 * it should lead a group that is new. Only a wish: who still hears the leader refuses.
 */

/**
 * Ticks from the break of the link to an election, for each voter that goes first: those who lost the same link stand one after
 * the other, since two that stand together may split the votes and wait for a whole election timeout.
 */
const TICKS_PER_RANK = 3
/** Ticks, at most, added at random. */
const RANDOM_TICKS = 2
/** How often, and after how many ticks each, the preferred leader of a new group stands: the others may not have opened it yet. */
const EAGER_COUNT = 8
const EAGER_TICKS = 2

export class Standing {
  /** Tick at which it stands; `Infinity` for never. */
  at = Infinity
  #eagerLeft = 0

  /** `rank` voters go first. */
  linkBroke(tick: number, rank: number, random: (bound: number) => number): void {
    this.at = tick + 1 + rank * TICKS_PER_RANK + random(RANDOM_TICKS)
  }

  /** It stands now, and again and again for a while. */
  beginEagerly(tick: number): void {
    this.#eagerLeft = EAGER_COUNT
    this.at = tick
  }

  /** Whether its time has come. */
  takeDue(tick: number): boolean {
    if (tick < this.at) return false
    this.at = this.#eagerLeft-- > 0 ? tick + EAGER_TICKS : Infinity
    return true
  }

  /** Somebody leads. */
  callOff(): void {
    this.at = Infinity
    this.#eagerLeft = 0
  }
}
