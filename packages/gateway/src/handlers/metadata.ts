/**
 * Metadata: brokers, topics, leaders. The most important answer of all here: it sends each client straight to the shard that
 * owns its partition.
 *
 * Unknown topics are created when both the broker and the request allow it. Kafka answers such a request at once with an
 * error that makes the client ask again; the port resolves when the topic is there, so we answer with the topic.
 */
import { apis, errorCode, type ErrorName, type RequestOf, type ResponseInput, ZERO_UUID } from '@milena/wire-protocol'
import { ALL_CLUSTER_OPERATIONS, ALL_TOPIC_OPERATIONS, OPERATIONS_OMITTED } from './answers/authorized-operations.ts'
import type { Handler, RequestContext } from '../handler.ts'
import type { ClusterView, PartitionView, TopicView } from '../ports.ts'
import { AUTO_CREATE_TOPICS_PER_REQUEST_MAX } from '../settings.ts'
import { METADATA_TOPIC, topicNameProblem } from '../topic-names.ts'

type Request = RequestOf<typeof apis.metadata>
type Response = ResponseInput<typeof apis.metadata>
type Topic = NonNullable<Response['topics']>[number]
type Partition = NonNullable<Topic['partitions']>[number]

/** First version that may ask by topic id. */
const TOPIC_IDS_FROM = 12
/** First version whose clients know that replicas can be down: before, those are left out and REPLICA_NOT_AVAILABLE says so. */
const ALL_REPLICAS_FROM = 1

export const metadataHandler: Handler<typeof apis.metadata> = {
  api: apis.metadata,
  versions: apis.metadata.versions,
  handle(context, request) {
    if (asksById(request) && context.apiVersion < TOPIC_IDS_FROM) return refuse(context, request, 'INVALID_REQUEST')
    const missing = topicsToCreate(context, request)
    if (missing.length === 0) return respond(context, request, NO_ERRORS)
    return createThenRespond(context, request, missing)
  },
  refuse
}

const NO_ERRORS: ReadonlyMap<string, ErrorName> = new Map()

function asksById(request: Request): boolean {
  return request.topics !== null && request.topics.some(topic => topic.name === null || topic.topicId !== ZERO_UUID)
}

function asksForAll(context: RequestContext, request: Request): boolean {
  return request.topics === null || (context.apiVersion === 0 && request.topics.length === 0)
}

function topicsToCreate(context: RequestContext, request: Request): string[] {
  const { cluster } = context.host
  if (!cluster.autoCreateTopics || !request.allowAutoTopicCreation || asksForAll(context, request)) return []
  const view = cluster.view()
  const missing = new Set<string>()
  for (const { name, topicId } of request.topics ?? []) {
    if (name === null || topicId !== ZERO_UUID) continue
    const mayExist = topicNameProblem(name) === null && name !== METADATA_TOPIC
    if (mayExist && view.topicByName(name) === undefined) missing.add(name)
  }
  return [...missing]
}

async function createThenRespond(context: RequestContext, request: Request, missing: string[]): Promise<Response> {
  const errors = new Map<string, ErrorName>()
  // Those beyond the bound are made when the client asks again, which this error makes it do.
  for (const name of missing.slice(AUTO_CREATE_TOPICS_PER_REQUEST_MAX)) errors.set(name, 'LEADER_NOT_AVAILABLE')
  const requests = missing
    .slice(0, AUTO_CREATE_TOPICS_PER_REQUEST_MAX)
    .map(name => ({ name, partitionCount: -1, replicationFactor: -1, assignments: [], configs: [] }))
  const options = { validateOnly: false, timeoutMs: AUTO_CREATE_TIMEOUT_MS }
  for (const result of await context.host.cluster.createTopics(requests, options)) {
    if (result.kind === 'done' || result.error === 'TOPIC_ALREADY_EXISTS') continue
    errors.set(result.name, result.error === 'REQUEST_TIMED_OUT' ? 'LEADER_NOT_AVAILABLE' : result.error)
  }
  return respond(context, request, errors)
}

/** Well below the request timeout of any client. */
const AUTO_CREATE_TIMEOUT_MS = 10_000

