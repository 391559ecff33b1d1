/**
 * One partition as the gateway uses it: append, read, look up offsets and epochs, be told of changes.
 *
 * A port stands for a replica on this shard, leader or follower, or (node addressing) for a partition on another shard behind
 * the mesh. Leadership may move at any time, so every call is judged when it is made: the port itself refuses what its
 * replica may not do. In this order, as in Kafka:
 *
 *     1. the client's leader epoch (KIP-320), unless it is -1: lower than ours FENCED_LEADER_EPOCH, higher UNKNOWN_LEADER_EPOCH
 *     2. a follower asked for what only a leader may do, or no leader known: NOT_LEADER_OR_FOLLOWER
 *     3. a new leader that has not yet learnt all that was committed before it: LEADER_NOT_AVAILABLE for appends and reads,
 *        OFFSET_NOT_AVAILABLE for `offsetFor`
 *     4. everything else
 */
import type { ErrorName } from '@milena/wire-protocol'

/** Acks of a produce request: 0 none, 1 leader, -1 all in-sync replicas. */
export type Acks = 0 | 1 | -1

/** How a batch is to be appended, as the produce request says. */
export interface AppendOptions {
  readonly acks: Acks
  /** How long the acks may take. Never negative. */
  readonly timeoutMs: number
  /** Produce version of the client: zstd needs 7 or newer. */
  readonly apiVersion: number
  readonly transactionalId: string | null
}

/** Where a batch went, or why it was refused. */
export type AppendResult =
  | {
      readonly kind: 'appended'
      readonly baseOffset: number
      /** -1n unless message.timestamp.type is LogAppendTime, or the batch is a retry: then its largest timestamp, as in Kafka. */
      readonly logAppendTimeMs: bigint
      readonly logStartOffset: number
    }
  | {
      readonly kind: 'refused'
      readonly error: ErrorName
      readonly message: string | null
      readonly recordErrors: readonly { batchIndex: number; message: string | null }[]
      readonly logStartOffset: number
    }

/** Which records a reader may see: all that are committed, or those of open and aborted transactions left out (KIP-98). */
export type Isolation = 'read_uncommitted' | 'read_committed'

/** What a client wants to read of a partition (Fetch). */
export interface ReadRequest {
  readonly offset: number
  readonly maxBytes: number
  /** Return one batch even when it is larger than `maxBytes` (KIP-74). */
  readonly atLeastOne: boolean
  readonly isolation: Isolation
  /** -1 when the client did not say. */
  readonly currentLeaderEpoch: number
  /**
   * Epoch of the record before `offset` as the client has it, -1 when it did not say: where the logs part, the outcome is
   * `diverging` (KIP-595). An epoch that the replica knows nothing of: OFFSET_OUT_OF_RANGE.
   */
  readonly lastFetchedEpoch: number
  /** The client cannot read from followers (Fetch before version 11). */
  readonly leaderOnly: boolean
  /** Rack of the client, '' when it did not say: a leader may send it to a replica nearby (KIP-392). */
  readonly clientRack: string
}

/** Offsets that each answer to a read tells; -1 where they are not known. */
export interface LogOffsets {
  readonly highWatermark: number
  readonly lastStableOffset: number
  readonly logStartOffset: number
}

/** What a read found; every answer tells the offsets of the log. */
export type ReadOutcome =
  | (LogOffsets & {
      readonly kind: 'data'
      /**
       * Record batches exactly as stored; views valid until `release()`. Possibly none: at the high watermark, and above it as
       * far as the replica's log goes (a follower's high watermark trails behind).
       */
      readonly slices: readonly Uint8Array[]
      readonly byteCount: number
      readonly abortedTransactions: readonly { producerId: bigint; firstOffset: number }[]
      /**
       * Broker id of the follower that the client should read from, with no slices; otherwise -1. As Kafka's
       * RackAwareReplicaSelector chooses: among the in-sync replicas in the client's rack that hold `offset` the most
       * advanced; none if the leader is in that rack itself.
       */
      readonly preferredReadReplica: number
      /** At most once. */
      release(): void
    })
  | (LogOffsets & {
      readonly kind: 'diverging'
      /** The last epoch that both logs may have, and where it ends here: the client goes back to there. */
      readonly epoch: number
      readonly endOffset: number
    })
  | (LogOffsets & { readonly kind: 'refused'; readonly error: ErrorName })

/** What ListOffsets can ask for (KIP-79, KIP-734, KIP-405, KIP-1005, KIP-1023). */
export type OffsetSpec =
  | {
      readonly kind:
        'latest' | 'earliest' | 'max-timestamp' | 'earliest-local' | 'latest-tiered' | 'earliest-pending-upload'
    }
  | { readonly kind: 'timestamp'; readonly timestamp: bigint }

