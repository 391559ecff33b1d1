/**
 * Decides when operations of the simulated disk complete. With a scheduler each completes after its own latency in virtual
 * time; without one, operations in flight complete in microtasks, in an order that the seed draws. Never on its own timer.
 */
import type { SeededRandom } from '../seeded-random.ts'

/** Virtual (or real) time, given by the host: runs `callback` once, `delayMs` from now, never inside the call. */
export interface DiskScheduler {
  schedule(delayMs: number, callback: () => void): void
}

export class Completions {
  readonly #scheduler: DiskScheduler | undefined
  readonly #random: SeededRandom
  readonly #waiting: (() => void)[] = []
  #draining = false

  constructor(random: SeededRandom, scheduler: DiskScheduler | undefined) {
    this.#random = random
    this.#scheduler = scheduler
  }

  add(delayMs: number, complete: () => void): void {
    if (this.#scheduler !== undefined) {
      this.#scheduler.schedule(delayMs, complete)
      return
    }
    this.#waiting.push(complete)
    if (this.#draining) return
    this.#draining = true
    queueMicrotask(() => this.#drain())
  }

  /** One completion per microtask, so that whoever waited for it can issue the next operation among those in flight. */
  #drain(): void {
    const [complete] = this.#waiting.splice(this.#random.below(this.#waiting.length), 1)
    if (this.#waiting.length > 0) queueMicrotask(() => this.#drain())
    else this.#draining = false
    complete?.()
  }
}
