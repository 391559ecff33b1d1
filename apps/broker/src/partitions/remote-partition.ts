/**
 * A partition that another shard of this node owns, reached over the mesh (node addressing): the same port as a local one.
 *
 * `serveRemotePartitions` is the owner's side. Messages are a JSON head and raw bytes behind it, so that batches are not
 * encoded twice. Bulk data crosses the mesh here by design of the listener, not of the broker: shard addressing never does.
 */
import type {
  AppendOptions,
  AppendResult,
  DeletionOutcome,
  EpochEndOutcome,
  OffsetOutcome,
  OffsetSpec,
  PartitionPort,
  PartitionsPort,
  ProducersOutcome,
  ReadOutcome,
  ReadRequest
} from '@milena/gateway'
import { MeshError, type Mesh } from '@milena/shard-scheduler'
import type { ErrorName } from '@milena/wire-protocol'

const services = {
  append: 'partition.append',
  read: 'partition.read',
  offset: 'partition.offset',
  epochEnd: 'partition.epochEnd',
  deleteRecords: 'partition.deleteRecords',
  producers: 'partition.producers',
  wait: 'partition.wait'
} as const

/** How long the owner holds a wait before it answers "nothing new". */
const WAIT_MS = 5_000
const DEADLINE_MS = 30_000
/** Pause before a watcher asks again after the owner could not be reached. */
const RETRY_MS = 200

interface Address {
  readonly topicId: string
  readonly partition: number
}

type ReadHead = Omit<Extract<ReadOutcome, { kind: 'data' }>, 'slices' | 'release' | 'abortedTransactions'> & {
  readonly aborted: readonly { producerId: string; firstOffset: number }[]
}

export interface RemotePartitionOptions extends Address {
  readonly leaderEpoch: number
  readonly shard: number
  readonly mesh: Mesh
  readonly after: (delayMs: number, callback: () => void) => () => void
}

export class RemotePartition implements PartitionPort {
  readonly topicId: string
  readonly partition: number
  readonly leaderEpoch: number
  readonly #options: RemotePartitionOptions
  readonly #watchers = new Set<() => void>()
  #waiting = false
  #highWatermark = -1

  constructor(options: RemotePartitionOptions) {
    this.topicId = options.topicId
    this.partition = options.partition
    this.leaderEpoch = options.leaderEpoch
    this.#options = options
  }

