/**
 * CreateTopics. Checks what the request says by itself; everything that needs the cluster's state (does it exist, are there
 * enough brokers and those that a placement names, do the configs make sense) is the host's to answer.
 */
import {
  apis,
  errorCode,
  type ErrorName,
  errorMessage,
  type RequestOf,
  type ResponseInput
} from '@milena/wire-protocol'
import type { Handler } from '../../handler.ts'
import type { TopicRequest, TopicResult } from '../../ports.ts'
import { METADATA_TOPIC, topicNameProblem } from '../../topic-names.ts'

type Request = RequestOf<typeof apis.createTopics>
type RequestedTopic = Request['topics'][number]
type Response = ResponseInput<typeof apis.createTopics>
type Result = NonNullable<Response['topics']>[number]

interface Problem {
  readonly error: ErrorName
  readonly message: string
}

export const createTopicsHandler: Handler<typeof apis.createTopics> = {
  api: apis.createTopics,
  versions: { min: 2, max: 7 },
  async handle(context, request) {
    const results = new Map<string, Result>()
    const wanted: TopicRequest[] = []
    const duplicates = duplicateNames(request.topics)
    for (const topic of request.topics) {
      const problem = duplicates.has(topic.name) ? DUPLICATE : problemOf(topic)
      results.set(topic.name, problem === null ? {} : refused(topic.name, problem.error, problem.message))
      if (problem === null) wanted.push(topicRequest(topic))
    }
    if (wanted.length > 0) {
      const options = { validateOnly: request.validateOnly, timeoutMs: Math.max(0, request.timeoutMs) }
      for (const result of await context.host.cluster.createTopics(wanted, options)) {
        results.set(result.name, describe(result))
      }
    }
    return { topics: [...results.values()] }
  },
  refuse: (_context, request, error) => ({ topics: request.topics.map(({ name }) => refused(name, error, null)) })
}

const DUPLICATE: Problem = { error: 'INVALID_REQUEST', message: 'Duplicate topic name.' }

function duplicateNames(topics: readonly RequestedTopic[]): ReadonlySet<string> {
  const seen = new Set<string>()
  const duplicates = new Set<string>()
  for (const { name } of topics) (seen.has(name) ? duplicates : seen).add(name)
  return duplicates
}

function topicRequest(topic: RequestedTopic): TopicRequest {
  return {
    name: topic.name,
    partitionCount: topic.numPartitions,
    replicationFactor: topic.replicationFactor,
    assignments: topic.assignments.map(({ partitionIndex, brokerIds }) => ({ partition: partitionIndex, brokerIds })),
    configs: topic.configs
  }
}

function problemOf(topic: RequestedTopic): Problem | null {
  const nameProblem = topicNameProblem(topic.name)
  if (nameProblem !== null) return { error: 'INVALID_TOPIC_EXCEPTION', message: nameProblem }
  if (topic.name === METADATA_TOPIC) {
    return { error: 'INVALID_REQUEST', message: `Creation of internal topic ${METADATA_TOPIC} is prohibited.` }
  }
  if (topic.assignments.length > 0) return assignmentProblem(topic)
  if (topic.replicationFactor === 0 || topic.replicationFactor < -1) {
    return {
      error: 'INVALID_REPLICATION_FACTOR',
      message: 'Replication factor must be larger than 0, or -1 to use the default value.'
    }
  }
  if (topic.numPartitions === 0 || topic.numPartitions < -1) {
    return {
      error: 'INVALID_PARTITIONS',
      message: 'Number of partitions was set to an invalid non-positive value.'
    }
  }
  return null
}

function assignmentProblem(topic: RequestedTopic): Problem | null {
  const { assignments, numPartitions, replicationFactor } = topic
  const unset = (what: string): Problem => {
    const message = `A manual partition assignment was specified, but ${what} was not set to -1.`
    return { error: 'INVALID_REQUEST', message }
  }
  if (replicationFactor !== -1) return unset('replication factor')
  if (numPartitions !== -1) return unset('numPartitions')
  const message = shapeProblem(assignments)
  return message === null ? null : { error: 'INVALID_REPLICA_ASSIGNMENT', message }
}

function shapeProblem(assignments: RequestedTopic['assignments']): string | null {
  const factor = assignments[0]?.brokerIds.length ?? 0
  const placed = new Set<number>()
  for (const { partitionIndex, brokerIds } of assignments) {
    if (placed.has(partitionIndex)) {
      return `Found multiple manual partition assignments for partition ${partitionIndex}`
    }
    placed.add(partitionIndex)
    if (brokerIds.length === 0) return 'The manual partition assignment includes an empty replica list.'
    const twice = firstRepeated(brokerIds)
    if (twice !== undefined) return `The manual partition assignment includes the broker ${twice} more than once.`
    if (brokerIds.length !== factor) {
      return `The manual partition assignment includes a partition with ${brokerIds.length} replica(s), but this is not consistent with previous partitions, which have ${factor} replica(s).`
    }
  }
  for (let partition = 0; partition < assignments.length; partition++) {
    if (!placed.has(partition)) return 'partitions should be a consecutive 0-based integer sequence'
  }
  return null
}

function firstRepeated(ids: readonly number[]): number | undefined {
  const seen = new Set<number>()
  return ids.find(id => seen.size === seen.add(id).size)
}

function describe(result: TopicResult): Result {
  if (result.kind === 'refused') return refused(result.name, result.error, result.message)
  return {
    name: result.name,
    topicId: result.topicId,
    errorMessage: null,
    numPartitions: result.partitionCount,
    replicationFactor: result.replicationFactor,
    configs: result.configs.map(config => ({
      name: config.name,
      value: config.sensitive ? null : config.value,
      readOnly: config.readOnly,
      configSource: config.source,
      isSensitive: config.sensitive
    }))
  }
}

function refused(name: string, error: ErrorName, message: string | null): Result {
  return { name, errorCode: errorCode(error), errorMessage: message ?? errorMessage(error), configs: [] }
}
