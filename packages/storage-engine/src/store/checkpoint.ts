/**
 * What the engine keeps about its logs in the state store, and how it is written. All values are JSON (checksums are added
 * below), because they are read by people when something is wrong.
 *
 * ```
 *   store                       { identity, nextLogNumber, replayFrom, complete, journal geometry }
 *   log/<number>                one LogCheckpoint
 *   segment/<number>/<base>     one SegmentCheckpoint per finished segment
 *   arriving/<name>             files in the folder of this name are not a log yet (`adoptLog`)
 *   fold/<number>/<offset>      a snapshot of the log's fold that stands for all entries below <offset> (the newest two)
 * ```
 */
import type { LogOptions, OfferedSegment } from '../log-store.ts'
import { Segment } from '../segments/segment.ts'
import type { StoreLog } from './store-log.ts'

export interface StoreCheckpoint {
  readonly nextLogNumber: number
  /** Journal frames below this sequence are not needed. */
  readonly replayFrom: number
  /** The last commit known complete when this was written. */
  readonly complete: number
}

/** A log as far as it is destaged. Everything newer is in the journal, in frames above `sequence`. */
export interface LogCheckpoint {
  readonly name: string
  readonly options: LogOptions
  readonly startOffset: number
  readonly sequence: number
  /** The segment that was being written. */
  readonly active: SegmentCheckpoint
  /** Where the fold had nothing to keep, so that it begins empty there: the newest two offsets, ascending. */
  readonly emptyFolds?: readonly number[]
  /** Files that are no longer part of the log may still be there. */
  readonly leftovers?: true
}

/** Keys of the state store and what they become; undefined removes. */
export type StateChanges = Map<string, Uint8Array | undefined>

/** A finished segment, or the active one as far as it is destaged. */
export type SegmentCheckpoint = OfferedSegment

/** Key of the `StoreCheckpoint`. */
export const storeKey = 'store'

/** Key of a log's `LogCheckpoint`. */
export function logKey(number: number): string {
  return `log/${number}`
}

/** What the keys of the sealed segments of a log begin with. */
export function segmentPrefix(number: number): string {
  return `segment/${number}/`
}

/** Key of a sealed segment; sorts by base offset. */
export function segmentKey(number: number, baseOffset: number): string {
  return segmentPrefix(number) + padded(baseOffset)
}

/** What the keys of logs that are being taken over begin with. */
export const arrivingPrefix = 'arriving/'

/** What the keys of the snapshots of the fold of a log begin with. */
export function foldPrefix(number: number): string {
  return `fold/${number}/`
}

/** Key of a snapshot of a fold; sorts by offset. */
export function foldKey(number: number, offset: number): string {
  return foldPrefix(number) + padded(offset)
}

/** The offset in a key that `foldKey` made. */
export function offsetOfFoldKey(key: string): number
export function offsetOfFoldKey(key: string | undefined): number | undefined
export function offsetOfFoldKey(key: string | undefined): number | undefined {
  return key === undefined ? undefined : Number(key.slice(key.lastIndexOf('/') + 1))
}

function padded(offset: number): string {
  return String(offset).padStart(20, '0')
}

/** The stored form of a value. */
export function encodeJson(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}

/** The value of a stored form. */
export function decodeJson<T>(bytes: Uint8Array): T {
  return JSON.parse(new TextDecoder().decode(bytes)) as T
}

/** The segment as far as it goes up to log position `position`, where offset `endOffset` begins; both flushed. */
export function describeSegment(segment: Segment, position: number, endOffset: number): SegmentCheckpoint {
  const byteCount = Math.min(segment.byteCount, position - segment.startPosition)
  const maxTimestamp = String(byteCount === 0 ? -1n : segment.flushedTimestamp)
  const description = {
    baseOffset: segment.baseOffset,
    byteCount,
    endOffset,
    createdMs: segment.createdMs,
    maxTimestamp
  }
  if (segment.finished && segment.index.coveredFrom === 0) return description
  const marks = segment.sampleMarks(byteCount).map(({ offset, filePosition }) => [offset, filePosition] as const)
  return marks.length === 0 ? description : { ...description, marks }
}

/** How far a checkpoint tells of a log. */
export interface LogExtent {
  /** The segment in which the log ends. */
  readonly active: Segment
  /** Log position of its end. */
  readonly position: number
  /** Offset of the next entry, which begins there. */
  readonly endOffset: number
  /** Offset of the log's first entry. */
  readonly startOffset: number
  /** Commits up to this one have nothing to add. */
  readonly sequence: number
}

/** Makes `log.checkpoint` say that the log extends so far, and puts it into `changes`. */
export function describeLog(
  log: StoreLog,
  { active, position, endOffset, startOffset, sequence }: LogExtent,
  changes: StateChanges
): void {
  const { name, options } = log
  log.checkpoint = {
    name,
    options: { ...options },
    startOffset,
    sequence,
    active: describeSegment(active, position, endOffset),
    ...(log.emptyFolds.length > 0 && { emptyFolds: log.emptyFolds }),
    ...(log.removalsUnderWay > 0 && { leftovers: true })
  }
  changes.set(logKey(log.number), encodeJson(log.checkpoint))
}

/** The segment that a checkpoint describes. Its index is not loaded. */
export function restoreSegment(
  directory: string,
  checkpoint: SegmentCheckpoint,
  startPosition: number,
  finished: boolean
): Segment {
  const segment = new Segment(directory, checkpoint.baseOffset, startPosition, checkpoint.createdMs)
  segment.byteCount = checkpoint.byteCount
  segment.endOffset = checkpoint.endOffset
  segment.maxTimestamp = segment.flushedTimestamp = BigInt(checkpoint.maxTimestamp)
  segment.sealed = segment.finished = segment.recorded = finished
  segment.allocatedBytes = checkpoint.byteCount === 0 ? 0 : -1
  segment.index.coveredFrom = checkpoint.byteCount
  segment.marks = (checkpoint.marks ?? []).map(([offset, filePosition]) => ({ offset, filePosition }))
  return segment
}

/** What the journal says about a log before its first record in a file. */
export function logDescription(name: string, options: LogOptions): Uint8Array {
  return encodeJson({ name, options })
}

export function parseLogDescription(bytes: Uint8Array): { name: string; options: LogOptions } {
  return decodeJson(bytes)
}