function respond(context: RequestContext, request: Request, errors: ReadonlyMap<string, ErrorName>): Response {
  const view = context.host.cluster.view()
  const brokers = view.brokers(context.dial).filter(broker => !broker.fenced)
  const describer = new TopicDescriber(context, request, new Set(brokers.map(broker => broker.id)))
  const topics: Topic[] = []
  if (asksForAll(context, request)) for (const topic of view.topics()) topics.push(describer.describe(topic))
  else if (asksById(request)) addById(context, request, view, topics, describer)
  else addByName(request, view, topics, describer, errors)
  return {
    brokers: brokers.map(({ id, host, port, rack }) => ({ nodeId: id, host, port, rack })),
    clusterId: view.clusterId,
    controllerId: view.controllerId,
    topics,
    clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
      ? ALL_CLUSTER_OPERATIONS
      : OPERATIONS_OMITTED
  }
}

function addById(
  context: RequestContext,
  request: Request,
  view: ClusterView,
  topics: Topic[],
  describer: TopicDescriber
): void {
  const topicIds = new Set((request.topics ?? []).map(topic => topic.topicId))
  topicIds.delete(ZERO_UUID)
  for (const topicId of topicIds) {
    const topic = view.topicById(topicId)
    if (topic !== undefined) topics.push(describer.describe(topic))
    else topics.push({ errorCode: errorCode('UNKNOWN_TOPIC_ID'), name: nullFrom(context, TOPIC_IDS_FROM), topicId })
  }
}

function addByName(
  request: Request,
  view: ClusterView,
  topics: Topic[],
  describer: TopicDescriber,
  errors: ReadonlyMap<string, ErrorName>
): void {
  const names = new Set((request.topics ?? []).map(topic => topic.name ?? ''))
  for (const name of names) {
    const topic = view.topicByName(name)
    if (topic !== undefined) {
      topics.push(describer.describe(topic))
      continue
    }
    const legal = topicNameProblem(name) === null
    const error = errors.get(name) ?? (legal ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'INVALID_TOPIC_EXCEPTION')
    topics.push({ errorCode: errorCode(error), name })
  }
}

/** Topics as one request wants them told. */
class TopicDescriber {
  readonly #operations: number
  readonly #living: ReadonlySet<number>
  readonly #allReplicas: boolean

  constructor(context: RequestContext, request: Request, living: ReadonlySet<number>) {
    this.#operations = request.includeTopicAuthorizedOperations ? ALL_TOPIC_OPERATIONS : OPERATIONS_OMITTED
    this.#living = living
    this.#allReplicas = context.apiVersion >= ALL_REPLICAS_FROM
  }

  describe({ name, topicId, internal, partitions }: TopicView): Topic {
    return {
      errorCode: 0,
      name,
      topicId,
      isInternal: internal,
      partitions: partitions.map(partition => this.#describePartition(partition)),
      topicAuthorizedOperations: this.#operations
    }
  }

  #describePartition(view: PartitionView): Partition {
    const leaderId = this.#living.has(view.leader) ? view.leader : -1
    const replicaNodes = this.#told(view.replicas)
    const isrNodes = this.#told(view.inSyncReplicas)
    const complete = replicaNodes.length === view.replicas.length && isrNodes.length === view.inSyncReplicas.length
    const replicasError = complete ? 0 : REPLICA_NOT_AVAILABLE
    return {
      errorCode: leaderId < 0 ? LEADER_NOT_AVAILABLE : replicasError,
      partitionIndex: view.partition,
      leaderId,
      leaderEpoch: view.leaderEpoch,
      replicaNodes,
      isrNodes,
      offlineReplicas: view.offlineReplicas
    }
  }

  #told(replicas: readonly number[]): readonly number[] {
    return this.#allReplicas ? replicas : replicas.filter(id => this.#living.has(id))
  }
}

const LEADER_NOT_AVAILABLE = errorCode('LEADER_NOT_AVAILABLE')
const REPLICA_NOT_AVAILABLE = errorCode('REPLICA_NOT_AVAILABLE')

function nullFrom(context: RequestContext, version: number): string | null {
  return context.apiVersion >= version ? null : ''
}

function refuse(context: RequestContext, request: Request, error: ErrorName): Response {
  const topics = (request.topics ?? []).map(({ name, topicId }) => ({
    errorCode: errorCode(error),
    name: name ?? nullFrom(context, TOPIC_IDS_FROM),
    topicId
  }))
  return { errorCode: errorCode(error), topics }
}
