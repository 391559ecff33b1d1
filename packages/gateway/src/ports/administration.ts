/**
 * What operators' tools ask for: elections, reassignments, the metadata quorum, brokers that are gone, settings, disks.
 *
 * All ports here are optional in `GatewayHost`: the gateway serves, and ApiVersions lists, only what its host can do. Any shard
 * may be asked; getting the question to the controller is the host's business. Broker ids are those that clients know.
 * Deadlines end in REQUEST_TIMED_OUT; an unreachable controller in NOT_CONTROLLER, which makes clients ask again.
 */
import type { ErrorName } from '@milena/wire-protocol'
import type { ConfigView } from './cluster.ts'

/** The whole request was refused. `message` null: the error's usual text. */
export interface Refusal {
  readonly kind: 'refused'
  readonly error: ErrorName
  readonly message: string | null
}

/** A partition, by the name of its topic. */
export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** What became of one partition of a request. */
export interface PartitionResult extends TopicPartition {
  /** NONE: done. */
  readonly error: ErrorName
  /** Null: the error's usual text. */
  readonly message: string | null
}

/** What became of a request about partitions. */
export type PartitionResults = { readonly kind: 'done'; readonly results: readonly PartitionResult[] } | Refusal

/** `unclean`: any living replica may lead, and what the others have more may be lost. */
export type ElectionKind = 'preferred' | 'unclean'

/** Where a partition should be (AlterPartitionReassignments). */
export interface ReassignmentRequest extends TopicPartition {
  /** Broker ids that the partition should be on, the preferred leader first; null cancels what is under way. */
  readonly replicas: readonly number[] | null
}

/** A move that is under way, as clients are told of it. */
export interface ReassignmentView extends TopicPartition {
  /** All that hold the partition now; those that are added and removed included. */
  readonly replicas: readonly number[]
  readonly adding: readonly number[]
  readonly removing: readonly number[]
}

/** Moves under way, or why they cannot be told. */
export type ReassignmentViews = { readonly kind: 'done'; readonly results: readonly ReassignmentView[] } | Refusal

/** A member of the controller's Raft group. */
export interface QuorumMember {
  readonly replicaId: number
  /** Identity of the member's data folder, as 22 characters of base64url. */
  readonly directoryId: string
  /** -1 when unknown. */
  readonly logEndOffset: number
  /** Wall clock ms at which the leader last heard of it, and at which it last had all that the leader had; -1 when unknown. */
  readonly lastFetchMs: number
  readonly lastCaughtUpMs: number
}

/** The controller's Raft group (DescribeQuorum). */
export type QuorumView =
  | {
      readonly kind: 'done'
      readonly leaderId: number
      readonly leaderEpoch: number
      readonly highWatermark: number
      readonly voters: readonly QuorumMember[]
      readonly observers: readonly QuorumMember[]
      /** Where the voters are reached: listener name, host and port. */
      readonly nodes: readonly {
        readonly nodeId: number
        readonly listeners: readonly { readonly name: string; readonly host: string; readonly port: number }[]
      }[]
    }
  | Refusal

/** What operators ask of the cluster; any shard may be asked. */
export interface AdministrationPort {
  /**
   * Elects leaders; one result a partition, in order, for `'all'` in any order. A partition that is led by whom it should be
   * answers ELECTION_NOT_NEEDED (with `'all'` it may be left out), one whose preferred replica cannot lead
   * PREFERRED_LEADER_NOT_AVAILABLE, one without a living replica ELIGIBLE_LEADERS_NOT_AVAILABLE. `unclean` changes nothing
   * where there is a leader (ELECTION_NOT_NEEDED); a host that gives up data only knowingly refuses it elsewhere with
   * ELIGIBLE_LEADERS_NOT_AVAILABLE and a message. Resolves when the new leaders are known here.
   */
  electLeaders(
    kind: ElectionKind,
    partitions: readonly TopicPartition[] | 'all',
    options: { timeoutMs: number }
  ): Promise<PartitionResults>
  /**
   * Starts or cancels moves; one result a request, in order. Resolves when that is durable, long before a move ends. Errors
   * of a partition: UNKNOWN_TOPIC_OR_PARTITION, INVALID_REPLICA_ASSIGNMENT, INVALID_REPLICATION_FACTOR (when it may not
   * change), NO_REASSIGNMENT_IN_PROGRESS.
   */
  alterReassignments(
    requests: readonly ReassignmentRequest[],
    options: { timeoutMs: number; allowReplicationFactorChange: boolean }
  ): Promise<PartitionResults>
  /** Moves under way, of these partitions or of all; partitions that do not move or do not exist are left out. */
  listReassignments(
    partitions: readonly TopicPartition[] | 'all',
    options: { timeoutMs: number }
  ): Promise<ReassignmentViews>
  /** The Raft group of the controller. */
  describeQuorum(): Promise<QuorumView>
  /** Forgets a broker for good. BROKER_ID_NOT_REGISTERED when there is none; a host may refuse one that still has replicas. */
  unregisterBroker(brokerId: number): Promise<{ readonly kind: 'done' } | Refusal>
}

