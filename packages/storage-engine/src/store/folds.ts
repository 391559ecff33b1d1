/** Brings a log's fold to the end of the log: the newest snapshot that is not beyond it, then every entry after that. */
import type { EntryFormat } from '../log-store.ts'
import type { SegmentScanner } from '../segments/segment-scan.ts'
import type { Segment, SegmentMark } from '../segments/segment.ts'
import type { CheckedState } from '../state/checked-state.ts'
import { foldPrefix, offsetOfFoldKey } from './checkpoint.ts'
import type { SegmentIndexes } from './reads/segment-indexes.ts'
import type { StoreLog } from './store-log.ts'

/**
 * The log must be destaged. Entries below its start offset that still exist are replayed as well when no snapshot covers them.
 * Resolves to the bytes that had to be read for that.
 */
export async function rebuildFold(
  log: StoreLog,
  state: CheckedState,
  indexes: SegmentIndexes,
  scanner: SegmentScanner,
  format: EntryFormat
): Promise<number> {
  const { fold } = log
  if (fold === undefined) return 0
  const prefix = foldPrefix(log.number)
  const usable = state.keys(prefix).filter(key => offsetOfFoldKey(key) <= log.endOffset)
  const empty = log.emptyFolds.filter(offset => offset <= log.endOffset)
  log.foldStoredOffset = Math.min(offsetOfFoldKey(usable[0]) ?? Infinity, empty[0] ?? Infinity)
  if (log.foldStoredOffset === Infinity) log.foldStoredOffset = 0
  const newest = usable.at(-1)
  const newestEmpty = empty.at(-1) ?? -1
  const useKey = newest !== undefined && offsetOfFoldKey(newest) > newestEmpty
  fold.restore(useKey ? state.get(newest) : undefined)
  let bytesRead = 0
  const emptyFrom = newestEmpty >= 0 ? newestEmpty : log.segments[0]!.baseOffset
  let next = useKey ? offsetOfFoldKey(newest) : emptyFrom
  while (next < log.endOffset) {
    const segment = log.segmentAt(next)
    const mark = await markBefore(log, segment, next, indexes)
    const due = next
    const reached = await scanner.scan(
      segment,
      mark.filePosition,
      segment.byteCount,
      mark.offset,
      (bytes, at, length) => {
        const lastOffset = format.lastOffsetAt(bytes, at)
        if (lastOffset < due) return true
        if (!format.isIntact(bytes, at, length)) return false
        fold.replay(bytes.subarray(at, at + length))
        next = lastOffset + 1
        return true
      }
    )
    bytesRead += reached - mark.filePosition
    if (reached >= segment.byteCount) next = Math.max(next, segment.endOffset)
    else next = damagedUntil(log, next, segment.endOffset, `entries of ${segment.path} are not readable`)
    // A commit that was lost may have begun a segment: then the next one does not begin where this one ends.
    if (next === due) next = damagedUntil(log, due, baseBehind(log, segment), `nothing follows in ${segment.path}`)
  }
  log.foldReady = true
  return bytesRead
}

/** The nearest entry known at or before `offset`: from the index file, or without one from the checkpoint's marks. */
async function markBefore(
  log: StoreLog,
  segment: Segment,
  offset: number,
  indexes: SegmentIndexes
): Promise<SegmentMark> {
  const hasFile = segment.finished && segment.marks.length === 0
  const mark = hasFile ? segment.index.atOffset(offset) : segment.markFor(offset, Infinity)
  if (mark !== undefined) return mark
  await indexes.load(log, segment)
  return segment.index.atOffset(offset)!
}

/** Where the segment behind `segment` begins, or the end of the log. */
function baseBehind(log: StoreLog, segment: Segment): number {
  return log.segments[log.segments.indexOf(segment) + 1]?.baseOffset ?? log.endOffset
}

/** Where the fold goes on behind damage that is known or recorded now. */
function damagedUntil(log: StoreLog, offset: number, endOffset: number, reason: string): number {
  const known = log.damage.find(range => range.startOffset <= offset && offset < range.endOffset)
  if (known === undefined) log.addDamage(offset, endOffset, reason)
  return known?.endOffset ?? endOffset
}
