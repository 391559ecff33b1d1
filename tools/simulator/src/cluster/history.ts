/**
 * What clients did and saw, by partition. Every record has a number of its own, so that one that turns up twice, elsewhere or
 * nowhere is noticed. What happens is handed to the checkers at once.
 */
import { logName } from '@milena/broker/testing'
import type { World } from '../world/world.ts'
import type { ClusterNode } from './cluster-node.ts'
import type { ShardProcess } from './shard-process.ts'

/** A record as a reader got it. */
export interface ReadRecord {
  readonly offset: number
  readonly epoch: number
  /** Its number; -1 when it has none. */
  readonly id: number
}

/** One life of one partition: a topic that is made anew under its old name is another one. */
export class PartitionHistory {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  /** Numbers of all records that were ever sent here. */
  readonly sent = new Set<number>()
  /** Offsets of records that clients were told to be safe. */
  readonly acknowledged = new Map<number, number>()

  constructor(topic: string, topicId: string, partition: number) {
    this.topic = topic
    this.topicId = topicId
    this.partition = partition
  }

  get name(): string {
    return `${this.topic}-${this.partition}`
  }

  /** Name of its Raft group. */
  get group(): string {
    return logName({ name: this.topic, topicId: this.topicId }, this.partition)
  }
}

/** A topic as its creator and the one who deletes it know it. */
export interface TopicHistory {
  readonly name: string
  readonly topicId: string
  readonly partitionCount: number
  /** `doubtful`: it was asked for and nobody knows what became of that. */
  deletion: 'none' | 'doubtful' | 'done'
}

/** One consumer of one partition. */
export interface Reader {
  readonly name: string
  readonly history: PartitionHistory
}

/** What a checker may want to know; called right after it happened. */
export interface ClusterChecker {
  readonly name: string
  /** Records from `baseOffset` on are safe, a client was told. -1: they are, somewhere. */
  acknowledged?(history: PartitionHistory, baseOffset: number, ids: readonly number[]): void
  read?(reader: Reader, record: ReadRecord): void
  /** A leader told a reader its high watermark, or the end of its log for readers. */
  watermark?(reader: Reader, watermark: number): void
  /** A shard, looked at every few milliseconds. */
  observed?(process: ShardProcess): void
  /** The node is a member of a cluster. */
  claimed?(node: ClusterNode): void
  /** The cluster has no such member any more, as `by` is the first to say. */
  removed?(node: ClusterNode, by: ShardProcess): void
  /** Faults are over, everything had time to recover and was read once more. */
  finished?(nodes: readonly ClusterNode[]): Promise<void> | void
}

export class ClusterHistory {
  readonly world: World
  readonly partitions = new Map<string, PartitionHistory>()
  /** Topics whose creation was confirmed, by id. */
  readonly topics = new Map<string, TopicHistory>()
  acknowledgedCount = 0
  readonly #checkers: ClusterChecker[] = []
  #lastId = 0

  constructor(world: World) {
    this.world = world
  }

  add(...checkers: readonly ClusterChecker[]): void {
    this.#checkers.push(...checkers)
  }

  partition(topic: string, topicId: string, partition: number): PartitionHistory {
    const key = `${topicId}/${partition}`
    let history = this.partitions.get(key)
    if (history === undefined) this.partitions.set(key, (history = new PartitionHistory(topic, topicId, partition)))
    return history
  }

  /** Topics that exist, as far as clients know. */
  get living(): readonly TopicHistory[] {
    return [...this.topics.values()].filter(({ deletion }) => deletion === 'none')
  }

  /** A number for a record that is about to be sent to `history`. */
  newRecord(history: PartitionHistory): number {
    const id = ++this.#lastId
    history.sent.add(id)
    return id
  }

  acknowledge(history: PartitionHistory, baseOffset: number, ids: readonly number[]): void {
    this.acknowledgedCount++
    this.world.trace.note('acknowledge', history.partition, baseOffset)
    for (const [at, id] of ids.entries()) history.acknowledged.set(id, baseOffset < 0 ? -1 : baseOffset + at)
    for (const checker of this.#checkers) checker.acknowledged?.(history, baseOffset, ids)
  }

  read(reader: Reader, record: ReadRecord): void {
    for (const checker of this.#checkers) checker.read?.(reader, record)
  }

  watermark(reader: Reader, watermark: number): void {
    for (const checker of this.#checkers) checker.watermark?.(reader, watermark)
  }

  observed(process: ShardProcess): void {
    for (const checker of this.#checkers) checker.observed?.(process)
  }

  claimed(node: ClusterNode): void {
    for (const checker of this.#checkers) checker.claimed?.(node)
  }

  removed(node: ClusterNode, by: ShardProcess): void {
    for (const checker of this.#checkers) checker.removed?.(node, by)
  }

  async finished(nodes: readonly ClusterNode[]): Promise<void> {
    for (const checker of this.#checkers) await checker.finished?.(nodes)
  }
}
