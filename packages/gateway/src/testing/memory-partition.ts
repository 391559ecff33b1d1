/**
 * A partition in memory behind the gateway's port: real batches with real offsets, and switches for everything that a test
 * wants to go wrong. Not a log: nothing is validated beyond what the tests of the gateway look at.
 */
import { batchHeader, defaultValidationOptions, type ErrorName, validateBatch } from '@milena/wire-protocol'
import type {
  AppendOptions,
  AppendResult,
  DeletionOutcome,
  EpochEndOutcome,
  OffsetOptions,
  OffsetOutcome,
  OffsetSpec,
  PartitionPort,
  ProducersOutcome,
  ProducerView,
  ReadOutcome,
  ReadRequest
} from '../ports.ts'

interface StoredBatch {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly bytes: Uint8Array
}

interface EpochStart {
  readonly epoch: number
  readonly startOffset: number
}

export class MemoryPartition implements PartitionPort {
  readonly topicId: string
  readonly partition: number
  /** A follower refuses what only a leader may do. */
  role: 'leader' | 'follower' = 'leader'
  logStartOffset = 0
  /** Replicas to which readers of a rack are sent. */
  readonly replicaByRack = new Map<string, number>()
  /** Options of every append, newest last. */
  readonly appends: AppendOptions[] = []
  /** What was asked to be deleted, newest last. */
  readonly deletions: { readonly offset: number; readonly timeoutMs: number }[] = []
  /** What it remembers of idempotent producers. */
  producers: readonly ProducerView[] = []
  /** Appends are refused with this. */
  refuseAppends: ErrorName | null = null
  /** Look-ups of offsets are refused with this. */
  refuseOffsets: ErrorName | null = null
  /** Appends throw this. */
  failAppends: Error | null = null
  /** Batches are checked as a real log checks them. */
  validate = false
  /** Batches are counted but not kept: for measuring the gateway alone. */
  drop = false
  /** Reads answer in a later turn, as from disk. */
  readLate = false
  /** Slices that were handed out and not released. */
  borrowedCount = 0
  readonly #batches: StoredBatch[] = []
  readonly #listeners = new Set<() => void>()
  readonly #epochs: EpochStart[] = [{ epoch: 0, startOffset: 0 }]
  #held: ((refusal: ErrorName | null) => void)[] | null = null
  #nextOffset = 0
  #notifying = false

  constructor(topicId: string, partition: number) {
    this.topicId = topicId
    this.partition = partition
  }

  get leaderEpoch(): number {
    return this.#epochs[this.#epochs.length - 1]?.epoch ?? 0
  }

  /** A new leader, here or elsewhere: appends that are held are lost to a follower. Tells watchers. */
  beginEpoch(epoch: number, role: 'leader' | 'follower'): void {
    this.#epochs.push({ epoch, startOffset: this.#nextOffset })
    this.role = role
    if (role === 'follower') this.refuseHeld('NOT_LEADER_OR_FOLLOWER')
    this.notify()
  }

  get highWatermark(): number {
    return this.#nextOffset
  }

  get watcherCount(): number {
    return this.#listeners.size
  }

  /** Appends are not acknowledged until `releaseAppends`. */
  holdAppends(): void {
    this.#held ??= []
  }

  releaseAppends(): void {
    this.#settleHeld(null)
  }

  /** Answers the appends that are held with `error`, as when their acks do not come. */
  refuseHeld(error: ErrorName): void {
    this.#settleHeld(error)
  }

