/**
 * Cutting entries off a log, in the two halves between which the checkpoint is stored: first what memory knows, then, when
 * that is durable, the files. A crash in between leaves bytes and files behind that nothing refers to.
 */
import type { Disk } from '../../disk.ts'
import type { SegmentFiles } from '../../segments/segment-files.ts'
import { pageCeil } from '../../segments/segment-writer.ts'
import { baseOffsetOf, indexFileName, segmentFileName, type Segment } from '../../segments/segment.ts'
import type { StoreLog } from '../store-log.ts'

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
  segment.marks = segment.marks.filter(mark => mark.filePosition < filePosition)
  log.tail.truncate(end)
  log.endOffset = log.issuedOffset = log.flushedOffset = log.destagedOffset = offset
  log.endPosition = log.issuedPosition = log.flushedPosition = log.destagedPosition = end
  log.damage = log.damage.filter(range => range.startOffset < offset)
  log.becomeCut()
  return dropped
}

/** Makes the log empty, with `fresh` (which begins at the log's end position) as its only segment. */
export function restartLog(log: StoreLog, fresh: Segment): void {
  const { baseOffset: offset, startPosition: position } = fresh
  log.segments = [fresh]
  log.tail.clear()
  log.startOffset = log.endOffset = log.issuedOffset = log.flushedOffset = log.destagedOffset = offset
  log.endPosition = log.issuedPosition = log.flushedPosition = log.destagedPosition = position
  log.droppedSegments = []
  log.damage = []
  log.foldStoredOffset = 0
  log.becomeCut()
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

/** Removes segment files that do not belong to the log. For recovery, when all segments of the log are known again. */
export async function removeLeftovers(disk: Disk, log: StoreLog): Promise<void> {
  const known = new Set(log.segments.map(({ baseOffset }) => baseOffset))
  const names = await disk.list(log.directory)
  const bases = names.map(baseOffsetOf).filter(base => base !== undefined && !known.has(base)) as number[]
  for (const base of bases) {
    await disk.remove(`${log.directory}/${indexFileName(base)}`)
    await disk.remove(`${log.directory}/${segmentFileName(base)}`)
  }
  if (bases.length > 0) await disk.syncDirectory(log.directory)
}
