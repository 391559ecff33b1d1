/**
 * An idempotent producer with acks=all, as Kafka's: a batch is sent again, with the same sequence, to whoever leads, until it is
 * acknowledged or its time is up. Then nobody knows what became of it, and the producer begins anew under another id.
 */
import { apis, BatchBuilder, errorCode } from '@milena/wire-protocol'
import { BACKOFF_MS, Client, isPassing, type ClientSite } from './client.ts'
import { NoAnswerError } from './client-network.ts'
import type { PartitionHistory } from './history.ts'

/** How long a batch is sent again and again, ms. */
const DELIVERY_MS = 20_000
const ACKS_ALL = -1
const PRODUCE_WAIT_MS = 3000
/** Bytes in front of a record's padding: its number. */
const ID_BYTES = 4

/** What one attempt came to. */
type Attempt = 'acknowledged' | 'again' | 'gone' | 'unordered'

export class Producer extends Client {
  readonly #callMs: number
  readonly #valueBytes: readonly number[]
  #producerId = -1n
  /** Next sequence by partition. */
  readonly #sequences = new Map<PartitionHistory, number>()

  /** `valueBytes`: sizes of values, each as likely as the others. */
  constructor(site: ClientSite, name: string, valueBytes: readonly number[]) {
    super(site, name)
    this.#callMs = this.random.pick([20, 60, 150])
    this.#valueBytes = valueBytes
  }

  run(): void {
    this.start(async () => {
      await this.sleep(this.random.exponential(this.#callMs))
      const { living } = this.site.history
      if (living.length === 0) return
      const { name, topicId, partitionCount } = this.random.pick(living)
      await this.write(this.site.history.partition(name, topicId, this.random.below(partitionCount)), DELIVERY_MS)
    })
  }

  /** Writes a batch; true when it was acknowledged within `deliveryMs`. */
  async write(history: PartitionHistory, deliveryMs: number): Promise<boolean> {
    const { world } = this.site
    const endMs = world.nowMs + deliveryMs
    if (!(await this.#identify(endMs))) return false
    const ids = Array.from({ length: this.random.pick([1, 1, 2, 5]) }, () => this.site.history.newRecord(history))
    const sequence = this.#sequences.get(history) ?? 0
    const batch = this.#batch(ids, sequence)
    while (world.nowMs < endMs) {
      const attempt = await this.#attempt(history, batch, ids)
      if (attempt === 'acknowledged') {
        this.#sequences.set(history, sequence + ids.length)
        return true
      }
      if (attempt === 'unordered') this.#unordered(history, sequence)
      if (attempt === 'gone') break
      await this.refresh()
      await this.sleep(BACKOFF_MS)
    }
    this.trace('give up', `${history.name} records ${ids.join(' ')}`)
    this.#producerId = -1n
    this.#sequences.clear()
    return false
  }

  async #attempt(history: PartitionHistory, batch: Uint8Array, ids: readonly number[]): Promise<Attempt> {
    const { topic, topicId, partition } = history
    const leader = this.leaderOf(topicId, partition)
    if (leader === undefined) return this.#isGone(history) ? 'gone' : 'again'
    const topicData = [{ name: topic, topicId, partitionData: [{ index: partition, records: batch }] }]
    let answer
    try {
      const request = { acks: ACKS_ALL, timeoutMs: PRODUCE_WAIT_MS, topicData }
      answer = await this.askBroker(leader.brokerId, apis.produce, 13, request)
    } catch (error) {
      if (error instanceof NoAnswerError) return 'again'
      throw error
    }
    const result = answer?.message.responses[0]?.partitionResponses[0]
    if (result === undefined) return 'again'
    if (result.errorCode === 0 || result.errorCode === errorCode('DUPLICATE_SEQUENCE_NUMBER')) {
      const baseOffset = result.errorCode === 0 ? Number(result.baseOffset) : -1
      this.trace('acknowledged', `${history.name} ${baseOffset} records ${ids.join(' ')} by ${leader.brokerId}`)
      this.site.history.acknowledge(history, baseOffset, ids)
      return 'acknowledged'
    }
    if (result.errorCode === errorCode('OUT_OF_ORDER_SEQUENCE_NUMBER')) return 'unordered'
    if (!isPassing(result.errorCode)) this.unexpected(`a produce to ${history.name}`, result.errorCode)
    return this.#isGone(history) ? 'gone' : 'again'
  }

  #isGone({ topicId }: PartitionHistory): boolean {
    return this.site.history.topics.get(topicId)?.deletion !== 'none'
  }

  async #identify(endMs: number): Promise<boolean> {
    while (this.#producerId < 0n && this.site.world.nowMs < endMs) {
      const request = { transactionalId: null, transactionTimeoutMs: 60_000 }
      const answer = await this.askAny(apis.initProducerId, 4, request)
      if (answer?.message.errorCode === 0) this.#producerId = answer.message.producerId
      else await this.sleep(BACKOFF_MS)
    }
    return this.#producerId >= 0n
  }

  #batch(ids: readonly number[], baseSequence: number): Uint8Array {
    const builder = new BatchBuilder({ producerId: this.#producerId, producerEpoch: 0, baseSequence })
    for (const id of ids) {
      const value = Buffer.alloc(Math.max(ID_BYTES, this.random.pick(this.#valueBytes)), id & 0xff)
      value.writeUInt32BE(id, 0)
      builder.append({ key: null, value, timestamp: 1_783_000_000_000n })
    }
    return builder.build()
  }

  /** One batch at a time and never a new one before the last was acknowledged: the leader must know all sequences before. */
  #unordered({ name }: PartitionHistory, sequence: number): never {
    const explanation = `${this.name} (producer ${this.#producerId}) is out of order in ${name} with ${sequence}`
    return this.site.world.violated('producer-state-is-kept', explanation)
  }
}
