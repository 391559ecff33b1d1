/**
 * The sparse index of one segment: for about every `indexIntervalBytes` one mark {offset, file position, largest timestamp of
 * all entries before the mark}. It answers "where may the entry with this offset, or the first one at or after this time,
 * begin?" with a place from which a short scan finds it. Derived data: whatever is missing is rebuilt from the segment.
 *
 * Invariant: marks grow strictly in offset and position, and never fall in timestamp. They cover the file from `coveredFrom`
 * on; below it nothing is known until `prepend` (an index loaded from its file or rebuilt by a scan).
 *
 * ```
 *   file  <base>.index   0 magic u32 | 4 crc u32 of [8, end) | 8 baseOffset u64 | 16 segmentBytes u64 | 24 markCount u32
 *                       28 reserved u32 | 32 marks: offsetDelta u32, filePosition u32, timestampBefore i64 (16 B each)
 * ```
 */
import { crc32c, readUint64, viewOf, writeUint64 } from '../bytes.ts'

const magic = 0x31494c4d
const headerBytes = 32
const markBytes = 16

/** Where a scan begins. */
export interface IndexMark {
  readonly offset: number
  readonly filePosition: number
  readonly timestampBefore: bigint
}

export class SegmentIndex {
  readonly baseOffset: number
  /** File position from which marks are complete. */
  coveredFrom: number
  #count = 0
  #offsets = new Uint32Array(0)
  #positions = new Uint32Array(0)
  #timestamps = new BigInt64Array(0)

  constructor(baseOffset: number, coveredFrom: number) {
    this.baseOffset = baseOffset
    this.coveredFrom = coveredFrom
  }

  get byteCount(): number {
    return this.#offsets.length * markBytes
  }

  get lastPosition(): number {
    return this.#count === 0 ? -1 : this.#positions[this.#count - 1]!
  }

  /** Adds a mark for the entry with base offset `offset` at `filePosition`; entries come in order. */
  add(offset: number, filePosition: number, timestampBefore: bigint): void {
    if (this.#count === this.#offsets.length) this.#grow(Math.max(4, this.#count * 2))
    this.#offsets[this.#count] = offset - this.baseOffset
    this.#positions[this.#count] = filePosition
    this.#timestamps[this.#count++] = timestampBefore
  }

  /** The last mark at or below `offset`; undefined when that is below `coveredFrom`. */
  atOffset(offset: number): IndexMark | undefined {
    const delta = offset - this.baseOffset
    return this.#before(index => this.#offsets[index]! <= delta)
  }

  /** The last mark at or below a file position. */
  atPosition(filePosition: number): IndexMark | undefined {
    return this.#before(index => this.#positions[index]! <= filePosition)
  }

  /** The last mark such that every entry before it is older than `timestamp`. */
  atTimestamp(timestamp: bigint): IndexMark | undefined {
    return this.#before(index => this.#timestamps[index]! < timestamp)
  }

  /** The first mark behind a file position; undefined when there is none. */
  markAfter(filePosition: number): IndexMark | undefined {
    for (let index = 0; index < this.#count; index++)
      if (this.#positions[index]! > filePosition) return this.#markAt(index)
    return undefined
  }

  /** Forgets marks at and after a file position. */
  truncate(filePosition: number): void {
    while (this.#count > 0 && this.#positions[this.#count - 1]! >= filePosition) this.#count--
    this.coveredFrom = Math.min(this.coveredFrom, filePosition)
  }

  /** Puts the marks of `older`, which covers the segment up to `coveredFrom`, before the own ones. */
  prepend(older: SegmentIndex): void {
    const own = { count: this.#count, offsets: this.#offsets, positions: this.#positions, timestamps: this.#timestamps }
    this.#count = older.#count
    this.#offsets = older.#offsets
    this.#positions = older.#positions
    this.#timestamps = older.#timestamps
    while (this.#count > 0 && this.#positions[this.#count - 1]! >= this.coveredFrom) this.#count--
    for (let index = 0; index < own.count; index++)
      this.add(this.baseOffset + own.offsets[index]!, own.positions[index]!, own.timestamps[index]!)
    this.coveredFrom = 0
  }

  /** Gives the memory back: nothing is covered any more. */
  unload(segmentBytes: number): void {
    this.coveredFrom = segmentBytes
    this.#count = 0
    this.#offsets = this.#positions = new Uint32Array(0)
    this.#timestamps = new BigInt64Array(0)
  }

  /** The file's bytes, for a sealed segment of `segmentBytes`. */
  encode(segmentBytes: number): Uint8Array {
    const bytes = new Uint8Array(headerBytes + this.#count * markBytes)
    const view = viewOf(bytes)
    view.setUint32(0, magic, true)
    writeUint64(view, 8, this.baseOffset)
    writeUint64(view, 16, segmentBytes)
    view.setUint32(24, this.#count, true)
    for (let index = 0, at = headerBytes; index < this.#count; index++, at += markBytes) {
      view.setUint32(at, this.#offsets[index]!, true)
      view.setUint32(at + 4, this.#positions[index]!, true)
      view.setBigInt64(at + 8, this.#timestamps[index]!, true)
    }
    view.setUint32(4, crc32c(bytes.subarray(8)), true)
    return bytes
  }

  /** The index in a file (which may be padded with zeros); undefined when it is not the intact index of that segment. */
  static decode(bytes: Uint8Array, baseOffset: number, segmentBytes: number): SegmentIndex | undefined {
    if (bytes.length < headerBytes) return undefined
    const view = viewOf(bytes)
    const count = view.getUint32(24, true)
    const end = headerBytes + count * markBytes
    if (view.getUint32(0, true) !== magic || end > bytes.length) return undefined
    if (crc32c(bytes.subarray(8, end)) !== view.getUint32(4, true)) return undefined
    if (readUint64(view, 8) !== baseOffset || readUint64(view, 16) !== segmentBytes) return undefined
    const index = new SegmentIndex(baseOffset, 0)
    index.#grow(count)
    for (let mark = 0, at = headerBytes; mark < count; mark++, at += markBytes)
      index.add(baseOffset + view.getUint32(at, true), view.getUint32(at + 4, true), view.getBigInt64(at + 8, true))
    return index
  }

  #before(isBefore: (index: number) => boolean): IndexMark | undefined {
    let low = 0
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isBefore(middle)) low = middle + 1
      else high = middle
    }
    if (low > 0) return this.#markAt(low - 1)
    return this.coveredFrom === 0 ? { offset: this.baseOffset, filePosition: 0, timestampBefore: -1n } : undefined
  }

  #markAt(index: number): IndexMark {
    return {
      offset: this.baseOffset + this.#offsets[index]!,
      filePosition: this.#positions[index]!,
      timestampBefore: this.#timestamps[index]!
    }
  }

  #grow(capacity: number): void {
    const offsets = new Uint32Array(capacity)
    const positions = new Uint32Array(capacity)
    const timestamps = new BigInt64Array(capacity)
    offsets.set(this.#offsets.subarray(0, this.#count))
    positions.set(this.#positions.subarray(0, this.#count))
    timestamps.set(this.#timestamps.subarray(0, this.#count))
    this.#offsets = offsets
    this.#positions = positions
    this.#timestamps = timestamps
  }
}
