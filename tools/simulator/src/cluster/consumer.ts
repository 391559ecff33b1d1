/**
 * Consumers without groups: each reads one partition from its beginning, from whoever leads, and asks now and then where it
 * ends. What it reads must follow what it read before.
 */
import { apis, batchHeader, errorCode, iterateRecords } from '@milena/wire-protocol'
import { BACKOFF_MS, Client, isPassing, type Leader } from './client.ts'
import { NoAnswerError } from './client-network.ts'
import type { PartitionHistory, Reader } from './history.ts'

const CONSUMER = -1
const LATEST = -1n
const FETCH_BYTES = 64 << 10
/** How long a consumer reads one partition before it takes another one, ms. */
const TURN_MS = 10_000
/** Answers in a row that an offset which was read is out of range. */
const OUT_OF_RANGE_MAX = 20

export class Consumer extends Client {
  #readerCount = 0

  run(): void {
    this.start(async () => {
      await this.sleep(BACKOFF_MS)
      const { living } = this.site.history
      if (living.length === 0) return
      const { name, topicId, partitionCount } = this.random.pick(living)
      const history = this.site.history.partition(name, topicId, this.random.below(partitionCount))
      const endMs = this.site.world.nowMs + TURN_MS
      await this.read(history, () => this.site.world.nowMs >= endMs)
    })
  }

  /** Reads from the beginning until `isDone`, which is told the next offset and the high watermark, or until the topic is gone. */
  async read(history: PartitionHistory, isDone: (next: number, watermark: number) => boolean): Promise<void> {
    const reader = { name: `${this.name}.${++this.#readerCount}`, history }
    const position = { next: 0, watermark: -1, outOfRange: 0 }
    while (!isDone(position.next, position.watermark)) {
      if (this.site.history.topics.get(history.topicId)?.deletion !== 'none') return
      const leader = this.leaderOf(history.topicId, history.partition)
      const ok = leader !== undefined && (await this.#ask(reader, leader, position))
      if (ok) continue
      await this.refresh()
      await this.sleep(BACKOFF_MS)
    }
  }

  async #ask(reader: Reader, leader: Leader, position: Position): Promise<boolean> {
    try {
      if (this.random.chance(0.1)) await this.#listEnd(reader, leader)
      return await this.#fetch(reader, leader, position)
    } catch (error) {
      if (error instanceof NoAnswerError) return false
      throw error
    }
  }

  async #fetch(reader: Reader, { brokerId, epoch }: Leader, position: Position): Promise<boolean> {
    const { topicId, partition, name } = reader.history
    const partitions = [
      { partition, currentLeaderEpoch: epoch, fetchOffset: BigInt(position.next), partitionMaxBytes: FETCH_BYTES }
    ]
    const limits = { maxWaitMs: 500, minBytes: 1, maxBytes: FETCH_BYTES }
    const request = { ...limits, sessionId: 0, sessionEpoch: -1, topics: [{ topicId, partitions }] }
    const answer = await this.askBroker(brokerId, apis.fetch, 15, request, reader.history.group)
    const result = answer?.message.responses[0]?.partitions[0]
    if (answer === undefined || result === undefined) return false
    if (result.errorCode === errorCode('OFFSET_OUT_OF_RANGE')) {
      // A follower that is behind says so, too.
      if (++position.outOfRange > OUT_OF_RANGE_MAX) this.unexpected(`${name} at ${position.next}`, result.errorCode)
      return false
    }
    if (result.errorCode !== 0) {
      if (!isPassing(result.errorCode)) this.unexpected(`a fetch of ${name}`, result.errorCode)
      return false
    }
    position.outOfRange = 0
    if (answer.leads) {
      position.watermark = Number(result.highWatermark)
      this.site.history.watermark(reader, position.watermark)
    }
    this.#take(reader, result.records ?? NO_BYTES, position)
    return true
  }

  #take(reader: Reader, records: Uint8Array, position: Position): void {
    for (let at = 0; at < records.length; at += batchHeader.totalBytes(records, at)) {
      const epoch = batchHeader.leaderEpoch(records, at)
      for (const { offset, value } of iterateRecords(records, at)) {
        if (Number(offset) < position.next) continue
        const id = value === null || value.length < 4 ? -1 : Buffer.from(value).readUInt32BE(0)
        this.site.history.read(reader, { offset: Number(offset), epoch, id })
        position.next = Number(offset) + 1
      }
    }
  }

  async #listEnd(reader: Reader, { brokerId, epoch }: Leader): Promise<void> {
    const { topic, partition, name } = reader.history
    const partitions = [{ partitionIndex: partition, currentLeaderEpoch: epoch, timestamp: LATEST }]
    const request = { replicaId: CONSUMER, isolationLevel: 0, topics: [{ name: topic, partitions }] }
    const answer = await this.askBroker(brokerId, apis.listOffsets, 7, request)
    const result = answer?.message.topics[0]?.partitions[0]
    if (result === undefined) return
    // One that is made anew under this name is another topic.
    if (this.site.history.topics.get(reader.history.topicId)?.deletion !== 'none') return
    if (result.errorCode === 0) this.site.history.watermark(reader, Number(result.offset))
    else if (!isPassing(result.errorCode)) this.unexpected(`the end of ${name}`, result.errorCode)
  }
}

interface Position {
  next: number
  watermark: number
  outOfRange: number
}

const NO_BYTES = new Uint8Array(0)
