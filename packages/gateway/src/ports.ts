/**
 * What the gateway needs from its host: the ports. The gateway knows the wire and nothing of disks, shards or Raft; whoever
 * composes it (apps/broker, a proxy, a test with fakes) implements these.
 *
 * Units: offsets are numbers (safe integers; the log refuses to grow beyond), timestamps and producer ids are bigint (int64
 * exactly as on the wire), sizes are bytes, times milliseconds. Errors are names from the wire's error table; the gateway
 * turns them into codes. A *refused* outcome is an ordinary answer; a thrown error is a defect and becomes
 * UNKNOWN_SERVER_ERROR for that request.
 */
import type { ErrorName } from '@milena/wire-protocol'

/** How a client reached us; metadata answers may depend on it ("advertise what the client dialled"). */
export interface Dial {
  /** Name of the listener, as configured (e.g. PLAINTEXT). */
  readonly listener: string
  /** Address and port of our end of the client's socket. */
  readonly localAddress: string
  readonly localPort: number
  readonly remoteAddress: string
}

export interface BrokerView {
  readonly id: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
  /** Not taking part at the moment (KIP-1073 `isFenced`). */
  readonly fenced: boolean
}

export interface PartitionView {
  readonly partition: number
  /** Broker id, -1 while there is none. */
  readonly leader: number
  readonly leaderEpoch: number
  readonly replicas: readonly number[]
  readonly inSyncReplicas: readonly number[]
  readonly offlineReplicas: readonly number[]
}

export interface TopicView {
  readonly name: string
  /** Kafka's textual form: 22 characters of base64url. */
  readonly topicId: string
  readonly internal: boolean
  /** Indexed by partition number. */
  readonly partitions: readonly PartitionView[]
}

/** An immutable picture of the cluster; a new object whenever the revision moves. */
export interface ClusterView {
  readonly revision: number
  readonly clusterId: string
  /** Broker id that answers for the controller, -1 when unknown. */
  readonly controllerId: number
  topicByName(name: string): TopicView | undefined
  topicById(topicId: string): TopicView | undefined
  topics(): Iterable<TopicView>
  /** Addresses as this client should use them. */
  brokers(dial: Dial): readonly BrokerView[]
}

export interface TopicRequest {
  readonly name: string
  /** -1: the broker's default. */
  readonly partitionCount: number
  /** -1: the broker's default. */
  readonly replicationFactor: number
  /** Manual placement: broker ids per partition; empty when the broker places. */
  readonly assignments: readonly { partition: number; brokerIds: readonly number[] }[]
  readonly configs: readonly { name: string; value: string | null }[]
}

export interface ConfigView {
  readonly name: string
  readonly value: string | null
  readonly readOnly: boolean
  /** Kafka's DescribeConfigs source: 1 dynamic topic, 4 static broker, 5 default. */
  readonly source: number
  readonly sensitive: boolean
}

export type TopicResult =
  | {
      readonly kind: 'done'
      readonly name: string
      readonly topicId: string
      readonly partitionCount: number
      readonly replicationFactor: number
      readonly configs: readonly ConfigView[]
    }
  | { readonly kind: 'refused'; readonly name: string; readonly error: ErrorName; readonly message: string | null }

export interface ClusterPort {
  view(): ClusterView
  /** One result a request, in order. Resolves when the topics are durable and this shard's view shows them. */
  createTopics(
    requests: readonly TopicRequest[],
    options: { validateOnly: boolean; timeoutMs: number }
  ): Promise<readonly TopicResult[]>
  /** By name or id. Resolves when durable and this shard's view no longer shows them. */
  deleteTopics(
    topics: readonly ({ name: string } | { topicId: string })[],
    options: { timeoutMs: number }
  ): Promise<readonly TopicResult[]>
  /** Whether Metadata of an unknown topic may make it (auto.create.topics.enable). */
  readonly autoCreateTopics: boolean
}

/** Acks of a produce request: 0 none, 1 leader, -1 all in-sync replicas. */
export type Acks = 0 | 1 | -1

export interface AppendOptions {
  readonly acks: Acks
  readonly timeoutMs: number
  /** Produce version of the client: zstd needs 7 or newer. */
  readonly apiVersion: number
  readonly transactionalId: string | null
}

