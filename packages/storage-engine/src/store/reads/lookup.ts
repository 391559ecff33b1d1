/**
 * Finding entries by timestamp: the sparse index says from which mark on an entry at or after a time can be, a walk over entry
 * headers finds it. Exact: no approximation by segment or mark.
 */
import type { EntryFormat, EntryLocation } from '../../log-store.ts'
import type { Segment } from '../../segments/segment.ts'
import type { StoreLog } from '../store-log.ts'
import type { DiskReader } from './disk-read.ts'
import type { SegmentIndexes } from './segment-indexes.ts'
import type { TailReader } from './tail-read.ts'

export class TimestampLookup {
  readonly #format: EntryFormat
  readonly #indexes: SegmentIndexes
  readonly #disk: DiskReader
  readonly #tail: TailReader

  constructor(format: EntryFormat, indexes: SegmentIndexes, disk: DiskReader, tail: TailReader) {
    this.#format = format
    this.#indexes = indexes
    this.#disk = disk
    this.#tail = tail
  }

  async findByTimestamp(
    log: StoreLog,
    timestamp: bigint,
    endBefore: number,
    first = 0
  ): Promise<EntryLocation | undefined> {
    endBefore = Math.min(endBefore, log.endOffset)
    const start = Math.max(first, log.startOffset)
    for (const segment of [...log.segments]) {
      if (segment.baseOffset >= endBefore) return undefined
      if (segment.maxTimestamp < timestamp || segment.endOffset <= start) continue
      await this.#indexes.load(log, segment)
      const mark = segment.index.atTimestamp(timestamp)!
      const from = Math.max(mark.offset, start)
      const end = Math.min(endBefore, segment.endOffset)
      const found = await this.#find(log, from, end, (bytes, at) =>
        this.#format.maxTimestampAt(bytes, at) >= timestamp ? this.#locationOf(bytes, at) : undefined
      )
      if (found !== undefined) return found
    }
    return undefined
  }

  async findMaxTimestamp(log: StoreLog, endBefore: number): Promise<EntryLocation | undefined> {
    endBefore = Math.min(endBefore, log.endOffset)
    let largest = -1n
    for (const segment of [...log.segments]) {
      if (segment.baseOffset >= endBefore) break
      const whole = segment.endOffset <= endBefore && segment.baseOffset >= log.startOffset
      const timestamp = whole ? segment.maxTimestamp : await this.#maxOf(log, segment, endBefore)
      if (timestamp > largest) largest = timestamp
    }
    if (largest < 0n) return undefined
    return (await this.findByTimestamp(log, largest, endBefore)) ?? this.#walkForMax(log, endBefore)
  }

  /** Largest timestamp of the entries of a segment that are above the start of the log and below `endBefore`. */
  async #maxOf(log: StoreLog, segment: Segment, endBefore: number): Promise<bigint> {
    await this.#indexes.load(log, segment)
    const end = Math.min(endBefore, segment.endOffset)
    const cutBelow = segment.baseOffset < log.startOffset
    const mark = segment.index.atOffset(cutBelow ? log.startOffset : end)!
    let largest = cutBelow ? -1n : mark.timestampBefore
    await this.#find(log, Math.max(mark.offset, log.startOffset), end, (bytes, at) => {
      const timestamp = this.#format.maxTimestampAt(bytes, at)
      if (timestamp > largest) largest = timestamp
      return undefined
    })
    return largest
  }

  /** Without any index: when what segments say about their largest timestamp is out of date (after a truncation). */
  async #walkForMax(log: StoreLog, endBefore: number): Promise<EntryLocation | undefined> {
    let best: EntryLocation | undefined
    await this.#find(log, log.startOffset, endBefore, (bytes, at) => {
      const timestamp = this.#format.maxTimestampAt(bytes, at)
      if (timestamp >= 0n && (best === undefined || timestamp > best.maxTimestamp)) best = this.#locationOf(bytes, at)
      return undefined
    })
    return best
  }

  /** The first entry in `[from, endBefore)` that `accepts`, on disk first, then in the tail. */
  async #find<T>(
    log: StoreLog,
    from: number,
    endBefore: number,
    accepts: (bytes: Uint8Array, at: number) => T | undefined
  ): Promise<T | undefined> {
    let offset = from
    while (offset < endBefore) {
      const inTail = this.#tail.find(log, offset, endBefore, accepts)
      if (inTail !== undefined) return inTail.found
      const end = Math.min(endBefore, log.destagedOffset)
      const found = await this.#disk.find(log, offset, end, accepts)
      if (found !== undefined) return found
      offset = end
    }
    return undefined
  }

  #locationOf(bytes: Uint8Array, at: number): EntryLocation {
    const baseOffset = this.#format.baseOffsetAt(bytes, at)
    const lastOffset = this.#format.lastOffsetAt(bytes, at)
    return { baseOffset, lastOffset, maxTimestamp: this.#format.maxTimestampAt(bytes, at) }
  }
}

/** Looks again when entries were cut off meanwhile. */
export async function lookAgain<T>(log: StoreLog, look: () => Promise<T>): Promise<T> {
  for (;;) {
    const { generation } = log
    try {
      const found = await look()
      if (log.generation === generation) return found
    } catch (error) {
      if (log.generation === generation) throw error
    }
  }
}
