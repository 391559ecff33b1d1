/**
 * Recovery: from the checkpoints and the journal to logs that stand exactly where they stood when the last acknowledged commit
 * completed (or later: a commit that was complete but not yet acknowledged survives as well).
 *
 * Each frame above a log's checkpoint is applied in order: inline entries go back into the tail, direct ranges are verified
 * where they are. At the end everything is destaged and checkpointed, so the journal starts empty and a
 * torn last commit is never looked at again. Nothing that recovery writes changes what a second recovery would find: a crash
 * at any point leads to the same result.
 *
 * Damage inside (a complete commit that cannot be read) is never repaired by forgetting: the offsets concerned are recorded
 * as damaged, the log goes on behind them.
 */
import { assert } from '../../assert.ts'
import { crc32c } from '../../bytes.ts'
import { RecordKind, payloadIsIntact, type FrameRecord } from '../../journal/frame.ts'
import type { FoundFrame, JournalEnd, JournalReader } from '../../journal/journal-reader.ts'
import type { EntryFormat } from '../../log-store.ts'
import { pageBytes } from '../../memory/arena.ts'
import type { SegmentFiles } from '../../segments/segment-files.ts'
import type { SegmentScanner } from '../../segments/segment-scan.ts'
import { pageCeil } from '../../segments/segment-writer.ts'
import { Segment } from '../../segments/segment.ts'
import { cutLog } from '../removal/cut.ts'
import type { StoreLog } from '../store-log.ts'

export interface RecoveryHost {
  /** No checkpoints: logs stand where their segments end, and the journal, which may begin earlier, is the judge. */
  readonly stateLost: boolean
  readonly format: EntryFormat
  readonly scanner: SegmentScanner
  readonly files: SegmentFiles
  /** The log that the journal calls by this number. */
  logNumbered(number: number): StoreLog | undefined
  /** Commits up to this one have nothing to add to the log. */
  sequenceKnown(log: StoreLog): number
  /** Everything before this frame has been applied; it may be destaged with a checkpoint that says so. */
  becomeApplied(sequence: number): void
  notePending(log: StoreLog, sequence: number): void
  /** Destages what was applied so far, to have memory for more. */
  destage(logs?: readonly StoreLog[]): Promise<void>
  allPending(): readonly StoreLog[]
  /** Damage that cannot be attributed to a log. */
  addStoreDamage(reason: string): void
}

export class Recovery {
  readonly #host: RecoveryHost
  /** Logs whose last commit was torn: what follows in the same frame does not count. */
  readonly #torn = new Set<StoreLog>()
  /** Frames applied, for the report. */
  frameCount = 0
  entryCount = 0

  constructor(host: RecoveryHost) {
    this.#host = host
  }

