/**
 * OffsetForLeaderEpoch: where an epoch ended, so that a client can see whether what it has read was truncated since (KIP-320).
 * Leaders only; an epoch that is not known is answered with -1 and -1, not with an error.
 */
import { apis, errorCode, type ErrorName, type RequestOf, type ResponseInput } from '@milena/wire-protocol'
import type { Handler, RequestContext } from '../handler.ts'

type Request = RequestOf<typeof apis.offsetForLeaderEpoch>
type RequestedPartition = Request['topics'][number]['partitions'][number]
type Response = ResponseInput<typeof apis.offsetForLeaderEpoch>
type Result = NonNullable<NonNullable<Response['topics']>[number]['partitions']>[number]

export const offsetForLeaderEpochHandler: Handler<typeof apis.offsetForLeaderEpoch> = {
  api: apis.offsetForLeaderEpoch,
  versions: { min: 2, max: 4 },
  async handle(context, request) {
    const topics = request.topics.map(async ({ topic, partitions }) => ({
      topic,
      partitions: await Promise.all(partitions.map(partition => look(context, topic, partition)))
    }))
    return { topics: await Promise.all(topics) }
  },
  refuse: (_context, request, error) => ({
    topics: request.topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(partition => refused(partition, error))
    }))
  })
}

async function look(context: RequestContext, topic: string, requested: RequestedPartition): Promise<Result> {
  const view = context.host.cluster.view().topicByName(topic)
  if (view === undefined) return refused(requested, 'UNKNOWN_TOPIC_OR_PARTITION')
  const found = context.host.partitions.find(view.topicId, requested.partition)
  if ('error' in found) return refused(requested, found.error)
  const outcome = await found.endOffsetForEpoch(requested.leaderEpoch, requested.currentLeaderEpoch)
  if (outcome.kind === 'refused') return refused(requested, outcome.error)
  const { leaderEpoch, endOffset } = outcome
  return { partition: requested.partition, errorCode: 0, leaderEpoch, endOffset }
}

function refused({ partition }: RequestedPartition, error: ErrorName): Result {
  return { partition, errorCode: errorCode(error), leaderEpoch: -1, endOffset: -1 }
}
