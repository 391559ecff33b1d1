/**
 * Takes entries away from a log: its end (`truncate`), its beginning (`trim`), or everything (`resetTo`).
 *
 * All three take turns with destaging, and all three are one transaction of the state store: a crash leaves the log as it was
 * or as it was asked to be. Files go afterwards. Until they are gone the checkpoint says that there may be *leftovers*, so that
 * recovery removes what a crash left behind.
 *
 * Reads that are under way when entries go either return what was there or fail with `OUT_OF_RANGE`; they never see later
 * entries that took the same place.
 */
import { StoreError } from '../../errors.ts'
import type { EntryFormat } from '../../log-store.ts'
import type { SegmentFiles } from '../../segments/segment-files.ts'
import type { SegmentScanner } from '../../segments/segment-scan.ts'
import { Segment } from '../../segments/segment.ts'
import type { CheckedState } from '../../state/checked-state.ts'
import type { Clock, StoreLogger } from '../../store-options.ts'
import {
  describeLog,
  encodeJson,
  foldPrefix,
  logKey,
  offsetOfFoldKey,
  segmentKey,
  segmentPrefix,
  type StateChanges
} from '../checkpoint.ts'
import type { Committer } from '../commit.ts'
import type { Destager } from '../destage.ts'
import { rebuildFold } from '../folds.ts'
import type { DiskReader } from '../reads/disk-read.ts'
import type { SegmentIndexes } from '../reads/segment-indexes.ts'
import type { StoreLog } from '../store-log.ts'
import { cutLog, restartLog, shortenFile } from './cut.ts'

/** The parts of a store that this needs. */
export interface ShortenParts {
  readonly format: EntryFormat
  readonly clock: Clock
  readonly files: SegmentFiles
  readonly scanner: SegmentScanner
  readonly indexes: SegmentIndexes
  readonly diskReader: DiskReader
  readonly engineState: CheckedState
  readonly committer: Committer
  readonly destager: Destager
  readonly logger: StoreLogger
}

export class Shortener {
  readonly #parts: ShortenParts
  readonly #guarded: <T>(work: () => Promise<T>) => Promise<T>
  readonly #onRoom: () => void
  readonly #removals = new Set<Promise<void>>()

  /** `guarded` runs work whose failure is the end of the store; `onRoom` runs when appends that were refused may go on. */
  constructor(parts: ShortenParts, guarded: <T>(work: () => Promise<T>) => Promise<T>, onRoom: () => void) {
    this.#parts = parts
    this.#guarded = guarded
    this.#onRoom = onRoom
  }

