/** Brings a log's fold to the end of the log: the newest snapshot that is not beyond it, then every entry after that. */
import type { EntryFormat } from '../log-store.ts'
import type { SegmentScanner } from '../segments/segment-scan.ts'
import type { CheckedState } from '../state/checked-state.ts'
import { foldPrefix, offsetOfFoldKey } from './checkpoint.ts'
import type { SegmentIndexes } from './segment-indexes.ts'
import type { StoreLog } from './store-log.ts'

/** The log must be destaged. Entries below its start offset that still exist are replayed as well when no snapshot covers them. */
export async function rebuildFold(
  log: StoreLog,
  state: CheckedState,
  indexes: SegmentIndexes,
  scanner: SegmentScanner,
  format: EntryFormat
): Promise<void> {
  const { fold } = log
  if (fold === undefined) return
  const prefix = foldPrefix(log.number)
  const usable = state.keys(prefix).filter(key => offsetOfFoldKey(key) <= log.endOffset)
  log.foldStoredOffset = offsetOfFoldKey(usable[0]) ?? 0
  const newest = usable.at(-1)
  fold.restore(newest === undefined ? undefined : state.get(newest))
  let next = newest === undefined ? log.segments[0]!.baseOffset : offsetOfFoldKey(newest)
  while (next < log.endOffset) {
    const segment = log.segmentAt(next)
    await indexes.load(log, segment)
    const mark = segment.index.atOffset(next)!
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
    if (reached >= segment.byteCount) next = Math.max(next, segment.endOffset)
    else next = damagedUntil(log, next, segment.endOffset, `entries of ${segment.path} are not readable`)
  }
  log.foldReady = true
}

/** Where the fold goes on behind damage that is known or recorded now. */
function damagedUntil(log: StoreLog, offset: number, endOffset: number, reason: string): number {
  const known = log.damage.find(range => range.startOffset <= offset && offset < range.endOffset)
  if (known === undefined) log.addDamage(offset, endOffset, reason)
  return known?.endOffset ?? endOffset
}
