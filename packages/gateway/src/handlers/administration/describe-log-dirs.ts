/** DescribeLogDirs: the data folders of this broker, the replicas in them and their sizes (KIP-113, KIP-827). */
import { apis, errorCode, type RequestOf, type ResponseInput } from '@milena/wire-protocol'
import type { Handler } from '../../handler.ts'
import type { LogDirsPort, LogDirView, ReplicaSize } from '../../ports.ts'

type Request = RequestOf<typeof apis.describeLogDirs>
type Response = ResponseInput<typeof apis.describeLogDirs>
type Result = NonNullable<Response['results']>[number]
type Topic = NonNullable<Result['topics']>[number]

export function describeLogDirsHandler(logDirs: LogDirsPort): Handler<typeof apis.describeLogDirs> {
  return {
    api: apis.describeLogDirs,
    versions: { min: 1, max: 5 },
    async handle(_context, request) {
      const wanted = wantedPartitions(request)
      return { results: (await logDirs.describe()).map(view => describe(view, wanted)) }
    },
    // Older versions have no error of the whole; an answer without folders is all they can get.
    refuse: (_context, _request, error) => ({ errorCode: errorCode(error) })
  }
}

/** Null: all. */
function wantedPartitions({ topics }: Request): ReadonlyMap<string, ReadonlySet<number>> | null {
  if (topics === null) return null
  const wanted = new Map<string, Set<number>>()
  for (const { topic, partitions } of topics) {
    const known = wanted.get(topic) ?? new Set()
    for (const partition of partitions) known.add(partition)
    wanted.set(topic, known)
  }
  return wanted
}

function describe(view: LogDirView, wanted: ReadonlyMap<string, ReadonlySet<number>> | null): Result {
  if (view.kind === 'refused') return { errorCode: errorCode(view.error), logDir: view.path }
  const { path, totalBytes, usableBytes } = view
  const replicas = view.replicas.filter(({ topic, partition }) => wanted === null || wanted.get(topic)?.has(partition))
  return { errorCode: 0, logDir: path, topics: topicsOf(replicas), totalBytes, usableBytes }
}

function topicsOf(replicas: readonly ReplicaSize[]): Topic[] {
  const topics = new Map<string, NonNullable<Topic['partitions']>[number][]>()
  for (const { topic, partition, sizeBytes, offsetLag } of replicas) {
    const partitions = topics.get(topic) ?? []
    partitions.push({ partitionIndex: partition, partitionSize: sizeBytes, offsetLag, isFutureKey: false })
    topics.set(topic, partitions)
  }
  return [...topics].map(([name, partitions]) => ({ name, partitions }))
}
