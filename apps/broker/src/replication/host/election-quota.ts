/**
 * How many groups of a shard may stand for election at the same time. When very many lose their leader at once, or begin at
 * once, those that stand together must get their answers before they give up: an election that takes longer than its timeout
 * is begun again and again, and none ends. Slots come free as elections end, so the rate adapts to how fast they do; who gets
 * no majority holds a slot for a while only.
 */
const STANDING_MAX = 400
/** Ticks after which a group that still stands gives its slot to others. */
const SLOT_TICKS = 10

export class ElectionQuota<Group> {
  /** Groups that stand, and since when; in the order in which they began. */
  readonly #standing = new Map<Group, number>()

  get isFull(): boolean {
    return this.#standing.size >= STANDING_MAX
  }

  /** Whether it stands now, as seen at `tick`. */
  note(group: Group, stands: boolean, tick: number): void {
    if (!stands) this.#standing.delete(group)
    else if (!this.#standing.has(group)) this.#standing.set(group, tick)
  }

  /** Frees the slots of those who have stood for long. */
  expire(tick: number): void {
    for (const [group, since] of this.#standing) {
      if (tick - since < SLOT_TICKS) return
      this.#standing.delete(group)
    }
  }
}
