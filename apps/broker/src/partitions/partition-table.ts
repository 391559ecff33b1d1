/**
 * The partitions that this shard has a replica of, kept in step with the metadata: opens the groups of partitions placed here,
 * forgets those that are not placed here any more, brings the replicas of those that it leads to what is wanted, and tells who
 * leads. Runs as a listener of the metadata replica, so one change at a time.
 */
import type { PartitionPort, PartitionsPort } from '@milena/gateway'
import type { LogFold, LogOptions, LogStore } from '@milena/storage-engine'
import type { ErrorName } from '@milena/wire-protocol'
import {
  nodeOf,
  preferredLeader,
  replicaHosts,
  type ClusterState,
  type PartitionState,
  type TopicState
} from '../controller/metadata/cluster-state.ts'
import type { FinishedMove } from '../controller/metadata/commands.ts'
import type { GroupRequest, ReplicaHost } from '../replication/contract.ts'
import type { BrokerSettings } from '../settings/broker-settings.ts'
import { LiveSettings } from '../settings/dynamic-settings.ts'
import { resolveTopicSettings } from '../settings/topic-config-view.ts'
import type { TopicSettings } from '../settings/topic-settings.ts'
import type { Arrivals } from './arrivals.ts'
import { BacklogBudget } from './backlog.ts'
import { BATCH_BYTES_MAX } from './batch-format.ts'
import { LeadershipReporter, type LeadershipSink } from './leadership-reporter.ts'
import { Partition, type PartitionContext } from './partition.ts'
import { producerSnapshots } from './producers/producer-snapshots.ts'
import { ProducerState } from './producers/producer-state.ts'
import { ReplicaChanges } from './replica-changes.ts'

/** Copies of batches that wait for the store's memory, all partitions of a shard together. */
export const BACKLOG_BYTES_MAX = 64 * 1024 * 1024
/** Time between looks at whose acks took too long, ms. */
const EXPIRE_MS = 100
/** How long the opening of new partitions waits for their leaders, ms: clients who made a topic find it ready. */
const ELECTION_WAIT_MS = 1_000

/** Opens a port to a partition that another shard owns, or undefined when clients are sent there themselves. */
export type RemotePartitions = (topic: TopicState, partition: number) => PartitionPort | undefined

export interface PartitionTableOptions {
  readonly brokerId: number
  readonly settings: BrokerSettings
  /** Wall clock, ms. */
  readonly now: () => number
  readonly clock: { monotonic(): number; after(delayMs: number, callback: () => void): () => void }
  readonly state: () => ClusterState
  readonly remote: RemotePartitions
  readonly leaders: LeadershipSink
  /** Tells the controller that these targets are reached. */
  readonly finishReassignment: (moves: readonly FinishedMove[]) => Promise<unknown>
  /** Revision of the metadata as of this call, or later; `state` has it by then, or soon. Rejects when nobody can say. */
  readonly metadataRevision: () => Promise<number>
  /** See `PartitionContext`. */
  readonly deleteRecords: PartitionContext['deleteRecords']
  /** Rack of a broker, '' when it has none; undefined: clients are not sent to followers nearby. */
  readonly rackOf: ((brokerId: number) => string) | undefined
}

/** A partition that is placed here. */
interface Placed {
  readonly topic: TopicState
  readonly partition: number
  readonly placement: PartitionState
  readonly name: string
}

export class PartitionTable implements PartitionsPort {
  readonly #options: PartitionTableOptions
  readonly #context: PartitionContext
  readonly #live: LiveSettings
  /** The broker's settings as they were when the table was last brought in step. */
  #defaults: BrokerSettings
  readonly #reporter: LeadershipReporter
  readonly #changes: ReplicaChanges
  /** Folds made while the store recovers, until their partitions are opened. */
  readonly #folds = new Map<string, ProducerState>()
  readonly #byTopic = new Map<string, (Partition | undefined)[]>()
  readonly #byName = new Map<string, Partition>()
  readonly #waiting = new Set<Partition>()
  #expiring = false
  /** Partitions that an opening waits for, and what ends that wait. */
  readonly #unelected = new Set<Partition>()
  #allElected: () => void = NOTHING
  #store: LogStore | undefined
  #host: ReplicaHost | undefined
  /** Absent: other shards of the node hand nothing over. */
  #arrivals: Arrivals | undefined
  #failed = false

