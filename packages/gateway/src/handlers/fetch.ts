/**
 * Fetch: sessions in front (`fetch-sessions.ts`), reading and waiting behind (`fetch-call.ts`), and here the translation of
 * both into Kafka's request and answer.
 *
 * Record bytes go out as the host's own views; each is released when the socket took it.
 */
import { apis, errorCode, type ErrorName, type RequestOf, type ResponseInput, ZERO_UUID } from '@milena/wire-protocol'
import { FetchCall, type FetchLimits, type FetchResult } from '../fetch-call.ts'
import {
  FINAL_EPOCH,
  type FetchPartition,
  type FetchSession,
  INITIAL_EPOCH,
  NO_SESSION,
  partitionKey
} from '../fetch-sessions.ts'
import { type Handler, noResponse, type Outcome, type RequestContext } from '../handler.ts'
import { LeaderHints } from '../leader-hints.ts'
import { FETCH_WAIT_MS_MAX } from '../settings.ts'

type Request = RequestOf<typeof apis.fetch>
type RequestedTopic = Request['topics'][number]
type RequestedPartition = RequestedTopic['partitions'][number]
type Response = ResponseInput<typeof apis.fetch>
type ResponseTopic = NonNullable<Response['responses']>[number]
type ResponsePartition = NonNullable<ResponseTopic['partitions']>[number]

const SESSIONS_FROM = 7
const TOPIC_IDS_FROM = 13
const REPLICA_STATE_FROM = 15
const LEADER_HINTS_FROM = 16
const READ_COMMITTED = 1

export const fetchHandler: Handler<typeof apis.fetch> = {
  api: apis.fetch,
  versions: { min: 4, max: 18 },
  handle(context, request) {
    const replicaId = context.apiVersion >= REPLICA_STATE_FROM ? request.replicaState.replicaId : request.replicaId
    // Replication does not use this protocol: whoever claims to be a replica would read beyond what is committed.
    if (replicaId >= 0) return refuse(context, request, 'CLUSTER_AUTHORIZATION_FAILED')
    const plan = planFetch(context, request)
    return typeof plan === 'string' ? refuse(context, request, plan) : serve(context, request, plan)
  },
  refuse
}

/** What one request has to serve, and as what kind of answer. */
type FetchPlan =
  | { readonly kind: 'sessionless'; readonly partitions: readonly FetchPartition[] }
  | { readonly kind: 'full'; readonly partitions: readonly FetchPartition[] }
  | { readonly kind: 'incremental'; readonly partitions: readonly FetchPartition[]; readonly session: FetchSession }

function planFetch(context: RequestContext, request: Request): FetchPlan | ErrorName {
  const { sessionId, sessionEpoch } = request
  const sessions = context.rooms.fetchSessions
  if (context.apiVersion < SESSIONS_FROM) return { kind: 'sessionless', partitions: partitionsOf(context, request) }
  if (sessionEpoch === INITIAL_EPOCH || sessionEpoch === FINAL_EPOCH) {
    if (sessionId !== NO_SESSION) sessions.close(sessionId)
    const kind = sessionEpoch === FINAL_EPOCH ? 'sessionless' : 'full'
    return { kind, partitions: partitionsOf(context, request) }
  }
  const found = sessions.lookUp(sessionId, sessionEpoch, context.apiVersion >= TOPIC_IDS_FROM)
  if (found.kind === 'refused') return found.error
  updateSession(context, request, found.session)
  const partitions = [...found.session.partitions.values()]
  if (partitions.length > 0) return { kind: 'incremental', partitions, session: found.session }
  sessions.close(sessionId)
  return { kind: 'sessionless', partitions: partitionsOf(context, request) }
}

function partitionsOf(context: RequestContext, request: Request): FetchPartition[] {
  const partitions: FetchPartition[] = []
  for (const topic of request.topics) {
    for (const requested of topic.partitions) partitions.push(fetchPartition(context, topic, requested))
  }
  return partitions
}

