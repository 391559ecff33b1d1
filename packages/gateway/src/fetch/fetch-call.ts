/**
 * One Fetch being served: reads its stale partitions, and waits for more when there is too little.
 *
 *     pass: read the stale partitions in order, what is left of maxBytes at a time
 *       │ enough (minBytes), or an error to tell, or no time left ──► done: the outcomes become the answer
 *       └ too little: give the bytes back, watch the partitions ──► woken: next pass, over those that changed
 *                                                               └─► deadline: last pass
 *
 * Reads that take their time (from disk) run side by side, up to FETCH_READS_IN_FLIGHT_MAX, and the answer is the same as if
 * they had run one after the other: each reserves what it may bring of maxBytes, and a partition whose share depends on how much
 * the others bring waits for them. Only the first read may go beyond its limits for the sake of one batch (KIP-74); if that
 * right was wasted on a partition with nothing to read, or spent on a batch that leaves no room for what came meanwhile, the
 * partitions after it are read again, one by one.
 *
 * Partitions wake their watchers at most once a turn. A parked fetch holds no bytes of the log, only one listener per
 * partition and one entry of the timer wheel, so ten thousand of them cost little.
 */
import { TimerEntry } from '../connections/timer-wheel.ts'
import type { TurnTaker } from '../connections/turn-queue.ts'
import type { RequestContext } from '../handler.ts'
import type { ReadOutcome } from '../ports.ts'
import { FETCH_READS_IN_FLIGHT_MAX } from '../settings.ts'
import type { FetchEntry, ReadTerms } from './fetch-entry.ts'

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
  /** The next entry of this pass to look at. */
  #next = 0
  #byteCount = 0
  /** What the reads under way may bring. */
  #reservedBytes = 0
  #pendingCount = 0
  /** Some reads of this pass were started while others were under way. */
  #sideBySide = false
  /** One read at a time. */
  #alone = false
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
    this.#sideBySide = false
    this.#alone = false
    for (const entry of this.#options.entries) if (entry.hadData) entry.stale = true
    this.#next = 0
    this.#readOn()
  }

  #readOn(): void {
    const { context, entries, limits } = this.#options
    while (this.#next < entries.length) {
      const entry = entries[this.#next] as FetchEntry
      if (entry.stale) {
        const bytesLeft = limits.maxBytes - this.#byteCount - this.#reservedBytes
        if (this.#pendingCount > 0) {
          if (!this.#mayReadBeside(entry, bytesLeft)) return
          this.#sideBySide = true
        }
        const atLeastOne = this.#byteCount === 0 && this.#pendingCount === 0
        let outcome
        try {
          outcome = entry.read(context, limits, bytesLeft, atLeastOne)
        } catch (error) {
          return this.#fail(error)
        }
        if (outcome instanceof Promise) this.#readLater(entry, outcome, Math.min(entry.maxBytes, bytesLeft))
        else this.#take(entry, outcome)
      }
      this.#next++
    }
    if (this.#pendingCount === 0) this.#endPass()
  }

  #mayReadBeside(entry: FetchEntry, bytesLeft: number): boolean {
    return !this.#alone && this.#pendingCount < FETCH_READS_IN_FLIGHT_MAX && entry.maxBytes <= bytesLeft
  }

  #readLater(entry: FetchEntry, outcome: Promise<ReadOutcome>, reservedBytes: number): void {
    this.#readLate = true
    this.#pendingCount++
    this.#reservedBytes += reservedBytes
    outcome.then(
      later => {
        if (this.#over) {
          if (later.kind === 'data') later.release()
          return
        }
        this.#pendingCount--
        this.#reservedBytes -= reservedBytes
        this.#take(entry, later)
        this.#readOn()
      },
      (error: unknown) => this.#fail(error)
    )
  }

  /**
   * Whether reading one by one would have given something else; if so, all is prepared for doing that.
   * One by one, the first partition with records in it brings some, and the others find room behind them.
   */
  #mustReadAgain(): boolean {
    const { entries, limits } = this.#options
    const first = entries.find(entry => entry.hasRecords(limits.isolation))
    const firstBytes = first?.outcome?.kind === 'data' ? first.outcome.byteCount : 0
    const fits = this.#byteCount <= Math.max(limits.maxBytes, firstBytes)
    if (first === undefined || (firstBytes > 0 && fits)) return false
    this.#sideBySide = false
    this.#alone = true
    this.#byteCount = firstBytes
    for (const entry of entries) {
      if (entry === first && firstBytes > 0) continue
      entry.giveBack(limits.isolation)
      if (entry.hadData) entry.stale = true
    }
    this.#next = 0
    return true
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
    if (this.#sideBySide && this.#mustReadAgain()) return this.#readOn()
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
