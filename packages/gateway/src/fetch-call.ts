/**
 * One Fetch being served: reads its stale partitions in order, and waits for more when there is too little.
 *
 *     pass: read each stale partition, what is left of maxBytes at a time
 *       │ enough (minBytes), or an error to tell, or no time left ──► done: the outcomes become the answer
 *       └ too little: give the bytes back, watch the partitions ──► woken: next pass, over those that changed
 *                                                               └─► deadline: last pass
 *
 * Partitions wake their watchers at most once a turn. A parked fetch holds no bytes of the log, only one listener per
 * partition and one entry of the timer wheel, so ten thousand of them cost little.
 */
import { TimerEntry } from './connections/timer-wheel.ts'
import type { TurnTaker } from './connections/turn-queue.ts'
import type { FetchEntry, ReadTerms } from './fetch-entry.ts'
import type { RequestContext } from './handler.ts'
import type { ReadOutcome } from './ports.ts'

export interface FetchLimits extends ReadTerms {
  /** Clamped: at least 0, at most FETCH_WAIT_MS_MAX. */
  readonly maxWaitMs: number
  readonly minBytes: number
  readonly maxBytes: number
}

/** What reading one partition came to. */
export interface FetchResult {
  readonly entry: FetchEntry
  readonly outcome: ReadOutcome
}

export interface FetchCallOptions {
  readonly context: RequestContext
  readonly entries: readonly FetchEntry[]
  readonly limits: FetchLimits
  /** The entries belong to a session: they stay watched when the call is over. */
  readonly keepWatching: boolean
  /**
   * The answer, possibly before `start` returns: entries that had to be read, in order. Data in them must be released.
   */
  onDone(results: readonly FetchResult[]): void
  onFailed(error: unknown): void
}

export class FetchCall implements TurnTaker {
  scheduled = false
  readonly #options: FetchCallOptions
  readonly #deadline: TimerEntry = new TimerEntry(() => this.hurry())
  readonly #expiresMs: number
  #byteCount = 0
  #urgentCount = 0
  #reading = false
  #parked = false
  /** No further waiting: what the current pass finds is the answer. */
  #final: boolean
  #changed = false
  #over = false
  #readLate = false

  constructor(options: FetchCallOptions) {
    this.#options = options
    const { maxWaitMs } = options.limits
    this.#final = maxWaitMs <= 0
    this.#expiresMs = this.#final ? 0 : options.context.host.clock.monotonic() + maxWaitMs
  }

  start(): void {
    this.#startPass()
  }

  /** Gives everything back and never calls anybody. */
  abandon(): void {
    if (this.#over) return
    this.#leave()
    for (const entry of this.#options.entries) entry.drop()
  }

  /** No more waiting: answers with what there is now. */
  hurry(): void {
    if (this.#over) return
    this.#final = true
    if (!this.#reading) this.#startPass()
  }

  turn(): void {
    if (!this.#over && !this.#reading && this.#changed) this.#startPass()
  }

  /**
   * A watched partition changed. The next pass waits for the end of the turn: other partitions may change in it, too, and
   * the partition is still busy with telling its watchers.
   */
  readonly #wake = (): void => {
    this.#changed = true
    if (this.#parked && !this.#reading) this.#options.context.rooms.turns.schedule(this)
  }

  #startPass(): void {
    this.#reading = true
    this.#changed = false
    this.#byteCount = 0
    this.#urgentCount = 0
    for (const entry of this.#options.entries) if (entry.hadData) entry.stale = true
    this.#readFrom(0)
  }

  #readFrom(first: number): void {
    const { context, entries, limits } = this.#options
    for (let i = first; i < entries.length; i++) {
      const entry = entries[i] as FetchEntry
      if (!entry.stale) continue
      let outcome
      try {
        outcome = entry.read(context, limits, limits.maxBytes - this.#byteCount, this.#byteCount === 0)
      } catch (error) {
        return this.#fail(error)
      }
      if (outcome instanceof Promise) return this.#readLater(entry, outcome, i + 1)
      this.#take(entry, outcome)
    }
    this.#endPass()
  }

  #readLater(entry: FetchEntry, outcome: Promise<ReadOutcome>, next: number): void {
    this.#readLate = true
    outcome.then(
      later => {
        if (this.#over) {
          if (later.kind === 'data') later.release()
          return
        }
        this.#take(entry, later)
        this.#readFrom(next)
      },
      (error: unknown) => this.#fail(error)
    )
  }

  #fail(error: unknown): void {
    if (this.#over) return
    this.abandon()
    this.#options.onFailed(error)
  }

  #take(entry: FetchEntry, outcome: ReadOutcome): void {
    entry.outcome = outcome
    if (outcome.kind === 'data') this.#byteCount += outcome.byteCount
    if (mustBeTold(outcome)) this.#urgentCount++
  }

  #endPass(): void {
    const { context, entries, limits } = this.#options
    this.#reading = false
    if (!this.#final && context.host.clock.monotonic() >= this.#expiresMs) this.#final = true
    const enough = this.#urgentCount > 0 || this.#byteCount >= limits.minBytes || entries.length === 0
    if (this.#final || enough) return this.#finish()
    for (const entry of entries) entry.giveBack(limits.isolation)
    this.#park()
    if (this.#changed) this.#startPass()
  }

  #park(): void {
    const { context, entries } = this.#options
    for (const entry of entries) if (!entry.stale) entry.watch()
    if (this.#parked) return
    this.#parked = true
    context.rooms.timers.arm(this.#deadline, this.#expiresMs - context.host.clock.monotonic())
    for (const entry of entries) entry.onStale = this.#wake
    if (!this.#readLate) return
    // What changed between a read from disk and watching is seen by one more look.
    for (const entry of entries) entry.stale = true
    this.#changed = true
  }

  #leave(): void {
    const { context, entries, keepWatching } = this.#options
    this.#over = true
    context.rooms.timers.disarm(this.#deadline)
    for (const entry of entries) {
      entry.onStale = null
      if (!keepWatching) entry.unwatch()
    }
  }

  #finish(): void {
    this.#leave()
    const results: FetchResult[] = []
    for (const entry of this.#options.entries) {
      const outcome = entry.takeOutcome()
      if (outcome === null) continue
      this.#settle(entry, outcome)
      results.push({ entry, outcome })
    }
    try {
      this.#options.onDone(results)
    } catch (error) {
      this.#options.onFailed(error)
    }
  }

  /** Leaves an entry of a session clean and watched, or stale. */
  #settle(entry: FetchEntry, outcome: ReadOutcome): void {
    if (!this.#options.keepWatching || entry.stale) return
    const quiet = entry.isQuiet(outcome, this.#options.limits.isolation)
    if (quiet && !this.#readLate) entry.watch()
    else entry.stale = true
  }
}

/** An error, logs that part, or another replica to read from: the client can do nothing better than hear of it. */
function mustBeTold(outcome: ReadOutcome): boolean {
  return outcome.kind !== 'data' || outcome.preferredReadReplica >= 0
}
