/**
 * A partition on the shard that owns it: Kafka's rules on top of a log of the storage engine.
 *
 * Append: validate the batch, check its sequence, give it the next offsets (patched in place), append to the log, answer when
 * the log has flushed it. Everything from validation to the log's copy happens in one synchronous stretch, so batches of one
 * partition cannot overtake each other and the caller's buffer is free when `append` returns.
 *
 * With one replica the high watermark is what has been flushed; there are no transactions yet, so the last stable offset is
 * the same.
 *
 * When the log has no memory left, batches wait here as copies, in order, up to a bound that all partitions of the shard
 * share (`BacklogBudget`); beyond it producers get a retriable error.
 */
import type {
  AppendOptions,
  AppendResult,
  EpochEndOutcome,
  OffsetOutcome,
  OffsetSpec,
  PartitionPort,
  ReadOutcome,
  ReadRequest
} from '@milena/gateway'
import { StoreError, type EntryLocation, type Log, type ReadResult } from '@milena/storage-engine'
import {
  batchHeader,
  findRecordByTimestamp,
  maxTimestampRecord,
  validateBatch,
  type ErrorName,
  type ValidBatch
} from '@milena/wire-protocol'
import type { TopicSettings } from '../settings/topic-settings.ts'
import { lastSequenceOf, type ProducerState } from './producer-state.ts'

/** Most that the records of one compressed batch may unpack to while they are checked. */
const DECOMPRESSED_BYTES_MAX = 64 * 1024 * 1024

/** Memory that waiting batches of all partitions of a shard may take. */
export class BacklogBudget {
  readonly bytesMax: number
  #bytes = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  take(bytes: number): boolean {
    if (this.#bytes + bytes > this.bytesMax) return false
    this.#bytes += bytes
    return true
  }

  give(bytes: number): void {
    this.#bytes -= bytes
  }
}

interface Waiter {
  /** Answered when the log has flushed up to here. */
  readonly untilOffset: number
  readonly resolve: (result: AppendResult) => void
  readonly result: AppendResult
}

export interface PartitionOptions {
  readonly topicId: string
  readonly partition: number
  readonly leaderEpoch: number
  readonly log: Log
  readonly producers: ProducerState
  readonly settings: TopicSettings
  readonly backlog: BacklogBudget
  /** Largest batch that the store takes, whatever `max.message.bytes` says. */
  readonly entryBytesMax: number
  /** Wall clock, ms. */
  readonly now: () => number
  /** Resolves, in a later turn, when the store can take an append of so many bytes. */
  readonly whenWritable: (bytes: number) => Promise<void>
}

export class Partition implements PartitionPort {
  readonly topicId: string
  readonly partition: number
  readonly leaderEpoch: number
  readonly #log: Log
  readonly #producers: ProducerState
  readonly #settings: TopicSettings
  readonly #backlog: BacklogBudget
  readonly #batchBytesMax: number
  readonly #now: () => number
  readonly #whenWritable: (bytes: number) => Promise<void>
  readonly #compacted: boolean
  /** In order of `untilOffset`; the first `#answered` are done and wait to be cut off. */
  #waiters: Waiter[] = []
  readonly #watchers = new Set<() => void>()
  /** Batches that the log had no room for, in order. */
  #queue: Uint8Array[] = []
  /** Offset of the next batch: the log's end plus what is queued. */
  #nextOffset: number
  #closed: ErrorName | undefined

  constructor(options: PartitionOptions) {
    this.topicId = options.topicId
    this.partition = options.partition
    this.leaderEpoch = options.leaderEpoch
    this.#log = options.log
    this.#producers = options.producers
    this.#settings = options.settings
    this.#backlog = options.backlog
    this.#batchBytesMax = Math.min(options.settings['max.message.bytes'], options.entryBytesMax)
    this.#now = options.now
    this.#whenWritable = options.whenWritable
    this.#compacted = options.settings['cleanup.policy'].includes('compact')
    this.#nextOffset = options.log.endOffset
    this.#producers.bindTo(options.log)
  }

  get log(): Log {
    return this.#log
  }

  get highWatermark(): number {
    return this.#log.flushedOffset
  }

