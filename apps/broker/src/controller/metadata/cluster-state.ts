/**
 * The cluster's metadata: what it consists of, and its plain form for snapshots and messages. How commands change it is in
 * apply.ts.
 *
 * States are immutable and share structure; holding an old one is cheap and safe. Every replica of the controller's log arrives
 * at the same state after the same commands.
 *
 * Not in here: who leads a partition. Leaders are elected by the partitions' own Raft groups and announced directly
 * (cluster/leadership/leader-table.ts), so that an election needs no second consensus.
 */

/** Kafka's broker id of a shard. Shards are brokers to clients; a node is the machine they share. */
export const brokerIdOf = (nodeId: number, shard: number): number => nodeId * SHARDS_PER_NODE + shard
/** The node of a shard, from the shard's broker id. */
export const nodeOf = (brokerId: number): number => Math.floor(brokerId / SHARDS_PER_NODE)
/** The number of a shard on its node, from its broker id. */
export const shardOf = (brokerId: number): number => brokerId % SHARDS_PER_NODE

/** The broker that clients know a shard as. `byNode` (node addressing): its node, which has the id of its first shard. */
export const shownBrokerId = (brokerId: number, byNode: boolean): number =>
  byNode ? brokerIdOf(nodeOf(brokerId), 0) : brokerId

/** The same of several, each broker once. */
export const shownBrokerIds = (brokerIds: readonly number[], byNode: boolean): readonly number[] =>
  byNode ? [...new Set(brokerIds.map(id => shownBrokerId(id, byNode)))] : brokerIds
const SHARDS_PER_NODE = 1000

/** Host and port; with shard addressing (and always for rpc) shard i is at port + i. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** A Kafka listener as a node advertises it to clients of other nodes. */
export interface ListenerEndpoint extends Endpoint {
  /** Name of the listener, e.g. PLAINTEXT. */
  readonly name: string
  /** Shard i is at port + i; false: all shards share the port (node addressing). */
  readonly portPerShard: boolean
}

/** What a node says of itself when it registers. */
export interface NodeDescription {
  readonly nodeId: number
  /** Id of its data folder: another one under the same node id is another machine, or lost its disk. */
  readonly instance: string
  readonly shardCount: number
  /** Empty for none. */
  readonly rack: string
  readonly rpc: Endpoint
  readonly listeners: readonly ListenerEndpoint[]
}

/**
 * `active`: takes replicas and leads. `maintenance`: keeps its replicas, leads nothing, gets nothing new.
 * `decommissioning`: its replicas are being moved away; it is removed when none is left.
 */
export type NodeMode = 'active' | 'maintenance' | 'decommissioning'

/** A node of the cluster. */
export interface NodeState extends NodeDescription {
  readonly mode: NodeMode
}

/** An unclean recovery: the partition goes on from one replica, all others begin with nothing (replication/contract.ts). */
export interface PartitionRecovery {
  /** Counts the recoveries of the partition, from 1. */
  readonly number: number
  /** Broker id. */
  readonly survivor: number
  /** Raft's term from which on it goes on. */
  readonly term: number
}

/** Where a partition is, and where it goes. */
export interface PartitionState {
  /** Broker ids on distinct nodes, preferred leader first. While a reassignment runs: the ones it began with. */
  readonly replicas: readonly number[]
  /**
   * Voters that the partition's group began with. Empty once its replicas changed for the first time: from then on a replica
   * without a log waits to be added by the group's leader instead of founding the group again.
   */
  readonly bootstrapReplicas: readonly number[]
  /** Replicas that it is being reassigned to, preferred leader first. Hosts of either list keep a replica meanwhile. */
  readonly target?: readonly number[]
  /**
   * Brokers of targets that were given up, beyond `replicas` and `target`; absent when there are none. The group's voters may be
   * there already, so they keep their replicas until its leader has said who the voters are now.
   */
  readonly leaving?: readonly number[]
  /**
   * Which move: the revision of the command that set `target`, or gave it up. Present with `target` or `leaving`; no other move of
   * the partition has the same. A report that names another one is of an earlier move and says nothing about the voters now.
   */
  readonly moveRevision?: number
  /**
   * Records below were deleted on request; absent: none. Each replica drops them once it knows them to be committed. An unclean
   * recovery takes it away: what its survivor holds counts, and may end before.
   */
  readonly startOffset?: number
  /** The last one; absent when there was none. Stays, so that a replica that was away since before hears of it. */
  readonly recovery?: PartitionRecovery
}

/** A topic. */
export interface TopicState {
  readonly name: string
  /** 22 characters of base64url. */
  readonly topicId: string
  readonly partitions: readonly PartitionState[]
  /** Only what was set for this topic, as text that has been validated. */
  readonly configs: Readonly<Record<string, string>>
}