function fetchPartition(context: RequestContext, topic: RequestedTopic, requested: RequestedPartition): FetchPartition {
  const byId = context.apiVersion >= TOPIC_IDS_FROM
  return {
    topicName: byId ? null : topic.topic,
    topicId: byId ? topic.topicId : ZERO_UUID,
    partition: requested.partition,
    fetchOffset: requested.fetchOffset,
    maxBytes: requested.partitionMaxBytes,
    currentLeaderEpoch: requested.currentLeaderEpoch,
    sentHighWatermark: -1,
    sentLogStartOffset: -1
  }
}

function updateSession(context: RequestContext, request: Request, session: FetchSession): void {
  const sessions = context.rooms.fetchSessions
  const nameOf = (topic: { topic: string; topicId: string }): string =>
    session.usesTopicIds ? topic.topicId : topic.topic
  for (const topic of request.topics) {
    for (const requested of topic.partitions) {
      const key = partitionKey(nameOf(topic), requested.partition)
      const known = session.partitions.get(key)
      if (known === undefined) {
        sessions.setPartition(session, key, fetchPartition(context, topic, requested))
        continue
      }
      known.fetchOffset = requested.fetchOffset
      known.maxBytes = requested.partitionMaxBytes
      known.currentLeaderEpoch = requested.currentLeaderEpoch
    }
  }
  for (const topic of request.forgottenTopicsData) {
    for (const partition of topic.partitions) sessions.deletePartition(session, partitionKey(nameOf(topic), partition))
  }
}

function serve(
  context: RequestContext,
  request: Request,
  plan: FetchPlan
): Outcome<typeof apis.fetch> | Promise<Outcome<typeof apis.fetch>> {
  let answer: Response | null = null
  let resolve: ((answer: Outcome<typeof apis.fetch>) => void) | null = null
  let reject: ((error: unknown) => void) | null = null
  const call = new FetchCall(
    context,
    plan.partitions,
    limitsOf(context, request),
    results => {
      answer = respond(context, request, plan, results)
      resolve?.(answer)
    },
    error => {
      if (reject === null) throw error
      reject(error)
    }
  )
  call.start()
  if (answer !== null) return answer
  return new Promise((onAnswer, onError) => {
    resolve = onAnswer
    reject = onError
    context.onWaiting({
      hurry: () => call.hurry(),
      abandon: () => {
        call.abandon()
        onAnswer(noResponse)
      }
    })
  })
}

function limitsOf(context: RequestContext, request: Request): FetchLimits {
  const maxBytes = clamp(request.maxBytes, 0, context.rooms.settings.fetchMaxBytes)
  return {
    maxWaitMs: clamp(request.maxWaitMs, 0, FETCH_WAIT_MS_MAX),
    minBytes: clamp(request.minBytes, 0, maxBytes),
    maxBytes,
    isolation: request.isolationLevel === READ_COMMITTED ? 'read_committed' : 'read_uncommitted'
  }
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most)
}

function respond(
  context: RequestContext,
  request: Request,
  plan: FetchPlan,
  results: readonly FetchResult[]
): Response {
  const isolated = request.isolationLevel === READ_COMMITTED
  const hints = context.apiVersion >= LEADER_HINTS_FROM ? new LeaderHints(context) : null
  const topics = new TopicGrouping()
  for (const result of results) {
    if (plan.kind === 'incremental' && !noteChange(result)) {
      if (result.outcome.kind === 'data') result.outcome.release()
      continue
    }
    topics.add(result.requested, describe(context, result, isolated, hints))
    if (plan.kind === 'incremental') serveLast(context, plan.session, result)
  }
  const sessionId =
    plan.kind === 'full' ? openSession(context, results) : plan.kind === 'incremental' ? plan.session.id : 0
  return { sessionId, responses: topics.topics, nodeEndpoints: hints === null ? [] : hints.endpoints() }
}

