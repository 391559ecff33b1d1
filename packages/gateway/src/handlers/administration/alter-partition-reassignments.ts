/**
 * AlterPartitionReassignments: starts moving partitions to other brokers, or cancels that (KIP-455). The answer comes when the
 * plan is durable; the move itself takes as long as it takes and shows in ListPartitionReassignments.
 */
import {
  apis,
  errorCode,
  type ErrorName,
  errorMessage,
  type RequestOf,
  type ResponseInput
} from '@milena/wire-protocol'
import type { Handler } from '../../handler.ts'
import type { AdministrationPort, ReassignmentRequest } from '../../ports.ts'
import { groupByTopic } from '../answers/partition-results.ts'

type Request = RequestOf<typeof apis.alterPartitionReassignments>
type Response = ResponseInput<typeof apis.alterPartitionReassignments>

export function alterPartitionReassignmentsHandler(
  administration: AdministrationPort
): Handler<typeof apis.alterPartitionReassignments> {
  return {
    api: apis.alterPartitionReassignments,
    versions: { min: 0, max: 1 },
    async handle(_context, request) {
      const { allowReplicationFactorChange } = request
      const options = { timeoutMs: Math.max(0, request.timeoutMs), allowReplicationFactorChange }
      const outcome = await administration.alterReassignments(requestsOf(request), options)
      if (outcome.kind === 'refused') return refused(request, outcome.error, outcome.message)
      const responses = groupByTopic(outcome.results, ({ partition, error, message }) => ({
        partitionIndex: partition,
        errorCode: errorCode(error),
        errorMessage: error === 'NONE' ? null : (message ?? errorMessage(error))
      })).map(({ topic, partitions }) => ({ name: topic, partitions }))
      return { allowReplicationFactorChange, errorMessage: null, responses }
    },
    refuse: (_context, request, error) => refused(request, error, null)
  }
}

function requestsOf({ topics }: Request): ReassignmentRequest[] {
  return topics.flatMap(({ name, partitions }) =>
    partitions.map(({ partitionIndex, replicas }) => ({ topic: name, partition: partitionIndex, replicas }))
  )
}

function refused(request: Request, error: ErrorName, message: string | null): Response {
  const told = { errorCode: errorCode(error), errorMessage: message ?? errorMessage(error) }
  const responses = request.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, ...told }))
  }))
  return { allowReplicationFactorChange: request.allowReplicationFactorChange, ...told, responses }
}
