/**
 * What DescribeLogDirs tells of this broker: the folder of its shard with every replica in it. With node addressing clients see
 * one broker a node, so all shards of the node are asked, each for its own folder.
 *
 * The lag of a replica is what it still has to get to hold all that it knows to be committed, as in Kafka's own answer.
 */
import type { LogDirsPort, LogDirView, ReplicaSize } from '@milena/gateway'
import type { Mesh } from '@milena/shard-scheduler'
import type { Disk } from '@milena/storage-engine'
import type { ClusterState } from '../controller/metadata/cluster-state.ts'
import type { Partition } from './partition.ts'

const SERVICE = 'log-dirs.describe'
/** Kafka's "not known" for the size of a volume. */
const UNKNOWN_BYTES = -1

export interface ShardLogDirsOptions {
  readonly directory: string
  readonly disk: Pick<Disk, 'freeBytes' | 'totalBytes'>
  readonly mesh: Mesh
  /** Clients see all shards of the node as one broker. */
  readonly byNode: boolean
  readonly partitions: () => Iterable<Partition>
  readonly state: () => ClusterState
  /** The store takes nothing any more: it failed. */
  readonly failed: () => boolean
}

export class ShardLogDirs implements LogDirsPort {
  readonly #options: ShardLogDirsOptions

  constructor(options: ShardLogDirsOptions) {
    this.#options = options
    options.mesh.serve(SERVICE, async () => Buffer.from(JSON.stringify(await this.#own())))
  }

  /** Shards that do not answer now are left out. */
  async describe(): Promise<readonly LogDirView[]> {
    if (!this.#options.byNode) return [await this.#own()]
    const answers = await this.#options.mesh.invokeOnAll(SERVICE, NOTHING)
    return answers.flatMap(answer =>
      answer.status === 'fulfilled' ? [JSON.parse(Buffer.from(answer.value).toString()) as LogDirView] : []
    )
  }

  async #own(): Promise<LogDirView> {
    const { directory, disk, failed } = this.#options
    if (failed()) return { kind: 'refused', path: directory, error: 'KAFKA_STORAGE_ERROR' }
    const [totalBytes, usableBytes] = await Promise.all([
      known(disk.totalBytes(directory)),
      known(disk.freeBytes(directory))
    ])
    return { kind: 'healthy', path: directory, totalBytes, usableBytes, replicas: this.#replicas() }
  }

  #replicas(): ReplicaSize[] {
    const { partitions, state } = this.#options
    const sizes: ReplicaSize[] = []
    for (const { topicId, partition, log, group } of partitions()) {
      const topic = state().topicsById.get(topicId)?.name
      if (topic === undefined) continue
      const offsetLag = Math.max(0, group.committedOffset - log.endOffset)
      sizes.push({ topic, partition, sizeBytes: log.sizeBytes, offsetLag })
    }
    return sizes
  }
}

/** A disk in memory has no end, and one that fails does not tell. */
async function known(byteCount: Promise<number>): Promise<number> {
  const told = await byteCount.catch(() => UNKNOWN_BYTES)
  return Number.isSafeInteger(told) ? told : UNKNOWN_BYTES
}

const NOTHING = new Uint8Array(0)