  append(records: Uint8Array, options: AppendOptions): Promise<AppendResult> {
    if (this.#closed !== undefined) return Promise.resolve(this.#refuse(this.#closed, null))
    const now = this.#now()
    const batch = this.#validate(records, options.apiVersion, now)
    if (batch.kind === 'invalid') {
      return Promise.resolve({ ...this.#refuse(batch.error, batch.message), recordErrors: batch.recordErrors })
    }
    if (batch.isTransactional) return Promise.resolve(this.#refuse('INVALID_TXN_STATE', NO_TRANSACTIONS))
    const appendTime = this.#settings['message.timestamp.type'] === 'LogAppendTime' ? BigInt(now) : -1n
    if (batch.producerId >= 0n) {
      const check = this.#producers.check(batch.producerId, batch.producerEpoch, batch.baseSequence, batch.recordCount)
      if (check.kind === 'refused') return Promise.resolve(this.#refuse(check.error, check.message))
      if (check.kind === 'duplicate') {
        return this.#answer(check.lastOffset + 1, this.#appended(check.baseOffset, check.timestamp), options)
      }
    }
    const baseOffset = this.#nextOffset
    if (baseOffset + batch.lastOffsetDelta >= Number.MAX_SAFE_INTEGER) {
      return Promise.resolve(this.#refuse('KAFKA_STORAGE_ERROR', 'The partition has reached the largest offset.'))
    }
    stamp(records, batch, baseOffset, this.leaderEpoch, appendTime)
    const refusal = this.#store(records)
    if (refusal !== undefined) return Promise.resolve(refusal)
    this.#nextOffset = baseOffset + batch.lastOffsetDelta + 1
    this.#remember(batch, baseOffset, appendTime)
    return this.#answer(this.#nextOffset, this.#appended(baseOffset, appendTime), options)
  }

  #validate(records: Uint8Array, apiVersion: number, nowMs: number): ReturnType<typeof validateBatch> {
    const settings = this.#settings
    return validateBatch(records, 0, records.length, {
      apiVersion,
      origin: 'client',
      compacted: this.#compacted,
      timestampType: settings['message.timestamp.type'] === 'LogAppendTime' ? 'LogAppendTime' : 'CreateTime',
      nowMs,
      timestampBeforeMaxMs: Number(settings['message.timestamp.before.max.ms']),
      timestampAfterMaxMs: Number(settings['message.timestamp.after.max.ms']),
      batchBytesMax: this.#batchBytesMax,
      decompressedBytesMax: DECOMPRESSED_BYTES_MAX
    })
  }

  #remember(batch: ValidBatch, baseOffset: number, timestamp: bigint): void {
    if (batch.producerId < 0n) return this.#producers.advance(this.#nextOffset)
    this.#producers.record(batch.producerId, batch.producerEpoch, {
      firstSequence: batch.baseSequence,
      lastSequence: lastSequenceOf(batch.baseSequence, batch.recordCount),
      baseOffset,
      lastOffset: this.#nextOffset - 1,
      timestamp
    })
  }

  /** Hands the batch to the log, or keeps a copy for later. Returns a refusal when neither is possible. */
  #store(records: Uint8Array): AppendResult | undefined {
    const outcome = this.#queue.length > 0 ? 'full' : this.#log.append(records)
    if (outcome === 'appended') return undefined
    if (outcome === 'failed')
      return this.#refuse('KAFKA_STORAGE_ERROR', 'The log accepts no writes; see the broker log.')
    if (!this.#backlog.take(records.length)) {
      return this.#refuse('REQUEST_TIMED_OUT', 'The shard is over its memory for appends.')
    }
    this.#queue.push(records.slice())
    if (this.#queue.length === 1) void this.#drainQueue()
    return undefined
  }

  async #drainQueue(): Promise<void> {
    for (;;) {
      const [next] = this.#queue
      if (next === undefined) return
      await this.#whenWritable(next.length)
      if (this.#queue[0] !== next) return
      const outcome = this.#log.append(next)
      if (outcome === 'failed') return this.#dropQueue()
      if (outcome === 'full') continue
      this.#queue.shift()
      this.#backlog.give(next.length)
    }
  }

  /** The log refused for good what waits here (its disk is full or failed): as if it had never been accepted. */
  #dropQueue(): void {
    const end = this.#log.endOffset
    for (const records of this.#queue) this.#backlog.give(records.length)
    this.#queue = []
    this.#nextOffset = end
    this.#producers.forgetFrom(end)
    const lost = this.#waiters.filter(waiter => waiter.untilOffset > end)
    this.#waiters = this.#waiters.filter(waiter => waiter.untilOffset <= end)
    for (const waiter of lost) waiter.resolve(this.#refuse('KAFKA_STORAGE_ERROR', null))
  }

  #answer(untilOffset: number, result: AppendResult, options: AppendOptions): Promise<AppendResult> {
    if (options.acks === 0 || untilOffset <= this.#log.flushedOffset) return Promise.resolve(result)
    return new Promise(resolve => this.#waiters.push({ untilOffset, resolve, result }))
  }

  #appended(baseOffset: number, logAppendTimeMs: bigint): AppendResult {
    return { kind: 'appended', baseOffset, logAppendTimeMs, logStartOffset: this.#log.startOffset }
  }

  #refuse(error: ErrorName, message: string | null): Extract<AppendResult, { kind: 'refused' }> {
    return { kind: 'refused', error, message, recordErrors: [], logStartOffset: this.#log.startOffset }
  }

  /** The log has flushed more: answer producers, wake readers. Called once per commit. */
  flushed(): void {
    const flushedOffset = this.#log.flushedOffset
    const waiters = this.#waiters
    let done = 0
    // A duplicate of an old batch may stand behind a newer one; it is answered with it, never earlier than it may.
    for (let waiter = waiters[0]; waiter !== undefined && waiter.untilOffset <= flushedOffset; waiter = waiters[done]) {
      waiter.resolve(waiter.result)
      done++
    }
    if (done === waiters.length) this.#waiters = []
    else if (done > 0) this.#waiters = waiters.slice(done)
    for (const watcher of this.#watchers) watcher()
  }

  /** Answers all that waits with `error` and refuses what comes; the partition moved, was deleted or its disk failed. */
  fail(error: ErrorName): void {
    this.#closed = error
    for (const waiter of this.#waiters) waiter.resolve(this.#refuse(error, null))
    this.#waiters = []
    for (const records of this.#queue) this.#backlog.give(records.length)
    this.#queue = []
    for (const watcher of this.#watchers) watcher()
  }

  read(request: ReadRequest): ReadOutcome | Promise<ReadOutcome> {
    if (this.#closed !== undefined && this.#closed !== 'KAFKA_STORAGE_ERROR') return this.#refuseRead(this.#closed)
    const epochProblem = this.#checkEpoch(request.currentLeaderEpoch)
    if (epochProblem !== undefined) return this.#refuseRead(epochProblem)
    const end = this.highWatermark
    if (request.offset < this.#log.startOffset || request.offset > end) return this.#refuseRead('OFFSET_OUT_OF_RANGE')
    if (request.offset === end || request.maxBytes <= 0) return this.#data(undefined)
    try {
      const result = this.#log.read(request.offset, request.maxBytes, end, request.atLeastOne)
      if (!(result instanceof Promise)) return this.#data(result)
      return result.then(
        read => this.#data(read),
        (error: unknown) => this.#readFailed(error)
      )
    } catch (error) {
      return this.#readFailed(error)
    }
  }

  #data(result: ReadResult | undefined): ReadOutcome {
    return {
      kind: 'data',
      slices: result?.slices ?? [],
      byteCount: result?.byteCount ?? 0,
      highWatermark: this.highWatermark,
      lastStableOffset: this.highWatermark,
      logStartOffset: this.#log.startOffset,
      abortedTransactions: [],
      preferredReadReplica: -1,
      release: () => result?.release()
    }
  }

  #refuseRead(error: ErrorName): ReadOutcome {
    return {
      kind: 'refused',
      error,
      highWatermark: this.highWatermark,
      lastStableOffset: this.highWatermark,
      logStartOffset: this.#log.startOffset
    }
  }

  #readFailed(error: unknown): ReadOutcome {
    if (!(error instanceof StoreError)) throw error
    return this.#refuseRead(readErrors[error.code] ?? 'KAFKA_STORAGE_ERROR')
  }

  #checkEpoch(epoch: number): ErrorName | undefined {
    if (epoch === -1 || epoch === this.leaderEpoch) return undefined
    return epoch < this.leaderEpoch ? 'FENCED_LEADER_EPOCH' : 'UNKNOWN_LEADER_EPOCH'
  }

  async offsetFor(spec: OffsetSpec, options: Parameters<PartitionPort['offsetFor']>[1]): Promise<OffsetOutcome> {
    if (this.#closed !== undefined && this.#closed !== 'KAFKA_STORAGE_ERROR')
      return { kind: 'refused', error: this.#closed }
    const problem = this.#checkEpoch(options.currentLeaderEpoch)
    if (problem !== undefined) return { kind: 'refused', error: problem }
    try {
      switch (spec.kind) {
        case 'latest':
          return this.#found(this.highWatermark, -1n)
        case 'earliest':
        case 'earliest-local':
          return this.#found(this.#log.startOffset, -1n)
        case 'latest-tiered':
        case 'earliest-pending-upload':
          return NOT_FOUND
        case 'max-timestamp':
          return await this.#locate(await this.#log.findMaxTimestamp(this.highWatermark), batch =>
            maxTimestampRecord(batch, 0)
          )
        case 'timestamp':
          return await this.#locate(await this.#log.findByTimestamp(spec.timestamp, this.highWatermark), batch =>
            findRecordByTimestamp(batch, 0, spec.timestamp)
          )
      }
    } catch (error) {
      if (error instanceof StoreError) return { kind: 'refused', error: 'KAFKA_STORAGE_ERROR' }
      throw error
    }
  }

  /** Reads the batch that the index found and looks for the record in it. */
  async #locate(
    location: EntryLocation | undefined,
    pick: (batch: Uint8Array) => { offset: number; timestamp: bigint } | undefined
  ): Promise<OffsetOutcome> {
    if (location === undefined) return NOT_FOUND
    const read = await this.#log.read(location.baseOffset, 1, location.lastOffset + 1, true)
    try {
      const [only] = read.slices
      const batch = read.slices.length === 1 && only !== undefined ? only : Buffer.concat(read.slices)
      const record = pick(batch)
      return record === undefined ? NOT_FOUND : this.#found(record.offset, record.timestamp)
    } finally {
      read.release()
    }
  }

  #found(offset: number, timestamp: bigint): OffsetOutcome {
    return { kind: 'found', offset, timestamp, leaderEpoch: this.leaderEpoch }
  }

  /** One replica has one epoch: its own. */
  endOffsetForEpoch(epoch: number, currentLeaderEpoch: number): Promise<EpochEndOutcome> {
    const error = this.#closed ?? this.#checkEpoch(currentLeaderEpoch)
    if (error !== undefined) return Promise.resolve({ kind: 'refused', error })
    if (epoch < 0 || epoch > this.leaderEpoch) return Promise.resolve({ kind: 'found', leaderEpoch: -1, endOffset: -1 })
    const endOffset = epoch === this.leaderEpoch ? this.#log.endOffset : this.#log.startOffset
    return Promise.resolve({ kind: 'found', leaderEpoch: epoch, endOffset })
  }

  watch(listener: () => void): () => void {
    this.#watchers.add(listener)
    return () => this.#watchers.delete(listener)
  }
}

/** A transactional batch needs a transaction that its partition is part of; nothing can open one yet. */
const NO_TRANSACTIONS = 'The partition is not part of a transaction: this broker has no transactions yet.'

/** Kafka's answer when no record matches. */
const NOT_FOUND: OffsetOutcome = { kind: 'found', offset: -1, timestamp: -1n, leaderEpoch: -1 }

const readErrors: Partial<Record<StoreError['code'], ErrorName>> = {
  OUT_OF_RANGE: 'OFFSET_OUT_OF_RANGE',
  CORRUPT: 'CORRUPT_MESSAGE',
  CLOSED: 'NOT_LEADER_OR_FOLLOWER'
}

/** Writes what the broker decides into the batch: base offset and leader epoch (outside the CRC), and the append time. */
function stamp(
  records: Uint8Array,
  batch: ValidBatch,
  baseOffset: number,
  leaderEpoch: number,
  appendTime: bigint
): void {
  batchHeader.setBaseOffset(records, 0, baseOffset)
  batchHeader.setLeaderEpoch(records, 0, leaderEpoch)
  if (appendTime >= 0n) {
    batchHeader.setMaxTimestamp(records, 0, 'LogAppendTime', appendTime)
  } else if (batch.timestampNeedsPatch) {
    batchHeader.setMaxTimestamp(records, 0, 'CreateTime', batch.maxTimestamp)
  }
}
