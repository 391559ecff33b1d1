/**
 * CreatePartitions: more partitions for topics that exist (KIP-195). Everything but a topic that is named twice is the host's to
 * judge. A topic that is refused leaves the others of the request alone.
 */
import { apis, errorCode, type ErrorName, type RequestOf, type ResponseInput } from '@milena/wire-protocol'
import type { Handler } from '../../handler.ts'
import type { MorePartitionsResult } from '../../ports.ts'

type Request = RequestOf<typeof apis.createPartitions>
type Response = ResponseInput<typeof apis.createPartitions>
type Result = NonNullable<Response['results']>[number]

export const createPartitionsHandler: Handler<typeof apis.createPartitions> = {
  api: apis.createPartitions,
  versions: { min: 0, max: 3 },
  async handle(context, request) {
    const twice = namedTwice(request)
    const wanted = request.topics.filter(({ name }) => !twice.has(name))
    const results = [...twice].map(name => answer(name, 'INVALID_REQUEST', 'Duplicate topic name.'))
    if (wanted.length === 0) return { results }
    const requests = wanted.map(({ name, count, assignments }) => {
      return { name, count, assignments: assignments?.map(({ brokerIds }) => brokerIds) ?? null }
    })
    const options = { validateOnly: request.validateOnly, timeoutMs: Math.max(0, request.timeoutMs) }
    results.push(...(await context.host.cluster.createPartitions(requests, options)).map(describe))
    return { results }
  },
  refuse: (_context, request, error) => ({ results: request.topics.map(({ name }) => answer(name, error, null)) })
}

function namedTwice({ topics }: Request): ReadonlySet<string> {
  const seen = new Set<string>()
  const twice = new Set<string>()
  for (const { name } of topics) (seen.has(name) ? twice : seen).add(name)
  return twice
}

function describe(result: MorePartitionsResult): Result {
  return result.kind === 'done' ? answer(result.name, 'NONE', null) : answer(result.name, result.error, result.message)
}

function answer(name: string, error: ErrorName, errorMessage: string | null): Result {
  return { name, errorCode: errorCode(error), errorMessage }
}
