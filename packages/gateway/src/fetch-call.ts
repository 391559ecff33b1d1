/**
 * One Fetch being served: reads its partitions in order, and waits for more when there is too little.
 *
 *     pass: read each partition, what is left of maxBytes at a time
 *       │ enough (minBytes), or an error to tell, or no time left ──► done: the outcomes become the answer
 *       └ too little: give the bytes back, watch the partitions ──► woken: next pass, over those that changed
 *                                                               └─► deadline: last pass
 *
 * Partitions wake their watchers at most once a turn. A parked fetch holds no bytes of the log, only one listener per
 * partition and one entry of the timer wheel, so ten thousand of them cost little.
 */
import { TimerEntry } from './connections/timer-wheel.ts'
import type { FetchPartition } from './fetch-sessions.ts'
import type { RequestContext } from './handler.ts'
import type { Isolation, PartitionPort, ReadOutcome } from './ports.ts'
import type { ErrorName } from '@milena/wire-protocol'

export interface FetchLimits {
  /** Clamped: at least 0, at most FETCH_WAIT_MS_MAX. */
  readonly maxWaitMs: number
  readonly minBytes: number
  readonly maxBytes: number
  readonly isolation: Isolation
}

/** What reading one partition came to. `topicId` is null when the topic is unknown. */
export interface FetchResult {
  readonly requested: FetchPartition
  readonly topicId: string | null
  readonly outcome: ReadOutcome
}

export class FetchCall {
  readonly #context: RequestContext
  readonly #limits: FetchLimits
  readonly #entries: FetchEntry[]
  readonly #onDone: (results: readonly FetchResult[]) => void
  readonly #onFailed: (error: unknown) => void
  readonly #deadline: TimerEntry = new TimerEntry(() => this.hurry())
  readonly #expiresMs: number
  #byteCount = 0
  #errorCount = 0
  #reading = false
  #parked = false
  /** No further waiting: what the current pass finds is the answer. */
  #final: boolean
  #changed = false
  #abandoned = false
  #readLate = false

  /** `onDone` gets the results in the order of `partitions`, possibly before `start` returns. Data in them must be released. */
  constructor(
    context: RequestContext,
    partitions: Iterable<FetchPartition>,
    limits: FetchLimits,
    onDone: (results: readonly FetchResult[]) => void,
    onFailed: (error: unknown) => void
  ) {
    this.#context = context
    this.#limits = limits
    this.#onDone = onDone
    this.#onFailed = onFailed
    this.#final = limits.maxWaitMs <= 0
    this.#expiresMs = this.#final ? 0 : context.host.clock.monotonic() + limits.maxWaitMs
    this.#entries = []
    for (const partition of partitions) this.#entries.push(new FetchEntry(this, partition))
  }

  start(): void {
    this.#startPass()
  }

