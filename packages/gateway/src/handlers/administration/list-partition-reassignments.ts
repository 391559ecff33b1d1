/** ListPartitionReassignments: which partitions are on the move, from where to where (KIP-455). Others are left out. */
import {
  apis,
  errorCode,
  type ErrorName,
  errorMessage,
  type RequestOf,
  type ResponseInput
} from '@milena/wire-protocol'
import type { Handler } from '../../handler.ts'
import type { AdministrationPort } from '../../ports.ts'
import { groupByTopic } from '../answers/partition-results.ts'

type Request = RequestOf<typeof apis.listPartitionReassignments>
type Response = ResponseInput<typeof apis.listPartitionReassignments>

export function listPartitionReassignmentsHandler(
  administration: AdministrationPort
): Handler<typeof apis.listPartitionReassignments> {
  return {
    api: apis.listPartitionReassignments,
    versions: { min: 0, max: 0 },
    async handle(_context, request) {
      const timeoutMs = Math.max(0, request.timeoutMs)
      const outcome = await administration.listReassignments(partitionsOf(request), { timeoutMs })
      if (outcome.kind === 'refused') return refused(outcome.error, outcome.message)
      const topics = groupByTopic(outcome.results, ({ partition, replicas, adding, removing }) => ({
        partitionIndex: partition,
        replicas,
        addingReplicas: adding,
        removingReplicas: removing
      })).map(({ topic, partitions }) => ({ name: topic, partitions }))
      return { errorMessage: null, topics }
    },
    refuse: (_context, _request, error) => refused(error, null)
  }
}

function partitionsOf({ topics }: Request): { topic: string; partition: number }[] | 'all' {
  if (topics === null) return 'all'
  return topics.flatMap(({ name, partitionIndexes }) => partitionIndexes.map(partition => ({ topic: name, partition })))
}

function refused(error: ErrorName, message: string | null): Response {
  return { errorCode: errorCode(error), errorMessage: message ?? errorMessage(error) }
}