  /** As `Log.truncate`. */
  async truncate(log: StoreLog, offset: number): Promise<void> {
    if (offset >= log.endOffset) return
    await this.#cutting(log, async () => {
      const { destager, diskReader, engineState, indexes, files, scanner, format } = this.#parts
      if (offset < log.startOffset) throw new StoreError('OUT_OF_RANGE', `truncate to ${offset}`, { log: log.name })
      await destager.roundInTurn([log])
      if (log.destagedPosition < log.endPosition) throw new StoreError('NO_SPACE', 'truncate', { log: log.name })
      const segment = log.segmentAt(offset)
      const filePosition = await this.#positionOf(log, segment, offset)
      const dropped = await log.gate.run(async () => {
        diskReader.invalidate(log)
        return cutLog(log, segment, filePosition, offset)
      })
      log.foldReady = log.fold === undefined
      log.removalsUnderWay++
      await this.#storeCut(log, offset)
      await log.gate.run(() => shortenFile(files, segment))
      await files.remove(dropped)
      log.removalsUnderWay--
      await rebuildFold(log, engineState, indexes, scanner, format)
    })
  }

  /** Where the entry with `offset` begins, also when that one, or what follows, is damaged. */
  async #positionOf(log: StoreLog, segment: Segment, offset: number): Promise<number> {
    if (log.damage.every(({ startOffset }) => startOffset !== offset))
      return await this.#parts.diskReader.positionOf(log, segment, offset)
    const end = await this.#parts.scanner.findEnd(segment, offset)
    if (end.offset !== offset) throw new StoreError('CORRUPT', `truncate to ${offset}`, { log: log.name })
    return end.filePosition
  }

  /** As `Log.resetTo`. */
  async resetTo(log: StoreLog, offset: number): Promise<void> {
    if (!Number.isSafeInteger(offset) || offset < 0)
      throw new StoreError('OUT_OF_RANGE', `reset to ${offset}`, { log: log.name })
    await this.#cutting(log, async () => {
      const { committer, destager, engineState, diskReader, files, clock } = this.#parts
      const fresh = new Segment(log.directory, offset, log.endPosition, clock.now())
      const gone = log.segments
      const changes: StateChanges = new Map()
      for (const prefix of [segmentPrefix(log.number), foldPrefix(log.number)])
        for (const key of engineState.keys(prefix)) changes.set(key, undefined)
      // No frame from now on may speak of the log's old end: it would be taken for entries that were lost.
      committer.forgetPrevious(log)
      log.removalsUnderWay++
      log.emptyFolds = []
      const extent = { active: fresh, position: log.endPosition, endOffset: offset, startOffset: offset }
      describeLog(log, { ...extent, sequence: committer.issuedSequence }, changes)
      await engineState.putAll(changes)
      destager.forget(log)
      await log.gate.run(async () => {
        diskReader.invalidate(log)
        restartLog(log, fresh)
      })
      await files.remove(gone)
      log.removalsUnderWay--
      log.fold?.restore(undefined)
    })
  }

  /** As `Log.trim`. */
  async trim(log: StoreLog, startOffset: number): Promise<void> {
    const { destager, engineState, files } = this.#parts
    if (startOffset > log.endOffset) throw new StoreError('OUT_OF_RANGE', `trim to ${startOffset}`, { log: log.name })
    if (startOffset <= log.startOffset) return
    // The start must never be durably beyond the end: entries that a power cut may take are flushed first.
    if (startOffset > log.flushedOffset) await log.flush()
    await this.#guarded(() =>
      destager.exclusive(async () => {
        if (log.removed || startOffset <= log.startOffset) return
        if (startOffset > log.flushedOffset)
          throw new StoreError('OUT_OF_RANGE', `trim to ${startOffset}`, { log: log.name })
        const below = log.fold === undefined ? startOffset : Math.min(startOffset, log.foldStoredOffset)
        const gone = log.segments.slice(0, -1).filter(({ recorded, endOffset }) => recorded && endOffset <= below)
        const changes: StateChanges = new Map()
        for (const segment of gone) changes.set(segmentKey(log.number, segment.baseOffset), undefined)
        if (gone.length > 0) log.removalsUnderWay++
        log.checkpoint = { ...log.checkpoint!, startOffset, ...(log.removalsUnderWay > 0 && { leftovers: true }) }
        changes.set(logKey(log.number), encodeJson(log.checkpoint))
        await engineState.putAll(changes)
        log.startOffset = startOffset
        log.segments = log.segments.slice(gone.length)
        log.damage = log.damage.filter(range => range.endOffset > startOffset)
        if (gone.length > 0) this.#removeInBackground(log, gone, files)
      })
    )
  }

  /** Runs `work` in turn with destaging, when all that was appended is durable; meanwhile appends answer `full`. */
  async #cutting(log: StoreLog, work: () => Promise<void>): Promise<void> {
    log.cuts++
    try {
      await log.flush()
      await this.#guarded(() =>
        this.#parts.destager.exclusive(async () => {
          if (log.removed) throw new StoreError('CLOSED', 'the log was removed', { log: log.name })
          await work()
        })
      )
    } finally {
      log.cuts--
      this.#onRoom()
    }
  }

  /** The checkpoint after a cut. Commits up to the last one issued say nothing about the log that still holds. */
  async #storeCut(log: StoreLog, offset: number): Promise<void> {
    const { committer, destager, engineState } = this.#parts
    const changes: StateChanges = new Map()
    for (const base of log.droppedSegments.splice(0)) changes.set(segmentKey(log.number, base), undefined)
    for (const key of engineState.keys(foldPrefix(log.number)))
      if (offsetOfFoldKey(key) > offset) changes.set(key, undefined)
    log.emptyFolds = log.emptyFolds.filter(other => other <= offset)
    destager.forget(log)
    const active = log.unfinishedSegments()[0]!
    const { destagedPosition: position, destagedOffset: endOffset, startOffset } = log
    describeLog(log, { active, position, endOffset, startOffset, sequence: committer.issuedSequence }, changes)
    await engineState.putAll(changes)
  }

  #removeInBackground(log: StoreLog, gone: readonly Segment[], files: SegmentFiles): void {
    const removal = (async () => {
      await files.remove(gone)
      log.removalsUnderWay--
    })()
    const settled = removal
      .catch((error: unknown) => {
        const fields = { err: error, path: log.directory }
        this.#parts.logger.warn(fields, 'files that are no longer needed could not be removed')
      })
      .finally(() => this.#removals.delete(settled))
    this.#removals.add(settled)
  }

  /** Resolves when no file is being removed. */
  async settled(): Promise<void> {
    await Promise.all(this.#removals)
  }
}
