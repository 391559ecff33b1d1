/**
 * Shards of several nodes in one process, with their stores, hosts and network in memory and time that moves only when told.
 * For tests of replication and of what stands on it: cut the power of a shard, cut its cables, open it again.
 */
import { ManualScheduler } from '@milena/shard-scheduler/testing'
import {
  MemoryPeerNetwork,
  type MemoryPeerNetworkOptions,
  type PeerAddress,
  type PeerNetwork
} from '@milena/shard-scheduler'
import type { Log, LogFold, LogStore } from '@milena/storage-engine'
import {
  MemoryStoreHost,
  SeededRandom,
  type CrashPolicy,
  type MemoryStoreOptions
} from '@milena/storage-engine/testing'
import { BatchBuilder, batchHeader, iterateRecords } from '@milena/wire-protocol'
import { batchFormat } from '../../partitions/batch-format.ts'
import type { BrokerId, GroupListener, GroupRequest, ProposeOutcome, ReplicaHost, ReplicatedLog } from '../contract.ts'
import { openReplicaHost, type ReplicaHostOptions } from '../host/host.ts'

export const logOptions = { segmentBytes: 1 << 20, indexIntervalBytes: 4096, segmentMs: Number.MAX_SAFE_INTEGER }

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** What happened to a group, as text. */
export class ListenerLog implements GroupListener {
  readonly events: string[] = []
  truncatedTo: number[] = []
  advanced(): void {
    if (this.events.at(-1) !== 'advanced') this.events.push('advanced')
  }
  roleChanged(): void {
    this.events.push('roleChanged')
  }
  replicasChanged(): void {
    this.events.push('replicasChanged')
  }
  truncated(offset: number): void {
    this.truncatedTo.push(offset)
    this.events.push(`truncated ${offset}`)
  }
  failed(): void {
    this.events.push('failed')
  }
}

export interface MemoryClusterOptions {
  readonly seed?: number
  readonly network?: MemoryPeerNetworkOptions
  readonly store?: Partial<MemoryStoreOptions>
  readonly host?: Partial<ReplicaHostOptions>
  /** Puts of the state stores and writes of the disks take up to this many ms. Default 0. */
  readonly slowMs?: number
}

/** One shard: a disk that outlives it, and what runs while it is up. */
export class MemoryShard {
  readonly id: BrokerId
  readonly machine: MemoryStoreHost
  readonly #cluster: MemoryCluster
  store!: LogStore
  host!: ReplicaHost
  network!: PeerNetwork
  readonly listeners = new Map<string, ListenerLog>()
  /** Folds of the groups on this shard, by name, for the store's recovery. */
  folds: (name: string) => LogFold | undefined = () => undefined
  /** Runs when its disk was asked for a write. */
  onDiskOperation: () => void = () => undefined
  up = false
  /** Resolves when the present life ends. */
  whenDown: Promise<void> = Promise.resolve()
  #goDown: () => void = () => undefined
  #life = 0

  constructor(cluster: MemoryCluster, id: BrokerId, options: MemoryClusterOptions) {
    this.#cluster = cluster
    this.id = id
    const slowMs = options.slowMs ?? 0
    this.machine = new MemoryStoreHost({
      seed: (options.seed ?? 1) * 1000 + id,
      format: batchFormat,
      ...options.store,
      disk: {
        onOperation: () => this.onDiskOperation(),
        ...(slowMs > 0 && {
          scheduler: { schedule: (delayMs, done) => void cluster.scheduler.after(delayMs, done) },
          latencyMs: ({ kind }, fraction) => (kind === 'write' ? fraction * slowMs : 0)
        }),
        ...options.store?.disk
      },
      folds: name => this.folds(name),
      onFlushed: (logs: readonly Log[]) => this.host?.flushed(logs)
    })
    if (slowMs > 0) {
      this.machine.state.faults.delay = done => void cluster.scheduler.after(cluster.random.below(slowMs), done)
    }
  }

