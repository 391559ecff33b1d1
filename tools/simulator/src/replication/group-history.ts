/**
 * What is known from above of one replicated log: what clients wrote, what was acknowledged, what replicas say is committed.
 * Committed batches are compared one by one as every replica learns of them.
 */
import type { World } from '../world/world.ts'
import { hashBytes } from './hash-bytes.ts'

/** One batch as it lies in a log. */
export interface HeldBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly epoch: number
  /** Hash of all its bytes. */
  readonly hash: number
  /** Hash of it without what the broker stamps. */
  readonly contents: number
}

/** A batch that a client was told to be safe. */
export interface Acknowledged {
  readonly baseOffset: number
  readonly lastOffset: number
  /** Hash of the batch without what the broker stamps. */
  readonly contents: number
}

export class GroupHistory {
  readonly name: string
  /** All that any replica said to be committed, in order. */
  readonly committed: HeldBatch[] = []
  readonly acknowledged: Acknowledged[] = []
  /** End of the last acknowledged batch. */
  acknowledgedEnd = 0
  /** Contents of all batches that clients ever sent. */
  readonly sent = new Set<number>()
  readonly #world: World

  constructor(name: string, world: World) {
    this.name = name
    this.#world = world
  }

  get committedEnd(): number {
    return (this.committed.at(-1)?.lastOffset ?? -1) + 1
  }

  acknowledge(baseOffset: number, lastOffset: number, contents: number): void {
    this.acknowledged.push({ baseOffset, lastOffset, contents })
    this.acknowledgedEnd = Math.max(this.acknowledgedEnd, lastOffset + 1)
  }

  /**
   * A replica says that this batch is committed. Batches below what is known must be the same (P36), the next one extends what
   * is known, must follow without a gap, its epoch must not fall (P24), and a client must have sent it (P21).
   */
  batchCommitted(by: string, held: HeldBatch): void {
    const known = this.at(held.baseOffset)
    if (known !== undefined) {
      const same = known.baseOffset === held.baseOffset && known.hash === held.hash && known.epoch === held.epoch
      if (!same)
        this.#fail('replica-identity', by, held, `differs from what was committed there (epoch ${known.epoch})`)
      return
    }
    if (held.baseOffset !== this.committedEnd) this.#fail('replica-identity', by, held, `follows ${this.committedEnd}`)
    if (held.epoch < (this.committed.at(-1)?.epoch ?? 0)) this.#fail('epochs-rise', by, held, 'is of a former epoch')
    if (!this.sent.has(held.contents)) this.#fail('no-phantoms', by, held, 'was never sent by anybody')
    this.committed.push(held)
    const { trace } = this.#world
    if (trace.printing) {
      trace.line(by, 'committed', `${this.name} ${held.baseOffset}..${held.lastOffset} of epoch ${held.epoch}`)
    }
  }

  /** The committed batch that covers `offset`. */
  at(offset: number): HeldBatch | undefined {
    let low = 0
    let high = this.committed.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.committed[middle] as HeldBatch).lastOffset < offset) low = middle + 1
      else high = middle
    }
    return this.committed[low]
  }

  #fail(property: string, by: string, { baseOffset, lastOffset, epoch }: HeldBatch, explanation: string): never {
    return this.#world.violated(
      property,
      `${this.name} on ${by}: ${baseOffset}..${lastOffset} of epoch ${epoch} ${explanation}`
    )
  }
}

/** Where Kafka keeps what brokers may change: base offset and partition leader epoch stand before the part that is checked. */
const CHECKED_FROM = 21

/** Hash of a batch without what the broker stamps into it. */
export function contentsOf(batch: Uint8Array): number {
  return hashBytes(batch.subarray(CHECKED_FROM))
}

/** Hash of all of a batch whose contents have this one. */
export function hashOf(batch: Uint8Array, contents: number): number {
  return hashBytes(batch.subarray(0, CHECKED_FROM), contents)
}
