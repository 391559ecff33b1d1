/**
 * The cluster's metadata and how commands change it: pure, deterministic, versioned.
 *
 * `apply(state, command)` is the only way from one state to the next. It has no clock, no randomness and no I/O: whatever a
 * command needs of those (a topic's id, its placement) was decided before and travels inside the command, so that every
 * replica of the command log arrives at the same state. A command that no longer makes sense when its turn comes (a topic
 * that exists by now) changes nothing but the revision and says so in its result.
 *
 * States are immutable and share structure; holding an old one is cheap and safe.
 */

/** Kafka's broker id of a shard. Shards are brokers to clients; a node is the machine they share. */
export const brokerIdOf = (nodeId: number, shard: number): number => nodeId * SHARDS_PER_NODE + shard
export const nodeOf = (brokerId: number): number => Math.floor(brokerId / SHARDS_PER_NODE)
export const shardOf = (brokerId: number): number => brokerId % SHARDS_PER_NODE
const SHARDS_PER_NODE = 1000

export interface PartitionState {
  /** Broker ids, preferred leader first. */
  readonly replicas: readonly number[]
  readonly leader: number
  readonly leaderEpoch: number
}

export interface TopicState {
  readonly name: string
  /** 22 characters of base64url. */
  readonly topicId: string
  readonly partitions: readonly PartitionState[]
  /** Only what was set for this topic, as text that has been validated. */
  readonly configs: Readonly<Record<string, string>>
}

export interface NodeState {
  readonly nodeId: number
  readonly shardCount: number
  readonly rack: string
}

export interface ClusterState {
  /** Commands applied so far. */
  readonly revision: number
  readonly nodes: ReadonlyMap<number, NodeState>
  readonly topics: ReadonlyMap<string, TopicState>
  readonly topicsById: ReadonlyMap<string, TopicState>
  /** Partitions led by each broker id; what placement balances. */
  readonly partitionCounts: ReadonlyMap<number, number>
  /** First producer id not handed out yet (a safe integer: nobody reaches 2^53 blocks). */
  readonly nextProducerId: number
}

export type Command =
  | { readonly type: 'register-node'; readonly version: 1; readonly node: NodeState }
  | { readonly type: 'create-topics'; readonly version: 1; readonly topics: readonly TopicState[] }
  | { readonly type: 'delete-topics'; readonly version: 1; readonly topicIds: readonly string[] }
  | { readonly type: 'allocate-producer-ids'; readonly version: 1; readonly count: number }

export type CommandResult =
  | { readonly type: 'register-node' }
  /** Ids of the topics that this command really created. */
  | { readonly type: 'create-topics'; readonly created: readonly string[] }
  | { readonly type: 'delete-topics'; readonly deleted: readonly string[] }
  | { readonly type: 'allocate-producer-ids'; readonly firstId: number; readonly count: number }

export const emptyState: ClusterState = {
  revision: 0,
  nodes: new Map(),
  topics: new Map(),
  topicsById: new Map(),
  partitionCounts: new Map(),
  nextProducerId: 0
}

/** The state after `command`, and what the command did. */
export function apply(state: ClusterState, command: Command): { state: ClusterState; result: CommandResult } {
  const revision = state.revision + 1
  switch (command.type) {
    case 'register-node': {
      const nodes = new Map(state.nodes).set(command.node.nodeId, command.node)
      return { state: { ...state, revision, nodes }, result: { type: 'register-node' } }
    }
    case 'create-topics': {
      const fresh = command.topics.filter(
        topic => !state.topics.has(topic.name) && !state.topicsById.has(topic.topicId)
      )
      const result: CommandResult = { type: 'create-topics', created: fresh.map(topic => topic.topicId) }
      return { state: { ...withTopics(state, fresh, []), revision }, result }
    }
    case 'delete-topics': {
      const gone = command.topicIds.flatMap(id => state.topicsById.get(id) ?? [])
      const result: CommandResult = { type: 'delete-topics', deleted: gone.map(topic => topic.topicId) }
      return { state: { ...withTopics(state, [], gone), revision }, result }
    }
    case 'allocate-producer-ids': {
      const firstId = state.nextProducerId
      const nextProducerId = firstId + command.count
      return {
        state: { ...state, revision, nextProducerId },
        result: { type: 'allocate-producer-ids', firstId, count: command.count }
      }
    }
  }
}

function withTopics(state: ClusterState, added: readonly TopicState[], removed: readonly TopicState[]): ClusterState {
  const topics = new Map(state.topics)
  const topicsById = new Map(state.topicsById)
  const partitionCounts = new Map(state.partitionCounts)
  const count = (topic: TopicState, step: 1 | -1): void => {
    for (const { leader } of topic.partitions) partitionCounts.set(leader, (partitionCounts.get(leader) ?? 0) + step)
  }
  for (const topic of removed) {
    topics.delete(topic.name)
    topicsById.delete(topic.topicId)
    count(topic, -1)
  }
  for (const topic of added) {
    topics.set(topic.name, topic)
    topicsById.set(topic.topicId, topic)
    count(topic, 1)
  }
  return { ...state, topics, topicsById, partitionCounts }
}

/** The plain form of a state that a snapshot or a message carries. */
export interface StateSnapshot {
  readonly version: 1
  readonly revision: number
  readonly nodes: readonly NodeState[]
  readonly topics: readonly TopicState[]
  readonly nextProducerId: number
}

export function toSnapshot(state: ClusterState): StateSnapshot {
  return {
    version: 1,
    revision: state.revision,
    nodes: [...state.nodes.values()],
    topics: [...state.topics.values()],
    nextProducerId: state.nextProducerId
  }
}

export function fromSnapshot(snapshot: StateSnapshot): ClusterState {
  const bare: ClusterState = {
    ...emptyState,
    revision: snapshot.revision,
    nodes: new Map(snapshot.nodes.map(node => [node.nodeId, node])),
    nextProducerId: snapshot.nextProducerId
  }
  return withTopics(bare, snapshot.topics, [])
}
