/**
 * Ticks, counted by what the scheduler's clock says, not by how often a timer ran: a loop that was held up learns how many it
 * missed, and the next tick is due when it would have been anyway.
 */
import type { Scheduler } from '@milena/shard-scheduler'

/** Milliseconds of a tick. */
export const TICK_MS = 50

export class TickClock {
  readonly #scheduler: Pick<Scheduler, 'now' | 'after'>
  readonly #onTicks: (count: number) => void
  /** When the last tick that was counted was due. */
  #tickedMs: number
  #cancel: () => void = () => undefined
  #stopped = false

  /** `onTicks` is told how many ticks passed, one or more. Runs until `stop`. */
  constructor(scheduler: Pick<Scheduler, 'now' | 'after'>, onTicks: (count: number) => void) {
    this.#scheduler = scheduler
    this.#onTicks = onTicks
    this.#tickedMs = scheduler.now()
    this.#arm()
  }

  stop(): void {
    this.#stopped = true
    this.#cancel()
  }

  #arm(): void {
    const delayMs = Math.max(1, this.#tickedMs + TICK_MS - this.#scheduler.now())
    this.#cancel = this.#scheduler.after(delayMs, () => {
      if (this.#stopped) return
      this.#count()
      this.#arm()
    })
  }

  #count(): void {
    const count = Math.floor((this.#scheduler.now() - this.#tickedMs) / TICK_MS)
    if (count <= 0) return
    this.#tickedMs += count * TICK_MS
    this.#onTicks(count)
  }
}