  /** Replays the journal. Afterwards every log stands at its end; folds are not yet restored. */
  async replay(reader: JournalReader, replayFrom: number, complete: number): Promise<JournalEnd> {
    const end = await reader.replay(replayFrom, complete, found => this.#applyFrame(found))
    if (end.lost !== undefined)
      this.#host.addStoreDamage(`journal commits ${end.lost.from} to ${end.lost.to} were complete and cannot be read`)
    await this.#host.destage()
    for (const log of this.#torn) await this.#wipeBehind(log)
    return end
  }

  async #applyFrame(found: FoundFrame): Promise<void> {
    const { frame, bytes, at, proven, lostFrom } = found
    if (lostFrom > 0) this.#host.addStoreDamage(`journal commits ${lostFrom} to ${frame.sequence - 1} cannot be read`)
    this.#host.becomeApplied(frame.sequence - 1)
    const intact = payloadIsIntact(frame, bytes, at)
    this.frameCount++
    for (const record of frame.records) {
      if (record.kind === RecordKind.name || record.kind === RecordKind.anew) continue
      const log = this.#host.logNumbered(record.logNumber)
      if (log === undefined || this.#torn.has(log) || frame.sequence <= this.#host.sequenceKnown(log)) continue
      if (record.kind === RecordKind.previous) {
        if (record.nextOffset > log.endOffset) this.#noteMissing(log, record.nextOffset)
        continue
      }
      if (!proven && !intact && record.kind === RecordKind.inline) {
        this.#torn.add(log)
        continue
      }
      await this.#applyRecord(log, record, found, intact)
      this.#settle(log)
      this.#host.notePending(log, frame.sequence)
    }
    // An unproven one is the last. Until everything is in the segments a checkpoint must not call it complete: if recovery ends
    // early, for want of space, the next one would take its torn bytes for damage.
    if (proven) this.#host.becomeApplied(frame.sequence)
  }

  /**
   * Destaging in the middle of a frame makes checkpoints that contain a part of it, so a recovery that was cut short may have
   * applied the record already, or (inline) the first of its entries.
   */
  async #applyRecord(log: StoreLog, record: FrameRecord, found: FoundFrame, intact: boolean): Promise<void> {
    if (this.#host.stateLost) {
      if (!(await this.#goBack(log, record))) return
    } else if (record.firstOffset < log.endOffset) {
      if (record.nextOffset > log.endOffset) await this.#applyInline(log, record, found, intact)
      return
    }
    await this.#moveTo(log, record)
    if (record.kind === RecordKind.inline) await this.#applyInline(log, record, found, intact)
    else await this.#applyExtent(log, record, found.proven)
  }

  /**
   * Without checkpoints replay begins with frames of long ago, so it meets records of bytes that are in the segments already,
   * and records whose bytes were cut off since. The journal is followed: the log goes back to where the record begins. What
   * was written over it since comes later in the journal. False: the record speaks of a segment that is gone.
   */
  async #goBack(log: StoreLog, record: FrameRecord): Promise<boolean> {
    const { segmentBase, filePosition, firstOffset } = record
    const segment = log.segments.find(({ baseOffset }) => baseOffset === segmentBase)
    if (segment === undefined) return await this.#makeWay(log, record)
    const position = Math.min(filePosition, segment.byteCount)
    const offset = position === filePosition ? firstOffset : Math.min(firstOffset, segment.endOffset)
    if (segment !== log.active || position < segment.byteCount || offset < log.endOffset)
      this.#cut(log, segment, position, offset)
    return true
  }

  /**
   * For a record of a segment that has no file. Either that was still to be written, then its first record is in the journal
   * and the segment begins again; or it was removed, then the rest of its records says nothing about the log any more.
   */
  async #makeWay(log: StoreLog, { segmentBase, filePosition, firstOffset }: FrameRecord): Promise<boolean> {
    if (filePosition > 0) return segmentBase >= log.endOffset
    if (firstOffset >= log.endOffset) return true
    if (firstOffset <= log.segments[0]!.baseOffset) return false
    // The log was cut here before this segment was begun, and everything before a cut is in the files.
    const segment = log.segmentAt(firstOffset)
    const end = await this.#host.scanner.findEnd(segment, firstOffset)
    this.#cut(log, segment, end.filePosition, end.offset)
    return true
  }

  #cut(log: StoreLog, segment: Segment, filePosition: number, offset: number): void {
    cutLog(log, segment, filePosition, offset)
    segment.allocatedBytes = -1
  }

