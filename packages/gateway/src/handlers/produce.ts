/**
 * Produce: hands each partition's batch to the host, in the order of the request, and answers when the acks are satisfied.
 *
 * Every append starts before `handle` returns, and append copies what it keeps. So requests of one connection may overlap
 * (`pipelined`) and batches still enter each log in the order in which they were sent.
 *
 * When a partition has just lost its leader the answer waits for a moment, so that it can name the next one (KIP-951): a client
 * that is told of none looks again only after its metadata back-off, which may be seconds.
 */
import { apis, errorCode, type ErrorName, type RequestOf, type ResponseInput, ZERO_UUID } from '@milena/wire-protocol'
import { TimerEntry } from '../connections/timer-wheel.ts'
import { closeConnection, type Handler, noResponse, type Outcome, type RequestContext } from '../handler.ts'
import type { Acks, AppendOptions, AppendResult, TopicView } from '../ports.ts'
import { REPLICATION_MS_MIN } from '../settings.ts'
import { LeaderHints } from './answers/leader-hints.ts'

type Request = RequestOf<typeof apis.produce>
type RequestedTopic = Request['topicData'][number]
type Response = ResponseInput<typeof apis.produce>
type Result = NonNullable<NonNullable<Response['responses']>[number]['partitionResponses']>[number]

const TOPIC_IDS_FROM = 13
const LEADER_HINTS_FROM = 10
/** How long an answer waits for a leader that it could name, and how often it looks, ms. */
const LEADER_WAIT_MS = 500
const LEADER_LOOK_MS = 10

export const produceHandler: Handler<typeof apis.produce> = {
  api: apis.produce,
  // librdkafka concludes from a lowest version above 0 that the broker lacks Produce (KAFKA-18659); Kafka lists 0 too.
  versions: { min: 0, max: 13 },
  servedFrom: 3,
  pipelined: true,
  carriesData: true,
  handle(context, request) {
    const { acks } = request
    if (acks !== 0 && acks !== 1 && acks !== -1) return refuse(context, request, 'INVALID_REQUIRED_ACKS')
    // Nothing has opened a transaction, because there is no transaction coordinator to open it.
    if (request.transactionalId !== null) return refuse(context, request, 'INVALID_TXN_STATE')
    return new ProduceCall(context, request, acks).start()
  },
  refuse
}

/** A partition that was refused because it is not led here. */
interface Refused {
  readonly results: Result[]
  readonly at: number
  readonly index: number
  readonly topic: TopicView
}

class ProduceCall {
  readonly #context: RequestContext
  readonly #request: Request
  readonly #options: AppendOptions
  readonly #results: Result[][] = []
  /** Refused while nobody knew who leads. */
  readonly #leaderless: Refused[] = []
  #hints: LeaderHints | null = null
  #pendingCount = 0
  #failed = false
  #resolve: ((outcome: Outcome<typeof apis.produce>) => void) | null = null

  constructor(context: RequestContext, request: Request, acks: Acks) {
    this.#context = context
    this.#request = request
    const { transactionalId } = request
    const timeoutMs = Math.max(REPLICATION_MS_MIN, request.timeoutMs)
    this.#options = { acks, timeoutMs, apiVersion: context.apiVersion, transactionalId }
  }

  start(): Outcome<typeof apis.produce> | Promise<Outcome<typeof apis.produce>> {
    const { topicData } = this.#request
    const repeated = repeatedPartitions(topicData)
    for (const topic of topicData) {
      const results: Result[] = []
      this.#results.push(results)
      const view = this.#topicOf(topic)
      for (const { index, records } of topic.partitionData) {
        const error = repeated !== null && repeated.has(repeatKey(topic, index)) ? 'INVALID_REQUEST' : null
        this.#append(view, index, records, error, results)
      }
    }
    if (this.#pendingCount === 0 && this.#leaderless.length === 0) return this.#outcome()
    return new Promise(resolve => {
      this.#resolve = resolve
      if (this.#pendingCount === 0) this.#finish()
    })
  }

  #topicOf({ name, topicId }: RequestedTopic): TopicView | ErrorName {
    const view = this.#context.host.cluster.view()
    if (this.#context.apiVersion >= TOPIC_IDS_FROM) return view.topicById(topicId) ?? 'UNKNOWN_TOPIC_ID'
    return view.topicByName(name) ?? 'UNKNOWN_TOPIC_OR_PARTITION'
  }

  #append(
    topic: TopicView | ErrorName,
    index: number,
    records: Uint8Array | null,
    error: ErrorName | null,
    results: Result[]
  ): void {
    const at = results.length
    if (error !== null) return this.#refuse(results, at, index, error)
    if (typeof topic === 'string') return this.#refuse(results, at, index, topic)
    const partition = this.#context.host.partitions.find(topic.topicId, index)
    if ('error' in partition) return this.#refuse(results, at, index, partition.error, topic)
    if (records === null || records.length === 0) return this.#refuse(results, at, index, 'INVALID_RECORD')
    this.#pendingCount++
    // Keeps the place in the response until the append is done.
    results.push({ index })
    partition.append(records, this.#options).then(
      result => this.#settle(results, at, index, topic, result),
      (reason: unknown) => {
        this.#context.host.log.error({ err: reason, topicId: topic.topicId, partition: index }, 'append failed')
        this.#refuse(results, at, index, 'UNKNOWN_SERVER_ERROR')
        this.#countDown()
      }
    )
  }

  #settle(results: Result[], at: number, index: number, topic: TopicView, result: AppendResult): void {
    if (result.kind === 'appended') {
      const { baseOffset, logAppendTimeMs, logStartOffset } = result
      results[at] = { index, errorCode: 0, baseOffset, logAppendTimeMs, logStartOffset }
    } else {
      this.#refuse(results, at, index, result.error, topic)
      const refused = results[at] as Result
      const recordErrors = result.recordErrors.map(({ batchIndex, message }) => ({
        batchIndex,
        batchIndexErrorMessage: message
      }))
      results[at] = { ...refused, logStartOffset: result.logStartOffset, errorMessage: result.message, recordErrors }
    }
    this.#countDown()
  }

