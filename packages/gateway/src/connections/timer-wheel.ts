/**
 * All timeouts of a gateway on one timer.
 *
 * A hashed wheel: an entry sits in the slot of its deadline's tick, in an intrusive list, so adding and removing costs a few
 * pointer writes and no allocation. The clock's timer is armed only for the next slot that holds an entry; an idle gateway
 * does not wake up. Entries due in a later revolution stay in their slot. Deadlines are late by at most one tick, never early.
 */
import type { ClockPort } from '../ports.ts'
import { TIMER_TICK_MS } from '../settings.ts'

const SLOT_COUNT = 1024
const SLOT_MASK = SLOT_COUNT - 1

/** Something that can be due. Owned by whoever waits; in the wheel at most once. */
export class TimerEntry {
  /** Monotonic ms; meaningful while `armed`. */
  deadline = 0
  next: TimerEntry | null = null
  previous: TimerEntry | null = null
  slot = -1
  readonly onDue: () => void

  /** `onDue` runs once when the deadline has passed; the entry is out of the wheel by then and may be armed again. */
  constructor(onDue: () => void) {
    this.onDue = onDue
  }

  get armed(): boolean {
    return this.slot >= 0
  }
}

export class TimerWheel {
  readonly #clock: ClockPort
  readonly #slots: (TimerEntry | null)[] = new Array<TimerEntry | null>(SLOT_COUNT).fill(null)
  #entryCount = 0
  /** Every tick before this one has been looked at. */
  #cursorTick: number
  #armedTick = Infinity
  #cancel: (() => void) | null = null

  constructor(clock: ClockPort) {
    this.#clock = clock
    this.#cursorTick = this.#tickOf(clock.monotonic())
  }

  get entryCount(): number {
    return this.#entryCount
  }

  /** Makes `entry` due in `delayMs`, moving it when it is armed already. */
  arm(entry: TimerEntry, delayMs: number): void {
    if (entry.slot >= 0) this.disarm(entry)
    const now = this.#clock.monotonic()
    if (this.#entryCount === 0) this.#cursorTick = this.#tickOf(now)
    entry.deadline = now + delayMs
    const tick = Math.max(this.#tickOf(entry.deadline) + 1, this.#cursorTick)
    const slot = tick & SLOT_MASK
    const head = this.#slots[slot] ?? null
    entry.slot = slot
    entry.previous = null
    entry.next = head
    if (head !== null) head.previous = entry
    this.#slots[slot] = entry
    this.#entryCount++
    if (tick < this.#armedTick) this.#armTimer(tick, now)
  }

  /** Takes `entry` out; no effect when it is not in. */
  disarm(entry: TimerEntry): void {
    if (entry.slot < 0) return
    if (entry.previous !== null) entry.previous.next = entry.next
    else this.#slots[entry.slot] = entry.next
    if (entry.next !== null) entry.next.previous = entry.previous
    entry.next = null
    entry.previous = null
    entry.slot = -1
    this.#entryCount--
  }

  /** Forgets every entry and the timer. */
  close(): void {
    this.#cancel?.()
    this.#cancel = null
    this.#slots.fill(null)
    this.#entryCount = 0
  }

  #tickOf(ms: number): number {
    return Math.floor(ms / TIMER_TICK_MS)
  }

  #armTimer(tick: number, now: number): void {
    this.#cancel?.()
    this.#armedTick = tick
    this.#cancel = this.#clock.after(Math.max(1, tick * TIMER_TICK_MS - now), this.#onTimer)
  }

  readonly #onTimer = (): void => {
    this.#cancel = null
    this.#armedTick = Infinity
    const now = this.#clock.monotonic()
    const nowTick = this.#tickOf(now)
    const slotCount = Math.min(nowTick - this.#cursorTick + 1, SLOT_COUNT)
    const firstTick = nowTick - slotCount + 1
    this.#cursorTick = nowTick + 1
    for (let i = 0; i < slotCount; i++) this.#visit((firstTick + i) & SLOT_MASK, now)
    this.#armNext(now)
  }

  #visit(slot: number, now: number): void {
    // Entries are moved to a list of their own first: what they do when due may arm or disarm any other.
    let due: TimerEntry[] | null = null
    for (let entry = this.#slots[slot] ?? null; entry !== null; entry = entry.next) {
      if (entry.deadline <= now) (due ??= []).push(entry)
    }
    if (due === null) return
    for (const entry of due) {
      if (entry.slot !== slot || entry.deadline > now) continue
      this.disarm(entry)
      entry.onDue()
    }
  }

  #armNext(now: number): void {
    if (this.#entryCount === 0) return
    for (let i = 0; i < SLOT_COUNT; i++) {
      const tick = this.#cursorTick + i
      if (tick >= this.#armedTick) return
      if (this.#slots[tick & SLOT_MASK] !== null) return this.#armTimer(tick, now)
    }
  }
}