  #settleHeld(refusal: ErrorName | null): void {
    const held = this.#held ?? []
    this.#held = null
    for (const settle of held) settle(refusal)
  }

  append(records: Uint8Array, options: AppendOptions): Promise<AppendResult> {
    this.appends.push(options)
    if (this.failAppends !== null) return Promise.reject(this.failAppends)
    if (this.role === 'follower') return Promise.resolve(this.#refused('NOT_LEADER_OR_FOLLOWER'))
    if (this.refuseAppends !== null) return Promise.resolve(this.#refused(this.refuseAppends))
    if (records.length < batchHeader.headerBytes) return Promise.resolve(this.#refused('CORRUPT_MESSAGE'))
    if (this.validate) {
      const checks = { ...defaultValidationOptions, apiVersion: options.apiVersion, timestampAfterMaxMs: Infinity }
      const found = validateBatch(records, 0, records.length, checks)
      if (found.kind === 'invalid') return Promise.resolve(this.#refused(found.error))
    }
    const baseOffset = this.#nextOffset
    this.#nextOffset += batchHeader.lastOffsetDelta(records, 0) + 1
    if (!this.drop) {
      const bytes = Uint8Array.from(records)
      batchHeader.setBaseOffset(bytes, 0, baseOffset)
      this.#batches.push({ baseOffset, nextOffset: this.#nextOffset, bytes })
    }
    this.notify()
    const result: AppendResult = {
      kind: 'appended',
      baseOffset,
      logAppendTimeMs: -1n,
      logStartOffset: this.logStartOffset
    }
    const held = this.#held
    if (held === null) return Promise.resolve(result)
    return new Promise(resolve => held.push(error => resolve(error === null ? result : this.#refused(error))))
  }

  read(request: ReadRequest): ReadOutcome | Promise<ReadOutcome> {
    const outcome = this.#read(request)
    if (!this.readLate) return outcome
    return new Promise(resolve => setImmediate(() => resolve(outcome)))
  }

  offsetFor(spec: OffsetSpec, { currentLeaderEpoch, leaderOnly }: OffsetOptions): Promise<OffsetOutcome> {
    const error = this.refuseOffsets ?? this.#problem(currentLeaderEpoch, leaderOnly)
    if (error !== null) return Promise.resolve({ kind: 'refused', error })
    const ends: Partial<Record<OffsetSpec['kind'], number>> = {
      earliest: this.logStartOffset,
      latest: this.#nextOffset
    }
    const offset = ends[spec.kind] ?? -1
    return Promise.resolve({ kind: 'found', offset, timestamp: -1n, leaderEpoch: offset < 0 ? -1 : this.leaderEpoch })
  }

  endOffsetForEpoch(epoch: number, currentLeaderEpoch: number): Promise<EpochEndOutcome> {
    const error = this.#problem(currentLeaderEpoch, true)
    if (error !== null) return Promise.resolve({ kind: 'refused', error })
    return Promise.resolve({ kind: 'found', ...this.#endOf(epoch) })
  }

  deleteRecords(offset: number, options: { timeoutMs: number }): Promise<DeletionOutcome> {
    this.deletions.push({ offset, ...options })
    if (this.role === 'follower') return Promise.resolve({ kind: 'refused', error: 'NOT_LEADER_OR_FOLLOWER' })
    const target = offset === -1 ? this.#nextOffset : offset
    if (target < 0 || target > this.#nextOffset) {
      return Promise.resolve({ kind: 'refused', error: 'OFFSET_OUT_OF_RANGE' })
    }
    this.logStartOffset = Math.max(this.logStartOffset, target)
    return Promise.resolve({ kind: 'done', lowWatermark: this.logStartOffset })
  }

  describeProducers(): Promise<ProducersOutcome> {
    if (this.role === 'follower') return Promise.resolve({ kind: 'refused', error: 'NOT_LEADER_OR_FOLLOWER' })
    return Promise.resolve({ kind: 'found', producers: this.producers })
  }

  watch(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Tells watchers, once a turn. */
  notify(): void {
    if (this.#notifying || this.#listeners.size === 0) return
    this.#notifying = true
    setImmediate(() => {
      this.#notifying = false
      // Not a copy: a listener that comes back at once would be called for ever, and a test would show it.
      for (const listener of this.#listeners) listener()
    })
  }

  #endOf(epoch: number): { leaderEpoch: number; endOffset: number } {
    if (epoch < 0 || epoch > this.leaderEpoch) return { leaderEpoch: -1, endOffset: -1 }
    const next = this.#epochs.find(start => start.epoch > epoch)
    const last = this.#epochs.findLast(start => start.epoch <= epoch)
    return { leaderEpoch: last?.epoch ?? epoch, endOffset: next?.startOffset ?? this.#nextOffset }
  }

  #read(request: ReadRequest): ReadOutcome {
    const { offset, maxBytes, atLeastOne } = request
    const offsets = {
      highWatermark: this.#nextOffset,
      lastStableOffset: this.#nextOffset,
      logStartOffset: this.logStartOffset
    }
    const error = this.#problem(request.currentLeaderEpoch, request.leaderOnly)
    if (error !== null) return refused(error)
    if (request.lastFetchedEpoch >= 0) {
      const { leaderEpoch: epoch, endOffset } = this.#endOf(request.lastFetchedEpoch)
      if (epoch < 0) return refused('OFFSET_OUT_OF_RANGE')
      if (epoch < request.lastFetchedEpoch || endOffset < offset)
        return { kind: 'diverging', epoch, endOffset, ...offsets }
    }
    if (offset < this.logStartOffset || offset > this.#nextOffset) return refused('OFFSET_OUT_OF_RANGE')
    const slices: Uint8Array[] = []
    let byteCount = 0
    const preferredReadReplica = this.role === 'leader' ? (this.replicaByRack.get(request.clientRack) ?? -1) : -1
    const end = preferredReadReplica < 0 ? this.#batches.length : 0
    for (let i = this.#indexOf(offset); i < end; i++) {
      const { bytes } = this.#batches[i] as StoredBatch
      if (byteCount + bytes.length > maxBytes && !(atLeastOne && slices.length === 0)) break
      slices.push(bytes)
      byteCount += bytes.length
    }
    this.borrowedCount++
    let released = false
    const release = (): void => {
      if (released) throw new Error('released twice')
      released = true
      this.borrowedCount--
    }
    return { kind: 'data', slices, byteCount, ...offsets, abortedTransactions: [], preferredReadReplica, release }
  }

  /** First batch that ends behind `offset`. */
  #indexOf(offset: number): number {
    let low = 0
    let high = this.#batches.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#batches[middle] as StoredBatch).nextOffset <= offset) low = middle + 1
      else high = middle
    }
    return low
  }

  #problem(currentLeaderEpoch: number, leaderOnly: boolean): ErrorName | null {
    if (currentLeaderEpoch >= 0 && currentLeaderEpoch !== this.leaderEpoch) {
      return currentLeaderEpoch < this.leaderEpoch ? 'FENCED_LEADER_EPOCH' : 'UNKNOWN_LEADER_EPOCH'
    }
    return leaderOnly && this.role === 'follower' ? 'NOT_LEADER_OR_FOLLOWER' : null
  }

  #refused(error: ErrorName): AppendResult {
    return { kind: 'refused', error, message: null, recordErrors: [], logStartOffset: this.logStartOffset }
  }
}

function refused(error: ErrorName): ReadOutcome {
  return { kind: 'refused', error, highWatermark: -1, lastStableOffset: -1, logStartOffset: -1 }
}
