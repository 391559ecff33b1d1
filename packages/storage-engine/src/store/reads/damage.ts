/**
 * How far damage reaches that was met at a place of a segment: over the entry when its header can be believed, otherwise up to
 * the next entry that the index knows. Whoever meets damage records it here, so that reads and verification agree on it.
 */
import type { Segment } from '../../segments/segment.ts'
import type { StoreLog } from '../store-log.ts'

/** An entry begins here and is not what was written. */
export interface DamagedPlace {
  readonly offset: number
  readonly filePosition: number
  /** Length and last offset of the entry, when its header can be believed. */
  readonly entry: { readonly length: number; readonly lastOffset: number } | undefined
}

/** Where the next entry begins that may be intact. */
export interface PlaceBehind {
  readonly offset: number
  readonly filePosition: number
}

/**
 * Records it; the segment's index is loaded. `end`: where what may be damaged ends at the latest (the log's end, or what was
 * read). Answers where to look for the next entry.
 */
export function recordDamage(
  log: StoreLog,
  segment: Segment,
  { offset, filePosition, entry }: DamagedPlace,
  end: PlaceBehind,
  why: string
): PlaceBehind {
  const mark = segment.index.markAfter(filePosition)
  const limit = mark !== undefined && mark.offset < end.offset ? mark : end
  const behind =
    entry !== undefined && entry.lastOffset < limit.offset
      ? { offset: entry.lastOffset + 1, filePosition: filePosition + entry.length }
      : limit
  log.addDamage(offset, Math.max(behind.offset, offset + 1), why)
  return { offset: Math.max(behind.offset, offset + 1), filePosition: behind.filePosition }
}

/** What is said of an entry whose bytes are wrong. */
export function wrongBytes(segment: Segment, filePosition: number): string {
  return `bytes at position ${filePosition} of ${segment.path} are not the entry that was written`
}
