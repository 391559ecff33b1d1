/**
 * Fetch: sessions in front (`fetch-sessions.ts`), reading and waiting behind (`fetch-call.ts`), and here the translation of
 * both into Kafka's request and answer.
 *
 * Record bytes go out as the host's own views; each is released when the socket took it.
 */
import { apis, errorCode, type ErrorName, type RequestOf, type ResponseInput, ZERO_UUID } from '@milena/wire-protocol'
import { FetchCall, type FetchLimits, type FetchResult } from '../fetch/fetch-call.ts'
import { FetchEntry, type FetchTarget } from '../fetch/fetch-entry.ts'
import { FINAL_EPOCH, type FetchSession, INITIAL_EPOCH, NO_SESSION, partitionKey } from '../fetch/fetch-sessions.ts'
import { type Handler, noResponse, type Outcome, type RequestContext } from '../handler.ts'
import { FETCH_WAIT_MS_MAX } from '../settings.ts'
import { LeaderHints } from './answers/leader-hints.ts'

type Request = RequestOf<typeof apis.fetch>
type RequestedTopic = Request['topics'][number]
type RequestedPartition = RequestedTopic['partitions'][number]
type Response = ResponseInput<typeof apis.fetch>
type ResponseTopic = NonNullable<Response['responses']>[number]
type ResponsePartition = NonNullable<ResponseTopic['partitions']>[number]

const SESSIONS_FROM = 7
/** Clients that name their rack may be sent to a follower, and ask it (KIP-392). */
const FOLLOWER_FETCH_FROM = 11
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
  | { readonly kind: 'sessionless' | 'full'; readonly entries: readonly FetchEntry[] }
  | { readonly kind: 'incremental'; readonly entries: readonly FetchEntry[]; readonly session: FetchSession }

function planFetch(context: RequestContext, request: Request): FetchPlan | ErrorName {
  const { sessionId, sessionEpoch } = request
  const sessions = context.rooms.fetchSessions
  if (context.apiVersion < SESSIONS_FROM) return { kind: 'sessionless', entries: entriesOf(context, request) }
  if (sessionEpoch === INITIAL_EPOCH || sessionEpoch === FINAL_EPOCH) {
    if (sessionId !== NO_SESSION) sessions.close(sessionId)
    const kind = sessionEpoch === FINAL_EPOCH ? 'sessionless' : 'full'
    return { kind, entries: entriesOf(context, request) }
  }
  const found = sessions.lookUp(sessionId, sessionEpoch, context.apiVersion >= TOPIC_IDS_FROM)
  if (found.kind === 'refused') return found.error
  const { session } = found
  // Another connection still waits on this session: it gets its answer now. If that takes time, this one starts over.
  session.active?.hurry()
  if (session.active !== null) return 'INVALID_FETCH_SESSION_EPOCH'
  updateSession(context, request, session)
  const entries = [...session.partitions.values()]
  if (entries.length > 0) return { kind: 'incremental', entries, session }
  sessions.close(sessionId)
  return { kind: 'sessionless', entries: entriesOf(context, request) }
}

function entriesOf(context: RequestContext, request: Request): FetchEntry[] {
  const entries: FetchEntry[] = []
  for (const topic of request.topics) {
    for (const requested of topic.partitions) entries.push(newEntry(context, topic, requested))
  }
  return entries
}

function newEntry(context: RequestContext, topic: RequestedTopic, requested: RequestedPartition): FetchEntry {
  const byId = context.apiVersion >= TOPIC_IDS_FROM
  const { partition } = requested
  const target = { topicName: byId ? null : topic.topic, topicId: byId ? topic.topicId : ZERO_UUID, partition }
  return new FetchEntry(target).ask(requested)
}

