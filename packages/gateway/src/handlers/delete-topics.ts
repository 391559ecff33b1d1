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
import type { Handler, RequestContext } from '../handler.ts'

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
    const accepted: { target: Target; at: number }[] = []
    for (const { target, count } of wanted.values()) {
      const problem = problemOf(context, target, count)
      if (problem === null) accepted.push({ target, at: responses.length })
      responses.push(problem ?? {})
    }
    if (accepted.length > 0) await deleteAccepted(context, request, accepted, responses)
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

function problemOf(context: RequestContext, target: Target, count: number): Result | null {
  const { name, topicId } = target
  if (name !== null && topicId !== ZERO_UUID)
    return refused(target, 'INVALID_REQUEST', 'Both a name and an id are given')
  if (name === null && topicId === ZERO_UUID)
    return refused(target, 'INVALID_REQUEST', 'Neither a name nor an id is given')
  if (count > 1) return refused(target, 'INVALID_REQUEST', 'The topic is named more than once in the request')
  const view = context.host.cluster.view()
  if (name === null && view.topicById(topicId) === undefined) return refused(target, 'UNKNOWN_TOPIC_ID', null)
  if (name !== null && view.topicByName(name) === undefined) return refused(target, 'UNKNOWN_TOPIC_OR_PARTITION', null)
  return null
}

async function deleteAccepted(
  context: RequestContext,
  request: Request,
  accepted: readonly { target: Target; at: number }[],
  responses: Result[]
): Promise<void> {
  const topics = accepted.map(({ target: { name, topicId } }) => (name === null ? { topicId } : { name }))
  const results = await context.host.cluster.deleteTopics(topics, { timeoutMs: Math.max(0, request.timeoutMs) })
  accepted.forEach(({ target, at }, i) => {
    const result = results[i]
    if (result === undefined) responses[at] = refused(target, 'UNKNOWN_SERVER_ERROR', null)
    else if (result.kind === 'refused') responses[at] = refused(target, result.error, result.message)
    else responses[at] = { name: result.name, topicId: result.topicId }
  })
}

function refused({ name, topicId }: Target, error: ErrorName, message: string | null): Result {
  return { name, topicId, errorCode: errorCode(error), errorMessage: message ?? errorMessage(error) }
}
