/**
 * What a partition remembers of idempotent producers, to recognise retries and gaps (KIP-98, KIP-360).
 *
 * Per producer id: its epoch and its last five batches, which is as many as a client may have in flight. A batch that equals
 * one of them is a retry and is answered with the offset it got the first time. The rules are those of Kafka's
 * ProducerStateManager.
 *
 * The state is a fold over the log: the engine keeps its snapshots with the checkpoints and replays what came after, so it is
 * exactly as durable as the batches it was made from. Bounded: PRODUCERS_MAX per partition, the longest idle one goes first;
 * producers idle longer than producer.id.expiration.ms go at the next snapshot.
 */
import type { ProducerView } from '@milena/gateway'
import type { LogFold } from '@milena/storage-engine'
import { batchHeader, type ErrorName } from '@milena/wire-protocol'

/** Batches remembered per producer (a client's max.in.flight.requests.per.connection may be at most that). */
const BATCHES_KEPT = 5
/** Producers remembered per partition; about 300 bytes each in memory, 132 in a snapshot. */
export const PRODUCERS_MAX = 5000

interface RememberedBatch {
  firstSequence: number
  lastSequence: number
  baseOffset: number
  lastOffset: number
  /** The largest in it, which is the log append time where the broker stamps; -1n when there is none. */
  timestamp: bigint
}

interface ProducerEntry {
  epoch: number
  /** Oldest first, at most BATCHES_KEPT. */
  batches: RememberedBatch[]
  /** Wall clock of the last batch, ms. */
  lastUsedMs: number
}

export type SequenceCheck =
  | { readonly kind: 'next' }
  | { readonly kind: 'duplicate'; readonly baseOffset: number; readonly lastOffset: number; readonly timestamp: bigint }
  | { readonly kind: 'refused'; readonly error: ErrorName; readonly message: string }

const NEXT: SequenceCheck = { kind: 'next' }

/** The sequence that `count` records starting at `first` end with; sequences wrap from 2^31 - 1 to 0. */
export function lastSequenceOf(first: number, count: number): number {
  return (first + count - 1) % 0x8000_0000
}

export class ProducerState implements LogFold {
  /** Insertion order is order of last use: the first one is the longest idle. */
  readonly #producers = new Map<bigint, ProducerEntry>()
  readonly #expirationMs: () => number
  readonly #now: () => number
  /** Offsets below are part of the state; replay of an entry below is skipped. */
  #upTo = 0
  #log: { readonly endOffset: number } | undefined

  constructor(options: { expirationMs: () => number; now: () => number }) {
    this.#expirationMs = options.expirationMs
    this.#now = options.now
  }

  /** The log that this is a fold of: batches beyond its end (they wait for memory) stay out of snapshots. */
  bindTo(log: { readonly endOffset: number }): void {
    this.#log = log
  }

  get producerCount(): number {
    return this.#producers.size
  }