  #refuse(results: Result[], at: number, index: number, error: ErrorName, topic?: TopicView): void {
    this.#failed = true
    results[at] = refusal(index, error)
    if (error !== 'NOT_LEADER_OR_FOLLOWER' || topic === undefined) return
    this.#hints ??= new LeaderHints(this.#context)
    const refused = { results, at, index, topic }
    if (this.#hints.isUnsettled(topic.topicId, index)) this.#leaderless.push(refused)
    this.#hint(refused, this.#hints)
  }

  #hint({ results, at, index, topic }: Refused, hints: LeaderHints): void {
    if (this.#context.apiVersion < LEADER_HINTS_FROM) return
    const currentLeader = hints.leaderOf(topic.topicId, index, 'NOT_LEADER_OR_FOLLOWER')
    results[at] = { ...results[at], index, currentLeader }
  }

  #countDown(): void {
    if (--this.#pendingCount === 0) this.#finish()
  }

  #finish(): void {
    const hints = this.#hints
    // With acks=0 nobody hears who leads.
    if (hints === null || this.#leaderless.length === 0 || this.#options.acks === 0) this.#resolve?.(this.#outcome())
    else this.#awaitLeaders(hints)
  }

  /** Answers when the leaders of all that was refused are known, or cannot be waited for any longer. */
  #awaitLeaders(hints: LeaderHints): void {
    const { timers, host } = this.#context.rooms
    const endMs = host.clock.monotonic() + LEADER_WAIT_MS
    const isUnsettled = ({ topic, index }: Refused): boolean => hints.isUnsettled(topic.topicId, index)
    const look = new TimerEntry(() => {
      if (host.clock.monotonic() < endMs && this.#leaderless.some(isUnsettled)) return timers.arm(look, LEADER_LOOK_MS)
      for (const refused of this.#leaderless) this.#hint(refused, hints)
      this.#resolve?.(this.#outcome())
    })
    timers.arm(look, LEADER_LOOK_MS)
  }

  #outcome(): Outcome<typeof apis.produce> {
    // With acks=0 there is no answer that could carry an error: hanging up is how the client learns of one.
    if (this.#options.acks === 0) return this.#failed ? closeConnection : noResponse
    const responses = this.#request.topicData.map(({ name, topicId }, i) => ({
      name,
      topicId,
      partitionResponses: this.#results[i]
    }))
    return { responses, nodeEndpoints: this.#hints === null ? [] : this.#hints.endpoints() }
  }
}

/** Partitions named twice: which of the two batches comes first would be a guess. Null when there are none. */
function repeatedPartitions(topics: readonly RequestedTopic[]): ReadonlySet<string> | null {
  if (topics.length === 1 && topics[0]?.partitionData.length === 1) return null
  const seen = new Set<string>()
  let repeated: Set<string> | null = null
  for (const topic of topics) {
    for (const { index } of topic.partitionData) {
      const key = repeatKey(topic, index)
      if (seen.has(key)) (repeated ??= new Set()).add(key)
      seen.add(key)
    }
  }
  return repeated
}

function repeatKey({ name, topicId }: RequestedTopic, index: number): string {
  return topicId === ZERO_UUID ? `${index}:${name}` : `${index}:${topicId}`
}

function refusal(index: number, error: ErrorName): Result {
  return { index, errorCode: errorCode(error), baseOffset: -1n, logAppendTimeMs: -1n, logStartOffset: -1n }
}

function refuse(_context: RequestContext, request: Request, error: ErrorName): Outcome<typeof apis.produce> {
  if (request.acks === 0) return closeConnection
  const responses = request.topicData.map(({ name, topicId, partitionData }) => ({
    name,
    topicId,
    partitionResponses: partitionData.map(({ index }) => refusal(index, error))
  }))
  return { responses }
}
