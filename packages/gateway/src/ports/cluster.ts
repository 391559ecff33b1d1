/**
 * The cluster as clients see it, and topics being made and removed.
 *
 * `ClusterPort.view()` is this shard's picture of the cluster: immutable, never waited for, as new as what this shard has
 * heard. Leaders in it are hints: who really leads a partition, the partition's own port knows.
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

/** A broker at the address that this client should use. */
export interface BrokerView {
  readonly id: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
  /**
   * Registered, but not taking part at the moment: down, cut off or not ready (KIP-1073 `isFenced`). Named by DescribeCluster
   * on request, never by Metadata; a partition whose leader is fenced counts as one without leader.
   */
  readonly fenced: boolean
}

/** A partition as metadata answers tell of it. */
export interface PartitionView {
  readonly partition: number
  /** Broker id, -1 while there is none. */
  readonly leader: number
  /** Of the latest leader that is known, also while there is none. */
  readonly leaderEpoch: number
  /** Broker ids, the preferred leader first. While a reassignment runs, those that are added and removed are among them. */
  readonly replicas: readonly number[]
  /** Those of `replicas` that keep up with the leader, which is one of them. */
  readonly inSyncReplicas: readonly number[]
  /** Those of `replicas` that are fenced or whose disk failed. */
  readonly offlineReplicas: readonly number[]
}

/** A topic as metadata answers tell of it. */
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
  /** Every registered broker, fenced ones included, at the addresses that this client should use. */
  brokers(dial: Dial): readonly BrokerView[]
}

/** A topic to be made (CreateTopics). */
export interface TopicRequest {
  readonly name: string
  /** -1: the broker's default; also with a manual placement, whose length decides then. */
  readonly partitionCount: number
  /** -1: the broker's default; also with a manual placement. */
  readonly replicationFactor: number
  /** Manual placement: broker ids per partition; empty when the broker places. */
  readonly assignments: readonly { partition: number; brokerIds: readonly number[] }[]
  readonly configs: readonly { name: string; value: string | null }[]
}

/** A setting with its value. */
export interface ConfigView {
  readonly name: string
  readonly value: string | null
  readonly readOnly: boolean
  /** Kafka's DescribeConfigs source: 1 dynamic topic, 2 dynamic broker, 3 dynamic default broker, 4 static broker, 5 default. */
  readonly source: number
  readonly sensitive: boolean
}

/** What became of a request to make or delete a topic; `done` says what there is now, or was. */
export type TopicResult =
  | {
      readonly kind: 'done'
      readonly name: string
      readonly topicId: string
      readonly partitionCount: number
      readonly replicationFactor: number
      readonly configs: readonly ConfigView[]
    }
  | {
      readonly kind: 'refused'
      readonly name: string
      /** Of a topic that is there all the same, when it is known. */
      readonly topicId?: string
      readonly error: ErrorName
      readonly message: string | null
    }

/** More partitions for a topic. */
export interface MorePartitionsRequest {
  readonly name: string
  /** How many it shall have in all. */
  readonly count: number
  /** Broker ids of each partition that is added, in order; null when the broker places. */
  readonly assignments: readonly (readonly number[])[] | null
}

/** What became of a request for more partitions. */
export type MorePartitionsResult =
  | { readonly kind: 'done'; readonly name: string }
  | { readonly kind: 'refused'; readonly name: string; readonly error: ErrorName; readonly message: string | null }

/** What this shard knows of the cluster, and the requests that change its topics. */
export interface ClusterPort {
  view(): ClusterView
  /** One result a request, in order. Resolves when the topics are durable and this shard's view shows them. */
  createTopics(
    requests: readonly TopicRequest[],
    options: { validateOnly: boolean; timeoutMs: number }
  ): Promise<readonly TopicResult[]>
  /**
   * By name or id; one result a topic, in order. Resolves when durable and this shard's view no longer shows them. The view may
   * not show yet what is deleted, so nothing is refused by it. Errors: UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, and
   * INVALID_REQUEST (with name and id, both times) when a name and an id are of the same topic.
   */
  deleteTopics(
    topics: readonly ({ name: string } | { topicId: string })[],
    options: { timeoutMs: number }
  ): Promise<readonly TopicResult[]>
  /**
   * No topic twice; one result a request, in order. Resolves when the partitions are durable and this shard's view shows them.
   * Errors: UNKNOWN_TOPIC_OR_PARTITION, INVALID_PARTITIONS (not more than there are, or too many), INVALID_REPLICA_ASSIGNMENT,
   * INVALID_REPLICATION_FACTOR (too few nodes).
   */
  createPartitions(
    requests: readonly MorePartitionsRequest[],
    options: { validateOnly: boolean; timeoutMs: number }
  ): Promise<readonly MorePartitionsResult[]>
  /** Whether Metadata of an unknown topic may make it (auto.create.topics.enable). */
  readonly autoCreateTopics: boolean
}