function updateSession(context: RequestContext, request: Request, session: FetchSession): void {
  const sessions = context.rooms.fetchSessions
  const nameOf = (topic: { topic: string; topicId: string }): string =>
    session.usesTopicIds ? topic.topicId : topic.topic
  for (const topic of request.topics) {
    for (const requested of topic.partitions) {
      const key = partitionKey(nameOf(topic), requested.partition)
      const known = session.partitions.get(key)
      if (known === undefined) sessions.setPartition(session, key, newEntry(context, topic, requested))
      else known.ask(requested)
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
  const session = plan.kind === 'incremental' ? plan.session : null
  const call = new FetchCall({
    context,
    entries: plan.entries,
    limits: limitsOf(context, request),
    keepWatching: plan.kind !== 'sessionless',
    onDone: results => {
      if (session !== null) session.active = null
      answer = respond(context, request, plan, results)
      resolve?.(answer)
    },
    onFailed: error => {
      if (session !== null) session.active = null
      if (reject === null) throw error
      reject(error)
    }
  })
  if (session !== null) session.active = call
  call.start()
  if (answer !== null) return answer
  return new Promise((onAnswer, onError) => {
    resolve = onAnswer
    reject = onError
    context.onWaiting({
      hurry: () => call.hurry(),
      abandon: () => {
        call.abandon()
        if (session !== null) session.active = null
        else for (const entry of plan.entries) entry.unwatch()
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
    isolation: request.isolationLevel === READ_COMMITTED ? 'read_committed' : 'read_uncommitted',
    leaderOnly: context.apiVersion < FOLLOWER_FETCH_FROM,
    clientRack: request.rackId
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
    topics.add(result.entry.target, describe(context, result, isolated, hints))
    if (plan.kind === 'incremental') serveLast(context, plan.session, result)
  }
  const sessionId = sessionOf(context, plan, results)
  if (plan.kind === 'incremental') releaseClosed(context, plan.session)
  return { sessionId, responses: topics.topics, nodeEndpoints: hints === null ? [] : hints.endpoints() }
}

/** The session that the client goes on with: a new one after a full request that asked for one, 0 without. */
function sessionOf(context: RequestContext, plan: FetchPlan, results: readonly FetchResult[]): number {
  if (plan.kind === 'full') return openSession(context, plan.entries, results)
  return plan.kind === 'incremental' ? plan.session.id : 0
}

/** Whether an incremental answer must say something of this partition; remembers what is said. */
function noteChange({ entry, outcome }: FetchResult): boolean {
  if (outcome.kind !== 'data') {
    entry.sentHighWatermark = -1
    return true
  }
  const changed =
    outcome.byteCount > 0 ||
    outcome.preferredReadReplica >= 0 ||
    entry.sentHighWatermark !== outcome.highWatermark ||
    entry.sentLogStartOffset !== outcome.logStartOffset
  entry.sentHighWatermark = outcome.highWatermark
  entry.sentLogStartOffset = outcome.logStartOffset
  return changed
}

/** Partitions that got data go to the end of the line, so that the first ones cannot eat every answer. */
function serveLast(context: RequestContext, session: FetchSession, { entry, outcome }: FetchResult): void {
  if (outcome.kind !== 'data' || outcome.byteCount === 0) return
  const key = keyOf(entry.target)
  if (!context.rooms.fetchSessions.has(session) || !session.partitions.delete(key)) return
  session.partitions.set(key, entry)
}

/** A session that was closed while its fetch waited: nobody will read these entries again. */
function releaseClosed(context: RequestContext, session: FetchSession): void {
  if (context.rooms.fetchSessions.has(session)) return
  for (const entry of session.partitions.values()) entry.unwatch()
}

function keyOf({ topicName, topicId, partition }: FetchTarget): string {
  return partitionKey(topicName ?? topicId, partition)
}

function openSession(context: RequestContext, entries: readonly FetchEntry[], results: readonly FetchResult[]): number {
  for (const result of results) noteChange(result)
  const partitions = new Map<string, FetchEntry>()
  for (const entry of entries) {
    const key = keyOf(entry.target)
    // A partition named twice counts once; the first of them is not needed any more.
    partitions.get(key)?.unwatch()
    partitions.set(key, entry)
  }
  const session = context.rooms.fetchSessions.create(partitions, context.apiVersion >= TOPIC_IDS_FROM)
  if (session !== null) return session.id
  for (const entry of entries) entry.unwatch()
  return NO_SESSION
}

function describe(
  context: RequestContext,
  result: FetchResult,
  isolated: boolean,
  hints: LeaderHints | null
): ResponsePartition {
  const { entry, outcome } = result
  const { partition } = entry.target
  const { highWatermark, lastStableOffset, logStartOffset } = outcome
  const common = { partitionIndex: partition, highWatermark, lastStableOffset, logStartOffset }
  if (outcome.kind === 'refused') {
    const moved = outcome.error === 'NOT_LEADER_OR_FOLLOWER' || outcome.error === 'FENCED_LEADER_EPOCH'
    const topicId = entry.foundTopicId
    const currentLeader = moved && topicId !== null ? hints?.leaderOf(topicId, partition, outcome.error) : undefined
    return {
      ...common,
      errorCode: errorCode(outcome.error),
      currentLeader,
      records: NO_RECORDS,
      abortedTransactions: null
    }
  }
  if (outcome.kind === 'diverging') {
    const divergingEpoch = { epoch: outcome.epoch, endOffset: outcome.endOffset }
    return { ...common, errorCode: 0, divergingEpoch, records: NO_RECORDS, abortedTransactions: null }
  }
  if (outcome.byteCount > 0) context.releaseLater(() => outcome.release())
  else outcome.release()
  const { slices, preferredReadReplica } = outcome
  const abortedTransactions = isolated ? outcome.abortedTransactions : null
  return { ...common, errorCode: 0, records: slices, preferredReadReplica, abortedTransactions }
}

const NO_RECORDS = new Uint8Array(0)

/** Collects partitions under their topics; a topic appears again when others came between. */
class TopicGrouping {
  readonly topics: { topic: string; topicId: string; partitions: ResponsePartition[] }[] = []

  add({ topicName, topicId }: FetchTarget, partition: ResponsePartition): void {
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
