/**
 * How commands change the cluster's metadata: pure, deterministic, versioned.
 *
 * `apply(state, command)` is the only way from one state to the next. It has no clock, no randomness and no I/O: whatever a
 * command needs of those (a topic's id, its placement) was decided before and travels inside it. A command that no longer
 * makes sense when its turn comes (a topic that exists by now) changes nothing but the revision and says so in its result.
 */
import {
  nodeOf,
  replicaHosts,
  withTopics,
  type ClusterState,
  type NodeDescription,
  type PartitionState,
  type TopicState
} from './cluster-state.ts'
import type {
  Command,
  CommandResult,
  ConfigChange,
  Deletion,
  Move,
  NodeRefusal,
  PartitionKey,
  Recovery
} from './commands.ts'

interface Step {
  readonly state: ClusterState
  readonly result: CommandResult
}

type CommandOf<T extends Command['type']> = Extract<Command, { type: T }>

/** The state after `command`, and what the command did. */
export function apply(state: ClusterState, command: Command): Step {
  const step = change(state, command)
  return { state: { ...step.state, revision: state.revision + 1 }, result: step.result }
}

function change(state: ClusterState, command: Command): Step {
  switch (command.type) {
    case 'form-cluster':
      return formCluster(state, command)
    case 'register-node':
      return registerNode(state, command.node)
    case 'update-node':
      return updateNode(state, command.node)
    case 'set-node-mode':
      return setNodeMode(state, command)
    case 'remove-node':
      return removeNode(state, command)
    case 'create-topics':
      return createTopics(state, command.topics)
    case 'create-partitions':
      return createPartitions(state, command)
    case 'delete-topics':
      return deleteTopics(state, command.topicIds)
    case 'set-configs':
      return { state: command.changes.reduce(setConfigs, state), result: { type: 'set-configs' } }
    case 'start-reassignment':
      return reassign(state, command.type, command.moves, (partition, { target }) =>
        startMove(state, partition, target)
      )
    case 'finish-reassignment':
      return reassign(state, command.type, command.moves, (partition, move) =>
        command.version === 1 || move.moveRevision === partition.moveRevision ? finishMove(partition, move) : undefined
      )
    case 'cancel-reassignment':
      return reassign(state, command.type, command.partitions, partition =>
        partition.target === undefined ? undefined : givenUp(state, partition, partition.replicas)
      )
    case 'recover-partitions':
      return reassign(state, command.type, command.recoveries, recover)
    case 'delete-records':
      return reassign(state, command.type, command.deletions, moveStart)
    case 'allocate-producer-ids': {
      const { nextProducerId: firstId } = state
      const { type, count } = command
      return { state: { ...state, nextProducerId: firstId + count }, result: { type, firstId, count } }
    }
    case 'set-features':
      return {
        state: { ...state, features: { ...state.features, ...command.features } },
        result: { type: 'set-features' }
      }
  }
}

function formCluster(state: ClusterState, command: CommandOf<'form-cluster'>): Step {
  const { type, clusterId, founders, features } = command
  if (state.clusterId !== '') return { state, result: { type, formed: false } }
  const formed = { ...state, clusterId, features: { ...features } }
  return { state: founders.reduce(withNode, formed), result: { type, formed: true } }
}

function withNode(state: ClusterState, node: NodeDescription): ClusterState {
  const mode = state.nodes.get(node.nodeId)?.mode ?? 'active'
  const nodes = new Map(state.nodes).set(node.nodeId, { ...node, mode })
  return { ...state, nodes, nextNodeId: Math.max(state.nextNodeId, node.nodeId + 1) }
}

function registerNode(state: ClusterState, node: NodeDescription): Step {
  if (state.nodes.has(node.nodeId)) {
    const step = updateNode(state, node)
    return { state: step.state, result: { ...step.result, type: 'register-node' } as CommandResult }
  }
  return { state: withNode(state, node), result: { type: 'register-node' } }
}

function updateNode(state: ClusterState, node: NodeDescription): Step {
  const known = state.nodes.get(node.nodeId)
  if (known === undefined) return refuse(state, 'update-node', 'unknown-node')
  if (known.instance !== node.instance) return refuse(state, 'update-node', 'other-instance')
  if (known.shardCount > node.shardCount) return refuse(state, 'update-node', 'fewer-shards')
  return { state: withNode(state, node), result: { type: 'update-node' } }
}

