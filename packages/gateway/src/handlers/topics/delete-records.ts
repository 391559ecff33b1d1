/**
 * DeleteRecords: moves the start of partitions forward (KIP-107). Each partition's leader is asked for itself and answers for
 * itself; one that is named more than once counts as it was named last.
 */
import { apis, errorCode, type ErrorName, type RequestOf, type ResponseInput } from '@milena/wire-protocol'
import type { Handler, RequestContext } from '../../handler.ts'
import { REPLICATION_MS_MIN } from '../../settings.ts'

type Request = RequestOf<typeof apis.deleteRecords>
type Response = ResponseInput<typeof apis.deleteRecords>
type Result = NonNullable<NonNullable<Response['topics']>[number]['partitions']>[number]

/** No offset: nothing was deleted, or it is not known. */
const NO_WATERMARK = -1n

export const deleteRecordsHandler: Handler<typeof apis.deleteRecords> = {
  api: apis.deleteRecords,
  versions: { min: 0, max: 2 },
  async handle(context, request) {
    const options = { timeoutMs: Math.max(REPLICATION_MS_MIN, request.timeoutMs) }
    const topics = [...offsetsByTopic(request)].map(async ([name, offsets]) => ({
      name,
      partitions: await Promise.all(
        Array.from(offsets, ([partition, offset]) => deleteBefore(context, name, partition, offset, options))
      )
    }))
    return { topics: await Promise.all(topics) }
  },
  refuse: (_context, request, error) => ({
    topics: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => refused(partitionIndex, error))
    }))
  })
}

/** Offsets by topic and partition. A topic without partitions is none. */
function offsetsByTopic({ topics }: Request): Map<string, Map<number, bigint>> {
  const byTopic = new Map<string, Map<number, bigint>>()
  for (const { name, partitions } of topics) {
    if (partitions.length === 0) continue
    const offsets = byTopic.get(name) ?? new Map<number, bigint>()
    for (const { partitionIndex, offset } of partitions) offsets.set(partitionIndex, offset)
    byTopic.set(name, offsets)
  }
  return byTopic
}

async function deleteBefore(
  context: RequestContext,
  topic: string,
  partitionIndex: number,
  offset: bigint,
  options: { timeoutMs: number }
): Promise<Result> {
  const view = context.host.cluster.view().topicByName(topic)
  if (view === undefined) return refused(partitionIndex, 'UNKNOWN_TOPIC_OR_PARTITION')
  const found = context.host.partitions.find(view.topicId, partitionIndex)
  if ('error' in found) return refused(partitionIndex, found.error)
  const outcome = await found.deleteRecords(Number(offset), options)
  if (outcome.kind === 'refused') return refused(partitionIndex, outcome.error)
  return { partitionIndex, lowWatermark: BigInt(outcome.lowWatermark), errorCode: 0 }
}

function refused(partitionIndex: number, error: ErrorName): Result {
  return { partitionIndex, lowWatermark: NO_WATERMARK, errorCode: errorCode(error) }
}
