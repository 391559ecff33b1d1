/**
 * Tells when this shard's event loop was held up: while one task runs, nothing else on the core does, and every client of
 * the shard waits. A timer that is due every `INTERVAL_MS` compares when it ran with when it was due; the difference is the
 * stall, less at most one interval. That costs one short callback per interval on an idle loop and nothing per request. (A
 * 1 ms sampler, `monitorEventLoopDelay` at its default or a watching thread would see more and cost 10 to 100 times as much.)
 *
 * What it cannot tell is *what* ran. A shard that wants to know sets `task` before it begins something long: the name in
 * force at the end of the stall is reported with it.
 */
import type { Scheduler } from './scheduler.ts'

/** A stall that has ended. */
export interface Stall {
  /** How long nothing else ran, milliseconds: at least this, at most `INTERVAL_MS` more. */
  readonly durationMs: number
  /** `task` as it was set when the stall was noticed. */
  readonly task: string
}

/** Totals since the detector started. */
export interface StallCounters {
  /** Stalls at or above the threshold. */
  readonly stallCount: number
  /** Their summed length, milliseconds. */
  readonly stalledMs: number
  /** The longest one, milliseconds. */
  readonly longestMs: number
}

/** Stalls from this length on count, unless `watch` says otherwise, milliseconds. */
export const STALL_THRESHOLD_MS = 25
/** How often the loop is looked at, milliseconds. */
const INTERVAL_MS = 10

export class StallDetector {
  /** What this shard is busy with; free text, set by whoever begins something that may take long. */
  task = ''
  readonly #scheduler: Scheduler
  #thresholdMs = STALL_THRESHOLD_MS
  #onStall: (stall: Stall) => void = () => {}
  #stallCount = 0
  #stalledMs = 0
  #longestMs = 0
  #dueMs = 0
  #cancel: (() => void) | undefined

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  get counters(): StallCounters {
    return { stallCount: this.#stallCount, stalledMs: this.#stalledMs, longestMs: this.#longestMs }
  }

  /**
   * Watches from now on, and calls `onStall` after each stall of `thresholdMs` or more. Called again, it replaces threshold
   * and listener; counters go on.
   */
  watch(thresholdMs = STALL_THRESHOLD_MS, onStall: (stall: Stall) => void = () => {}): void {
    this.#thresholdMs = thresholdMs
    this.#onStall = onStall
    if (this.#cancel === undefined) this.#arm()
  }

  /** Ends watching. Counters stay. */
  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  #arm(): void {
    this.#dueMs = this.#scheduler.now() + INTERVAL_MS
    this.#cancel = this.#scheduler.after(INTERVAL_MS, this.#look)
  }

  readonly #look = (): void => {
    const durationMs = this.#scheduler.now() - this.#dueMs
    if (durationMs >= this.#thresholdMs) {
      this.#stallCount++
      this.#stalledMs += durationMs
      this.#longestMs = Math.max(this.#longestMs, durationMs)
      this.#onStall({ durationMs, task: this.task })
    }
    this.#arm()
  }
}
