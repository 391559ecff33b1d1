/**
 * A partition in memory behind the gateway's port: real batches with real offsets, and switches for everything that a test
 * wants to go wrong. Not a log: nothing is validated beyond what the tests of the gateway look at.
 */
import { batchHeader, defaultValidationOptions, type ErrorName, validateBatch } from '@milena/wire-protocol'
import type {
  AppendOptions,
  AppendResult,
  EpochEndOutcome,
  OffsetOutcome,
  OffsetSpec,
  PartitionPort,
  ReadOutcome,
  ReadRequest
} from '../ports.ts'

interface StoredBatch {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly bytes: Uint8Array
}

export class MemoryPartition implements PartitionPort {
  readonly topicId: string
  readonly partition: number
  leaderEpoch = 0
  logStartOffset = 0
  /** Options of every append, newest last. */
  readonly appends: AppendOptions[] = []
  /** Appends are refused with this. */
  refuseAppends: ErrorName | null = null
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
  #held: (() => void)[] | null = null
  #nextOffset = 0
  #notifying = false

  constructor(topicId: string, partition: number) {
    this.topicId = topicId
    this.partition = partition
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
    const held = this.#held ?? []
    this.#held = null
    for (const acknowledge of held) acknowledge()
  }

  append(records: Uint8Array, options: AppendOptions): Promise<AppendResult> {
    this.appends.push(options)
    if (this.failAppends !== null) return Promise.reject(this.failAppends)
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
    return new Promise(resolve => held.push(() => resolve(result)))
  }

  read(request: ReadRequest): ReadOutcome | Promise<ReadOutcome> {
    const outcome = this.#read(request)
    if (!this.readLate) return outcome
    return new Promise(resolve => setImmediate(() => resolve(outcome)))
  }

  offsetFor(
    spec: OffsetSpec,
    options: { isolation: 'read_uncommitted' | 'read_committed' | undefined; currentLeaderEpoch: number }
  ): Promise<OffsetOutcome> {
    if (options.currentLeaderEpoch > this.leaderEpoch) {
      return Promise.resolve({ kind: 'refused', error: 'UNKNOWN_LEADER_EPOCH' })
    }
    const offset = spec.kind === 'latest' ? this.#nextOffset : spec.kind === 'earliest' ? this.logStartOffset : -1
    return Promise.resolve({ kind: 'found', offset, timestamp: -1n, leaderEpoch: offset < 0 ? -1 : this.leaderEpoch })
  }

  endOffsetForEpoch(epoch: number, currentLeaderEpoch: number): Promise<EpochEndOutcome> {
    const error = this.#epochError(currentLeaderEpoch)
    if (error !== null) return Promise.resolve({ kind: 'refused', error })
    const known = epoch === this.leaderEpoch
    return Promise.resolve({ kind: 'found', leaderEpoch: known ? epoch : -1, endOffset: known ? this.#nextOffset : -1 })
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

  #read({ offset, maxBytes, atLeastOne, currentLeaderEpoch }: ReadRequest): ReadOutcome {
    const offsets = {
      highWatermark: this.#nextOffset,
      lastStableOffset: this.#nextOffset,
      logStartOffset: this.logStartOffset
    }
    const error = this.#epochError(currentLeaderEpoch)
    if (error !== null) return { kind: 'refused', error, ...offsets }
    if (offset < this.logStartOffset || offset > this.#nextOffset) {
      return { kind: 'refused', error: 'OFFSET_OUT_OF_RANGE', ...offsets }
    }
    const slices: Uint8Array[] = []
    let byteCount = 0
    for (let i = this.#indexOf(offset); i < this.#batches.length; i++) {
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
    return { kind: 'data', slices, byteCount, ...offsets, abortedTransactions: [], preferredReadReplica: -1, release }
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

  #epochError(currentLeaderEpoch: number): ErrorName | null {
    if (currentLeaderEpoch < 0 || currentLeaderEpoch === this.leaderEpoch) return null
    return currentLeaderEpoch < this.leaderEpoch ? 'FENCED_LEADER_EPOCH' : 'UNKNOWN_LEADER_EPOCH'
  }

  #refused(error: ErrorName): AppendResult {
    return { kind: 'refused', error, message: null, recordErrors: [], logStartOffset: this.logStartOffset }
  }
}
