/**
 * The partitions that this shard serves, kept in step with the metadata: opens the logs of partitions placed here, forgets
 * those of deleted topics. Runs as a listener of the metadata replica, so one change at a time.
 */
import type { ErrorName } from '@milena/wire-protocol'
import type { PartitionPort, PartitionsPort } from '@milena/gateway'
import type { Log, LogFold, LogOptions, LogStore } from '@milena/storage-engine'
import type { ClusterState, TopicState } from '../controller/cluster-state.ts'
import type { BrokerSettings } from '../settings/broker-settings.ts'
import { resolveTopicSettings } from '../settings/topic-config-view.ts'
import type { TopicSettings } from '../settings/topic-settings.ts'
import { BATCH_BYTES_MAX } from './batch-format.ts'
import { BacklogBudget, Partition } from './partition.ts'
import { ProducerState } from './producer-state.ts'

/** Copies of batches that wait for the store's memory, all partitions of a shard together. */
export const BACKLOG_BYTES_MAX = 64 * 1024 * 1024

/** Opens a port to a partition that another shard owns, or undefined when clients are sent there themselves. */
export type RemotePartitions = (topic: TopicState, partition: number) => PartitionPort | undefined

export interface PartitionTableOptions {
  readonly brokerId: number
  readonly settings: BrokerSettings
  readonly now: () => number
  readonly state: () => ClusterState
  readonly remote: RemotePartitions
}

export class PartitionTable implements PartitionsPort {
  readonly #options: PartitionTableOptions
  readonly #backlog = new BacklogBudget(BACKLOG_BYTES_MAX)
  /** Folds made while the store recovers, until their partitions are opened. */
  readonly #folds = new Map<string, ProducerState>()
  readonly #byTopic = new Map<string, (Partition | undefined)[]>()
  readonly #byLog = new Map<Log, Partition>()
  #store: LogStore | undefined
  #failed = false

  constructor(options: PartitionTableOptions) {
    this.#options = options
  }

  /** The fold of a log, for `openStore`. */
  foldOf(logName: string): LogFold | undefined {
    if (!isPartitionLog(logName)) return undefined
    const fold = this.#newProducerState()
    this.#folds.set(logName, fold)
    return fold
  }

  attach(store: LogStore): void {
    this.#store = store
  }

  get partitionCount(): number {
    return this.#byLog.size
  }

  partitions(): Iterable<Partition> {
    return this.#byLog.values()
  }

  /** Owned partition by log; the store's flush callback comes here. */
  flushed(logs: readonly Log[]): void {
    for (const log of logs) this.#byLog.get(log)?.flushed()
  }