/** Kafka's resource types: what settings belong to. */
export type ConfigResourceType = 'topic' | 'broker' | 'brokerLogger' | 'clientMetrics' | 'group'

/** What settings belong to. */
export interface ConfigResource {
  readonly type: ConfigResourceType
  /**
   * A topic (to describe: one that this shard's view shows); the host's own broker id in decimal, or '' with type `broker` for
   * what was set for all brokers; the name of a subscription or group.
   */
  readonly name: string
}

/** Kafka's types of settings: 1 boolean, 2 string, 3 int, 4 short, 5 long, 6 double, 7 list, 8 class, 9 password. */
export type ConfigType = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9

/** A setting with all that DescribeConfigs can tell of it. */
export interface ConfigDescription extends ConfigView {
  readonly type: ConfigType
  /** What it means, for people. */
  readonly documentation: string
  /**
   * Where the value comes from and what would come next without it, most significant first: the topic's own value, the
   * broker's setting of the other name, the default of that. Empty for a topic's setting that brokers do not have.
   */
  readonly synonyms: readonly { readonly name: string; readonly value: string | null; readonly source: number }[]
}

/** The settings of one resource, or why they are not shown. */
export type ConfigsView = { readonly kind: 'done'; readonly configs: readonly ConfigDescription[] } | Refusal

/** What is to become of one setting. `append` and `subtract`: elements of a list, comma separated (KIP-339). */
export type ConfigOperation =
  | { readonly kind: 'set' | 'append' | 'subtract'; readonly name: string; readonly value: string }
  | { readonly kind: 'delete'; readonly name: string }

/** What is to become of the settings of one resource. */
export interface ConfigAlteration {
  readonly resource: ConfigResource
  /** `replace`: what no operation names goes back to its default; all operations are `set` then. */
  readonly mode: 'incremental' | 'replace'
  /** No name twice. */
  readonly operations: readonly ConfigOperation[]
}

/** What became of an alteration. */
export type ConfigAlterationResult = { readonly kind: 'done' } | Refusal

/** Settings, shown and changed (DescribeConfigs, AlterConfigs, IncrementalAlterConfigs). */
export interface ConfigsPort {
  /** Every setting of each resource; one result a resource, in order. The gateway picks what the client asked for. */
  describe(resources: readonly ConfigResource[]): Promise<readonly ConfigsView[]>
  /**
   * Changes settings: all operations of a resource or none of them; one result a resource, in order. Topics may be ones that do
   * not exist. Resolves when the changes are durable and this shard shows them. Errors: INVALID_CONFIG for names and values of
   * topics, INVALID_REQUEST for those of brokers and what cannot change while a broker runs, UNKNOWN_TOPIC_OR_PARTITION.
   * `validateOnly`: the same answers, and nothing changes.
   */
  alter(
    alterations: readonly ConfigAlteration[],
    options: { validateOnly: boolean }
  ): Promise<readonly ConfigAlterationResult[]>
}

/** A data folder of this broker. */
export type LogDirView = {
  /** Absolute. */
  readonly path: string
} & (
  | {
      readonly kind: 'healthy'
      /** Of the file system; -1 when unknown. */
      readonly totalBytes: number
      readonly usableBytes: number
      readonly replicas: readonly ReplicaSize[]
    }
  /** KAFKA_STORAGE_ERROR: the disk failed. */
  | { readonly kind: 'refused'; readonly error: ErrorName }
)

/** A replica in a data folder. */
export interface ReplicaSize extends TopicPartition {
  readonly sizeBytes: number
  /** What it lacks of the committed records, in offsets. */
  readonly offsetLag: number
}

/** Where replicas are on disk (DescribeLogDirs). */
export interface LogDirsPort {
  /** The data folders of the host's own broker with everything in them. The gateway picks what the client asked for. */
  describe(): Promise<readonly LogDirView[]>
}
