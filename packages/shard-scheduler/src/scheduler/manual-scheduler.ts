/**
 * `Scheduler` that moves only when a test moves it: turns run in the order in which they were asked for, timers in the order
 * of their time. Two runs of the same test do the same.
 */
import assert from 'node:assert'
import type { Scheduler } from './scheduler.ts'

/** Turns after which `settle` gives up: something asks for a turn in every turn. */
const TURN_COUNT_MAX = 100_000

interface Timer {
  readonly dueMs: number
  readonly task: () => void
}

export class ManualScheduler implements Scheduler {
  #nowMs = 0
  #turns: (() => void)[] = []
  readonly #timers = new Set<Timer>()

  now(): number {
    return this.#nowMs
  }

  nextTurn(task: () => void): void {
    this.#turns.push(task)
  }

  after(delayMs: number, task: () => void): () => void {
    const timer = { dueMs: this.#nowMs + delayMs, task }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  /** Timers that wait. */
  get timerCount(): number {
    return this.#timers.size
  }

  /** Runs turns, and the promise jobs that they cause, until nothing is left to do now. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < TURN_COUNT_MAX; turn++) {
      await drainPromiseJobs()
      const tasks = this.#turns
      if (tasks.length === 0) return
      this.#turns = []
      for (const task of tasks) task()
    }
    assert.fail(`work left after ${TURN_COUNT_MAX} turns`)
  }

  /** Moves the clock on by `durationMs`, running what becomes due, each timer at its own time. */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs
    await this.settle()
    for (let timer = this.#earliest(endMs); timer !== undefined; timer = this.#earliest(endMs)) {
      this.#timers.delete(timer)
      this.#nowMs = Math.max(this.#nowMs, timer.dueMs)
      timer.task()
      await this.settle()
    }
    this.#nowMs = endMs
  }

  /** Moves the clock without running anything, as a loop that is held up does. */
  stall(durationMs: number): void {
    this.#nowMs += durationMs
  }

  #earliest(endMs: number): Timer | undefined {
    let earliest: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.dueMs <= endMs && (earliest === undefined || timer.dueMs < earliest.dueMs)) earliest = timer
    }
    return earliest
  }
}

/** Lets chains of promises run to their end: one turn of the real loop comes after all of them. */
function drainPromiseJobs(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