  async start(): Promise<void> {
    const { cluster, id } = { cluster: this.#cluster, id: this.id }
    this.up = true
    this.#life++
    this.whenDown = new Promise(resolve => (this.#goDown = resolve))
    this.network = cluster.network.open({ self: id, listen: addressOf(id) })
    this.network.joinCluster('test')
    this.network.setPeers(cluster.addresses())
    this.store = await this.machine.open()
    this.host = await openReplicaHost({
      brokerId: id,
      store: this.store,
      network: this.network,
      scheduler: this.#mortalScheduler(),
      random: bound => cluster.random.below(bound),
      log: silent,
      ...cluster.options.host
    })
  }

  /** Turns and timers of a shard end with it. */
  #mortalScheduler(): ManualScheduler {
    const life = this.#life
    const { scheduler } = this.#cluster
    const guard = (task: () => void) => () => void (this.up && this.#life === life && task())
    return {
      now: () => scheduler.now(),
      nextTurn: (task: () => void) => scheduler.nextTurn(guard(task)),
      after: (delayMs: number, task: () => void) => scheduler.after(delayMs, guard(task))
    } as ManualScheduler
  }

  async open(request: Omit<GroupRequest, 'listener' | 'options'> & Partial<GroupRequest>): Promise<ReplicatedLog> {
    const listener = new ListenerLog()
    this.listeners.set(request.name, listener)
    const [group] = await this.host.open([{ options: logOptions, listener, ...request }])
    return group!
  }

  group(name: string): ReplicatedLog {
    return this.host.groups.get(name)!
  }

  /** The power goes: what was not durable may be lost, peers are not told. */
  powerOff(policy: CrashPolicy = 'random'): void {
    this.up = false
    this.#cluster.network.powerOff(this.id)
    this.machine.crash(policy)
    this.#goDown()
  }

  /** The process ends: peers see the connection end; the machine's memory of what was written stays. */
  kill(policy: CrashPolicy = 'random'): void {
    this.up = false
    this.#cluster.network.crash(this.id)
    this.machine.crash(policy)
    this.#goDown()
  }
}

export class MemoryCluster {
  readonly options: MemoryClusterOptions
  readonly scheduler = new ManualScheduler()
  readonly network: MemoryPeerNetwork
  readonly random: SeededRandom
  readonly shards: MemoryShard[]

  constructor(ids: readonly BrokerId[], options: MemoryClusterOptions = {}) {
    this.options = options
    this.random = new SeededRandom(options.seed ?? 1)
    this.network = new MemoryPeerNetwork({
      scheduler: this.scheduler,
      random: () => this.random.below(1 << 24) / (1 << 24),
      overwriteHandled: true,
      ...options.network
    })
    this.shards = ids.map(id => new MemoryShard(this, id, options))
  }

  static async start(ids: readonly BrokerId[], options: MemoryClusterOptions = {}): Promise<MemoryCluster> {
    const cluster = new MemoryCluster(ids, options)
    for (const shard of cluster.shards) await cluster.during(shard.start())
    await cluster.advance(100)
    return cluster
  }

  addresses(): ReadonlyMap<number, PeerAddress> {
    return new Map(this.shards.map(({ id }) => [id, addressOf(id)]))
  }

  shard(id: BrokerId): MemoryShard {
    return this.shards.find(shard => shard.id === id)!
  }

  /** Opens a group on all its voters that are up. */
  async open(name: string, voters: readonly BrokerId[], more: Partial<GroupRequest> = {}): Promise<void> {
    for (const id of voters) {
      if (this.shard(id).up) await this.during(this.shard(id).open({ name, bootstrap: voters, ...more }))
    }
  }

  async advance(durationMs: number): Promise<void> {
    // Small steps, so that the stores' own clocks move along.
    for (let left = durationMs; left > 0; left -= 10) {
      await this.scheduler.advance(Math.min(10, left))
      for (const shard of this.shards) shard.machine.clock.advance(Math.min(10, left))
    }
  }

  /** Waits for work that takes time of the cluster. */
  async during<T>(work: Promise<T>): Promise<T> {
    let ended = false
    const end = (): void => void (ended = true)
    work.then(end, end)
    await this.until(() => ended)
    return await work
  }

  /** Runs until `done` holds; fails after `limitMs`. */
  async until(done: () => boolean, limitMs = 10_000): Promise<number> {
    let waitedMs = 0
    while (!done()) {
      if (waitedMs >= limitMs) throw new Error(`not within ${limitMs} ms`)
      await this.advance(10)
      waitedMs += 10
    }
    return waitedMs
  }

  /** The shard that leads a group and may serve it. */
  leaderOf(name: string): MemoryShard | undefined {
    const leading = this.shards.filter(shard => shard.up && shard.host.groups.get(name)?.leading)
    return leading.sort((a, b) => b.group(name).term - a.group(name).term)[0]
  }

  async elect(name: string): Promise<MemoryShard> {
    await this.until(() => this.leaderOf(name) !== undefined)
    return this.leaderOf(name)!
  }
}

const addressOf = (id: BrokerId): PeerAddress => ({ host: 'shard', port: id })

/** Proposes one batch of records with these values. */
export function propose(group: ReplicatedLog, values: readonly string[]): ProposeOutcome {
  const builder = new BatchBuilder({ baseOffset: group.log.endOffset })
  for (const value of values) builder.append({ key: null, value: Buffer.from(value), timestamp: 1_700_000_000_000n })
  const batch = builder.build()
  batchHeader.setLeaderEpoch(batch, 0, group.term)
  return group.propose(batch)
}

/** The values of all records of a log, up to `end`. */
export async function valuesOf(log: Log, end = log.endOffset): Promise<string[]> {
  const values: string[] = []
  for (let offset = log.startOffset; offset < end;) {
    const read = await log.read(offset, 1 << 20, end, true)
    const bytes = Buffer.concat(read.slices)
    read.release()
    for (let at = 0; at < bytes.length; at += batchHeader.totalBytes(bytes, at)) {
      for (const record of iterateRecords(bytes, at)) values.push(Buffer.from(record.value!).toString())
    }
    offset = read.nextOffset
  }
  return values
}
