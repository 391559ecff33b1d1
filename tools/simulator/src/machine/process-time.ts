/**
 * Time and turns as one process sees them: every port through which code of ours waits. A process can be held up (its turns
 * and timers wait, its clocks go on) and ends for ever; nothing runs in it afterwards, whatever its promises still do.
 */
import type { Scheduler } from '@milena/shard-scheduler'
import type { World } from '../world/world.ts'

/** Wall clock at the beginning of every world: a Thursday in 2026. */
const EPOCH_MS = 1_783_000_000_000

export class ProcessTime implements Scheduler {
  /** Added to the wall clock: a clock that is wrong, or was put right. */
  wallOffsetMs = 0
  readonly #world: World
  /** Monotonic clocks of different processes have nothing in common. */
  readonly #monotonicOffsetMs: number
  #heldUp: (() => void)[] | undefined
  #ended = false

  constructor(world: World, monotonicOffsetMs: number) {
    this.#world = world
    this.#monotonicOffsetMs = monotonicOffsetMs
  }

  get hasEnded(): boolean {
    return this.#ended
  }

  get isHeldUp(): boolean {
    return this.#heldUp !== undefined
  }

  // ---- Scheduler ----

  now(): number {
    return this.#world.nowMs + this.#monotonicOffsetMs
  }

  nextTurn(task: () => void): void {
    this.#world.schedule(0, () => this.#run(task))
  }

  after(delayMs: number, task: () => void): () => void {
    return this.#world.after(delayMs, () => this.#run(task))
  }

  // ---- what other ports are made of ----

  wallNow(): number {
    return Math.floor(EPOCH_MS + this.#world.nowMs + this.wallOffsetMs)
  }

  /** A clock for a store or a broker. */
  readonly clock = {
    now: (): number => this.wallNow(),
    monotonic: (): number => this.now(),
    after: (delayMs: number, task: () => void): (() => void) => this.after(delayMs, task)
  }

  /** A scheduler for a store. */
  readonly turns = { soon: (task: () => void): void => this.nextTurn(task) }

  /** A scheduler for a disk. */
  readonly completions = { schedule: (delayMs: number, task: () => void): void => void this.after(delayMs, task) }

  // ---- what happens to a process ----

  end(): void {
    this.#ended = true
    this.#heldUp = undefined
  }

  holdUp(): void {
    if (!this.#ended) this.#heldUp ??= []
  }

  /** What waited runs, one after the other, each in an event of its own. */
  resume(): void {
    const tasks = this.#heldUp ?? []
    this.#heldUp = undefined
    for (const task of tasks) this.nextTurn(task)
  }

  #run(task: () => void): void {
    if (this.#ended) return
    if (this.#heldUp === undefined) task()
    else this.#heldUp.push(task)
  }
}
