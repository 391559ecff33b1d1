/** ListOffsets: where a partition begins and ends, and which offset belongs to a time. */
import { apis, errorCode, type ErrorName, type RequestOf, type ResponseInput } from '@milena/wire-protocol'
import type { Handler, RequestContext } from '../handler.ts'
import type { Isolation, OffsetSpec } from '../ports.ts'

type Request = RequestOf<typeof apis.listOffsets>
type RequestedPartition = Request['topics'][number]['partitions'][number]
type Response = ResponseInput<typeof apis.listOffsets>
type Result = NonNullable<NonNullable<Response['topics']>[number]['partitions']>[number]

const CONSUMER_REPLICA_ID = -1
const DEBUGGING_REPLICA_ID = -2
const READ_COMMITTED = 1
const LEADER_EPOCHS_FROM = 4
const OFFSET_NOT_AVAILABLE_FROM = 5

/** Negative timestamps are names of offsets; each came with a version of the API. */
const NAMED_OFFSETS = new Map<bigint, { readonly since: number; readonly spec: OffsetSpec }>([
  [-1n, { since: 1, spec: { kind: 'latest' } }],
  [-2n, { since: 1, spec: { kind: 'earliest' } }],
  [-3n, { since: 7, spec: { kind: 'max-timestamp' } }],
  [-4n, { since: 8, spec: { kind: 'earliest-local' } }],
  [-5n, { since: 9, spec: { kind: 'latest-tiered' } }],
  [-6n, { since: 11, spec: { kind: 'earliest-pending-upload' } }]
])

export const listOffsetsHandler: Handler<typeof apis.listOffsets> = {
  api: apis.listOffsets,
  versions: { min: 1, max: 11 },
  async handle(context, request) {
    const isolation = isolationOf(request)
    const leaderOnly = request.replicaId !== DEBUGGING_REPLICA_ID
    const repeated = repeatedPartitions(request)
    const answered = new Set<string>()
    const topics: { name: string; partitions: Promise<Result>[] }[] = []
    for (const { name, partitions } of request.topics) {
      const results: Promise<Result>[] = []
      for (const partition of partitions) {
        const key = `${partition.partitionIndex}:${name}`
        if (!repeated.has(key)) results.push(look(context, name, partition, isolation, leaderOnly))
        else if (!answered.has(key)) results.push(Promise.resolve(refused(partition, 'INVALID_REQUEST')))
        answered.add(key)
      }
      topics.push({ name, partitions: results })
    }
    return { topics: await Promise.all(topics.map(settle)) }
  },
  refuse: (_context, request, error) => ({
    topics: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(partition => refused(partition, error))
    }))
  })
}

async function settle({ name, partitions }: { name: string; partitions: Promise<Result>[] }) {
  return { name, partitions: await Promise.all(partitions) }
}

/** Consumers see up to the high watermark or the last stable offset, debugging tools up to the end of the log. */
function isolationOf({ replicaId, isolationLevel }: Request): Isolation | undefined {
  if (replicaId !== CONSUMER_REPLICA_ID) return undefined
  return isolationLevel === READ_COMMITTED ? 'read_committed' : 'read_uncommitted'
}

function repeatedPartitions(request: Request): ReadonlySet<string> {
  const seen = new Set<string>()
  const repeated = new Set<string>()
  for (const { name, partitions } of request.topics) {
    for (const { partitionIndex } of partitions) {
      const key = `${partitionIndex}:${name}`
      if (seen.has(key)) repeated.add(key)
      seen.add(key)
    }
  }
  return repeated
}

async function look(
  context: RequestContext,
  name: string,
  requested: RequestedPartition,
  isolation: Isolation | undefined,
  leaderOnly: boolean
): Promise<Result> {
  const spec = specOf(requested.timestamp, context.apiVersion)
  if (spec === undefined) return refused(requested, 'UNSUPPORTED_VERSION')
  const topic = context.host.cluster.view().topicByName(name)
  if (topic === undefined) return refused(requested, 'UNKNOWN_TOPIC_OR_PARTITION')
  const partition = context.host.partitions.find(topic.topicId, requested.partitionIndex)
  if ('error' in partition) return refused(requested, partition.error)
  const { currentLeaderEpoch } = requested
  const outcome = await partition.offsetFor(spec, { isolation, currentLeaderEpoch, leaderOnly })
  if (outcome.kind === 'refused') return refused(requested, errorFor(outcome.error, context.apiVersion))
  const { offset, timestamp, leaderEpoch } = outcome
  return {
    partitionIndex: requested.partitionIndex,
    errorCode: 0,
    timestamp,
    offset,
    // Before the version that brought the field, anything but its default cannot be said.
    leaderEpoch: context.apiVersion >= LEADER_EPOCHS_FROM ? leaderEpoch : -1
  }
}

/** Clients of older versions do not know OFFSET_NOT_AVAILABLE (KIP-207); both errors make a client ask again. */
function errorFor(error: ErrorName, apiVersion: number): ErrorName {
  return error === 'OFFSET_NOT_AVAILABLE' && apiVersion < OFFSET_NOT_AVAILABLE_FROM ? 'LEADER_NOT_AVAILABLE' : error
}

/** Undefined for a named offset that this version of the API does not have. */
function specOf(timestamp: bigint, apiVersion: number): OffsetSpec | undefined {
  if (timestamp >= 0n) return { kind: 'timestamp', timestamp }
  const named = NAMED_OFFSETS.get(timestamp)
  return named !== undefined && apiVersion >= named.since ? named.spec : undefined
}

function refused({ partitionIndex }: RequestedPartition, error: ErrorName): Result {
  return { partitionIndex, errorCode: errorCode(error), timestamp: -1n, offset: -1n, leaderEpoch: -1 }
}