/** Whether an incremental answer must say something of this partition; remembers what is said. */
function noteChange({ requested, outcome }: FetchResult): boolean {
  if (outcome.kind === 'refused') {
    requested.sentHighWatermark = -1
    return true
  }
  const changed =
    outcome.byteCount > 0 ||
    requested.sentHighWatermark !== outcome.highWatermark ||
    requested.sentLogStartOffset !== outcome.logStartOffset
  requested.sentHighWatermark = outcome.highWatermark
  requested.sentLogStartOffset = outcome.logStartOffset
  return changed
}

/** Partitions that got data go to the end of the line, so that the first ones cannot eat every answer. */
function serveLast(context: RequestContext, session: FetchSession, { requested, outcome }: FetchResult): void {
  if (outcome.kind !== 'data' || outcome.byteCount === 0) return
  const key = keyOf(requested)
  if (!context.rooms.fetchSessions.has(session) || !session.partitions.delete(key)) return
  session.partitions.set(key, requested)
}

function keyOf({ topicName, topicId, partition }: FetchPartition): string {
  return partitionKey(topicName ?? topicId, partition)
}

function openSession(context: RequestContext, results: readonly FetchResult[]): number {
  const partitions = new Map<string, FetchPartition>()
  for (const result of results) {
    noteChange(result)
    partitions.set(keyOf(result.requested), result.requested)
  }
  const session = context.rooms.fetchSessions.create(partitions, context.apiVersion >= TOPIC_IDS_FROM)
  return session === null ? NO_SESSION : session.id
}

function describe(
  context: RequestContext,
  result: FetchResult,
  isolated: boolean,
  hints: LeaderHints | null
): ResponsePartition {
  const { requested, topicId, outcome } = result
  const { highWatermark, lastStableOffset, logStartOffset } = outcome
  const common = { partitionIndex: requested.partition, highWatermark, lastStableOffset, logStartOffset }
  if (outcome.kind === 'refused') {
    const moved = outcome.error === 'NOT_LEADER_OR_FOLLOWER' || outcome.error === 'FENCED_LEADER_EPOCH'
    const currentLeader = moved && topicId !== null ? hints?.leaderOf(topicId, requested.partition) : undefined
    return {
      ...common,
      errorCode: errorCode(outcome.error),
      currentLeader,
      records: NO_RECORDS,
      abortedTransactions: null
    }
  }
  if (outcome.byteCount > 0) context.releaseLater(() => outcome.release())
  else outcome.release()
  const { slices, abortedTransactions } = outcome
  return { ...common, errorCode: 0, records: slices, abortedTransactions: isolated ? abortedTransactions : null }
}

const NO_RECORDS = new Uint8Array(0)

/** Collects partitions under their topics; a topic appears again when others came between. */
class TopicGrouping {
  readonly topics: { topic: string; topicId: string; partitions: ResponsePartition[] }[] = []

  add({ topicName, topicId }: FetchPartition, partition: ResponsePartition): void {
    const last = this.topics[this.topics.length - 1]
    if (last !== undefined && last.topicId === topicId && last.topic === (topicName ?? ''))
      last.partitions.push(partition)
    else this.topics.push({ topic: topicName ?? '', topicId, partitions: [partition] })
  }
}

/** From version 7 on an error can be told once for the whole request; before, each partition has to tell it. */
function refuse(context: RequestContext, request: Request, error: ErrorName): Response {
  if (context.apiVersion >= SESSIONS_FROM) return { errorCode: errorCode(error) }
  const refused = (partition: number): ResponsePartition => ({
    partitionIndex: partition,
    errorCode: errorCode(error),
    highWatermark: -1,
    lastStableOffset: -1,
    logStartOffset: -1,
    records: NO_RECORDS,
    abortedTransactions: null
  })
  return {
    responses: request.topics.map(({ topic, topicId, partitions }) => ({
      topic,
      topicId,
      partitions: partitions.map(({ partition }) => refused(partition))
    }))
  }
}
