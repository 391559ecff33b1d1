/**
 * Planning of CreateTopics: from what a client asked to the topics that a command will carry, or the reason why not.
 * Pure: ids were chosen by who asks, the state is only read. Messages follow Kafka's, which tools show.
 */
import type { ConfigView, TopicRequest, TopicResult } from '@milena/gateway'
import type { BrokerSettings } from '../../settings/broker-settings.ts'
import type { SettingLayers } from '../../settings/setting-chain.ts'
import { checkTopicConfigs } from '../../settings/topic-config-check.ts'
import { describeTopicConfigs } from '../../settings/topic-config-view.ts'
import { brokersOf, nodeOf, type ClusterState, type TopicState } from '../metadata/cluster-state.ts'
import type { IdentifiedTopicRequest } from '../messages.ts'
import { asPartitions, PARTITIONS_PER_REQUEST_MAX, placeNew, PlanRefusal } from './new-partitions.ts'
import { countPlaced, downNodes, loadOf, openNodes, type Load } from './placement.ts'

/** Longest topic name (Kafka's limit, so that a partition's folder fits a file name). */
export const TOPIC_NAME_LENGTH_MAX = 249

export interface TopicPlan {
  /** What the command should carry; empty when all was refused. */
  readonly topics: readonly TopicState[]
  /** One a request, in order; those of planned topics hold if the command is carried out. */
  readonly results: readonly TopicResult[]
}

/**
 * Plans all topics of one request. `isReachable`: whether a broker can be reached now; by default all. A topic that exists under
 * the very id that was chosen for it counts as planned now.
 */
export function planTopics(
  state: ClusterState,
  requests: readonly IdentifiedTopicRequest[],
  settings: BrokerSettings,
  isReachable: (brokerId: number) => boolean = () => true
): TopicPlan {
  const topics: TopicState[] = []
  const load = loadOf(state, downNodes(state, isReachable))
  // What single brokers were told is theirs; an answer about a topic is for all of them.
  const layers: SettingLayers = { start: settings, broker: {}, cluster: state.configs }
  const taken = collidingNames(state.topics.keys())
  let partitionBudget = PARTITIONS_PER_REQUEST_MAX
  const results = requests.map((request): TopicResult => {
    const known = state.topicsById.get(request.topicId)
    if (known?.name === request.name) return doneResult(known, layers)
    try {
      const configs = checkConfigs(request.configs)
      checkName(state, taken, request.name)
      const placed =
        request.assignments.length > 0
          ? placeManually(state, request, isReachable)
          : placeByLoad(state, load, request, settings)
      const partitions = asPartitions(placed, load, settings)
      partitionBudget -= partitions.length
      if (partitionBudget < 0) {
        throw new PlanRefusal(
          'POLICY_VIOLATION',
          `Excessively large number of partitions per request: at most ${PARTITIONS_PER_REQUEST_MAX}`
        )
      }
      for (const { replicas } of partitions) countPlaced(load, replicas)
      taken.set(collisionKey(request.name), request.name)
      const topic: TopicState = { name: request.name, topicId: request.topicId, partitions, configs }
      topics.push(topic)
      return doneResult(topic, layers)
    } catch (error) {
      if (!(error instanceof PlanRefusal)) throw error
      return { kind: 'refused', name: request.name, error: error.error, message: error.message }
    }
  })
  return { topics, results }
}

function doneResult({ name, topicId, partitions, configs }: TopicState, layers: SettingLayers): TopicResult {
  return {
    kind: 'done',
    name,
    topicId,
    partitionCount: partitions.length,
    replicationFactor: partitions[0]?.replicas.length ?? 0,
    configs: describeTopicConfigs(configs, layers)
  }
}

/** Why a topic cannot have this name, or undefined when it can (Kafka's Topic.validate). */
export function topicNameProblem(name: string): string | undefined {
  if (name === '') return 'Topic name is invalid: the empty string is not allowed'
  if (name === '.' || name === '..') return `Topic name is invalid: '${name}' is not allowed`
  if (name.length > TOPIC_NAME_LENGTH_MAX) {
    return `Topic name is invalid: the length of '${name}' is longer than the max allowed length ${TOPIC_NAME_LENGTH_MAX}`
  }
  if (!/^[A-Za-z0-9._-]+$/.test(name)) {
    return `Topic name is invalid: '${name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'`
  }
  return undefined
}

/** Metric names turn '.' into '_': two topics that differ only there are refused, as in Kafka. */
const collisionKey = (name: string): string => name.replaceAll('.', '_')

function collidingNames(names: Iterable<string>): Map<string, string> {
  const taken = new Map<string, string>()
  for (const name of names) taken.set(collisionKey(name), name)
  return taken
}