  /** Brings the end of the log to where the record begins: rolls, or leaves a hole where commits were lost. */
  async #moveTo(log: StoreLog, record: FrameRecord): Promise<void> {
    const gap = record.firstOffset > log.endOffset
    if (gap) {
      this.#noteMissing(log, record.firstOffset)
      await this.#host.destage([log])
    }
    if (record.segmentBase !== log.active.baseOffset) {
      log.roll()
      if (gap)
        log.segments[log.segments.length - 1] = new Segment(log.directory, record.segmentBase, log.endPosition, 0)
    }
    if (gap || record.filePosition > log.active.byteCount) this.#leaveHole(log, record.filePosition, record.firstOffset)
    assert(log.active.byteCount === record.filePosition, 'commits of a segment follow each other')
  }

  #noteMissing(log: StoreLog, nextOffset: number): void {
    log.addDamage(log.endOffset, nextOffset, 'the commit that held these entries cannot be read from the journal')
  }

  /** The active segment goes on at `filePosition` with `nextOffset`; what was there is damaged. The log is destaged. */
  #leaveHole(log: StoreLog, filePosition: number, nextOffset: number): void {
    const segment = log.active
    segment.allocatedBytes = -1
    log.tail.clear()
    segment.byteCount = filePosition
    segment.endOffset = nextOffset
    log.endOffset = nextOffset
    log.endPosition = segment.endPosition
    segment.index.add(nextOffset, filePosition, segment.maxTimestamp)
    this.#settle(log)
    log.becomeDestaged(log.endPosition, nextOffset)
  }

  async #applyInline(log: StoreLog, record: FrameRecord, { bytes, at }: FoundFrame, intact: boolean): Promise<void> {
    const { format } = this.#host
    assert(record.kind === RecordKind.inline, 'a range in a segment is applied whole')
    const done = log.active.byteCount - record.filePosition
    assert(log.active.baseOffset === record.segmentBase && done >= 0, 'commits of a segment follow each other')
    const start = at + record.payload
    const end = start + record.byteCount
    for (let position = start + done; position < end;) {
      const length = format.lengthAt(bytes, position)
      const plausible = length >= format.headerBytes && position + length <= end
      const good =
        plausible &&
        format.baseOffsetAt(bytes, position) === log.endOffset &&
        (intact || format.isIntact(bytes, position, length))
      if (!good) {
        this.#settle(log)
        await this.#host.destage([log])
        log.addDamage(log.endOffset, record.nextOffset, 'the journal bytes of these entries are damaged')
        this.#leaveHole(log, record.filePosition + record.byteCount, record.nextOffset)
        return
      }
      while (!log.place(bytes, position, length)) {
        this.#settle(log)
        await this.#host.destage([log, ...this.#host.allPending()])
      }
      this.entryCount++
      position += length
    }
  }

  /**
   * A range that was written to the segment directly. In the last, unproven commit it may be torn, and what lay inline before
   * it may not be in the segment yet although the range itself is: that part is destaged first.
   */
  async #applyExtent(log: StoreLog, record: FrameRecord, proven: boolean): Promise<void> {
    this.#settle(log)
    if (!proven) await this.#host.destage([log])
    const { format, scanner } = this.#host
    const segment = log.active
    segment.allocatedBytes = -1
    const from = record.filePosition
    const to = from + record.byteCount
    let sum = 0
    let next = record.firstOffset
    let intact = true
    const entries: { last: number; timestamp: bigint; length: number }[] = []
    const reached = await scanner.scan(segment, from, to, record.firstOffset, (bytes, at, length) => {
      intact = format.isIntact(bytes, at, length)
      if (!intact) return false
      if (record.kind === RecordKind.extent) sum = crc32c(bytes.subarray(at, at + format.headerBytes), sum)
      else sum = crc32c(bytes.subarray(at, at + length), sum)
      next = format.lastOffsetAt(bytes, at) + 1
      entries.push({ last: next - 1, timestamp: format.maxTimestampAt(bytes, at), length })
      return true
    })
    const whole = reached === to && next === record.nextOffset && sum === record.payload
    // The write took along what lay inline before it. Where it is damaged, or was cut since, that may be gone as well.
    if (!whole && proven) await this.#host.destage([log])
    // What is not as it was written may have been cut since: without checkpoints nobody knows, and what is intact stays.
    const kept = whole || (this.#host.stateLost && next < record.nextOffset) ? entries : []
    if (kept.length > 0) log.tail.clear()
    for (const { last, timestamp, length } of kept) log.account(segment, log.endOffset, last, timestamp, length)
    this.entryCount += kept.length
    if (!whole && proven) {
      const what = `bytes ${segment.byteCount} to ${to} of ${segment.path} are not what was written`
      log.addDamage(log.endOffset, record.nextOffset, what)
      this.#leaveHole(log, to, record.nextOffset)
    } else if (!whole) this.#torn.add(log)
    this.#settle(log)
    log.becomeDestaged(log.endPosition, log.endOffset)
  }

  /** What has been applied is as good as flushed. */
  #settle(log: StoreLog): void {
    log.issuedOffset = log.flushedOffset = log.endOffset
    log.issuedPosition = log.flushedPosition = log.endPosition
    log.entriesIssued = log.entriesAppended
    for (const segment of log.unfinishedSegments()) segment.flushedTimestamp = segment.maxTimestamp
  }

  /** Bytes of a torn direct write behind the end of a log: cut off, so that they can never be taken for entries. */
  async #wipeBehind(log: StoreLog): Promise<void> {
    const segment = log.active
    if (segment.byteCount === 0) return
    await this.#host.files.use(segment, 'create', async file => {
      const length = Math.min(await file.size(), pageCeil(segment.byteCount))
      await file.truncate(Math.max(length, pageBytes))
      await file.sync()
      segment.allocatedBytes = Math.max(length, pageBytes)
    })
  }
}
