/**
 * Which replicas should move: away from a node that leaves, and from loaded shards to idle ones. Pure: what it plans is shown
 * to operators before it is done (dry run) and is done one slice at a time, planned anew each time.
 *
 * A move exchanges one replica in its place, so that the preferred leader changes only when its own replica moves.
 */
import {
  brokersOf,
  nodeOf,
  preferredLeader,
  replicaHosts,
  type ClusterState,
  type NodeState,
  type PartitionState,
  type TopicState
} from '../metadata/cluster-state.ts'
import type { Move } from '../metadata/commands.ts'
import { chooseReplicas, countPlaced, loadOf, openNodes, type Down, type Load } from './placement.ts'

export interface PlannedMove extends Move {
  readonly topic: string
  /** Replicas now. */
  readonly replicas: readonly number[]
  /** One sentence for people. */
  readonly reason: string
}

/** A replica that should move and cannot, with the reason. */
export interface StuckReplica {
  readonly topic: string
  readonly partition: number
  readonly reason: string
}

export interface EvacuationPlan {
  readonly moves: readonly PlannedMove[]
  readonly stuck: readonly StuckReplica[]
}

/** Shards may differ by this share of their mean load before replicas move, and by at least `SLACK_MIN`. */
const SLACK_SHARE = 0.05
const SLACK_MIN = 1

/** Moves everything off a node, whether it is being decommissioned already or not. To nodes that are `down` nothing moves. */
export function planEvacuation(state: ClusterState, nodeId: number, down?: Down): EvacuationPlan {
  const load = loadOf(state, down)
  const nodes = openNodes(state).filter(node => node.nodeId !== nodeId && !load.down.has(node.nodeId))
  const moves: PlannedMove[] = []
  const stuck: StuckReplica[] = []
  for (const { topic, partition, placement } of partitionsOf(state)) {
    const goal = placement.target ?? placement.replicas
    const leaving = goal.find(id => nodeOf(id) === nodeId)
    if (leaving === undefined) continue
    const kept = goal.filter(id => id !== leaving)
    const added = chooseReplicas(nodes, load, goal.length, kept)?.at(-1)
    if (added === undefined) {
      const reason = `its ${goal.length} replicas need ${goal.length} nodes besides node ${nodeId}; ${nodes.length} can take replicas`
      stuck.push({ topic: topic.name, partition, reason })
      continue
    }
    const target = goal.map(id => (id === leaving ? added : id))
    countPlaced(load, goal, -1)
    countPlaced(load, target)
    const reason = `node ${nodeId} is leaving; broker ${added} has the fewest replicas of those that may hold it`
    moves.push({ topic: topic.name, topicId: topic.topicId, partition, replicas: placement.replicas, target, reason })
  }
  return { moves, stuck }
}

/** At most `limit` moves that even out replicas, then preferred leaders, over the shards of all active nodes that are up. */
export function planBalance(state: ClusterState, limit: number, down?: Down): PlannedMove[] {
  const load = loadOf(state, down)
  const nodes = openNodes(state).filter(node => !load.down.has(node.nodeId))
  const settled = [...partitionsOf(state)].filter(({ placement }) => placement.target === undefined)
  const moves: PlannedMove[] = []
  const moved = new Set<PartitionState>()
  while (moves.length < limit) {
    const candidates = settled.filter(({ placement }) => !moved.has(placement))
    const move = evenReplicas(candidates, nodes, load) ?? evenLeaders(candidates, nodes, load)
    if (move === undefined) break
    moved.add(move.placement)
    countPlaced(load, move.placement.replicas, -1)
    countPlaced(load, move.planned.target)
    moves.push(move.planned)
  }
  return moves
}

interface Located {
  readonly topic: TopicState
  readonly partition: number
  readonly placement: PartitionState
}

interface Choice {
  readonly placement: PartitionState
  readonly planned: PlannedMove
}

function* partitionsOf(state: ClusterState): Iterable<Located> {
  for (const topic of state.topics.values()) {
    for (const [partition, placement] of topic.partitions.entries()) yield { topic, partition, placement }
  }
}

