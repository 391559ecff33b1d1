/** How far a read may go: never past the end of its log, nor into a range that is known to be damaged. */
import { StoreError } from '../../errors.ts'
import type { StoreLog } from '../store-log.ts'

/**
 * The offset before which a read from `offset` ends, at most `endBefore`. Throws `OUT_OF_RANGE` outside of the log, `CORRUPT`
 * when `offset` itself is damaged.
 */
export function readableEnd(log: StoreLog, offset: number, endBefore: number): number {
  if (offset < log.startOffset || offset > log.endOffset)
    throw new StoreError('OUT_OF_RANGE', `offset ${offset}, the log has ${log.startOffset} to ${log.endOffset}`, {
      log: log.name
    })
  let end = Math.min(endBefore, log.endOffset)
  for (const range of log.damage) {
    if (offset >= range.startOffset && offset < range.endOffset)
      throw new StoreError('CORRUPT', `offsets ${range.startOffset} to ${range.endOffset - 1}: ${range.reason}`, {
        log: log.name
      })
    if (range.startOffset > offset && range.startOffset < end) end = range.startOffset
  }
  return end
}
