/**
 * One segment of a log: a file of entries and nothing else, named after its first offset (`<20 digits>.log`). Only the last
 * segment of a log grows; a sealed one is exactly as long as its entries and never changes again.
 */
import { SegmentIndex } from './segment-index.ts'

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

  get path(): string {
    return `${this.directory}/${segmentFileName(this.baseOffset)}`
  }

  get indexPath(): string {
    return `${this.directory}/${indexFileName(this.baseOffset)}`
  }
}

export function segmentFileName(baseOffset: number): string {
  return `${String(baseOffset).padStart(20, '0')}.log`
}

export function indexFileName(baseOffset: number): string {
  return `${String(baseOffset).padStart(20, '0')}.index`
}

/** Base offset from a segment's file name; undefined for any other file. */
export function baseOffsetOf(fileName: string): number | undefined {
  const match = /^(\d{20})\.log$/.exec(fileName)
  return match === null ? undefined : Number(match[1])
}