/** All metadata of a cluster. Immutable. */
export interface ClusterState {
  /** Commands applied so far. */
  readonly revision: number
  /** Kafka's textual form; empty before the cluster was formed. */
  readonly clusterId: string
  readonly nodes: ReadonlyMap<number, NodeState>
  /** Lowest node id that was never given to anybody. */
  readonly nextNodeId: number
  readonly topics: ReadonlyMap<string, TopicState>
  readonly topicsById: ReadonlyMap<string, TopicState>
  /** Replicas on each broker, those that a reassignment adds included; what placement balances. */
  readonly replicaCounts: ReadonlyMap<number, number>
  /** Partitions that prefer each broker as leader. */
  readonly preferredCounts: ReadonlyMap<number, number>
  /** Numbers of the partitions with a `target`, by topic id. */
  readonly reassigning: ReadonlyMap<string, readonly number[]>
  /** Settings that were changed for all brokers while the cluster runs, as validated text. */
  readonly configs: Readonly<Record<string, string>>
  /** The same for single brokers, by the ids that clients know; those without any are left out. */
  readonly brokerConfigs: ReadonlyMap<number, Readonly<Record<string, string>>>
  /** Finalized feature levels (KIP-584), by name. */
  readonly features: Readonly<Record<string, number>>
  /** First producer id not handed out yet (a safe integer: nobody reaches 2^53 blocks). */
  readonly nextProducerId: number
}

/** Before a cluster is formed. */
export const emptyState: ClusterState = {
  revision: 0,
  clusterId: '',
  nodes: new Map(),
  nextNodeId: 0,
  topics: new Map(),
  topicsById: new Map(),
  replicaCounts: new Map(),
  preferredCounts: new Map(),
  reassigning: new Map(),
  configs: {},
  brokerConfigs: new Map(),
  features: {},
  nextProducerId: 0
}

/** Everyone who keeps a replica now: `replicas`, then what a reassignment adds, then what is left of those given up. */
export function replicaHosts({ replicas, target = [], leaving = [] }: PartitionState): readonly number[] {
  if (target.length === 0 && leaving.length === 0) return replicas
  return [...new Set([...replicas, ...target, ...leaving])]
}

/** Who should lead when all is well. */
export const preferredLeader = (partition: PartitionState): number => (partition.target ?? partition.replicas)[0] ?? -1

/** Broker ids of all shards of a node. */
export function brokersOf(node: NodeDescription): number[] {
  return Array.from({ length: node.shardCount }, (_, shard) => brokerIdOf(node.nodeId, shard))
}

/** A state with topics taken away and put in; all that is derived from topics follows. One that is replaced is in both lists. */
export function withTopics(
  state: ClusterState,
  added: readonly TopicState[],
  removed: readonly TopicState[]
): ClusterState {
  const topics = new Map(state.topics)
  const topicsById = new Map(state.topicsById)
  const replicaCounts = new Map(state.replicaCounts)
  const preferredCounts = new Map(state.preferredCounts)
  const reassigning = new Map(state.reassigning)
  const count = (topic: TopicState, step: 1 | -1): void => {
    for (const partition of topic.partitions) {
      for (const id of replicaHosts(partition)) bump(replicaCounts, id, step)
      bump(preferredCounts, preferredLeader(partition), step)
    }
  }
  for (const topic of removed) {
    topics.delete(topic.name)
    topicsById.delete(topic.topicId)
    reassigning.delete(topic.topicId)
    count(topic, -1)
  }
  for (const topic of added) {
    topics.set(topic.name, topic)
    topicsById.set(topic.topicId, topic)
    const moving = topic.partitions.flatMap(({ target }, partition) => (target === undefined ? [] : [partition]))
    if (moving.length > 0) reassigning.set(topic.topicId, moving)
    count(topic, 1)
  }
  return { ...state, topics, topicsById, replicaCounts, preferredCounts, reassigning }
}

function bump(counts: Map<number, number>, brokerId: number, step: 1 | -1): void {
  const next = (counts.get(brokerId) ?? 0) + step
  if (next === 0) counts.delete(brokerId)
  else counts.set(brokerId, next)
}

/** The plain form of a state that a snapshot or a message carries. */
export interface StateSnapshot {
  readonly version: 1
  readonly revision: number
  readonly clusterId: string
  readonly nodes: readonly NodeState[]
  readonly nextNodeId: number
  readonly topics: readonly TopicState[]
  readonly configs: Readonly<Record<string, string>>
  /** Absent in snapshots of brokers that did not have them. */
  readonly brokerConfigs?: readonly (readonly [brokerId: number, configs: Readonly<Record<string, string>>])[]
  readonly features: Readonly<Record<string, number>>
  readonly nextProducerId: number
}

/** The plain form of a state. */
export function toSnapshot(state: ClusterState): StateSnapshot {
  const { revision, clusterId, nextNodeId, configs, features, nextProducerId } = state
  const nodes = [...state.nodes.values()]
  const topics = [...state.topics.values()]
  const brokerConfigs = [...state.brokerConfigs]
  return {
    version: 1,
    revision,
    clusterId,
    nodes,
    nextNodeId,
    topics,
    configs,
    brokerConfigs,
    features,
    nextProducerId
  }
}

/** The state of a plain form. */
export function fromSnapshot(snapshot: StateSnapshot): ClusterState {
  const { revision, clusterId, nextNodeId, configs, features, nextProducerId } = snapshot
  const nodes = new Map(snapshot.nodes.map(node => [node.nodeId, node]))
  const brokerConfigs = new Map(snapshot.brokerConfigs)
  const bare = {
    ...emptyState,
    revision,
    clusterId,
    nodes,
    nextNodeId,
    configs,
    brokerConfigs,
    features,
    nextProducerId
  }
  return withTopics(bare, snapshot.topics, [])
}
