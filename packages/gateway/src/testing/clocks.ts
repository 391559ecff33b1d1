/** Clocks for tests and for hosts that have no better one: the machine's, and one that a test moves by hand. */
/* Real implementation of a port: SystemClock uses Node's timers. */
import type { ClockPort } from '../ports.ts'

export class SystemClock implements ClockPort {
  now(): number {
    return Date.now()
  }

  monotonic(): number {
    return performance.now()
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = setTimeout(callback, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  }
}

interface Alarm {
  readonly dueMs: number
  readonly callback: () => void
}

/** Time stands still but for `advance`. */
export class ManualClock implements ClockPort {
  #nowMs: number
  #alarms: Alarm[] = []

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs
  }

  now(): number {
    return this.#nowMs
  }

  monotonic(): number {
    return this.#nowMs
  }

  after(delayMs: number, callback: () => void): () => void {
    const alarm = { dueMs: this.#nowMs + Math.max(0, delayMs), callback }
    this.#alarms.push(alarm)
    return () => {
      this.#alarms = this.#alarms.filter(other => other !== alarm)
    }
  }

  /** Alarms that are set. */
  get alarmCount(): number {
    return this.#alarms.length
  }

  /** Moves time on, running alarms in order, each at its own time; those they set included. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms
    for (;;) {
      const next = this.#alarms.reduce<Alarm | null>((first, alarm) => {
        return alarm.dueMs <= endMs && (first === null || alarm.dueMs < first.dueMs) ? alarm : first
      }, null)
      if (next === null) break
      this.#alarms = this.#alarms.filter(alarm => alarm !== next)
      this.#nowMs = next.dueMs
      next.callback()
    }
    this.#nowMs = endMs
  }
}
