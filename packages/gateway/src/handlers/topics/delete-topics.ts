/** DeleteTopics, by name (all versions) or by topic id (version 6). */
import {
  apis,
  errorCode,
  type ErrorName,
  errorMessage,
  type RequestOf,
  type ResponseInput,
  ZERO_UUID
} from '@milena/wire-protocol'
import type { Handler, RequestContext } from '../../handler.ts'
import type { TopicResult } from '../../ports.ts'

type Request = RequestOf<typeof apis.deleteTopics>
type Response = ResponseInput<typeof apis.deleteTopics>
type Result = NonNullable<Response['responses']>[number]

/** What the request asks for, whichever version: a name, an id, or (a mistake) both or neither. */
interface Target {
  readonly name: string | null
  readonly topicId: string
}

const TOPIC_IDS_FROM = 6

export const deleteTopicsHandler: Handler<typeof apis.deleteTopics> = {
  api: apis.deleteTopics,
  versions: { min: 1, max: 6 },
  async handle(context, request) {
    const wanted = new Map<string, { target: Target; count: number }>()
    for (const target of targetsOf(context, request)) {
      const known = wanted.get(keyOf(target))
      if (known === undefined) wanted.set(keyOf(target), { target, count: 1 })
      else known.count++
    }
    const responses: Result[] = []
    const accepted: Target[] = []
    for (const { target, count } of wanted.values()) {
      const problem = problemOf(target, count)
      if (problem === null) accepted.push(target)
      else responses.push(refused(target, 'INVALID_REQUEST', problem))
    }
    if (accepted.length > 0) responses.push(...(await deleteAccepted(context, request, accepted)))
    return { responses }
  },
  refuse: (context, request, error) => ({
    responses: targetsOf(context, request).map(target => refused(target, error, null))
  })
}

function targetsOf(context: RequestContext, request: Request): readonly Target[] {
  if (context.apiVersion >= TOPIC_IDS_FROM) return request.topics
  return request.topicNames.map(name => ({ name, topicId: ZERO_UUID }))
}

function keyOf({ name, topicId }: Target): string {
  return name === null ? `id:${topicId}` : `name:${name}`
}

/** What is wrong with the request alone; whether the topic is there the controller knows, not this broker's view. */
function problemOf({ name, topicId }: Target, count: number): string | null {
  if (name !== null && topicId !== ZERO_UUID) return 'You may not specify both topic name and topic id.'
  if (name === null && topicId === ZERO_UUID) return 'Neither topic name nor id were specified.'
  if (count > 1) return name === null ? 'Duplicate topic id.' : 'Duplicate topic name.'
  return null
}

async function deleteAccepted(
  context: RequestContext,
  request: Request,
  accepted: readonly Target[]
): Promise<Iterable<Result>> {
  const topics = accepted.map(({ name, topicId }) => (name === null ? { topicId } : { name }))
  const results = await context.host.cluster.deleteTopics(topics, { timeoutMs: Math.max(0, request.timeoutMs) })
  // A topic that was asked for by name and by id is answered once.
  const answers = new Map<string, Result>()
  accepted.forEach((target, i) => {
    const answer = answerTo(target, results[i])
    answers.set(`${answer.name} ${answer.topicId}`, answer)
  })
  return answers.values()
}

function answerTo(target: Target, result: TopicResult | undefined): Result {
  if (result === undefined) return refused(target, 'UNKNOWN_SERVER_ERROR', null)
  const { name, topicId } = result
  if (result.kind === 'done') return { name, topicId }
  return refused(topicId === undefined ? target : { name, topicId }, result.error, result.message)
}

function refused({ name, topicId }: Target, error: ErrorName, message: string | null): Result {
  return { name, topicId, errorCode: errorCode(error), errorMessage: message ?? errorMessage(error) }
}
