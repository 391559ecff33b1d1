/**
 * Planning of AlterPartitionReassignments: which moves a command starts and which it cancels, or why not. Pure. Checks, errors
 * and messages are Kafka's; two more follow from nodes that have several brokers.
 */
import type { PartitionResult, ReassignmentRequest } from '@milena/gateway'
import type { ErrorName } from '@milena/wire-protocol'
import {
  brokerIdOf,
  brokersOf,
  nodeOf,
  replicaHosts,
  type ClusterState,
  type PartitionState
} from '../metadata/cluster-state.ts'
import type { Move, PartitionKey } from '../metadata/commands.ts'
import { leastLoadedShard, loadOf } from './placement.ts'

export interface ReassignmentPlan {
  readonly starts: readonly Move[]
  readonly cancels: readonly PartitionKey[]
  /** One a request, in order; NONE holds if the commands are carried out. */
  readonly results: readonly PartitionResult[]
}

export function planReassignments(
  state: ClusterState,
  requests: readonly ReassignmentRequest[],
  options: { readonly allowReplicationFactorChange: boolean; readonly byNode: boolean }
): ReassignmentPlan {
  const starts: Move[] = []
  const cancels: PartitionKey[] = []
  const results = requests.map((request): PartitionResult => {
    const { topic: name, partition: number } = request
    const answer = (error: ErrorName, message: string | null = null): PartitionResult => {
      return { topic: name, partition: number, error, message }
    }
    const topic = state.topics.get(name)
    const partition = topic?.partitions[number]
    if (topic === undefined) return answer('UNKNOWN_TOPIC_OR_PARTITION', `Unable to find a topic named ${name}.`)
    if (partition === undefined) {
      return answer('UNKNOWN_TOPIC_OR_PARTITION', `Unable to find partition ${name}:${number}.`)
    }
    const key = { topicId: topic.topicId, partition: number }
    if (request.replicas === null) {
      if (partition.target === undefined) return answer('NO_REASSIGNMENT_IN_PROGRESS')
      cancels.push(key)
      return answer('NONE')
    }
    const replicas = options.byNode ? onShards(state, partition, request.replicas) : request.replicas
    const problem = targetProblem(state, partition, replicas, options.allowReplicationFactorChange)
    if (problem !== undefined) return answer(problem.error, problem.message)
    starts.push({ ...key, target: replicas })
    return answer('NONE')
  })
  return { starts, cancels, results }
}

/** Ids of nodes become ids of shards: where the partition is already, else the least loaded of the node. */
function onShards(state: ClusterState, partition: PartitionState, replicas: readonly number[]): readonly number[] {
  return replicas.map(id => {
    const node = state.nodes.get(nodeOf(id))
    if (node === undefined || id !== brokerIdOf(node.nodeId, 0)) return id
    const held = replicaHosts(partition).find(host => nodeOf(host) === node.nodeId)
    return held ?? leastLoadedShard(node, loadOf(state))
  })
}

function targetProblem(
  state: ClusterState,
  partition: PartitionState,
  target: readonly number[],
  allowFactorChange: boolean
): { readonly error: ErrorName; readonly message: string } | undefined {
  const invalid = (message: string) => ({ error: 'INVALID_REPLICA_ASSIGNMENT', message }) as const
  if (target.length === 0) return invalid('The manual partition assignment includes an empty replica list.')
  if (new Set(target).size !== target.length) {
    const twice = target.find((id, i) => target.indexOf(id) !== i)
    return invalid(`The manual partition assignment includes the broker ${twice} more than once.`)
  }
  for (const id of target) {
    const node = state.nodes.get(nodeOf(id))
    if (node === undefined || !brokersOf(node).includes(id)) {
      return invalid(`The manual partition assignment includes broker ${id}, but no such broker is registered.`)
    }
    if (node.mode === 'decommissioning' && !partition.replicas.includes(id)) {
      return invalid(`The manual partition assignment includes broker ${id}, whose node is being decommissioned.`)
    }
  }
  if (new Set(target.map(nodeOf)).size !== target.length) {
    return invalid(
      `The manual partition assignment [${target.join(', ')}] names two brokers of one node; each replica needs a node of its own.`
    )
  }
  if (!allowFactorChange && target.length !== partition.replicas.length) {
    return {
      error: 'INVALID_REPLICATION_FACTOR',
      message: `The replication factor is changed from ${partition.replicas.length} to ${target.length}`
    }
  }
  return undefined
}
