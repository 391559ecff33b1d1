/**
 * DescribeTopicPartitions: topics in the order of their names, page by page (KIP-966). A page ends in a cursor, which the next
 * request carries.
 *
 *     all topics, or those named ──sorted──► from the cursor on ──► at most `responsePartitionLimit` partitions ──► next cursor
 *
 * There are no eligible leader replicas here: a Raft group elects whoever has all that is committed, in-sync or not.
 */
import { apis, errorCode, type ErrorName, type RequestOf, type ResponseInput } from '@milena/wire-protocol'
import type { Handler, RequestContext } from '../handler.ts'
import type { PartitionView, TopicView } from '../ports.ts'
import { DESCRIBED_PARTITIONS_MAX } from '../settings.ts'
import { topicNameProblem } from '../topic-names.ts'
import { ALL_TOPIC_OPERATIONS } from './answers/authorized-operations.ts'
import { livingBrokers } from './answers/living-brokers.ts'

type Request = RequestOf<typeof apis.describeTopicPartitions>
type Cursor = NonNullable<Request['cursor']>
type Response = ResponseInput<typeof apis.describeTopicPartitions>
type Topic = NonNullable<Response['topics']>[number]
type Partition = NonNullable<Topic['partitions']>[number]

export const describeTopicPartitionsHandler: Handler<typeof apis.describeTopicPartitions> = {
  api: apis.describeTopicPartitions,
  versions: { min: 0, max: 0 },
  handle(context, request) {
    const { cursor } = request
    if (cursor !== null && !isPossible(cursor, request)) return refuse(request, 'INVALID_REQUEST')
    return describe(context, request)
  },
  refuse: (_context, request, error) => refuse(request, error)
}

/** With topics named, the cursor must be in one of them. */
function isPossible({ topicName, partitionIndex }: Cursor, { topics }: Request): boolean {
  return partitionIndex >= 0 && (topics.length === 0 || topics.some(({ name }) => name === topicName))
}

function describe(context: RequestContext, request: Request): Response {
  const { cursor } = request
  const living = livingBrokers(context)
  const topics: Topic[] = []
  let room = Math.max(1, Math.min(request.responsePartitionLimit, DESCRIBED_PARTITIONS_MAX))
  for (const name of namesFrom(context, request)) {
    if (room === 0) return { topics, nextCursor: { topicName: name, partitionIndex: 0 } }
    const topic = context.host.cluster.view().topicByName(name)
    if (topic === undefined) {
      topics.push(
        refused(name, topicNameProblem(name) === null ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'INVALID_TOPIC_EXCEPTION')
      )
      continue
    }
    const first = cursor?.topicName === name ? cursor.partitionIndex : 0
    const page = topic.partitions.slice(first, first + room)
    topics.push(describeTopic(topic, page, living))
    room -= page.length
    const next = first + page.length
    if (next < topic.partitions.length) return { topics, nextCursor: { topicName: name, partitionIndex: next } }
  }
  return { topics, nextCursor: null }
}

/** Names from the cursor's on, each once, in the order of UTF-16 units as Java sorts them. */
function namesFrom(context: RequestContext, { topics, cursor }: Request): string[] {
  const names = new Set<string>()
  if (topics.length > 0) for (const { name } of topics) names.add(name)
  else for (const { name } of context.host.cluster.view().topics()) names.add(name)
  const from = cursor?.topicName ?? ''
  return [...names].filter(name => name >= from).sort((a, b) => (a < b ? -1 : 1))
}

function describeTopic(topic: TopicView, partitions: readonly PartitionView[], living: ReadonlySet<number>): Topic {
  return {
    name: topic.name,
    topicId: topic.topicId,
    isInternal: topic.internal,
    partitions: partitions.map(partition => describePartition(partition, living)),
    topicAuthorizedOperations: ALL_TOPIC_OPERATIONS
  }
}

function describePartition(view: PartitionView, living: ReadonlySet<number>): Partition {
  return {
    partitionIndex: view.partition,
    leaderId: living.has(view.leader) ? view.leader : -1,
    leaderEpoch: view.leaderEpoch,
    replicaNodes: view.replicas,
    isrNodes: view.inSyncReplicas,
    eligibleLeaderReplicas: [],
    lastKnownElr: [],
    offlineReplicas: view.offlineReplicas
  }
}

function refused(name: string, error: ErrorName): Topic {
  return { errorCode: errorCode(error), name }
}

function refuse({ topics }: Request, error: ErrorName): Response {
  return { topics: topics.map(({ name }) => refused(name, error)), nextCursor: null }
}