/** The move from the most loaded shard to the least loaded one that can take something of it. */
function evenReplicas(candidates: readonly Located[], nodes: readonly NodeState[], load: Load): Choice | undefined {
  const ranked = rank(nodes, load.replicas)
  const mean = ranked.reduce((sum, { count }) => sum + count, 0) / Math.max(1, ranked.length)
  const slack = Math.max(SLACK_MIN, mean * SLACK_SHARE)
  const racks = new Map(nodes.map(node => [node.nodeId, node.rack]))
  const busiest = ranked.at(-1)
  if (busiest === undefined) return undefined
  const held = candidates.filter(({ placement }) => placement.replicas.includes(busiest.id))
  for (const idle of ranked) {
    if (busiest.count - idle.count <= slack) return undefined
    const found = held.find(({ placement }) => canTake(placement.replicas, busiest.id, idle.id, racks))
    if (found === undefined) continue
    const target = found.placement.replicas.map(id => (id === busiest.id ? idle.id : id))
    const reason = `broker ${busiest.id} has ${busiest.count} replicas, broker ${idle.id} has ${idle.count}`
    return choice(found, target, reason)
  }
  return undefined
}

/** Whether `to` may take the place of `from`: on a node of its own, and in no rack that another replica is in. */
function canTake(replicas: readonly number[], from: number, to: number, racks: ReadonlyMap<number, string>): boolean {
  const others = replicas.filter(id => id !== from)
  if (others.some(id => nodeOf(id) === nodeOf(to))) return false
  const rack = racks.get(nodeOf(to)) ?? ''
  if (rack === '' || rack === racks.get(nodeOf(from))) return true
  return !others.some(id => racks.get(nodeOf(id)) === rack)
}

/** Another order of one partition's replicas, so that a broker preferred less leads it. */
function evenLeaders(candidates: readonly Located[], nodes: readonly NodeState[], load: Load): Choice | undefined {
  const ranked = rank(nodes, load.preferred)
  const busiest = ranked.at(-1)
  if (busiest === undefined) return undefined
  const led = candidates.filter(({ placement }) => preferredLeader(placement) === busiest.id)
  for (const idle of ranked) {
    if (busiest.count - idle.count <= SLACK_MIN) return undefined
    const found = led.find(({ placement }) => placement.replicas.includes(idle.id))
    if (found === undefined) continue
    const target = [idle.id, ...found.placement.replicas.filter(id => id !== idle.id)]
    const reason = `broker ${busiest.id} is preferred to lead ${busiest.count} partitions, broker ${idle.id} ${idle.count}`
    return choice(found, target, reason)
  }
  return undefined
}

function choice({ topic, partition, placement }: Located, target: readonly number[], reason: string): Choice {
  const { name, topicId } = topic
  return { placement, planned: { topic: name, topicId, partition, replicas: placement.replicas, target, reason } }
}

/** Shards of the nodes with their counts, lowest first. */
function rank(nodes: readonly NodeState[], counts: ReadonlyMap<number, number>): { id: number; count: number }[] {
  return nodes
    .flatMap(brokersOf)
    .map(id => ({ id, count: counts.get(id) ?? 0 }))
    .sort((a, b) => a.count - b.count || a.id - b.id)
}

/**
 * What a node keeps although it should be elsewhere already, and what that waits for. `isLed`: the partition has a leader, which
 * alone can say who votes; where it cannot, nobody's replica may go.
 */
export function planWaits(
  state: ClusterState,
  nodeId: number,
  isLed: (topic: TopicState, partition: number) => boolean
): StuckReplica[] {
  return [...partitionsOf(state)].flatMap(({ topic, partition, placement }) => {
    const { replicas, target, leaving = [] } = placement
    const isHere = (id: number): boolean => nodeOf(id) === nodeId
    const kept = replicaHosts(placement).find(isHere)
    if (kept === undefined || (target ?? replicas).some(isHere)) return []
    const what = leaving.includes(kept)
      ? `a move to broker ${kept} was given up, and the votes may be there already`
      : `it moves to ${target?.join(', ')}`
    const until = isLed(topic, partition)
      ? `broker ${kept} keeps its replica until the leader says that others have the votes`
      : `no leader can say who has the votes: broker ${kept} keeps its replica until the partition has one again, or is recovered (GET /v1/recovery)`
    return [{ topic: topic.name, partition, reason: `${what}; ${until}` }]
  })
}

/** Partitions with brokers that keep replicas after moves that were given up. */
export function planGivenUp(
  state: ClusterState
): { topic: TopicState; partition: number; placement: PartitionState }[] {
  return [...partitionsOf(state)].filter(({ placement }) => placement.leaving !== undefined)
}

/** Replicas that a node still keeps, those of moves under way included. */
export function replicaCountOf(state: ClusterState, nodeId: number): number {
  let count = 0
  for (const { placement } of partitionsOf(state)) {
    count += replicaHosts(placement).filter(id => nodeOf(id) === nodeId).length
  }
  return count
}
