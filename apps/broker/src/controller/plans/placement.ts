/**
 * Where replicas go: on distinct nodes, over racks as evenly as there are any, on the least loaded core of each node. Pure and
 * deterministic; ties go to the lowest id.
 *
 * Nodes that are down get a replica only where there are too few others, and are never preferred to lead: a new partition could
 * have no leader, and a move to them would not end.
 *
 * Load is counted in replicas per shard, since a shard is what has a core and a journal. Leadership is balanced separately: of
 * the replicas chosen, the one whose broker is the preferred leader of the fewest partitions comes first.
 */
import { brokersOf, nodeOf, type ClusterState, type NodeState } from '../metadata/cluster-state.ts'

/** Counts by broker id that a planner keeps while it places; start from `loadOf`. */
export interface Load {
  readonly replicas: Map<number, number>
  readonly preferred: Map<number, number>
  /** Nodes that cannot be reached now. */
  readonly down: ReadonlySet<number>
}

/** Node ids that cannot be reached. */
export type Down = ReadonlySet<number>

const NONE_DOWN: Down = new Set()

export function loadOf(state: ClusterState, down: Down = NONE_DOWN): Load {
  return { replicas: new Map(state.replicaCounts), preferred: new Map(state.preferredCounts), down }
}

/** Nodes of which no shard can be reached. */
export function downNodes(state: ClusterState, isReachable: (brokerId: number) => boolean): Down {
  const down = [...state.nodes.values()].filter(node => !brokersOf(node).some(isReachable))
  return new Set(down.map(({ nodeId }) => nodeId))
}

/** Counts a partition's replicas, preferred leader first; `step` -1 takes it out again. */
export function countPlaced(load: Load, replicas: readonly number[], step: 1 | -1 = 1): void {
  for (const id of replicas) load.replicas.set(id, (load.replicas.get(id) ?? 0) + step)
  const [first] = replicas
  if (first !== undefined) load.preferred.set(first, (load.preferred.get(first) ?? 0) + step)
}

/** Nodes that new replicas may go to. */
export function openNodes(state: ClusterState): NodeState[] {
  return [...state.nodes.values()].filter(node => node.mode === 'active').sort((a, b) => a.nodeId - b.nodeId)
}

/**
 * `factor` brokers, preferred leader first, or undefined when there are too few nodes. `kept` replicas (on whatever node) stay
 * in the result and keep their order before the ones that are added.
 */
export function chooseReplicas(
  nodes: readonly NodeState[],
  load: Load,
  factor: number,
  kept: readonly number[] = []
): number[] | undefined {
  const chosen = [...kept]
  const rackOf = new Map(nodes.map(node => [node.nodeId, node.rack]))
  while (chosen.length < factor) {
    const usedNodes = new Set(chosen.map(nodeOf))
    const usedRacks = chosen.map(id => rackOf.get(nodeOf(id)) ?? '')
    const free = nodes.filter(node => !usedNodes.has(node.nodeId))
    const best = least(free, node => [
      isDown(load, node.nodeId),
      timesUsed(usedRacks, node.rack),
      loadPerShard(node, load)
    ])
    if (best === undefined) return undefined
    chosen.push(leastLoadedShard(best, load))
  }
  return kept.length > 0 ? chosen : leaderFirst(chosen, load)
}

/** The shard of a node with the fewest replicas; of several, the one that is preferred least. */
export function leastLoadedShard(node: NodeState, load: Load): number {
  const best = least(brokersOf(node), id => [load.replicas.get(id) ?? 0, load.preferred.get(id) ?? 0])
  if (best === undefined) throw new Error(`node ${node.nodeId} has no shards`)
  return best
}

/** Replicas a shard of this node has on average. */
export function loadPerShard(node: NodeState, load: Load): number {
  return brokersOf(node).reduce((sum, id) => sum + (load.replicas.get(id) ?? 0), 0) / node.shardCount
}

/** The same replicas with the one first whose broker is preferred least. */
export function leaderFirst(replicas: readonly number[], load: Load): number[] {
  const leader = least(replicas, id => [isDown(load, nodeOf(id)), load.preferred.get(id) ?? 0])
  return leader === undefined ? [] : [leader, ...replicas.filter(id => id !== leader)]
}

function isDown(load: Load, nodeId: number): number {
  return load.down.has(nodeId) ? 1 : 0
}

/** A rack without a name counts for none: nodes of an unnamed rack are not taken for neighbours. */
function timesUsed(racks: readonly string[], rack: string): number {
  return rack === '' ? 0 : racks.filter(used => used === rack).length
}

/** The first of the items whose cost is lowest, compared number by number. */
function least<T>(items: readonly T[], costOf: (item: T) => readonly number[]): T | undefined {
  let best: { item: T; cost: readonly number[] } | undefined
  for (const item of items) {
    const cost = costOf(item)
    if (best === undefined || compare(cost, best.cost) < 0) best = { item, cost }
  }
  return best?.item
}

function compare(left: readonly number[], right: readonly number[]): number {
  for (const [i, value] of left.entries()) {
    const difference = value - (right[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
