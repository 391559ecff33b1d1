/** ElectLeaders: gives leadership back to preferred replicas, or to whoever lives (KIP-460). Without partitions: all of them. */
import {
  apis,
  errorCode,
  type ErrorName,
  errorMessage,
  type RequestOf,
  type ResponseInput
} from '@milena/wire-protocol'
import type { Handler } from '../../handler.ts'
import type { AdministrationPort, ElectionKind } from '../../ports.ts'
import { groupByTopic } from '../answers/partition-results.ts'

type Request = RequestOf<typeof apis.electLeaders>
type Response = ResponseInput<typeof apis.electLeaders>

const KINDS: readonly ElectionKind[] = ['preferred', 'unclean']

export function electLeadersHandler(administration: AdministrationPort): Handler<typeof apis.electLeaders> {
  return {
    api: apis.electLeaders,
    versions: { min: 0, max: 2 },
    async handle(_context, request) {
      const kind = KINDS[request.electionType]
      if (kind === undefined)
        return refused(request, 'INVALID_REQUEST', `Unknown election type ${request.electionType}`)
      const partitions = partitionsOf(request)
      const outcome = await administration.electLeaders(kind, partitions, { timeoutMs: Math.max(0, request.timeoutMs) })
      if (outcome.kind === 'refused') return refused(request, outcome.error, outcome.message)
      const replicaElectionResults = groupByTopic(outcome.results, ({ partition, error, message }) => ({
        partitionId: partition,
        errorCode: errorCode(error),
        errorMessage: error === 'NONE' ? null : (message ?? errorMessage(error))
      })).map(({ topic, partitions }) => ({ topic, partitionResult: partitions }))
      return { replicaElectionResults }
    },
    refuse: (_context, request, error) => refused(request, error, null)
  }
}

function partitionsOf({ topicPartitions }: Request): { topic: string; partition: number }[] | 'all' {
  if (topicPartitions === null) return 'all'
  return topicPartitions.flatMap(({ topic, partitions }) => partitions.map(partition => ({ topic, partition })))
}

/** Version 0 has no error of the whole, so each partition tells it, too. */
function refused({ topicPartitions }: Request, error: ErrorName, message: string | null): Response {
  const told = { errorCode: errorCode(error), errorMessage: message ?? errorMessage(error) }
  const replicaElectionResults = (topicPartitions ?? []).map(({ topic, partitions }) => ({
    topic,
    partitionResult: partitions.map(partitionId => ({ partitionId, ...told }))
  }))
  return { errorCode: errorCode(error), replicaElectionResults }
}
