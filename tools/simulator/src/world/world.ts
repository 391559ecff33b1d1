/**
 * A world with its own time: a heap of events, a seed, a trace. Time jumps from event to event, so an hour takes as long as
 * its events do. Everything in it runs in one thread, in an order that only the seed decides.
 *
 * Code under test sees time through `Scheduler` and `Clock`. Where it uses promises, all of an event's promise
 * jobs run before the next event (`runWithPromises`): each event has a turn of Node's loop to itself. Turns are asked for in
 * blocks, because Node runs promise jobs between the callbacks of one block too, and a block costs one round of the loop.
 */
import { EventHeap, type Event } from './event-heap.ts'
import { RandomStreams } from './random.ts'
import { Trace } from './trace.ts'
import { Violation } from './violation.ts'

/** Events for which turns of the loop are asked for at once. */
const TURN_BLOCK = 256

export interface WorldOptions {
  readonly seed: number
  /** Prints a line of the trace. */
  readonly print?: ((line: string) => void) | undefined
}

export class World {
  readonly seed: number
  readonly random: RandomStreams
  readonly trace: Trace
  readonly #heap = new EventHeap()
  #nowMs = 0
  #eventCount = 0
  #failure: Error | undefined

  constructor(options: WorldOptions) {
    this.seed = options.seed
    this.random = new RandomStreams(options.seed)
    this.trace = new Trace(() => this.#nowMs, options.print)
  }

  /** Simulated milliseconds since the start. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** Events that ran. */
  get eventCount(): number {
    return this.#eventCount
  }

  /** Runs `task` after `delayMs` simulated milliseconds, never inside the call. */
  schedule(delayMs: number, task: () => void): Event {
    return this.#heap.add(this.#nowMs + Math.max(0, delayMs), task)
  }

  /** As `schedule`; calling the result calls it off. */
  after(delayMs: number, task: () => void): () => void {
    const event = this.schedule(delayMs, task)
    return () => {
      event.task = undefined
    }
  }

  /** Ends the run: for failures that come up outside of an event, such as rejections that nobody handles. The first one counts. */
  fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error))
  }

  /** Runs events until `untilMs`, without turns for promises. Throws what an event throws. */
  run(untilMs: number): void {
    while (this.#heap.nextTimeMs <= untilMs) {
      this.#runNext()
      if (this.#failure !== undefined) throw this.#failure
    }
    this.#nowMs = untilMs
  }

  /** Runs events until `untilMs`, each with all promise jobs that follow from it. Rejects with what an event throws. */
  runWithPromises(untilMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const turn = (): void => {
        if (this.#failure !== undefined || this.#heap.nextTimeMs > untilMs) return
        try {
          this.#runNext()
        } catch (error) {
          this.fail(error)
        }
      }
      const block = (): void => {
        if (this.#failure !== undefined) return reject(this.#failure)
        if (this.#heap.nextTimeMs > untilMs) {
          this.#nowMs = untilMs
          return resolve()
        }
        for (let count = 0; count < TURN_BLOCK; count++) setImmediate(turn)
        setImmediate(block)
      }
      setImmediate(block)
    })
  }

  /** A property does not hold. */
  violated(property: string, explanation: string): never {
    throw new Violation(property, explanation, this.#nowMs)
  }

  #runNext(): void {
    const event = this.#heap.take()
    const task = event?.task
    if (event === undefined || task === undefined) return
    event.task = undefined
    this.#nowMs = event.timeMs
    this.#eventCount++
    this.trace.mix(event.timeMs * 1000)
    task()
  }
}
