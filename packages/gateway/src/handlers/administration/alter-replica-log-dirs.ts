/**
 * AlterReplicaLogDirs: replicas to another data folder of this broker (KIP-113). A replica has one folder that it can be in, that
 * of its shard: to be moved there is done at once, and there is no other. A partition that is named more than once counts as it
 * was named last.
 */
import { apis, errorCode, type ErrorName, type RequestOf, type ResponseInput } from '@milena/wire-protocol'
import type { Handler, RequestContext } from '../../handler.ts'
import type { LogDirsPort, LogDirView, TopicPartition } from '../../ports.ts'
import { groupByTopic } from '../answers/partition-results.ts'

type Request = RequestOf<typeof apis.alterReplicaLogDirs>
type Response = ResponseInput<typeof apis.alterReplicaLogDirs>

interface WantedMove extends TopicPartition {
  readonly path: string
}

export function alterReplicaLogDirsHandler(logDirs: LogDirsPort): Handler<typeof apis.alterReplicaLogDirs> {
  return {
    api: apis.alterReplicaLogDirs,
    versions: { min: 1, max: 2 },
    async handle(context, request) {
      const wanted = wantedMoves(request)
      if (wanted.length === 0) return { results: [] }
      const folders = new Map((await logDirs.describe()).map(view => [view.path, new Folder(view)]))
      return answer(wanted.map(move => ({ ...move, error: outcomeOf(context, folders, move) })))
    },
    refuse: (_context, request, error) => answer(wantedMoves(request).map(move => ({ ...move, error })))
  }
}

/** One a partition, those of a topic together. */
function wantedMoves({ dirs }: Request): WantedMove[] {
  const byTopic = new Map<string, Map<number, string>>()
  for (const { path, topics } of dirs) {
    for (const { name, partitions } of topics) {
      const paths = byTopic.get(name) ?? new Map<number, string>()
      for (const partition of partitions) paths.set(partition, path)
      byTopic.set(name, paths)
    }
  }
  return [...byTopic].flatMap(([topic, paths]) =>
    Array.from(paths, ([partition, path]) => ({ topic, partition, path }))
  )
}

/** A data folder and the replicas in it. */
class Folder {
  readonly isHealthy: boolean
  readonly #replicas = new Set<string>()

  constructor(view: LogDirView) {
    this.isHealthy = view.kind === 'healthy'
    if (view.kind === 'healthy') for (const replica of view.replicas) this.#replicas.add(keyOf(replica))
  }

  holds(partition: TopicPartition): boolean {
    return this.#replicas.has(keyOf(partition))
  }
}

const keyOf = ({ topic, partition }: TopicPartition): string => `${topic} ${partition}`

function outcomeOf(context: RequestContext, folders: ReadonlyMap<string, Folder>, move: WantedMove): ErrorName {
  const folder = folders.get(move.path)
  if (folder === undefined) return 'LOG_DIR_NOT_FOUND'
  if (!folder.isHealthy) return 'KAFKA_STORAGE_ERROR'
  if (folder.holds(move)) return 'NONE'
  // With several shards behind one broker: the folder of another one, where this replica cannot go.
  if ([...folders.values()].some(other => other.holds(move))) return 'LOG_DIR_NOT_FOUND'
  const isKnown = context.host.cluster.view().topicByName(move.topic)?.partitions[move.partition] !== undefined
  return isKnown ? 'NOT_LEADER_OR_FOLLOWER' : 'UNKNOWN_TOPIC_OR_PARTITION'
}

function answer(outcomes: readonly (TopicPartition & { readonly error: ErrorName })[]): Response {
  const results = groupByTopic(outcomes, ({ partition, error }) => {
    return { partitionIndex: partition, errorCode: errorCode(error) }
  }).map(({ topic, partitions }) => ({ topicName: topic, partitions }))
  return { results }
}