/** Who asks for an offset, and what may be told. */
export interface OffsetOptions {
  /** Undefined: to the end of the log, for debugging tools. */
  readonly isolation: Isolation | undefined
  /** -1 when the client did not say. */
  readonly currentLeaderEpoch: number
  /** A follower must refuse. False for debugging tools. */
  readonly leaderOnly: boolean
}

/** `leaderEpoch` is that of the record found; for the ends of the log, that of the leader; -1 when nothing was found. */
export type OffsetOutcome =
  | { readonly kind: 'found'; readonly offset: number; readonly timestamp: bigint; readonly leaderEpoch: number }
  | { readonly kind: 'refused'; readonly error: ErrorName }

/** Where an epoch ends (OffsetForLeaderEpoch). */
export type EpochEndOutcome =
  /**
   * The largest epoch at or below the one asked for, and the offset behind its last record: for the leader's own epoch the
   * end of the log, below the first epoch that is known the one asked for and the start of that first. Above the leader's
   * own, and for -1: -1 and -1.
   */
  | { readonly kind: 'found'; readonly leaderEpoch: number; readonly endOffset: number }
  | { readonly kind: 'refused'; readonly error: ErrorName }

/** What became of a deletion of records. */
export type DeletionOutcome =
  /** `lowWatermark`: where the log begins now, on every replica. */
  { readonly kind: 'done'; readonly lowWatermark: number } | { readonly kind: 'refused'; readonly error: ErrorName }

/** What a partition remembers of an idempotent producer. */
export interface ProducerView {
  readonly producerId: bigint
  readonly producerEpoch: number
  /** Of its last batch; -1 when no batch of this epoch is remembered. */
  readonly lastSequence: number
  /** The largest timestamp in that batch, ms; -1n when there is none. */
  readonly lastTimestamp: bigint
}

export type ProducersOutcome =
  | { readonly kind: 'found'; readonly producers: readonly ProducerView[] }
  | { readonly kind: 'refused'; readonly error: ErrorName }

/** One partition. See above for what is refused, and in which order. */
export interface PartitionPort {
  readonly topicId: string
  readonly partition: number
  /** The newest epoch that the replica knows. Changes under the reader's eyes. */
  readonly leaderEpoch: number
  /**
   * Leader only. Validates one record batch, gives it offsets, appends. The bytes may be patched in place (offsets, epoch,
   * timestamps) and are copied before the call returns.
   *
   * Resolves when the acks are satisfied (acks=0: when appended), and in any case soon after `timeoutMs`: then with
   * REQUEST_TIMED_OUT, and the batch may be committed later. With acks=all further errors are NOT_ENOUGH_REPLICAS (too few
   * in-sync replicas, nothing was appended) and NOT_ENOUGH_REPLICAS_AFTER_APPEND (too few when it was committed). A leader
   * that steps down answers appends that wait with NOT_LEADER_OR_FOLLOWER, without waiting for what becomes of them.
   */
  append(records: Uint8Array, options: AppendOptions): Promise<AppendResult>
  /**
   * At once when in memory. A follower serves up to the high watermark that it knows. Reads of several partitions may be
   * under way at the same time.
   */
  read(request: ReadRequest): ReadOutcome | Promise<ReadOutcome>
  offsetFor(spec: OffsetSpec, options: OffsetOptions): Promise<OffsetOutcome>
  /** Leader only: where an epoch ends (KIP-101, KIP-320). `currentLeaderEpoch` as in a read. */
  endOffsetForEpoch(epoch: number, currentLeaderEpoch: number): Promise<EpochEndOutcome>
  /**
   * Leader only: drops all records before `offset`, on every replica, for good (KIP-107); -1: all that consumers can see. Resolves
   * when that is decided and durable, and in any case soon after `timeoutMs`, then with REQUEST_TIMED_OUT. Nothing to drop is
   * done at once. Errors: OFFSET_OUT_OF_RANGE (negative, or above the high watermark), POLICY_VIOLATION (a topic that is compacted
   * and nothing else).
   */
  deleteRecords(offset: number, options: { timeoutMs: number }): Promise<DeletionOutcome>
  /** Leader only: the idempotent producers that it remembers (KIP-664), a few thousand at most. */
  describeProducers(): Promise<ProducersOutcome>
  /**
   * `listener` runs when a read would answer differently than before: more can be read, the leader or its epoch changed, or
   * the partition went away (`find` would give another port or none). At most once an event-loop turn; it may call the
   * returned function, which ends the watch.
   */
  watch(listener: () => void): () => void
}

/** The partitions that this shard can serve. */
export interface PartitionsPort {
  /**
   * The partition, if this shard has a replica of it or can reach one. Otherwise why not: UNKNOWN_TOPIC_OR_PARTITION,
   * UNKNOWN_TOPIC_ID, NOT_LEADER_OR_FOLLOWER (the view tells who leads), LEADER_NOT_AVAILABLE (a replica that is placed here
   * and not open yet), KAFKA_STORAGE_ERROR.
   */
  find(topicId: string, partition: number): PartitionPort | { readonly error: ErrorName }
}
