/**
 * Planning of CreatePartitions: from what a client asked to the partitions that commands will add, or the reason why not. Pure;
 * checks, their order and their words are Kafka's. What follows from nodes that have several brokers comes last.
 *
 * Asked again after a lost answer, the topic has its partitions: nothing is added twice, and the answer says that they are there.
 */
import type { MorePartitionsRequest, MorePartitionsResult } from '@milena/gateway'
import type { BrokerSettings } from '../../settings/broker-settings.ts'
import {
  brokersOf,
  nodeOf,
  type ClusterState,
  type PartitionState,
  type TopicState
} from '../metadata/cluster-state.ts'
import type { Command } from '../metadata/commands.ts'
import { asPartitions, PARTITIONS_PER_REQUEST_MAX, placeNew, PlanRefusal } from './new-partitions.ts'
import { countPlaced, downNodes, loadOf, type Load } from './placement.ts'

export interface PartitionPlan {
  /** One a topic that grows. */
  readonly commands: readonly Extract<Command, { type: 'create-partitions' }>[]
  /** One a request, in order; those that are done hold if the commands are carried out. */
  readonly results: readonly MorePartitionsResult[]
}

/** What a plan is made with. */
export interface PartitionPlanOptions {
  readonly settings: BrokerSettings
  /** Whether a broker can be reached now. */
  readonly isReachable: (brokerId: number) => boolean
}

/** Plans all topics of one request; no topic is in it twice. */
export function planPartitions(
  state: ClusterState,
  requests: readonly MorePartitionsRequest[],
  options: PartitionPlanOptions
): PartitionPlan {
  const commands: PartitionPlan['commands'][number][] = []
  const load = loadOf(state, downNodes(state, options.isReachable))
  let budget = PARTITIONS_PER_REQUEST_MAX
  const results = requests.map((request): MorePartitionsResult => {
    const { name } = request
    const topic = state.topics.get(name)
    if (topic === undefined) return { kind: 'refused', name, error: 'UNKNOWN_TOPIC_OR_PARTITION', message: null }
    try {
      const partitions = planOne(state, topic, request, budget, load, options)
      budget -= partitions.length
      for (const { replicas } of partitions) countPlaced(load, replicas)
      const { topicId } = topic
      commands.push({ type: 'create-partitions', version: 1, topicId, from: topic.partitions.length, partitions })
      return { kind: 'done', name }
    } catch (error) {
      if (!(error instanceof PlanRefusal)) throw error
      return { kind: 'refused', name, error: error.error, message: error.message }
    }
  })
  return { commands, results }
}

function planOne(
  state: ClusterState,
  topic: TopicState,
  { name, count, assignments }: MorePartitionsRequest,
  budget: number,
  load: Load,
  { settings, isReachable }: PartitionPlanOptions
): readonly PartitionState[] {
  const present = topic.partitions.length
  if (count === present) throw new PlanRefusal('INVALID_PARTITIONS', `Topic already has ${present} partition(s).`)
  if (count < present) {
    const problem = `The topic ${name} currently has ${present} partition(s); ${count} would not be an increase.`
    throw new PlanRefusal('INVALID_PARTITIONS', problem)
  }
  const added = count - present
  if (added > budget) {
    const problem = `Excessively large number of partitions per request: at most ${PARTITIONS_PER_REQUEST_MAX} can be added.`
    throw new PlanRefusal('INVALID_PARTITIONS', problem)
  }
  const [first] = topic.partitions
  const factor = (first?.target ?? first?.replicas ?? []).length
  if (assignments === null) return asPartitions(placeNew(state, load, added, factor), load, settings)
  if (assignments.length !== added) {
    throw new PlanRefusal(
      'INVALID_REPLICA_ASSIGNMENT',
      `Attempted to add ${added} additional partition(s), but only ${assignments.length} assignment(s) were specified.`
    )
  }
  assignments.forEach((replicas, i) => checkAssignment(state, replicas, factor, present + i, isReachable))
  return asPartitions(assignments, load, settings)
}

function checkAssignment(
  state: ClusterState,
  replicas: readonly number[],
  factor: number,
  partition: number,
  isReachable: (brokerId: number) => boolean
): void {
  const refuse = (problem: string): never => {
    throw new PlanRefusal('INVALID_REPLICA_ASSIGNMENT', problem)
  }
  if (replicas.length === 0) refuse('The manual partition assignment includes an empty replica list.')
  const twice = replicas.find((id, i) => replicas.indexOf(id) !== i)
  if (twice !== undefined) refuse(`The manual partition assignment includes the broker ${twice} more than once.`)
  const unknown = replicas.find(id => !isRegistered(state, id))
  if (unknown !== undefined) {
    refuse(`The manual partition assignment includes broker ${unknown}, but no such broker is registered.`)
  }
  if (replicas.length !== factor) {
    refuse(
      `The manual partition assignment includes a partition with ${replicas.length} replica(s), but this is not consistent with previous partitions, which have ${factor} replica(s).`
    )
  }
  if (!replicas.some(isReachable)) {
    refuse(
      `All brokers specified in the manual partition assignment for partition ${partition} are fenced or in controlled shutdown.`
    )
  }
  if (new Set(replicas.map(nodeOf)).size !== replicas.length) {
    refuse(
      `The manual partition assignment [${replicas.join(', ')}] names two brokers of one node; each replica needs a node of its own.`
    )
  }
}

function isRegistered(state: ClusterState, brokerId: number): boolean {
  const node = state.nodes.get(nodeOf(brokerId))
  return node !== undefined && brokersOf(node).includes(brokerId)
}
