/**
 * One partition of a fetch: what the client asked for, what it was told last, and whether reading it again could tell more.
 *
 *     stale ──read──► nothing there ──watch──► clean ──partition changed──► stale
 *       ▲                  data (or no room for it), an error: stays stale, the next fetch reads it again
 *       └── the client asks for another offset
 *
 * Entries of a session live as long as the session. A clean entry costs an incremental fetch nothing: a consumer of a
 * thousand quiet partitions reads only those that changed.
 * Invariant: an entry that is not stale, outside of a pass, is watched. Watching is one-shot, so an abandoned session hears
 * of each partition at most once.
 */
import type { ErrorName } from '@milena/wire-protocol'
import type { RequestContext } from '../handler.ts'
import type { Isolation, PartitionPort, ReadOutcome } from '../ports.ts'

export interface FetchTarget {
  /** Null when the client names the topic by id. */
  readonly topicName: string | null
  readonly topicId: string
  readonly partition: number
}

/** What a request says of one partition. */
export interface FetchWish {
  readonly fetchOffset: bigint
  readonly partitionMaxBytes: number
  readonly currentLeaderEpoch: number
  readonly lastFetchedEpoch: number
}

/** What a request says of all its partitions. */
export interface ReadTerms {
  readonly isolation: Isolation
  readonly leaderOnly: boolean
  readonly clientRack: string
}

export class FetchEntry {
  readonly target: FetchTarget
  /** Last answer; -1 forces the next one to be sent. */
  sentHighWatermark = -1
  sentLogStartOffset = -1
  /** Must be read (again) in the next pass. */
  stale = true
  /** There was something to read in the last pass, which was given back or found no room: look again in the next one. */
  hadData = false
  /** What the current call read; null when it did not have to. Data in it is to be released. */
  outcome: ReadOutcome | null = null
  /** Id of the topic, null while it is unknown. */
  foundTopicId: string | null = null
  /** Runs when the partition changed while a call waits. */
  onStale: (() => void) | null = null
  #fetchOffset = 0n
  #maxBytes = 0
  #currentLeaderEpoch = -1
  #lastFetchedEpoch = -1
  #port: PartitionPort | null = null
  #watched: PartitionPort | null = null
  #unwatch: (() => void) | null = null

  constructor(target: FetchTarget) {
    this.target = target
  }

  /** What the client takes of this partition at once; negative counts as 0. */
  get maxBytes(): number {
    return this.#maxBytes
  }

  /** What the client wants from now on. */
  ask(wish: FetchWish): this {
    this.#fetchOffset = wish.fetchOffset
    this.#maxBytes = Math.max(0, wish.partitionMaxBytes)
    this.#currentLeaderEpoch = wish.currentLeaderEpoch
    this.#lastFetchedEpoch = wish.lastFetchedEpoch
    this.stale = true
    return this
  }

  /** Reads at most `bytesLeft` bytes, or one batch if `atLeastOne`. The outcome is the caller's to keep. */
  read(
    context: RequestContext,
    terms: ReadTerms,
    bytesLeft: number,
    atLeastOne: boolean
  ): ReadOutcome | Promise<ReadOutcome> {
    this.stale = false
    this.hadData = false
    const port = this.#find(context)
    if (typeof port === 'string') return refused(port)
    this.#port = port
    const offset = Number(this.#fetchOffset)
    if (offset < 0 || !Number.isSafeInteger(offset)) return refused('OFFSET_OUT_OF_RANGE')
    return port.read({
      offset,
      maxBytes: Math.max(0, Math.min(this.#maxBytes, bytesLeft)),
      atLeastOne,
      isolation: terms.isolation,
      currentLeaderEpoch: this.#currentLeaderEpoch,
      lastFetchedEpoch: this.#lastFetchedEpoch,
      leaderOnly: terms.leaderOnly,
      clientRack: terms.clientRack
    })
  }

  /** Releases what a pass read in vain; if there were bytes, the next one has to read them again. */
  giveBack(isolation: Isolation): void {
    const { outcome } = this
    if (outcome?.kind !== 'data' || outcome.release === nothingToRelease) return
    outcome.release()
    this.hadData = !this.isQuiet(outcome, isolation)
    this.outcome = { ...outcome, slices: [], byteCount: 0, release: nothingToRelease }
  }

  /** The last read found records, or would have with more room. */
  hasRecords(isolation: Isolation): boolean {
    const { outcome } = this
    return outcome?.kind === 'data' && outcome.preferredReadReplica < 0 && !this.isQuiet(outcome, isolation)
  }

  /** Whether `outcome` says that there is nothing to read, rather than no room for it. */
  isQuiet(outcome: ReadOutcome, isolation: Isolation): boolean {
    if (outcome.kind !== 'data' || outcome.byteCount > 0 || outcome.preferredReadReplica >= 0) return false
    const readableTo = isolation === 'read_committed' ? outcome.lastStableOffset : outcome.highWatermark
    return Number(this.#fetchOffset) >= readableTo
  }

  /** Hears of the next change of the partition that was read last. */
  watch(): void {
    const port = this.#port
    if (port === null || port === this.#watched) return
    this.unwatch()
    this.#watched = port
    this.#unwatch = port.watch(this.#onChange)
  }

  unwatch(): void {
    const unwatch = this.#unwatch
    this.#watched = null
    this.#unwatch = null
    unwatch?.()
  }

  /** The call is over without an answer: releases what it read. */
  drop(): void {
    if (this.outcome === null) return
    if (this.outcome.kind === 'data') this.outcome.release()
    this.outcome = null
    this.stale = true
  }

  /** The answer takes the outcome over; null when there is nothing to say. */
  takeOutcome(): ReadOutcome | null {
    const { outcome } = this
    this.outcome = null
    this.hadData = false
    return outcome
  }

  readonly #onChange = (): void => {
    this.stale = true
    this.unwatch()
    this.onStale?.()
  }

  #find(context: RequestContext): PartitionPort | ErrorName {
    const { topicName, topicId, partition } = this.target
    const view = context.host.cluster.view()
    const topic = topicName === null ? view.topicById(topicId) : view.topicByName(topicName)
    this.foundTopicId = topic?.topicId ?? null
    if (topic === undefined) return topicName === null ? 'UNKNOWN_TOPIC_ID' : 'UNKNOWN_TOPIC_OR_PARTITION'
    const found = context.host.partitions.find(topic.topicId, partition)
    return 'error' in found ? found.error : found
  }
}

function refused(error: ErrorName): ReadOutcome {
  return { kind: 'refused', error, highWatermark: -1, lastStableOffset: -1, logStartOffset: -1 }
}

function nothingToRelease(): void {}
