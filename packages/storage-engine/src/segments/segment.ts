/**
 * One segment of a log: a file of entries and nothing else, named after its first offset (`<20 digits>.log`). Only the last
 * segment of a log grows; a sealed one is exactly as long as its entries and never changes again.
 */
import { SegmentIndex } from './segment-index.ts'

/** Where an entry begins. */
export interface SegmentMark {
  readonly offset: number
  readonly filePosition: number
}

/** Bytes between the marks of a checkpoint at least, and how many there are at most. */
const markBytesMin = 1 << 20
const markCountMax = 48

export class Segment {
  /** Folder of the log. */
  readonly directory: string
  readonly baseOffset: number
  /** Log position of the file's first byte. */
  readonly startPosition: number
  /** Bytes of entries, in memory or on disk. */
  byteCount = 0
  /** Offset after the last entry. */
  endOffset: number
  /** No more entries come. */
  sealed = false
  /** The file has its exact length, durably, and the index is written. */
  finished = false
  /** A checkpoint names it. */
  recorded = false
  /** Largest timestamp of all entries; -1 for none. */
  maxTimestamp = -1n
  /** The same over the entries that are flushed: what a checkpoint may promise. */
  flushedTimestamp = -1n
  /** Wall clock, ms, of the first append. */
  createdMs: number
  /** Length of the file as reserved; -1: not known yet, 0: no file. */
  allocatedBytes = 0
  readonly index: SegmentIndex
  /** From the checkpoint: some entries of the part that the index does not cover, ascending. */
  marks: readonly SegmentMark[] = []

  constructor(directory: string, baseOffset: number, startPosition: number, createdMs: number) {
    this.directory = directory
    this.baseOffset = baseOffset
    this.endOffset = baseOffset
    this.startPosition = startPosition
    this.createdMs = createdMs
    this.index = new SegmentIndex(baseOffset, 0)
  }

  /** Log position after the last byte. */
  get endPosition(): number {
    return this.startPosition + this.byteCount
  }

  /** A few entries below `filePosition`, evenly spread: what a checkpoint keeps of the index while there is no file of it. */
  sampleMarks(filePosition: number): SegmentMark[] {
    const step = Math.max(markBytesMin, Math.ceil(filePosition / markCountMax))
    const samples: SegmentMark[] = []
    for (let position = step; position < filePosition; position += step) {
      const mark = this.index.atPosition(position) ?? this.#markAtOrBelow(other => other.filePosition <= position)
      if (mark.filePosition > (samples.at(-1)?.filePosition ?? 0))
        samples.push({ offset: mark.offset, filePosition: mark.filePosition })
    }
    return samples
  }

  /**
   * The nearest entry at or before `offset` that is known without reading the segment's index; undefined when it may be more
   * than `distanceMax` bytes before it.
   */
  markFor(offset: number, distanceMax: number): SegmentMark | undefined {
    const known = this.index.atOffset(offset)
    if (known !== undefined) return known
    const mark = this.#markAtOrBelow(other => other.offset <= offset)
    if (mark.offset === offset) return mark
    const next = this.marks.find(other => other.offset > offset)?.filePosition ?? this.index.coveredFrom
    return next - mark.filePosition <= distanceMax ? mark : undefined
  }

  #markAtOrBelow(isAtOrBelow: (mark: SegmentMark) => boolean): SegmentMark {
    return this.marks.findLast(isAtOrBelow) ?? { offset: this.baseOffset, filePosition: 0 }
  }

  get path(): string {
    return `${this.directory}/${segmentFileName(this.baseOffset)}`
  }

  get indexPath(): string {
    return `${this.directory}/${indexFileName(this.baseOffset)}`
  }
}

/** Name of a segment's file; sorts by base offset. */
export function segmentFileName(baseOffset: number): string {
  return `${String(baseOffset).padStart(20, '0')}.log`
}

/** Name of the file of a segment's index. */
export function indexFileName(baseOffset: number): string {
  return `${String(baseOffset).padStart(20, '0')}.index`
}

/** Base offset from a segment's file name; undefined for any other file. */
export function baseOffsetOf(fileName: string): number | undefined {
  const match = /^(\d{20})\.log$/.exec(fileName)
  return match === null ? undefined : Number(match[1])
}
