/**
 * Tells when this shard's event loop was held up: while one task runs, nothing else on the core does, and every client of
 * the shard waits. A timer compares when it ran with when it was due; the difference is the stall, less at most one interval.
 * On a busy loop it looks every 10 ms, which costs a callback in a turn that runs anyway. On an idle loop each look wakes the
 * core (0.14 ms of CPU here: 10 ms intervals would cost 1.4 % of a core for nothing), so it looks every 100 ms until the loop
 * is busy again: the first stall after a rest may be seen short, or not at all when it is below 125 ms.
 *
 * What it cannot tell is *what* ran; an inspector in every shard could, at a price. A shard that wants to know sets `task`
 * before it begins something long: the name in force at the end of the stall is reported with it.
 */
import type { Scheduler } from './scheduler.ts'

/** A stall that has ended. */
export interface Stall {
  /** How long nothing else ran, milliseconds: at least this, at most an interval more. */
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
/** How often a busy loop is looked at, milliseconds. */
const BUSY_INTERVAL_MS = 10
/** How often an idle loop is looked at, milliseconds. */
const IDLE_INTERVAL_MS = 100
/** A loop that rested for a larger share of the last interval is idle. */
const IDLE_SHARE = 0.9

export class StallDetector {
  /** What this shard is busy with; free text, set by whoever begins something that may take long. */
  task = ''
  readonly #scheduler: Scheduler
  #thresholdMs = STALL_THRESHOLD_MS
  #onStall: (stall: Stall) => void = () => {}
  #stallCount = 0
  #stalledMs = 0
  #longestMs = 0
  readonly #idleMs: () => number
  #armedMs = 0
  #armedIdleMs = 0
  #dueMs = 0
  #cancel: (() => void) | undefined

  /**
   * @param idleMs Milliseconds that the loop has spent waiting since some moment (`performance.eventLoopUtilization().idle`).
   *   Without it the loop counts as busy.
   */
  constructor(scheduler: Scheduler, idleMs: () => number = () => 0) {
    this.#scheduler = scheduler
    this.#idleMs = idleMs
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
    if (this.#cancel === undefined) this.#arm(BUSY_INTERVAL_MS)
  }

  /** Ends watching. Counters stay. */
  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  #arm(intervalMs: number): void {
    this.#armedMs = this.#scheduler.now()
    this.#armedIdleMs = this.#idleMs()
    this.#dueMs = this.#armedMs + intervalMs
    this.#cancel = this.#scheduler.after(intervalMs, this.#look)
  }

  readonly #look = (): void => {
    const nowMs = this.#scheduler.now()
    const durationMs = nowMs - this.#dueMs
    const idle = this.#idleMs() - this.#armedIdleMs > (nowMs - this.#armedMs) * IDLE_SHARE
    if (durationMs >= this.#thresholdMs) {
      this.#stallCount++
      this.#stalledMs += durationMs
      this.#longestMs = Math.max(this.#longestMs, durationMs)
      this.#onStall({ durationMs, task: this.task })
    }
    this.#arm(idle ? IDLE_INTERVAL_MS : BUSY_INTERVAL_MS)
  }
}