  /** Everything that is remembered, as operators ask for it. */
  describe(): ProducerView[] {
    return Array.from(this.#producers, ([producerId, { epoch, batches }]) => {
      const last = batches.at(-1)
      return {
        producerId,
        producerEpoch: epoch,
        lastSequence: last?.lastSequence ?? -1,
        lastTimestamp: last?.timestamp ?? -1n
      }
    })
  }

  /** Whether a batch of this producer may be appended now. */
  check(producerId: bigint, epoch: number, firstSequence: number, recordCount: number): SequenceCheck {
    const entry = this.#producers.get(producerId)
    if (entry === undefined) return NEXT
    if (epoch < entry.epoch) {
      return refuse(
        'INVALID_PRODUCER_EPOCH',
        `Epoch ${epoch} of producer ${producerId} is smaller than the last seen epoch ${entry.epoch}`
      )
    }
    if (epoch > entry.epoch) {
      return firstSequence === 0
        ? NEXT
        : refuse(
            'OUT_OF_ORDER_SEQUENCE_NUMBER',
            `Invalid sequence number for new epoch ${epoch} of producer ${producerId}: ${firstSequence} (incoming seq. number)`
          )
    }
    const lastSequence = lastSequenceOf(firstSequence, recordCount)
    for (const batch of entry.batches) {
      if (batch.firstSequence === firstSequence && batch.lastSequence === lastSequence) {
        return {
          kind: 'duplicate',
          baseOffset: batch.baseOffset,
          lastOffset: batch.lastOffset,
          timestamp: batch.timestamp
        }
      }
    }
    const previous = entry.batches.at(-1)
    if (previous === undefined || firstSequence === lastSequenceOf(previous.lastSequence, 2)) return NEXT
    return refuse(
      'OUT_OF_ORDER_SEQUENCE_NUMBER',
      `Out of order sequence number for producer ${producerId}: ${firstSequence} (incoming seq. number), ${previous.lastSequence} (current end sequence number)`
    )
  }

  /** Remembers a batch that was appended. */
  record(producerId: bigint, epoch: number, batch: RememberedBatch): void {
    let entry = this.#producers.get(producerId)
    if (entry === undefined) entry = { epoch, batches: [], lastUsedMs: 0 }
    else this.#producers.delete(producerId)
    if (entry.epoch !== epoch) {
      entry.epoch = epoch
      entry.batches.length = 0
    }
    if (entry.batches.length === BATCHES_KEPT) entry.batches.shift()
    entry.batches.push(batch)
    entry.lastUsedMs = this.#now()
    this.#producers.set(producerId, entry)
    if (this.#producers.size > PRODUCERS_MAX) this.#dropLongestIdle()
    this.#upTo = batch.lastOffset + 1
  }

  /** Offsets up to here are in the state although the batch had no producer. */
  advance(nextOffset: number): void {
    this.#upTo = nextOffset
  }

  /** Forgets batches at and after `offset`: they never reached the log. */
  forgetFrom(offset: number): void {
    for (const [id, entry] of this.#producers) {
      entry.batches = entry.batches.filter(batch => batch.lastOffset < offset)
      if (entry.batches.length === 0) this.#producers.delete(id)
    }
    this.#upTo = Math.min(this.#upTo, offset)
  }

  #dropLongestIdle(): void {
    const [oldest] = this.#producers.keys()
    if (oldest !== undefined) this.#producers.delete(oldest)
  }

  #dropExpired(): void {
    const horizon = this.#now() - this.#expirationMs()
    for (const [id, entry] of this.#producers) {
      if (entry.lastUsedMs >= horizon) return
      this.#producers.delete(id)
    }
  }

  /*
   * Snapshot: version u16 | producers u32 | upTo f64 | per producer: id i64, epoch i16, lastUsedMs f64, batches u8,
   * per batch: firstSequence i32, lastSequence i32, baseOffset f64, lastOffset f64, timestamp i64. Big endian.
   */
  snapshot(): Uint8Array | undefined {
    return this.snapshotUpTo(this.#log?.endOffset ?? Infinity)
  }

  /** The state as of `end`, as far as it is still remembered. */
  snapshotUpTo(end: number): Uint8Array | undefined {
    this.#dropExpired()
    if (this.#producers.size === 0) return undefined
    let batchCount = 0
    const kept = [...this.#producers].map(([id, entry]) => {
      const batches = entry.batches.filter(batch => batch.lastOffset < end)
      batchCount += batches.length
      return { id, entry, batches }
    })
    const bytes = new Uint8Array(HEADER_BYTES + this.#producers.size * PRODUCER_BYTES + batchCount * BATCH_BYTES)
    const view = new DataView(bytes.buffer)
    view.setUint16(0, SNAPSHOT_VERSION)
    view.setUint32(2, this.#producers.size)
    view.setFloat64(6, Math.min(this.#upTo, end))
    let at = HEADER_BYTES
    for (const { id, entry, batches } of kept) {
      view.setBigInt64(at, id)
      view.setInt16(at + 8, entry.epoch)
      view.setFloat64(at + 10, entry.lastUsedMs)
      view.setUint8(at + 18, batches.length)
      at += PRODUCER_BYTES
      for (const batch of batches) {
        view.setInt32(at, batch.firstSequence)
        view.setInt32(at + 4, batch.lastSequence)
        view.setFloat64(at + 8, batch.baseOffset)
        view.setFloat64(at + 16, batch.lastOffset)
        view.setBigInt64(at + 24, batch.timestamp)
        at += BATCH_BYTES
      }
    }
    return bytes
  }

  restore(snapshot: Uint8Array | undefined): void {
    this.#producers.clear()
    this.#upTo = 0
    if (snapshot === undefined) return
    const view = new DataView(snapshot.buffer, snapshot.byteOffset, snapshot.byteLength)
    if (view.getUint16(0) !== SNAPSHOT_VERSION)
      throw new Error(`unknown producer snapshot version ${view.getUint16(0)}`)
    const count = view.getUint32(2)
    this.#upTo = view.getFloat64(6)
    let at = HEADER_BYTES
    for (let i = 0; i < count; i++) {
      const id = view.getBigInt64(at)
      const entry: ProducerEntry = { epoch: view.getInt16(at + 8), batches: [], lastUsedMs: view.getFloat64(at + 10) }
      const batchCount = view.getUint8(at + 18)
      at += PRODUCER_BYTES
      for (let b = 0; b < batchCount; b++) {
        entry.batches.push({
          firstSequence: view.getInt32(at),
          lastSequence: view.getInt32(at + 4),
          baseOffset: view.getFloat64(at + 8),
          lastOffset: view.getFloat64(at + 16),
          timestamp: view.getBigInt64(at + 24)
        })
        at += BATCH_BYTES
      }
      this.#producers.set(id, entry)
    }
  }

  replay(entry: Uint8Array): void {
    const lastOffset = batchHeader.lastOffset(entry, 0)
    if (lastOffset < this.#upTo) return
    if (!batchHeader.hasProducerId(entry, 0) || batchHeader.isControl(entry, 0)) return this.advance(lastOffset + 1)
    this.record(batchHeader.producerId(entry, 0), batchHeader.producerEpoch(entry, 0), {
      firstSequence: batchHeader.baseSequence(entry, 0),
      lastSequence: batchHeader.lastSequence(entry, 0),
      baseOffset: batchHeader.baseOffset(entry, 0),
      lastOffset,
      timestamp: batchHeader.maxTimestamp(entry, 0)
    })
  }
}

const SNAPSHOT_VERSION = 1
const HEADER_BYTES = 14
const PRODUCER_BYTES = 19
const BATCH_BYTES = 32

function refuse(error: ErrorName, message: string): SequenceCheck {
  return { kind: 'refused', error, message }
}
