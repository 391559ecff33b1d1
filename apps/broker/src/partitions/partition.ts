/**
 * A partition's replica on this shard: Kafka's rules on top of a replicated log. On the leader it takes batches, on leader and
 * followers it serves reads (partition-reads.ts).
 *
 * Append: validate the batch, check its sequence, give it the topic's codec, the next offsets and the leader's epoch (patched in place), propose it,
 * answer when it is flushed here (acks=1) or committed and held by min.insync.replicas (acks=all). Everything from validation to
 * the log's copy happens in one synchronous stretch, so batches of one partition cannot overtake each other and the caller's
 * buffer is free when `append` returns.
 *
 * When the log has no room, batches wait here as copies, in order, up to a bound that all partitions of the shard share
 * (`BacklogBudget`); beyond it producers get a retriable error.
 *
 * Who leads no longer answers everyone who waits with NOT_LEADER_OR_FOLLOWER, as Kafka does: what they sent may still be
 * committed by the next leader; a retry of an idempotent producer finds that out.
 */
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
  ReadOutcome,
  ReadRequest
} from '@milena/gateway'
import type { Log } from '@milena/storage-engine'
import { batchHeader, validateBatch, type ErrorName, type ValidBatch } from '@milena/wire-protocol'
import type { GroupListener, ReplicatedLog } from '../replication/contract.ts'
import type { TopicSettings } from '../settings/topic-settings.ts'
import type { Deletion } from '../controller/metadata/commands.ts'
import { AckQueue } from './ack-queue.ts'
import { Backlog, type BacklogBudget } from './backlog.ts'
import { LogStart } from './delete-records/log-start.ts'
import { endOffsetForEpoch, offsetFor, read, refused, type ReadSource } from './partition-reads.ts'
import { lastSequenceOf, type ProducerState } from './producers/producer-state.ts'
import { inTopicCodec, type StoredBatchLimits } from './topic-codec.ts'

/** Most that the records of one compressed batch may unpack to while they are checked. */
const DECOMPRESSED_BYTES_MAX = 64 * 1024 * 1024

/** What all partitions of a shard share. */
export interface PartitionContext {
  readonly backlog: BacklogBudget
  /** Largest batch that the store takes, whatever `max.message.bytes` says. */
  readonly entryBytesMax: number
  /** Wall clock, ms. */
  readonly now: () => number
  /** Monotonic ms; deadlines are counted by it. */
  readonly monotonic: () => number
  readonly after: (delayMs: number, callback: () => void) => () => void
  /** Makes a deletion durable for all replicas; false when that is not certain after `timeoutMs`. */
  readonly deleteRecords: (deletion: Deletion, timeoutMs: number) => Promise<boolean>
  /** See `ReadSource`. */
  readonly rackOf: ((brokerId: number) => string) | undefined
  /** Somebody waits for acks: call `expire` now and then, until `isWaiting` is false. */
  readonly onWaiting: (partition: Partition) => void
  /** Its role, term or in-sync replicas changed. */
  readonly onLeadership: (partition: Partition) => void
}

export interface PartitionOptions {
  readonly topicId: string
  readonly partition: number
  readonly producers: ProducerState
  readonly settings: TopicSettings
  readonly context: PartitionContext
}

export class Partition implements PartitionPort, GroupListener {
  readonly topicId: string
  readonly partition: number
  readonly producers: ProducerState
  readonly #context: PartitionContext
  readonly #backlog: Backlog
  readonly #flushAcks = new AckQueue()
  readonly #commitAcks = new AckQueue()
  readonly #watchers = new Set<() => void>()
  readonly #start = new LogStart(() => this.group)
  #settings: TopicSettings
  #limits: StoredBatchLimits = { batchBytesMax: 0, decompressedBytesMax: DECOMPRESSED_BYTES_MAX }
  #compacted = false
  #inSyncWanted = 1
  #group: ReplicatedLog | undefined
  /** Offset of the next batch while others wait in the backlog: the log's end plus these. */
  #backlogEnd = 0
  #draining = false
  /** Resolvers of whoever waits for something to change: commits, roles. */
  #changeWaiters: (() => void)[] = []
  /** Whether it led when `onLeadership` heard of it last. */
  #shownLeading = false
  #shownHighWatermark = 0
  #closed: ErrorName | undefined