  async append(records: Uint8Array, options: AppendOptions): Promise<AppendResult> {
    const message = pack({ ...this.#address, options }, [records])
    try {
      const { head } = unpack<AppendResult>(await this.#call(services.append, message, options.timeoutMs))
      return head
    } catch (error) {
      return { kind: 'refused', error: callError(error), message: null, recordErrors: [], logStartOffset: -1 }
    }
  }

  async read(request: ReadRequest): Promise<ReadOutcome> {
    try {
      const answer = await this.#call(services.read, pack({ ...this.#address, request }, []), DEADLINE_MS)
      const { head, body } = unpack<ReadHead | Exclude<ReadOutcome, { kind: 'data' }>>(answer)
      if (head.kind === 'refused') return head
      this.#highWatermark = head.highWatermark
      if (head.kind !== 'data') return head
      const abortedTransactions = head.aborted.map(a => ({
        producerId: BigInt(a.producerId),
        firstOffset: a.firstOffset
      }))
      return { ...head, abortedTransactions, slices: body.length === 0 ? [] : [body], release: () => undefined }
    } catch (error) {
      return { kind: 'refused', error: callError(error), highWatermark: -1, lastStableOffset: -1, logStartOffset: -1 }
    }
  }

  async offsetFor(spec: OffsetSpec, options: Parameters<PartitionPort['offsetFor']>[1]): Promise<OffsetOutcome> {
    try {
      const { head } = unpack<OffsetOutcome>(
        await this.#call(services.offset, pack({ ...this.#address, spec, options }, []), DEADLINE_MS)
      )
      return head
    } catch (error) {
      return { kind: 'refused', error: callError(error) }
    }
  }

  async endOffsetForEpoch(epoch: number, currentLeaderEpoch: number): Promise<EpochEndOutcome> {
    try {
      const message = pack({ ...this.#address, epoch, currentLeaderEpoch }, [])
      return unpack<EpochEndOutcome>(await this.#call(services.epochEnd, message, DEADLINE_MS)).head
    } catch (error) {
      return { kind: 'refused', error: callError(error) }
    }
  }

  async deleteRecords(offset: number, options: { timeoutMs: number }): Promise<DeletionOutcome> {
    try {
      const message = pack({ ...this.#address, offset, options }, [])
      return unpack<DeletionOutcome>(await this.#call(services.deleteRecords, message, options.timeoutMs)).head
    } catch (error) {
      return { kind: 'refused', error: callError(error) }
    }
  }

  async describeProducers(): Promise<ProducersOutcome> {
    try {
      return unpack<ProducersOutcome>(await this.#call(services.producers, pack(this.#address, []), DEADLINE_MS)).head
    } catch (error) {
      return { kind: 'refused', error: callError(error) }
    }
  }

  watch(listener: () => void): () => void {
    this.#watchers.add(listener)
    void this.#wait()
    return () => this.#watchers.delete(listener)
  }

  /** One wait at the owner for all watchers, renewed while there are any. */
  async #wait(): Promise<void> {
    if (this.#waiting) return
    this.#waiting = true
    while (this.#watchers.size > 0) {
      try {
        const message = pack({ ...this.#address, highWatermark: this.#highWatermark }, [])
        const { head } = unpack<{ moved: boolean; highWatermark: number }>(
          await this.#call(services.wait, message, WAIT_MS + DEADLINE_MS)
        )
        this.#highWatermark = head.highWatermark
        if (head.moved) for (const watcher of this.#watchers) watcher()
      } catch {
        for (const watcher of this.#watchers) watcher()
        await new Promise<void>(resolve => this.#options.after(RETRY_MS, resolve))
      }
    }
    this.#waiting = false
  }

  get #address(): Address {
    return { topicId: this.topicId, partition: this.partition }
  }

  #call(service: string, message: Uint8Array, deadlineMs: number): Promise<Uint8Array> {
    return this.#options.mesh.submitTo(this.#options.shard, service, message, { deadlineMs: Math.max(1, deadlineMs) })
  }
}

/** Lets other shards use the partitions of `table`. */
export function serveRemotePartitions(
  mesh: Mesh,
  table: PartitionsPort,
  after: (delayMs: number, callback: () => void) => () => void
): void {
  mesh.serve(services.append, async payload => {
    const { head, body } = unpack<Address & { options: AppendOptions }>(payload)
    const partition = table.find(head.topicId, head.partition)
    if ('error' in partition)
      return pack({ kind: 'refused', error: partition.error, message: null, recordErrors: [], logStartOffset: -1 }, [])
    return pack(await partition.append(body, head.options), [])
  })
  mesh.serve(services.read, async payload => {
    const { head } = unpack<Address & { request: ReadRequest }>(payload)
    const partition = table.find(head.topicId, head.partition)
    if ('error' in partition) {
      return pack(
        { kind: 'refused', error: partition.error, highWatermark: -1, lastStableOffset: -1, logStartOffset: -1 },
        []
      )
    }
    const outcome = await partition.read(head.request)
    if (outcome.kind !== 'data') return pack(outcome, [])
    const { slices, release, abortedTransactions, ...rest } = outcome
    const aborted = abortedTransactions.map(a => ({ producerId: a.producerId.toString(), firstOffset: a.firstOffset }))
    const message = pack({ ...rest, aborted }, slices)
    release()
    return message
  })
  mesh.serve(services.offset, async payload => {
    const { head } = unpack<Address & { spec: OffsetSpec; options: Parameters<PartitionPort['offsetFor']>[1] }>(payload)
    const partition = table.find(head.topicId, head.partition)
    return pack(
      'error' in partition
        ? { kind: 'refused', error: partition.error }
        : await partition.offsetFor(head.spec, head.options),
      []
    )
  })
  mesh.serve(services.epochEnd, async payload => {
    const { head } = unpack<Address & { epoch: number; currentLeaderEpoch: number }>(payload)
    const partition = table.find(head.topicId, head.partition)
    return pack(
      'error' in partition
        ? { kind: 'refused', error: partition.error }
        : await partition.endOffsetForEpoch(head.epoch, head.currentLeaderEpoch),
      []
    )
  })
  mesh.serve(services.deleteRecords, async payload => {
    const { head } = unpack<Address & { offset: number; options: { timeoutMs: number } }>(payload)
    const partition = table.find(head.topicId, head.partition)
    return pack(
      'error' in partition
        ? { kind: 'refused', error: partition.error }
        : await partition.deleteRecords(head.offset, head.options),
      []
    )
  })
  mesh.serve(services.producers, async payload => {
    const { head } = unpack<Address>(payload)
    const partition = table.find(head.topicId, head.partition)
    return pack(
      'error' in partition ? { kind: 'refused', error: partition.error } : await partition.describeProducers(),
      []
    )
  })
  mesh.serve(services.wait, async payload => {
    const { head } = unpack<Address & { highWatermark: number }>(payload)
    const partition = table.find(head.topicId, head.partition)
    if ('error' in partition) return pack({ moved: true, highWatermark: -1 }, [])
    return pack(await moved(partition, head.highWatermark, after), [])
  })
}

async function moved(
  partition: PartitionPort,
  known: number,
  after: (delayMs: number, callback: () => void) => () => void
): Promise<{ moved: boolean; highWatermark: number }> {
  const look = (): { moved: boolean; highWatermark: number } => {
    const highWatermark = 'highWatermark' in partition ? Number(partition.highWatermark) : -1
    return { moved: highWatermark !== known, highWatermark }
  }
  if (look().moved) return look()
  await new Promise<void>(resolve => {
    const stop = (): void => {
      cancel()
      unwatch()
      resolve()
    }
    const unwatch = partition.watch(stop)
    const cancel = after(WAIT_MS, stop)
  })
  return look()
}

/** What a failed call means to a Kafka client: it may retry. */
function callError(error: unknown): ErrorName {
  if (!(error instanceof MeshError)) throw error
  return error.code === 'DEADLINE' ? 'REQUEST_TIMED_OUT' : 'LEADER_NOT_AVAILABLE'
}

/* Message: head length u32 | head as JSON (bigint as {"$n": "digits"}) | body. */
function pack(head: unknown, body: readonly Uint8Array[]): Uint8Array {
  const text = Buffer.from(
    JSON.stringify(head, (_, value: unknown) => (typeof value === 'bigint' ? { $n: value.toString() } : value))
  )
  const length = Buffer.alloc(4)
  length.writeUInt32BE(text.length)
  return Buffer.concat([length, text, ...body])
}

function unpack<T>(bytes: Uint8Array): { head: T; body: Uint8Array } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = buffer.readUInt32BE(0)
  const head = JSON.parse(buffer.toString('utf8', 4, 4 + length), (_, value: unknown) => {
    const wrapped = value as { $n?: string } | null
    return typeof value === 'object' && typeof wrapped?.$n === 'string' ? BigInt(wrapped.$n) : value
  }) as T
  return { head, body: buffer.subarray(4 + length) }
}