function setNodeMode(state: ClusterState, { type, nodeId, mode, from }: CommandOf<'set-node-mode'>): Step {
  const known = state.nodes.get(nodeId)
  if (known === undefined) return refuse(state, type, 'unknown-node')
  if (known.mode === mode) return { state, result: { type } }
  if (from?.includes(known.mode) === false) return refuse(state, type, 'other-mode')
  const isOtherResting = [...state.nodes.values()].some(node => node.mode === 'maintenance' && node !== known)
  if (mode === 'maintenance' && isOtherResting) return refuse(state, type, 'other-in-maintenance')
  const nodes = new Map(state.nodes).set(nodeId, { ...known, mode })
  return { state: { ...state, nodes }, result: { type } }
}

function removeNode(state: ClusterState, { nodeId, from }: CommandOf<'remove-node'>): Step {
  const known = state.nodes.get(nodeId)
  if (known === undefined) return refuse(state, 'remove-node', 'unknown-node')
  if (from?.includes(known.mode) === false) return refuse(state, 'remove-node', 'other-mode')
  for (const brokerId of state.replicaCounts.keys()) {
    if (nodeOf(brokerId) === nodeId) return refuse(state, 'remove-node', 'has-replicas')
  }
  const nodes = new Map(state.nodes)
  nodes.delete(nodeId)
  const brokerConfigs = new Map([...state.brokerConfigs].filter(([brokerId]) => nodeOf(brokerId) !== nodeId))
  return { state: { ...state, nodes, brokerConfigs }, result: { type: 'remove-node' } }
}

function refuse(
  state: ClusterState,
  type: 'update-node' | 'set-node-mode' | 'remove-node',
  refused: NodeRefusal
): Step {
  return { state, result: { type, refused } }
}

function createTopics(state: ClusterState, topics: readonly TopicState[]): Step {
  const fresh = topics.filter(topic => !state.topics.has(topic.name) && !state.topicsById.has(topic.topicId))
  return {
    state: withTopics(state, fresh, []),
    result: { type: 'create-topics', created: fresh.map(topic => topic.topicId) }
  }
}

function createPartitions(state: ClusterState, command: CommandOf<'create-partitions'>): Step {
  const { type, topicId, from, partitions } = command
  const topic = state.topicsById.get(topicId)
  if (topic?.partitions.length !== from) return { state, result: { type, created: false } }
  const grown = { ...topic, partitions: [...topic.partitions, ...partitions] }
  return { state: withTopics(state, [grown], [topic]), result: { type, created: true } }
}

function deleteTopics(state: ClusterState, topicIds: readonly string[]): Step {
  const gone = [...new Set(topicIds)].flatMap(id => state.topicsById.get(id) ?? [])
  return {
    state: withTopics(state, [], gone),
    result: { type: 'delete-topics', deleted: gone.map(topic => topic.topicId) }
  }
}

function setConfigs(state: ClusterState, change: ConfigChange): ClusterState {
  const merged = (configs: Readonly<Record<string, string>>): Record<string, string> => {
    const kept = Object.entries({ ...configs, ...change.set }).filter(([name]) => !change.unset.includes(name))
    return Object.fromEntries(kept)
  }
  const { resource } = change
  switch (resource.type) {
    case 'cluster':
      return { ...state, configs: merged(state.configs) }
    case 'broker': {
      const brokerConfigs = new Map(state.brokerConfigs)
      const configs = merged(brokerConfigs.get(resource.brokerId) ?? {})
      if (Object.keys(configs).length === 0) brokerConfigs.delete(resource.brokerId)
      else brokerConfigs.set(resource.brokerId, configs)
      return { ...state, brokerConfigs }
    }
    case 'topic': {
      const topic = state.topicsById.get(resource.topicId)
      return topic === undefined ? state : withTopics(state, [{ ...topic, configs: merged(topic.configs) }], [topic])
    }
  }
}

