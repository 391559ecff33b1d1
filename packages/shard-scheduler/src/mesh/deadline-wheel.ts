/**
 * Deadlines of many calls with one timer. A hashed wheel: `SLOT_COUNT` slots of `SLOT_MS` each; an entry hangs in the slot
 * of its deadline in a doubly linked list, so adding and removing cost O(1). The timer waits for the next slot in which
 * something hangs, not for each slot, because waking an idle core costs more than the sweep; it is not called off when
 * entries are removed, so calls that are answered in time set no timer at all after the first. An entry expires at its
 * deadline or up to one slot (10 ms) after it, never before.
 *
 *        slot 0      slot 1      slot 2  ...  slot 255
 *        [a <-> b]   []          [c]          []          a is due this round, b in two rounds: its dueSlot says so
 */
import type { Scheduler } from '../scheduler/scheduler.ts'

export const SLOT_MS = 10
const SLOT_COUNT = 256

/** What waits. Fields are the wheel's own; embed the entry in the object that waits (no allocation of its own). */
export interface WheelEntry {
  /** Absolute slot number, -1 when it does not hang in a wheel. */
  dueSlot: number
  next: WheelEntry | undefined
  previous: WheelEntry | undefined
}

export class DeadlineWheel<Entry extends WheelEntry> {
  readonly #scheduler: Scheduler
  readonly #expire: (entry: Entry) => void
  readonly #heads: (Entry | undefined)[] = new Array<Entry | undefined>(SLOT_COUNT).fill(undefined)
  #count = 0
  /** Slots up to and with this one have been emptied. */
  #sweptSlot = 0
  /** Slot that the timer waits for; `Infinity` when there is none. */
  #armedSlot = Infinity
  #cancelTimer: () => void = () => {}

  /** `expire` is called for each entry that is due, after it left the wheel; it may add entries. */
  constructor(scheduler: Scheduler, expire: (entry: Entry) => void) {
    this.#scheduler = scheduler
    this.#expire = expire
  }

  /** Entries that wait. */
  get count(): number {
    return this.#count
  }

  /** Lets `entry` expire `delayMs` from now. It must not hang in a wheel. */
  add(entry: Entry, delayMs: number): void {
    const now = this.#scheduler.now()
    if (this.#count === 0) this.#sweptSlot = Math.floor(now / SLOT_MS)
    entry.dueSlot = Math.max(Math.ceil((now + delayMs) / SLOT_MS), this.#sweptSlot + 1)
    const slot = entry.dueSlot % SLOT_COUNT
    const head = this.#heads[slot]
    entry.next = head
    entry.previous = undefined
    if (head !== undefined) head.previous = entry
    this.#heads[slot] = entry
    this.#count++
    if (entry.dueSlot < this.#armedSlot) this.#arm(entry.dueSlot, now)
  }

  /** Takes `entry` out. Harmless when it is not in. */
  remove(entry: Entry): void {
    if (entry.dueSlot < 0) return
    if (entry.previous !== undefined) entry.previous.next = entry.next
    else this.#heads[entry.dueSlot % SLOT_COUNT] = entry.next as Entry | undefined
    if (entry.next !== undefined) entry.next.previous = entry.previous
    entry.dueSlot = -1
    entry.next = undefined
    entry.previous = undefined
    this.#count--
  }

  /** Stops the timer. Entries stay; `add` starts it again. */
  stop(): void {
    this.#cancelTimer()
    this.#armedSlot = Infinity
  }

  #arm(slot: number, now: number): void {
    this.#cancelTimer()
    this.#armedSlot = slot
    this.#cancelTimer = this.#scheduler.after(Math.max(slot * SLOT_MS - now, 0), this.#sweep)
  }

  #armNext(): void {
    for (let slot = this.#sweptSlot + 1; slot <= this.#sweptSlot + SLOT_COUNT; slot++) {
      if (this.#heads[slot % SLOT_COUNT] !== undefined) return this.#arm(slot, this.#scheduler.now())
    }
  }

  readonly #sweep = (): void => {
    this.#armedSlot = Infinity
    const nowSlot = Math.floor(this.#scheduler.now() / SLOT_MS)
    // After a long stall every slot is looked at once, not once per missed round.
    const firstSlot = Math.max(this.#sweptSlot + 1, nowSlot - SLOT_COUNT + 1)
    this.#sweptSlot = nowSlot
    const due: Entry[] = []
    for (let slot = firstSlot; slot <= nowSlot; slot++) {
      let entry = this.#heads[slot % SLOT_COUNT]
      for (; entry !== undefined; entry = entry.next as Entry | undefined) {
        if (entry.dueSlot <= nowSlot) due.push(entry)
      }
    }
    for (const entry of due) {
      if (entry.dueSlot < 0) continue // an expiry before it took it out
      this.remove(entry)
      this.#expire(entry)
    }
    if (this.#count > 0) this.#armNext()
  }
}