  /** The client is gone: gives everything back and never calls anybody. */
  abandon(): void {
    this.#abandoned = true
    this.#unpark()
    for (const entry of this.#entries) entry.release()
  }

  /** A watched partition changed. */
  wake(): void {
    this.#changed = true
    if (this.#parked && !this.#reading) this.#startPass()
  }

  #startPass(): void {
    this.#reading = true
    this.#changed = false
    this.#byteCount = 0
    this.#errorCount = 0
    for (const entry of this.#entries) if (entry.hadData) entry.stale = true
    this.#readFrom(0)
  }

  #readFrom(first: number): void {
    for (let i = first; i < this.#entries.length; i++) {
      const entry = this.#entries[i] as FetchEntry
      if (!entry.stale) continue
      const bytesLeft = this.#limits.maxBytes - this.#byteCount
      let outcome
      try {
        outcome = entry.read(this.#context, this.#limits, bytesLeft, this.#byteCount === 0)
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
        this.#take(entry, later)
        if (this.#abandoned) return entry.release()
        this.#readFrom(next)
      },
      (error: unknown) => this.#fail(error)
    )
  }

  #fail(error: unknown): void {
    if (this.#abandoned) return
    this.abandon()
    this.#onFailed(error)
  }

  #take(entry: FetchEntry, outcome: ReadOutcome): void {
    entry.outcome = outcome
    if (outcome.kind === 'data') this.#byteCount += outcome.byteCount
    else this.#errorCount++
  }

  #endPass(): void {
    this.#reading = false
    if (!this.#final && this.#context.host.clock.monotonic() >= this.#expiresMs) this.#final = true
    if (this.#final || this.#errorCount > 0 || this.#byteCount >= this.#limits.minBytes || this.#entries.length === 0) {
      return this.#finish()
    }
    for (const entry of this.#entries) entry.giveBack()
    this.#park()
    if (this.#changed) this.#startPass()
  }

  #park(): void {
    if (this.#parked) return
    this.#parked = true
    this.#context.rooms.timers.arm(this.#deadline, this.#expiresMs - this.#context.host.clock.monotonic())
    for (const entry of this.#entries) entry.watch()
    // What changed between a read from disk and watching is seen by one more look.
    if (!this.#readLate) return
    for (const entry of this.#entries) entry.stale = true
    this.#changed = true
  }

  #unpark(): void {
    this.#context.rooms.timers.disarm(this.#deadline)
    for (const entry of this.#entries) entry.unwatch()
    this.#parked = false
  }

  /** No more waiting: answers with what there is now. */
  hurry(): void {
    if (this.#abandoned) return
    this.#final = true
    if (!this.#reading) this.#startPass()
  }

  #finish(): void {
    this.#unpark()
    this.#onDone(this.#entries.map(entry => entry.result()))
  }
}

/** One partition of the call: its last outcome, and whether that still holds. */
class FetchEntry {
  readonly #call: FetchCall
  readonly #requested: FetchPartition
  #port: PartitionPort | null = null
  #topicId: string | null = null
  #unwatch: (() => void) | null = null
  outcome: ReadOutcome | null = null
  /** Must be read (again) in the next pass. */
  stale = true
  /** The last read found data, which was given back. */
  hadData = false

  constructor(call: FetchCall, requested: FetchPartition) {
    this.#call = call
    this.#requested = requested
  }

  read(
    context: RequestContext,
    limits: FetchLimits,
    bytesLeft: number,
    atLeastOne: boolean
  ): ReadOutcome | Promise<ReadOutcome> {
    this.stale = false
    this.hadData = false
    const requested = this.#requested
    const port = this.#find(context)
    if (typeof port === 'string') return refused(port)
    this.#port = port
    const offset = Number(requested.fetchOffset)
    if (offset < 0 || !Number.isSafeInteger(offset)) return refused('OFFSET_OUT_OF_RANGE')
    return port.read({
      offset,
      maxBytes: Math.max(0, Math.min(requested.maxBytes, bytesLeft)),
      atLeastOne,
      isolation: limits.isolation,
      currentLeaderEpoch: requested.currentLeaderEpoch
    })
  }

  #find(context: RequestContext): PartitionPort | ErrorName {
    const { topicName, topicId, partition } = this.#requested
    const view = context.host.cluster.view()
    const topic = topicName === null ? view.topicById(topicId) : view.topicByName(topicName)
    if (topic === undefined) return topicName === null ? 'UNKNOWN_TOPIC_ID' : 'UNKNOWN_TOPIC_OR_PARTITION'
    this.#topicId = topic.topicId
    const found = context.host.partitions.find(topic.topicId, partition)
    return 'error' in found ? found.error : found
  }

  /** Releases what a pass read in vain; if there were bytes, the next one has to read them again. */
  giveBack(): void {
    const { outcome } = this
    if (outcome?.kind !== 'data' || outcome.release === nothingToRelease) return
    outcome.release()
    this.outcome = { ...outcome, slices: [], byteCount: 0, release: nothingToRelease }
    this.hadData = outcome.byteCount > 0
  }

  release(): void {
    if (this.outcome?.kind === 'data') this.outcome.release()
    this.outcome = null
  }

  watch(): void {
    if (this.#port === null) return
    this.#unwatch = this.#port.watch(() => {
      this.stale = true
      this.#call.wake()
    })
  }

  unwatch(): void {
    this.#unwatch?.()
    this.#unwatch = null
  }

  result(): FetchResult {
    const outcome = this.outcome ?? refused('UNKNOWN_SERVER_ERROR')
    return { requested: this.#requested, topicId: this.#topicId, outcome }
  }
}

function refused(error: ErrorName): ReadOutcome {
  return { kind: 'refused', error, highWatermark: -1, lastStableOffset: -1, logStartOffset: -1 }
}

function nothingToRelease(): void {}
