/**
 * Cutting the end off a log, in the two halves between which the checkpoint is stored: first what memory knows, then, when
 * that is durable, the files. A crash in between leaves bytes behind the end that nothing refers to.
 */
import type { SegmentFiles } from '../segments/segment-files.ts'
import { pageCeil } from '../segments/segment-writer.ts'
import type { Segment } from '../segments/segment.ts'
import type { StoreLog } from './store-log.ts'

/**
 * Makes the log end at `filePosition` of `segment`, where the entry with `offset` began. Everything was destaged. Returns the
 * segments that are no longer part of the log; `droppedSegments` tells the next checkpoint about them.
 */
export function cutLog(log: StoreLog, segment: Segment, filePosition: number, offset: number): Segment[] {
  const dropped = log.segments.splice(log.segments.indexOf(segment) + 1)
  for (const { recorded, baseOffset } of [segment, ...dropped]) if (recorded) log.droppedSegments.push(baseOffset)
  const end = segment.startPosition + filePosition
  segment.sealed = segment.finished = segment.recorded = false
  segment.byteCount = filePosition
  segment.endOffset = offset
  segment.index.truncate(filePosition)
  log.tail.truncate(end)
  log.endOffset = log.issuedOffset = log.flushedOffset = log.destagedOffset = offset
  log.endPosition = log.issuedPosition = log.flushedPosition = log.destagedPosition = end
  log.hint.offset = log.hint.position = -1
  log.damage = log.damage.filter(range => range.startOffset < offset)
  return dropped
}

/** Shortens the file of the segment that a log now ends with to the page of its end. */
export async function shortenFile(files: SegmentFiles, segment: Segment): Promise<void> {
  await files.use(segment, 'create', async file => {
    const length = Math.min(await file.size(), pageCeil(segment.byteCount))
    await file.truncate(length)
    await file.sync()
    segment.allocatedBytes = length
  })
}