  constructor(options: PartitionOptions) {
    this.topicId = options.topicId
    this.partition = options.partition
    this.producers = options.producers
    this.#context = options.context
    this.#backlog = new Backlog(options.context.backlog)
    this.#settings = options.settings
    this.configure(options.settings)
  }

  /** The topic's settings changed. */
  configure(settings: TopicSettings): void {
    this.#settings = settings
    const batchBytesMax = Math.min(settings['max.message.bytes'], this.#context.entryBytesMax)
    this.#limits = { ...this.#limits, batchBytesMax }
    this.#compacted = settings['cleanup.policy'].includes('compact')
    this.#inSyncWanted = settings['min.insync.replicas']
    // Fewer replicas may be wanted now than who waits was waiting for.
    if (!this.#commitAcks.isEmpty) this.#answerCommitted()
  }

  /** Gives the partition its replica; before anything else is asked of it. */
  bind(group: ReplicatedLog): void {
    this.#group = group
    this.producers.bindTo(group.log)
  }

  get group(): ReplicatedLog {
    if (this.#group === undefined) throw new Error('the partition has no replica yet')
    return this.#group
  }

  get log(): Log {
    return this.group.log
  }

  get leaderEpoch(): number {
    return this.group.term
  }

  get highWatermark(): number {
    return this.group.committedOffset
  }

  get settings(): TopicSettings {
    return this.#settings
  }

  // ---- appending ----

  append(records: Uint8Array, options: AppendOptions): Promise<AppendResult> {
    const problem = this.#whyNot(options)
    if (problem !== undefined) return Promise.resolve(this.#refuse(problem, null))
    const now = this.#context.now()
    const batch = this.#validate(records, options.apiVersion, now)
    if (batch.kind === 'invalid') {
      return Promise.resolve({ ...this.#refuse(batch.error, batch.message), recordErrors: batch.recordErrors })
    }
    if (batch.isTransactional) return Promise.resolve(this.#refuse('INVALID_TXN_STATE', NO_TRANSACTIONS))
    const appendTime = this.#settings['message.timestamp.type'] === 'LogAppendTime' ? BigInt(now) : -1n
    if (batch.producerId >= 0n) {
      const check = this.producers.check(batch.producerId, batch.producerEpoch, batch.baseSequence, batch.recordCount)
      if (check.kind === 'refused') return Promise.resolve(this.#refuse(check.error, check.message))
      if (check.kind === 'duplicate') {
        return this.#answer(check.lastOffset + 1, this.#appended(check.baseOffset, check.timestamp), options)
      }
    }
    const baseOffset = this.#backlog.isEmpty ? this.log.endOffset : this.#backlogEnd
    const nextOffset = baseOffset + batch.lastOffsetDelta + 1
    if (nextOffset > Number.MAX_SAFE_INTEGER) {
      return Promise.resolve(this.#refuse('KAFKA_STORAGE_ERROR', 'The partition has reached the largest offset.'))
    }
    const stored = inTopicCodec(records, batch, this.#settings, this.#limits)
    if ('error' in stored) return Promise.resolve(this.#refuse(stored.error, stored.message))
    stamp(stored, batch, baseOffset, this.group.term, appendTime)
    const refusal = this.#store(stored, nextOffset)
    if (refusal !== undefined) return Promise.resolve(refusal)
    this.#remember(batch, baseOffset, nextOffset, appendTime >= 0n ? appendTime : batch.maxTimestamp)
    return this.#answer(nextOffset, this.#appended(baseOffset, appendTime), options)
  }

  /** Why nothing can be appended now, in the order in which Kafka looks. */
  #whyNot({ acks }: AppendOptions): ErrorName | undefined {
    if (this.#closed !== undefined) return this.#closed
    const { group } = this
    if (!group.leading) return group.role === 'leader' ? 'LEADER_NOT_AVAILABLE' : 'NOT_LEADER_OR_FOLLOWER'
    return acks === -1 && group.inSync.length < this.#inSyncMin() ? 'NOT_ENOUGH_REPLICAS' : undefined
  }

  /** min.insync.replicas, and no more than there are replicas. */
  #inSyncMin(): number {
    const wanted = this.#inSyncWanted
    return wanted === 1 ? 1 : Math.min(wanted, this.group.membership.voters.length)
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
      ...this.#limits
    })
  }

  #remember(batch: ValidBatch, baseOffset: number, nextOffset: number, timestamp: bigint): void {
    if (batch.producerId < 0n) return this.producers.advance(nextOffset)
    this.producers.record(batch.producerId, batch.producerEpoch, {
      firstSequence: batch.baseSequence,
      lastSequence: lastSequenceOf(batch.baseSequence, batch.recordCount),
      baseOffset,
      lastOffset: nextOffset - 1,
      timestamp
    })
  }

  /** Proposes the batch, or keeps a copy for later. Returns a refusal when neither is possible. */
  #store(records: Uint8Array, nextOffset: number): AppendResult | undefined {
    const kind = this.#backlog.isEmpty ? this.group.propose(records).kind : 'full'
    switch (kind) {
      case 'proposed':
        return undefined
      case 'failed':
        return this.#refuse('KAFKA_STORAGE_ERROR', 'The log accepts no writes; see the broker log.')
      case 'notLeader':
        return this.#refuse('NOT_LEADER_OR_FOLLOWER', null)
      case 'full':
      case 'overloaded':
        if (!this.#backlog.add(records)) {
          return this.#refuse('REQUEST_TIMED_OUT', 'The shard is over its memory for appends.')
        }
        this.#backlogEnd = nextOffset
        void this.#drainBacklog()
        return undefined
    }
  }

  async #drainBacklog(): Promise<void> {
    if (this.#draining) return
    this.#draining = true
    for (let kind = 'full'; ;) {
      const next = this.#backlog.first
      if (next === undefined) break
      await (kind === 'full' ? this.group.whenWritable(next.length) : this.#whenChanged())
      if (this.#backlog.first !== next) continue
      ;({ kind } = this.group.propose(next))
      if (kind === 'proposed') {
        this.#backlog.dropFirst()
        kind = 'full'
      } else if (kind === 'failed') this.#dropBacklog('KAFKA_STORAGE_ERROR')
      else if (kind === 'notLeader') this.#dropBacklog('NOT_LEADER_OR_FOLLOWER')
    }
    this.#draining = false
  }

  #whenChanged(): Promise<void> {
    return new Promise(resolve => this.#changeWaiters.push(resolve))
  }

  /** What waits here can never be appended: as if it had never been accepted. */
  #dropBacklog(error: ErrorName): void {
    if (this.#backlog.isEmpty) return
    const end = this.log.endOffset
    this.#backlog.clear()
    this.producers.forgetFrom(end)
    const refusal = this.#refuse(error, null)
    this.#flushAcks.refuseBeyond(end, refusal)
    this.#commitAcks.refuseBeyond(end, refusal)
  }

  #answer(untilOffset: number, result: AppendResult, { acks, timeoutMs }: AppendOptions): Promise<AppendResult> {
    if (acks === 0) return Promise.resolve(result)
    if (acks === 1 ? untilOffset <= this.log.flushedOffset : this.#isHeld(untilOffset)) return Promise.resolve(result)
    const queue = acks === 1 ? this.#flushAcks : this.#commitAcks
    if (queue.isEmpty) this.#context.onWaiting(this)
    return queue.wait(untilOffset, this.#context.monotonic() + timeoutMs, result)
  }

  /** Committed, and durable on min.insync.replicas. */
  #isHeld(untilOffset: number): boolean {
    const { group } = this
    if (untilOffset > group.committedOffset) return false
    const inSyncMin = this.#inSyncMin()
    return inSyncMin === 1 || untilOffset <= group.durableAt(inSyncMin)
  }

  #appended(baseOffset: number, logAppendTimeMs: bigint): AppendResult {
    return { kind: 'appended', baseOffset, logAppendTimeMs, logStartOffset: this.log.startOffset }
  }

  #refuse(error: ErrorName, message: string | null): Extract<AppendResult, { kind: 'refused' }> {
    const logStartOffset = this.#group?.log.startOffset ?? -1
    return { kind: 'refused', error, message, recordErrors: [], logStartOffset }
  }

  get isWaiting(): boolean {
    return !this.#flushAcks.isEmpty || !this.#commitAcks.isEmpty
  }

  /** Refuses those whose acks took too long. Their batches may be committed later. */
  expire(nowMs: number): void {
    const refusal = this.#refuse('REQUEST_TIMED_OUT', null)
    this.#flushAcks.expire(nowMs, refusal)
    this.#commitAcks.expire(nowMs, refusal)
  }

  // ---- deleting ----

  /** Records below were deleted, by what the metadata says. */
  beginAt(startOffset: number): void {
    this.#start.moveTo(startOffset)
  }

  async deleteRecords(offset: number, { timeoutMs }: { timeoutMs: number }): Promise<DeletionOutcome> {
    const target = offset === -1 ? this.highWatermark : offset
    const problem = this.#whyNotDeleted(target)
    if (problem !== undefined) return { kind: 'refused', error: problem }
    if (target > this.log.startOffset) {
      const { topicId, partition, group } = this
      const endMs = this.#context.monotonic() + timeoutMs
      const deletion = { topicId, partition, startOffset: target, recovery: group.recovery }
      const isDecided = await this.#context.deleteRecords(deletion, timeoutMs)
      if (!isDecided || !(await this.#beginsAt(target, endMs - this.#context.monotonic()))) {
        return { kind: 'refused', error: this.#closed ?? 'REQUEST_TIMED_OUT' }
      }
    }
    return { kind: 'done', lowWatermark: this.log.startOffset }
  }

  /** In the order in which Kafka looks. */
  #whyNotDeleted(target: number): ErrorName | undefined {
    if (this.#closed !== undefined) return this.#closed
    const { group } = this
    if (!group.leading) return group.role === 'leader' ? 'LEADER_NOT_AVAILABLE' : 'NOT_LEADER_OR_FOLLOWER'
    if (this.#compacted && !this.#settings['cleanup.policy'].includes('delete')) return 'POLICY_VIOLATION'
    return target < 0 || target > this.highWatermark ? 'OFFSET_OUT_OF_RANGE' : undefined
  }

  #beginsAt(offset: number, waitMs: number): Promise<boolean> {
    return new Promise(resolve => {
      const cancelTimer = this.#context.after(Math.max(0, waitMs), () => {
        cancelWait()
        resolve(false)
      })
      const cancelWait = this.#start.whenAt(offset, () => {
        cancelTimer()
        resolve(true)
      })
    })
  }

  // ---- what the replica tells ----

  advanced(): void {
    this.#flushAcks.answerUpTo(this.log.flushedOffset)
    this.#answerCommitted()
    this.#start.advanced()
    // Commits come by the thousand a second; few of them are the first of a leader's term.
    if (this.group.leading !== this.#shownLeading || this.#changeWaiters.length > 0) this.#changed()
    const { highWatermark } = this
    if (highWatermark === this.#shownHighWatermark) return
    this.#shownHighWatermark = highWatermark
    this.#wake()
  }

  #answerCommitted(): void {
    const { group } = this
    const committed = group.committedOffset
    if (this.#commitAcks.firstOffset > committed) return
    const inSyncMin = this.#inSyncMin()
    if (inSyncMin === 1) return this.#commitAcks.answerUpTo(committed)
    this.#commitAcks.answerUpTo(Math.min(committed, group.durableAt(inSyncMin)))
    // Committed by a majority, and fewer are in sync by now than the topic wants.
    if (group.inSync.length < inSyncMin) {
      this.#commitAcks.answerUpTo(committed, this.#refuse('NOT_ENOUGH_REPLICAS_AFTER_APPEND', null))
    }
  }

  roleChanged(): void {
    if (this.group.role !== 'leader') {
      this.#dropBacklog('NOT_LEADER_OR_FOLLOWER')
      const refusal = this.#refuse('NOT_LEADER_OR_FOLLOWER', null)
      this.#flushAcks.refuseAll(refusal)
      this.#commitAcks.refuseAll(refusal)
    }
    this.#changed()
    this.#wake()
  }

  replicasChanged(): void {
    this.#answerCommitted()
    this.#changed()
  }

  truncated(offset: number): void {
    const refusal = this.#refuse('NOT_LEADER_OR_FOLLOWER', null)
    this.#flushAcks.refuseBeyond(offset, refusal)
    this.#commitAcks.refuseBeyond(offset, refusal)
  }

  failed(): void {
    this.fail('KAFKA_STORAGE_ERROR')
  }

  #changed(): void {
    this.#shownLeading = this.#group?.leading === true
    this.#context.onLeadership(this)
    if (this.#changeWaiters.length > 0) for (const resolve of this.#changeWaiters.splice(0)) resolve()
  }

  #wake(): void {
    for (const watcher of this.#watchers) watcher()
  }

  /** Answers all that waits with `error` and refuses what comes; the partition moved, was deleted or its disk failed. */
  fail(error: ErrorName): void {
    this.#closed = error
    const refusal = this.#refuse(error, null)
    this.#flushAcks.refuseAll(refusal)
    this.#commitAcks.refuseAll(refusal)
    this.#backlog.clear()
    this.#changed()
    this.#wake()
  }

  /** It takes and gives nothing any more: removed, or its disk failed. */
  get isClosed(): boolean {
    return this.#closed !== undefined
  }

  // ---- reading ----

  read(request: ReadRequest): ReadOutcome | Promise<ReadOutcome> {
    if (this.#isGone) return refused(this.#closed ?? 'UNKNOWN_TOPIC_OR_PARTITION')
    return read(this.#source, request)
  }

  offsetFor(spec: OffsetSpec, options: OffsetOptions): Promise<OffsetOutcome> {
    if (this.#isGone) return Promise.resolve({ kind: 'refused', error: this.#closed ?? 'UNKNOWN_TOPIC_OR_PARTITION' })
    return offsetFor(this.#source, spec, options)
  }

  endOffsetForEpoch(epoch: number, currentLeaderEpoch: number): Promise<EpochEndOutcome> {
    if (this.#closed !== undefined) return Promise.resolve({ kind: 'refused', error: this.#closed })
    return Promise.resolve(endOffsetForEpoch(this.#source, epoch, currentLeaderEpoch))
  }

  describeProducers(): Promise<ProducersOutcome> {
    const error = this.#closed ?? (this.group.role === 'leader' ? undefined : 'NOT_LEADER_OR_FOLLOWER')
    if (error !== undefined) return Promise.resolve({ kind: 'refused', error })
    return Promise.resolve({ kind: 'found', producers: this.producers.describe() })
  }

  get #source(): ReadSource {
    return { group: this.group, rackOf: this.#context.rackOf, failed: this.#closed !== undefined }
  }

  /** Closed, and not because its disk failed: what is durable can be read then. */
  get #isGone(): boolean {
    return this.#closed !== undefined && this.#closed !== 'KAFKA_STORAGE_ERROR'
  }

  watch(listener: () => void): () => void {
    this.#watchers.add(listener)
    return () => this.#watchers.delete(listener)
  }
}

/** A transactional batch needs a transaction that its partition is part of; nothing can open one yet. */
const NO_TRANSACTIONS = 'The partition is not part of a transaction: this broker has no transactions yet.'

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