function checkName(state: ClusterState, taken: ReadonlyMap<string, string>, name: string): void {
  const problem = topicNameProblem(name)
  if (problem !== undefined) throw new PlanRefusal('INVALID_TOPIC_EXCEPTION', problem)
  if (state.topics.has(name)) throw new PlanRefusal('TOPIC_ALREADY_EXISTS', `Topic '${name}' already exists.`)
  const colliding = taken.get(collisionKey(name))
  if (colliding !== undefined) {
    throw new PlanRefusal('INVALID_TOPIC_EXCEPTION', `Topic '${name}' collides with existing topic: ${colliding}`)
  }
}

function checkConfigs(configs: TopicRequest['configs']): TopicState['configs'] {
  const wanted: Record<string, string> = Object.create(null) as Record<string, string>
  for (const { name, value } of configs) {
    if (value === null) throw new PlanRefusal('INVALID_CONFIG', `Null value not supported for topic configs: ${name}`)
    wanted[name] = value
  }
  const checked = checkTopicConfigs(wanted)
  if ('problem' in checked) throw new PlanRefusal('INVALID_CONFIG', checked.problem)
  return checked.configs
}

/** Replicas of a new topic when nothing is said: as many as there are nodes, up to this. */
export const DEFAULT_FACTOR_MAX = 3

/** The factor that -1 stands for. */
export function defaultFactor(state: ClusterState, settings: BrokerSettings): number {
  return settings['default.replication.factor'] || Math.max(1, Math.min(openNodes(state).length, DEFAULT_FACTOR_MAX))
}

function placeByLoad(
  state: ClusterState,
  load: Load,
  request: TopicRequest,
  settings: BrokerSettings
): (readonly number[])[] {
  const partitionCount = request.partitionCount === -1 ? settings['num.partitions'] : request.partitionCount
  const factor = request.replicationFactor === -1 ? defaultFactor(state, settings) : request.replicationFactor
  if (factor <= 0)
    throw new PlanRefusal(
      'INVALID_REPLICATION_FACTOR',
      'Replication factor must be larger than 0, or -1 to use the default value.'
    )
  if (partitionCount <= 0)
    throw new PlanRefusal('INVALID_PARTITIONS', 'Number of partitions was set to an invalid non-positive value.')
  if (partitionCount > PARTITIONS_PER_REQUEST_MAX) {
    throw new PlanRefusal('POLICY_VIOLATION', `A request may ask for at most ${PARTITIONS_PER_REQUEST_MAX} partitions`)
  }
  return placeNew(state, load, partitionCount, factor)
}

function placeManually(
  state: ClusterState,
  request: TopicRequest,
  isReachable: (brokerId: number) => boolean
): (readonly number[])[] {
  const refuse = (message: string): never => {
    throw new PlanRefusal('INVALID_REPLICA_ASSIGNMENT', message)
  }
  if (request.replicationFactor !== -1) {
    throw new PlanRefusal(
      'INVALID_REQUEST',
      'A manual partition assignment was specified, but replication factor was not set to -1.'
    )
  }
  if (request.partitionCount !== -1) {
    throw new PlanRefusal(
      'INVALID_REQUEST',
      'A manual partition assignment was specified, but numPartitions was not set to -1.'
    )
  }
  const known = new Set([...state.nodes.values()].flatMap(brokersOf))
  const placed = new Map<number, readonly number[]>()
  for (const { partition, brokerIds: replicas } of request.assignments) {
    if (placed.has(partition)) refuse(`Found multiple manual partition assignments for partition ${partition}`)
    if (replicas.length === 0) refuse('The manual partition assignment includes an empty replica list.')
    for (const id of replicas) {
      if (!known.has(id))
        refuse(`The manual partition assignment includes broker ${id}, but no such broker is registered.`)
    }
    if (new Set(replicas.map(nodeOf)).size !== replicas.length) {
      refuse(
        `The manual partition assignment [${replicas.join(', ')}] names two brokers of one node; each replica needs a node of its own.`
      )
    }
    if (!replicas.some(isReachable)) {
      refuse(
        `All brokers specified in the manual partition assignment for partition ${partition} are fenced or in controlled shutdown.`
      )
    }
    placed.set(partition, replicas)
  }
  const factor = placed.values().next().value?.length
  return Array.from({ length: placed.size }, (_, partition) => {
    const replicas = placed.get(partition)
    if (replicas === undefined) return refuse('partitions should be a consecutive 0-based integer sequence')
    if (replicas.length !== factor)
      refuse('The manual partition assignment has partitions with different replication factors.')
    return replicas
  })
}

export type { ConfigView }