/** Changes single partitions; `decide` says into what, or undefined for "leave it". */
function reassign<K extends PartitionKey>(
  state: ClusterState,
  type: Extract<CommandResult, { readonly changed: unknown }>['type'],
  keys: readonly K[],
  decide: (partition: PartitionState, key: K) => PartitionState | undefined
): Step {
  const changed: PartitionKey[] = []
  const topics = new Map<string, TopicState>()
  for (const key of keys) {
    const topic = topics.get(key.topicId) ?? state.topicsById.get(key.topicId)
    const partition = topic?.partitions[key.partition]
    const next = partition === undefined ? undefined : decide(partition, key)
    if (topic === undefined || next === undefined) continue
    topics.set(key.topicId, { ...topic, partitions: topic.partitions.with(key.partition, next) })
    changed.push({ topicId: key.topicId, partition: key.partition })
  }
  const before = [...topics.keys()].flatMap(topicId => state.topicsById.get(topicId) ?? [])
  return { state: withTopics(state, [...topics.values()], before), result: { type, changed } }
}

function startMove(state: ClusterState, partition: PartitionState, target: Move['target']): PartitionState | undefined {
  if (target.length === 0 || target.some(id => !state.nodes.has(nodeOf(id)))) return undefined
  if (new Set(target.map(nodeOf)).size !== target.length) return undefined
  // The same replicas in another order: only the preferred leader changes, and there is nothing to move.
  if (sameMembers(target, partition.replicas)) return { ...givenUp(state, partition, target), replicas: target }
  return { ...givenUp(state, partition, target), target, moveRevision: revisionOfNext(state) }
}

/**
 * Ends the move under way, which may have gone so far that only its target has voters. `goal`: where the partition goes now.
 *
 * Invariant: whoever can have a vote is a host. So brokers leave that set only when the leader reports this very move, not an
 * earlier one to the same brokers.
 */
function givenUp(state: ClusterState, partition: PartitionState, goal: readonly number[]): PartitionState {
  const { target = [], leaving = [], moveRevision: _, ...kept } = partition
  const left = [...new Set([...leaving, ...target])].filter(id => !kept.replicas.includes(id) && !goal.includes(id))
  return left.length === 0 ? kept : { ...kept, leaving: left, moveRevision: revisionOfNext(state) }
}

/** Revision of the state that the command being applied leads to. */
const revisionOfNext = (state: ClusterState): number => state.revision + 1

/** The group's voters are `target`: where a move went, or where the partition stays after moves that were given up. */
function finishMove(partition: PartitionState, { target }: Move): PartitionState | undefined {
  const { target: wanted, leaving, moveRevision: _, ...kept } = partition
  const goal = wanted ?? (leaving && kept.replicas)
  if (goal === undefined || String(goal) !== String(target)) return undefined
  return { ...kept, replicas: target, bootstrapReplicas: [] }
}

/**
 * The partition goes on from its survivor. A move that was under way ends: it went to the target if the survivor is only there,
 * otherwise it never began.
 */
function recover(partition: PartitionState, { number, survivor, term }: Recovery): PartitionState | undefined {
  if (number !== (partition.recovery?.number ?? 0) + 1 || !replicaHosts(partition).includes(survivor)) return undefined
  const { replicas, target = [] } = partition
  const stays = [replicas, target].find(hosts => hosts.includes(survivor)) ?? [survivor]
  return { replicas: stays, bootstrapReplicas: [], recovery: { number, survivor, term } }
}

function moveStart(partition: PartitionState, { startOffset, recovery }: Deletion): PartitionState | undefined {
  const moves = startOffset > (partition.startOffset ?? 0) && recovery === (partition.recovery?.number ?? 0)
  return moves ? { ...partition, startOffset } : undefined
}

function sameMembers(left: readonly number[], right: readonly number[]): boolean {
  return left.length === right.length && left.every(id => right.includes(id))
}

/** Partitions that keep a replica on a node, by topic. */
export function replicasOnNode(state: ClusterState, nodeId: number): PartitionKey[] {
  return [...state.topicsById.values()].flatMap(({ topicId, partitions }) =>
    partitions.flatMap((partition, number) =>
      replicaHosts(partition).some(id => nodeOf(id) === nodeId) ? [{ topicId, partition: number }] : []
    )
  )
}
