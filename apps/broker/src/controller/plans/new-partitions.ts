/**
 * What planning new topics and planning more partitions have in common: where partitions go when the broker chooses, how many a
 * broker takes, and the refusal that ends a plan. Pure.
 */
import type { ErrorName } from '@milena/wire-protocol'
import type { BrokerSettings } from '../../settings/broker-settings.ts'
import type { ClusterState, PartitionState } from '../metadata/cluster-state.ts'
import { chooseReplicas, countPlaced, openNodes, type Load } from './placement.ts'

/** Partitions that one CreateTopics or CreatePartitions request may make in all (Kafka's limit for the former). */
export const PARTITIONS_PER_REQUEST_MAX = 10_000

/** Why a topic or partitions cannot be made. */
export class PlanRefusal extends Error {
  readonly error: ErrorName
  constructor(error: ErrorName, message: string) {
    super(message)
    this.error = error
  }
}

/** Partitions that begin with these replicas. Throws a refusal when a broker would have more of them than it accepts. */
export function asPartitions(
  placed: readonly (readonly number[])[],
  load: Load,
  settings: BrokerSettings
): PartitionState[] {
  checkShardLimits(load, placed, settings['partitions.per.shard.max'])
  return placed.map(replicas => ({ replicas, bootstrapReplicas: replicas }))
}

/** Refuses what would put more replicas on a shard than it accepts. */
function checkShardLimits(load: Load, placed: readonly (readonly number[])[], perShardMax: number): void {
  const added = new Map<number, number>()
  for (const id of placed.flat()) added.set(id, (added.get(id) ?? 0) + 1)
  for (const [brokerId, count] of added) {
    const after = (load.replicas.get(brokerId) ?? 0) + count
    if (after <= perShardMax) continue
    throw new PlanRefusal(
      'INVALID_PARTITIONS',
      `Broker ${brokerId} would have ${after} replicas; partitions.per.shard.max is ${perShardMax}`
    )
  }
}

/** Replicas for `count` new partitions. Throws a refusal when there are too few nodes. */
export function placeNew(state: ClusterState, load: Load, count: number, factor: number): number[][] {
  const nodes = openNodes(state)
  const growing = { ...load, replicas: new Map(load.replicas), preferred: new Map(load.preferred) }
  return Array.from({ length: count }, () => {
    const replicas = chooseReplicas(nodes, growing, factor)
    if (replicas === undefined) {
      throw new PlanRefusal(
        'INVALID_REPLICATION_FACTOR',
        `Unable to replicate the partition ${factor} time(s): The target replication factor of ${factor} cannot be reached because only ${nodes.length} node(s) are registered (a replication factor counts nodes, not shards).`
      )
    }
    countPlaced(growing, replicas)
    return replicas
  })
}
