/**
 * CreateTopics. Checks what the request says by itself; everything that needs the cluster's state (does it exist, are there
 * enough brokers, do the configs make sense) is the host's to answer.
 */
import {
  apis,
  errorCode,
  type ErrorName,
  errorMessage,
  type RequestOf,
  type ResponseInput
} from '@milena/wire-protocol'
import type { Handler, RequestContext } from '../handler.ts'
import type { TopicRequest, TopicResult } from '../ports.ts'
import { topicNameProblem } from '../topic-names.ts'

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
      const problem = duplicates.has(topic.name) ? DUPLICATE : problemOf(context, topic)
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

const DUPLICATE: Problem = { error: 'INVALID_REQUEST', message: 'The topic is named more than once in the request' }

function duplicateNames(topics: readonly RequestedTopic[]): ReadonlySet<string> {
  const seen = new Set<string>()
  const duplicates = new Set<string>()
  for (const { name } of topics) (seen.has(name) ? duplicates : seen).add(name)
  return duplicates
}

function topicRequest(topic: RequestedTopic): TopicRequest {
  return {
    name: topic.name,
    partitionCount: topic.assignments.length > 0 ? topic.assignments.length : topic.numPartitions,
    replicationFactor: topic.replicationFactor,
    assignments: topic.assignments.map(({ partitionIndex, brokerIds }) => ({ partition: partitionIndex, brokerIds })),
    configs: topic.configs
  }
}

function problemOf(context: RequestContext, topic: RequestedTopic): Problem | null {
  const nameProblem = topicNameProblem(topic.name)
  if (nameProblem !== null) return { error: 'INVALID_TOPIC_EXCEPTION', message: nameProblem }
  if (topic.assignments.length > 0) return assignmentProblem(context, topic)
  if (topic.replicationFactor === 0 || topic.replicationFactor < -1) {
    return {
      error: 'INVALID_REPLICATION_FACTOR',
      message: 'The replication factor must be above 0, or -1 for the default'
    }
  }
  if (topic.numPartitions === 0 || topic.numPartitions < -1) {
    return { error: 'INVALID_PARTITIONS', message: 'The number of partitions must be above 0, or -1 for the default' }
  }
  return null
}

function assignmentProblem(context: RequestContext, topic: RequestedTopic): Problem | null {
  const { assignments, numPartitions, replicationFactor } = topic
  if (replicationFactor !== -1 || numPartitions !== -1) {
    const message = 'With a manual assignment the number of partitions and the replication factor must both be -1'
    return { error: 'INVALID_REQUEST', message }
  }
  const known = new Set(
    context.host.cluster
      .view()
      .brokers(context.dial)
      .map(broker => broker.id)
  )
  const covered = new Set(assignments.map(assignment => assignment.partitionIndex))
  const replicaCount = assignments[0]?.brokerIds.length ?? 0
  const bad = (message: string): Problem => ({ error: 'INVALID_REPLICA_ASSIGNMENT', message })
  if (covered.size < assignments.length) return bad('A partition is assigned more than once')
  for (let partition = 0; partition < assignments.length; partition++) {
    if (!covered.has(partition)) return bad('The assigned partitions are not numbered from 0 without a gap')
  }
  for (const { partitionIndex, brokerIds } of assignments) {
    if (brokerIds.length === 0) return bad(`Partition ${partitionIndex} is assigned to no broker`)
    if (brokerIds.length !== replicaCount)
      return bad(`Partition ${partitionIndex} has another number of replicas than the first`)
    if (new Set(brokerIds).size < brokerIds.length) return bad(`Partition ${partitionIndex} has a broker twice`)
    const unknown = brokerIds.find(id => !known.has(id))
    if (unknown !== undefined)
      return bad(`Partition ${partitionIndex} is assigned to broker ${unknown}, which does not exist`)
  }
  return null
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
