/**
 * DescribeProducers: the idempotent producers that partitions remember (KIP-664), for operators who look for stuck ones. Each
 * partition's leader is asked for itself.
 *
 * The answer is bounded: partitions are asked one after the other, and once DESCRIBED_PRODUCERS_MAX producers are told, those
 * that have more of them are refused. No transactions yet: nobody has one open, and no coordinator has written.
 */
import { apis, errorCode, type ErrorName, type ResponseInput } from '@milena/wire-protocol'
import type { Handler, RequestContext } from '../handler.ts'
import type { ProducerView } from '../ports.ts'
import { DESCRIBED_PRODUCERS_MAX } from '../settings.ts'
import { topicNameProblem } from '../topic-names.ts'

type Response = ResponseInput<typeof apis.describeProducers>
type Result = NonNullable<NonNullable<Response['topics']>[number]['partitions']>[number]
type Producer = NonNullable<Result['activeProducers']>[number]

const TOO_MANY = `The answer would tell of more than ${DESCRIBED_PRODUCERS_MAX} producers: ask for fewer partitions.`
const UNKNOWN_TOPIC = 'No such topic is known here.'

export const describeProducersHandler: Handler<typeof apis.describeProducers> = {
  api: apis.describeProducers,
  versions: { min: 0, max: 0 },
  async handle(context, request) {
    const topics: NonNullable<Response['topics']>[number][] = []
    let budget = DESCRIBED_PRODUCERS_MAX
    for (const { name, partitionIndexes } of request.topics) {
      const partitions: Result[] = []
      for (const index of partitionIndexes) {
        const result = await describe(context, name, index, budget)
        budget -= result.activeProducers?.length ?? 0
        partitions.push(result)
      }
      topics.push({ name, partitions })
    }
    return { topics }
  },
  refuse: (_context, request, error) => ({
    topics: request.topics.map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map(index => refused(index, error, null))
    }))
  })
}

async function describe(context: RequestContext, topic: string, index: number, budget: number): Promise<Result> {
  const problem = topicNameProblem(topic)
  if (problem !== null) return refused(index, 'INVALID_TOPIC_EXCEPTION', problem)
  const view = context.host.cluster.view().topicByName(topic)
  if (view === undefined) return refused(index, 'UNKNOWN_TOPIC_OR_PARTITION', UNKNOWN_TOPIC)
  const found = context.host.partitions.find(view.topicId, index)
  if ('error' in found) return refused(index, found.error, null)
  const outcome = await found.describeProducers()
  if (outcome.kind === 'refused') return refused(index, outcome.error, null)
  if (outcome.producers.length > budget) return refused(index, 'POLICY_VIOLATION', TOO_MANY)
  return { partitionIndex: index, errorCode: 0, errorMessage: null, activeProducers: outcome.producers.map(told) }
}

function told(producer: ProducerView): Producer {
  return { ...producer, coordinatorEpoch: -1, currentTxnStartOffset: -1n }
}

function refused(index: number, error: ErrorName, errorMessage: string | null): Result {
  return { partitionIndex: index, errorCode: errorCode(error), errorMessage, activeProducers: [] }
}