  constructor(options: PartitionTableOptions) {
    this.#options = options
    this.#live = new LiveSettings(options.settings, options.brokerId)
    this.#defaults = this.#live.at(options.state())
    this.#reporter = new LeadershipReporter(options.leaders)
    this.#changes = new ReplicaChanges({
      placementOf: (topicId, partition) => options.state().topicsById.get(topicId)?.partitions[partition],
      revision: () => options.state().revision,
      newestRevision: options.metadataRevision,
      finish: options.finishReassignment,
      after: (delayMs, callback) => options.clock.after(delayMs, callback)
    })
    this.#context = {
      backlog: new BacklogBudget(BACKLOG_BYTES_MAX),
      entryBytesMax: entryBytesMax(options.settings),
      now: options.now,
      monotonic: () => options.clock.monotonic(),
      after: (delayMs, callback) => options.clock.after(delayMs, callback),
      deleteRecords: options.deleteRecords,
      rackOf: options.rackOf,
      onWaiting: partition => this.#expireLater(partition),
      onLeadership: partition => this.#leadershipChanged(partition)
    }
  }

  /** The fold of a log, for `openStore`. */
  foldOf(logName: string): LogFold | undefined {
    if (!isPartitionLog(logName)) return undefined
    const fold = this.#newProducerState()
    this.#folds.set(logName, fold)
    return fold
  }

  /** Gives the table what it opens partitions with; before the first `reconcile`. */
  attach(store: LogStore, host: ReplicaHost, arrivals?: Arrivals): void {
    this.#store = store
    this.#host = host
    this.#arrivals = arrivals
  }

  get partitionCount(): number {
    return this.#byName.size
  }

  partitions(): Iterable<Partition> {
    return this.#byName.values()
  }

  /** The partition of a group, if this shard has a replica of it. */
  partitionOf(group: string): Partition | undefined {
    return this.#byName.get(group)
  }

  /** The store failed: nothing that waits will be acknowledged, nothing more can be opened. */
  storeFailed(): void {
    this.#failed = true
  }

  find(topicId: string, partition: number): PartitionPort | { readonly error: ErrorName } {
    const opened = this.#byTopic.get(topicId)?.[partition]
    if (opened !== undefined) return opened
    const topic = this.#options.state().topicsById.get(topicId)
    if (topic === undefined) return UNKNOWN_TOPIC_ID
    const placement = topic.partitions[partition]
    if (placement === undefined) return UNKNOWN_PARTITION
    if (replicaHosts(placement).includes(this.#options.brokerId)) return this.#failed ? STORAGE_ERROR : NOT_THERE_YET
    return this.#options.remote(topic, partition) ?? NOT_LEADER
  }

  /** Brings the table in step with `next`. Only topics that differ from `previous` are looked at, unless defaults changed. */
  async reconcile(next: ClusterState, previous: ClusterState): Promise<void> {
    if (this.#live.at(next) !== this.#defaults) this.#defaultsChanged(next)
    const added: Placed[] = []
    const gone: string[] = []
    for (const topic of next.topicsById.values()) {
      const before = previous.topicsById.get(topic.topicId)
      if (topic === before) continue
      for (const placed of this.#placedHere(topic)) {
        const opened = this.#byName.get(placed.name)
        if (opened !== undefined) this.#reconfigure(opened, topic)
        else if (this.#arrivals?.has(placed.name) !== true) added.push(placed)
      }
      if (before !== undefined) gone.push(...this.#noLongerHere(topic))
    }
    for (const topicId of previous.topicsById.keys()) {
      if (!next.topicsById.has(topicId)) gone.push(...this.#namesOf(topicId))
    }
    await this.#remove(gone)
    await this.#open(added)
  }

  *#placedHere(topic: TopicState): Iterable<Placed> {
    for (const [partition, placement] of topic.partitions.entries()) {
      if (!replicaHosts(placement).includes(this.#options.brokerId)) continue
      yield { topic, partition, placement, name: logName(topic, partition) }
    }
  }

  #noLongerHere(topic: TopicState): string[] {
    const opened = this.#byTopic.get(topic.topicId) ?? []
    const { brokerId } = this.#options
    return opened.flatMap((partition, number) => {
      const placement = topic.partitions[number]
      const stays = placement !== undefined && replicaHosts(placement).includes(brokerId)
      return partition === undefined || stays ? [] : [partition.group.name]
    })
  }

  #namesOf(topicId: string): string[] {
    return (this.#byTopic.get(topicId) ?? []).flatMap(partition => partition?.group.name ?? [])
  }

  /** Settings of this broker that topics have their defaults from may be others now. */
  #defaultsChanged(state: ClusterState): void {
    this.#defaults = this.#live.at(state)
    for (const opened of this.#byName.values()) {
      const topic = state.topicsById.get(opened.topicId)
      if (topic !== undefined) this.#reconfigure(opened, topic)
    }
  }

  #reconfigure(opened: Partition, topic: TopicState): void {
    const settings = resolveTopicSettings(topic.configs, this.#defaults)
    opened.configure(settings)
    Object.assign(opened.log.options, logOptions(settings))
    this.#changes.consider(opened.group, opened.topicId, opened.partition)
    // In its own time: its disk may be slow or full, and the metadata goes on. A failure is the store's, which says so itself.
    const { recovery, startOffset } = topic.partitions[opened.partition] ?? {}
    opened.beginAt(startOffset ?? 0)
    if (recovery !== undefined) void this.#requireHost().recover(opened.group.name, recovery).catch(NOTHING)
  }

  /**
   * Removes what belongs to no partition that is placed here: deleted or moved while this shard was down. Call once, when the
   * metadata is known to be as new as this start, and never during a `reconcile`.
   */
  async removeOrphans(): Promise<void> {
    const store = this.#requireStore()
    const host = this.#requireHost()
    const kept = [...store.logs.keys(), ...store.state.keys('raft/').map(groupOfStateKey)]
    const wanted = new Set(this.#byName.keys())
    for (const topic of this.#options.state().topicsById.values())
      for (const { name } of this.#placedHere(topic)) wanted.add(name)
    // What arrives is looked at when it has arrived.
    const isOrphan = (name: string): boolean =>
      isPartitionLog(name) && !wanted.has(name) && this.#arrivals?.has(name) !== true
    const orphans = [...new Set(kept)].filter(isOrphan)
    if (orphans.length > 0) await host.remove(orphans)
    await host.settled()
    this.#folds.clear()
  }

  async #open(added: readonly Placed[]): Promise<void> {
    const placed: Placed[] = []
    for (const one of added) {
      const neighbour = this.#neighbourOf(one)
      if (neighbour === undefined) placed.push(one)
      else this.#beginArrival(one, neighbour)
    }
    if (placed.length === 0) return
    const store = this.#requireStore()
    const isNew = placed.map(({ name }) => !store.logs.has(name))
    const partitions = placed.map(one => this.#newPartition(one))
    await this.#openAs(placed, partitions)
    // Groups of one, and those that begin: nobody else decides when they are ready.
    await this.#whenElected(partitions.filter((one, i) => isNew[i] || one.group.membership.voters.length === 1))
  }

  /** Opens partitions that were made for it. */
  async #openAs(placed: readonly Placed[], partitions: readonly Partition[]): Promise<void> {
    const requests = placed.map((one, i) => this.#requestFor(one, partitions[i]!))
    const groups = await this.#requireHost().open(requests, (group, i) => partitions[i]!.bind(group))
    for (const [i, partition] of partitions.entries()) {
      this.#add(placed[i]!, partition)
      partition.beginAt(placed[i]!.placement.startOffset ?? 0)
    }
    for (const group of groups) this.#leadershipChanged(this.#byName.get(group.name)!)
  }

  /** The other shard of this node that has a replica of a partition of which nothing is here yet, if there is one. */
  #neighbourOf({ name, placement }: Placed): number | undefined {
    const { brokerId } = this.#options
    if (this.#arrivals === undefined || placement.bootstrapReplicas.includes(brokerId)) return undefined
    const { logs, state } = this.#requireStore()
    if (logs.has(name) || state.keys(`raft/${name}/`).length > 0) return undefined
    return placement.replicas.find(id => id !== brokerId && nodeOf(id) === nodeOf(brokerId))
  }

  #beginArrival(one: Placed, from: number): void {
    const partition = this.#newPartition(one)
    this.#arrivals?.begin(this.#requestFor(one, partition), from, async () => {
      const topic = this.#options.state().topicsById.get(one.topic.topicId)
      const now = topic && [...this.#placedHere(topic)].find(({ name }) => name === one.name)
      if (now === undefined) return this.#requireHost().remove([one.name])
      partition.configure(resolveTopicSettings(now.topic.configs, this.#defaults))
      await this.#openAs([now], [partition])
    })
  }

  #newPartition({ topic, partition, name }: Placed): Partition {
    const settings = resolveTopicSettings(topic.configs, this.#defaults)
    const producers = this.#folds.get(name) ?? this.#newProducerState()
    return new Partition({ topicId: topic.topicId, partition, producers, settings, context: this.#context })
  }

  #requestFor({ topic, partition, placement, name }: Placed, opened: Partition): GroupRequest {
    const { topicId } = topic
    const settings = resolveTopicSettings(topic.configs, this.#defaults)
    return {
      name,
      options: logOptions(settings),
      fold: opened.producers,
      bootstrap: placement.bootstrapReplicas,
      ...(placement.recovery && { recovery: placement.recovery }),
      preferredLeader: preferredLeader(placement),
      peers: () => {
        const now = this.#options.state().topicsById.get(topicId)?.partitions[partition]
        return now === undefined ? [] : replicaHosts(now)
      },
      snapshot: producerSnapshots(opened),
      listener: opened
    }
  }

  #add({ topic, partition }: Placed, opened: Partition): void {
    const siblings = this.#byTopic.get(topic.topicId) ?? []
    siblings[partition] = opened
    this.#byTopic.set(topic.topicId, siblings)
    this.#byName.set(opened.group.name, opened)
  }

  /** Resolves when each of these has a leader, or after a while. */
  async #whenElected(partitions: readonly Partition[]): Promise<void> {
    for (const partition of partitions) if (!isElected(partition)) this.#unelected.add(partition)
    if (this.#unelected.size === 0) return
    let cancel = NOTHING
    await new Promise<void>(resolve => {
      this.#allElected = resolve
      cancel = this.#options.clock.after(ELECTION_WAIT_MS, resolve)
    })
    cancel()
    this.#unelected.clear()
    this.#allElected = NOTHING
  }

  async #remove(names: readonly string[]): Promise<void> {
    if (names.length === 0) return
    for (const name of names) {
      const partition = this.#byName.get(name)
      if (partition === undefined) continue
      this.#byName.delete(name)
      delete this.#byTopic.get(partition.topicId)?.[partition.partition]
      const topic = this.#options.state().topicsById.get(partition.topicId)
      if (topic === undefined) this.#byTopic.delete(partition.topicId)
      partition.fail(topic === undefined ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'NOT_LEADER_OR_FOLLOWER')
      if (topic === undefined) this.#reporter.forget(name)
    }
    await this.#requireHost().remove(names)
  }

  #leadershipChanged(partition: Partition): void {
    this.#reporter.report(partition.group, partition.isClosed)
    if (this.#unelected.size > 0 && (partition.isClosed || isElected(partition))) {
      this.#unelected.delete(partition)
      if (this.#unelected.size === 0) this.#allElected()
    }
    if (!partition.isClosed) this.#changes.consider(partition.group, partition.topicId, partition.partition)
  }

  #expireLater(partition: Partition): void {
    this.#waiting.add(partition)
    if (this.#expiring) return
    this.#expiring = true
    this.#options.clock.after(EXPIRE_MS, () => this.#expire())
  }

  #expire(): void {
    const nowMs = this.#options.clock.monotonic()
    for (const partition of this.#waiting) {
      partition.expire(nowMs)
      if (!partition.isWaiting) this.#waiting.delete(partition)
    }
    this.#expiring = this.#waiting.size > 0
    if (this.#expiring) this.#options.clock.after(EXPIRE_MS, () => this.#expire())
  }

  #newProducerState(): ProducerState {
    return new ProducerState({
      expirationMs: () => this.#defaults['producer.id.expiration.ms'],
      now: this.#options.now
    })
  }

  #requireStore(): LogStore {
    if (this.#store === undefined) throw new Error('the partition table has no store yet')
    return this.#store
  }

  #requireHost(): ReplicaHost {
    if (this.#host === undefined) throw new Error('the partition table has no replicas yet')
    return this.#host
  }
}

const UNKNOWN_TOPIC_ID = { error: 'UNKNOWN_TOPIC_ID' } as const
const UNKNOWN_PARTITION = { error: 'UNKNOWN_TOPIC_OR_PARTITION' } as const
const NOT_THERE_YET = { error: 'LEADER_NOT_AVAILABLE' } as const
const STORAGE_ERROR = { error: 'KAFKA_STORAGE_ERROR' } as const
const NOT_LEADER = { error: 'NOT_LEADER_OR_FOLLOWER' } as const

/** It has a leader, and if that is this shard, it serves. */
function isElected({ group }: Partition): boolean {
  return group.role === 'leader' ? group.leading : group.leader !== undefined
}

const NOTHING = (): void => undefined

/** Characters of a topic's name that its folders show; the id behind makes them unique. */
const FOLDER_NAME_LENGTH_MAX = 200

/** Name of a partition's group and log, and so of its folder: readable, and different for every incarnation of a topic. */
export function logName(topic: { name: string; topicId: string }, partition: number): string {
  return `${topic.name.slice(0, FOLDER_NAME_LENGTH_MAX)}-${partition}.${topic.topicId}`
}

/** Logs of topics carry a topic id; internal ones (the controller's) begin with two underscores and have none. */
function isPartitionLog(name: string): boolean {
  return /-\d+\.[A-Za-z0-9_-]{22}$/.test(name)
}

/** The group that a key of the state store belongs to: raft/<group>/<what>. */
function groupOfStateKey(key: string): string {
  return key.slice(key.indexOf('/') + 1, key.lastIndexOf('/'))
}

/** Largest batch that the store takes: a quarter of its memory, so that one batch never needs all of it. */
function entryBytesMax(settings: BrokerSettings): number {
  return Math.min(BATCH_BYTES_MAX, Math.floor(settings['store.memory.bytes'] / 4))
}

function logOptions(settings: TopicSettings): LogOptions {
  return {
    segmentBytes: settings['segment.bytes'],
    indexIntervalBytes: settings['index.interval.bytes'],
    segmentMs: Number(settings['segment.ms'])
  }
}