  /** The store failed: nothing that waits will be acknowledged. */
  storeFailed(): void {
    this.#failed = true
    for (const partition of this.#byLog.values()) partition.fail('KAFKA_STORAGE_ERROR')
  }

  find(topicId: string, partition: number): PartitionPort | { readonly error: ErrorName } {
    const owned = this.#byTopic.get(topicId)?.[partition]
    if (owned !== undefined) return owned
    const topic = this.#options.state().topicsById.get(topicId)
    if (topic === undefined) return UNKNOWN_TOPIC_ID
    const placement = topic.partitions[partition]
    if (placement === undefined) return UNKNOWN_PARTITION
    if (placement.replicas[0] === this.#options.brokerId) return this.#failed ? STORAGE_ERROR : NOT_THERE_YET
    return this.#options.remote(topic, partition) ?? NOT_LEADER
  }

  /** Brings the table in step with `next`. Only topics that differ from `previous` are looked at. */
  async reconcile(next: ClusterState, previous: ClusterState): Promise<void> {
    const added = [...next.topicsById.values()].filter(topic => !previous.topicsById.has(topic.topicId))
    const removed = [...previous.topicsById.values()].filter(topic => !next.topicsById.has(topic.topicId))
    await this.#open(added)
    await this.#remove(removed.map(topic => topic.topicId))
  }

  /** Removes logs that belong to no topic: deleted while this shard was down. Call once after the first `reconcile`. */
  async removeOrphans(): Promise<void> {
    const store = this.#requireStore()
    const orphans = [...store.logs.values()].filter(log => isPartitionLog(log.name) && !this.#byLog.has(log))
    if (orphans.length > 0) await store.removeLogs(orphans.map(log => log.name))
    this.#folds.clear()
  }

  async #open(topics: readonly TopicState[]): Promise<void> {
    const store = this.#requireStore()
    const wanted: {
      topic: TopicState
      partition: number
      name: string
      settings: TopicSettings
      fold: ProducerState
    }[] = []
    for (const topic of topics) {
      const settings = resolveTopicSettings(topic.configs, this.#options.settings)
      topic.partitions.forEach((placement, partition) => {
        if (placement.replicas[0] !== this.#options.brokerId) return
        const name = logName(topic, partition)
        wanted.push({ topic, partition, name, settings, fold: this.#folds.get(name) ?? this.#newProducerState() })
      })
    }
    const missing = wanted.filter(({ name }) => !store.logs.has(name))
    if (missing.length > 0) {
      await store.createLogs(missing.map(({ name, settings, fold }) => ({ name, fold, options: logOptions(settings) })))
    }
    for (const { topic, partition, name, settings, fold } of wanted) {
      const log = store.logs.get(name)
      if (log === undefined) throw new Error(`log ${name} was not opened`)
      Object.assign(log.options, logOptions(settings))
      this.#add(topic, partition, log, settings, fold)
    }
  }

  #add(topic: TopicState, partition: number, log: Log, settings: TopicSettings, producers: ProducerState): void {
    const opened = new Partition({
      topicId: topic.topicId,
      partition,
      leaderEpoch: 0,
      log,
      producers,
      settings,
      backlog: this.#backlog,
      entryBytesMax: entryBytesMax(this.#options.settings),
      now: this.#options.now,
      whenWritable: bytes => this.#requireStore().whenWritable(bytes)
    })
    const siblings = this.#byTopic.get(topic.topicId) ?? []
    siblings[partition] = opened
    this.#byTopic.set(topic.topicId, siblings)
    this.#byLog.set(log, opened)
  }

  async #remove(topicIds: readonly string[]): Promise<void> {
    const names: string[] = []
    for (const topicId of topicIds) {
      for (const partition of this.#byTopic.get(topicId) ?? []) {
        if (partition === undefined) continue
        partition.fail('UNKNOWN_TOPIC_OR_PARTITION')
        this.#byLog.delete(partition.log)
        names.push(partition.log.name)
      }
      this.#byTopic.delete(topicId)
    }
    if (names.length > 0) await this.#requireStore().removeLogs(names)
  }

  #newProducerState(): ProducerState {
    return new ProducerState({
      expirationMs: this.#options.settings['producer.id.expiration.ms'],
      now: this.#options.now
    })
  }

  #requireStore(): LogStore {
    if (this.#store === undefined) throw new Error('the partition table has no store yet')
    return this.#store
  }
}

const UNKNOWN_TOPIC_ID = { error: 'UNKNOWN_TOPIC_ID' } as const
const UNKNOWN_PARTITION = { error: 'UNKNOWN_TOPIC_OR_PARTITION' } as const
const NOT_THERE_YET = { error: 'LEADER_NOT_AVAILABLE' } as const
const STORAGE_ERROR = { error: 'KAFKA_STORAGE_ERROR' } as const
const NOT_LEADER = { error: 'NOT_LEADER_OR_FOLLOWER' } as const

/** Characters of a topic's name that its folders show; the id behind makes them unique. */
const FOLDER_NAME_LENGTH_MAX = 200

/** Name of a partition's log, and so of its folder: readable, and different for every incarnation of a topic. */
export function logName(topic: { name: string; topicId: string }, partition: number): string {
  return `${topic.name.slice(0, FOLDER_NAME_LENGTH_MAX)}-${partition}.${topic.topicId}`
}

/** Logs of topics carry a topic id; internal ones (the controller's) begin with two underscores and have none. */
function isPartitionLog(name: string): boolean {
  return /-\d+\.[A-Za-z0-9_-]{22}$/.test(name)
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
