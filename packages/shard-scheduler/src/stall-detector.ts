/**
 * Tells when this shard's event loop was held up: while one task runs, nothing else on the core does, and every client of
 * the shard waits. A timer that is due every `intervalMs` compares when it ran with when it was due; the difference is the
 * stall, less at most one interval. That costs one short callback per interval on an idle loop and nothing per request. (A
 * 1 ms sampler, `monitorEventLoopDelay` at its default or a watching thread would see more and cost 10 to 100 times as much.)
 *
 * What it cannot tell is *what* ran. A shard that wants to know sets `task` before it begins something long: the name in
 * force at the end of the stall is reported with it.
 */
import type { Scheduler } from './scheduler.ts'

/** A stall that has ended. */
export interface Stall {
  /** How long nothing else ran, milliseconds: at least this, at most `intervalMs` more. */
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

export interface StallDetectorOptions {
  readonly scheduler: Scheduler
  /** Stalls from this length on are reported, milliseconds. Default 25. */
  readonly thresholdMs?: number
  /** How often the loop is looked at, milliseconds. Default 10. */
  readonly intervalMs?: number
  /** Called once for each stall, right after it. */
  readonly onStall?: (stall: Stall) => void
}

export class StallDetector {
  /** What this shard is busy with; free text, set by whoever begins something that may take long. */
  task = ''
  readonly #scheduler: Scheduler
  readonly #thresholdMs: number
  readonly #intervalMs: number
  readonly #onStall: (stall: Stall) => void
  #stallCount = 0
  #stalledMs = 0
  #longestMs = 0
  #dueMs = 0
  #cancel: (() => void) | undefined

  constructor(options: StallDetectorOptions) {
    this.#scheduler = options.scheduler
    this.#thresholdMs = options.thresholdMs ?? 25
    this.#intervalMs = options.intervalMs ?? 10
    this.#onStall = options.onStall ?? (() => {})
  }

  get counters(): StallCounters {
    return { stallCount: this.#stallCount, stalledMs: this.#stalledMs, longestMs: this.#longestMs }
  }

  /** Begins to watch. Harmless when it watches. */
  start(): void {
    if (this.#cancel === undefined) this.#arm()
  }

  /** Ends watching. Counters stay. */
  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  #arm(): void {
    this.#dueMs = this.#scheduler.now() + this.#intervalMs
    this.#cancel = this.#scheduler.after(this.#intervalMs, this.#look)
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