export type AppendResult =
  | {
      readonly kind: 'appended'
      readonly baseOffset: number
      /** -1n unless message.timestamp.type is LogAppendTime. */
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

export type Isolation = 'read_uncommitted' | 'read_committed'

export interface ReadRequest {
  readonly offset: number
  readonly maxBytes: number
  /** Return one batch even when it is larger than `maxBytes` (KIP-74). */
  readonly atLeastOne: boolean
  readonly isolation: Isolation
  /** -1 when the client did not say. Fenced or unknown epochs are refused (KIP-320). */
  readonly currentLeaderEpoch: number
}

export type ReadOutcome =
  | {
      readonly kind: 'data'
      /** Record batches exactly as stored; views valid until `release()`. Possibly none. */
      readonly slices: readonly Uint8Array[]
      readonly byteCount: number
      readonly highWatermark: number
      readonly lastStableOffset: number
      readonly logStartOffset: number
      readonly abortedTransactions: readonly { producerId: bigint; firstOffset: number }[]
      release(): void
    }
  | {
      readonly kind: 'refused'
      readonly error: ErrorName
      readonly highWatermark: number
      readonly lastStableOffset: number
      readonly logStartOffset: number
    }

/** What ListOffsets can ask for (KIP-79, KIP-734, KIP-405, KIP-1005, KIP-1023). */
export type OffsetSpec =
  | {
      readonly kind:
        'latest' | 'earliest' | 'max-timestamp' | 'earliest-local' | 'latest-tiered' | 'earliest-pending-upload'
    }
  | { readonly kind: 'timestamp'; readonly timestamp: bigint }

export type OffsetOutcome =
  | { readonly kind: 'found'; readonly offset: number; readonly timestamp: bigint; readonly leaderEpoch: number }
  | { readonly kind: 'refused'; readonly error: ErrorName }

/** One partition, wherever it lives: on this shard, or (node addressing) on another one behind the mesh. */
export interface PartitionPort {
  readonly topicId: string
  readonly partition: number
  readonly leaderEpoch: number
  /**
   * Validates one record batch, gives it offsets, appends. Resolves when the acks are satisfied (acks=0: when appended).
   * The bytes may be patched in place (offsets, epoch, timestamps) and are copied before the call returns.
   */
  append(records: Uint8Array, options: AppendOptions): Promise<AppendResult>
  /** At once when in memory. */
  read(request: ReadRequest): ReadOutcome | Promise<ReadOutcome>
  offsetFor(
    spec: OffsetSpec,
    options: { isolation: Isolation | undefined; currentLeaderEpoch: number }
  ): Promise<OffsetOutcome>
  /**
   * `listener` runs when a read would answer differently than before: more can be read, the leader epoch moved, or the
   * partition went away. At most once an event-loop turn; it may call the returned function, which ends the watch.
   */
  watch(listener: () => void): () => void
}

export interface PartitionsPort {
  /**
   * The partition, if this shard can serve it. Otherwise why not: UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID,
   * NOT_LEADER_OR_FOLLOWER (the view tells who leads), LEADER_NOT_AVAILABLE, KAFKA_STORAGE_ERROR.
   */
  find(topicId: string, partition: number): PartitionPort | { readonly error: ErrorName }
}

export interface ProducerIdsPort {
  /** A producer id never given out before, by any broker of the cluster. */
  allocate(): Promise<bigint>
}

export type CoordinatorKind = 'group' | 'transaction' | 'share'

export interface CoordinatorsPort {
  find(
    kind: CoordinatorKind,
    key: string
  ): Promise<{ readonly brokerId: number } | { readonly error: ErrorName; readonly message: string | null }>
}

/** Back-pressure from the host's memory: while it is closed, connections read no further when a Produce is next. */
export interface AdmissionPort {
  readonly open: boolean
  whenOpen(): Promise<void>
}

export interface ClockPort {
  /** Wall clock, ms since the epoch. */
  now(): number
  /** Monotonic ms. */
  monotonic(): number
  /** Calls back once after `delayMs`; the returned function cancels. Timers never keep the process alive. */
  after(delayMs: number, callback: () => void): () => void
}

/** Structured log sink; a pino logger fits. */
export interface LogPort {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface GatewayHost {
  /** Broker id of this shard. */
  readonly brokerId: number
  readonly cluster: ClusterPort
  readonly partitions: PartitionsPort
  readonly producerIds: ProducerIdsPort
  readonly coordinators: CoordinatorsPort
  readonly admission: AdmissionPort
  readonly clock: ClockPort
  readonly log: LogPort
}
