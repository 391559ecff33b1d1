/**
 * Making a log of what another store offers (`LogStore.adoptLog`):
 *
 *     arriving/<name> in the state ──► links, their folder synced ──► fold replayed ──► one transaction: checkpoint, segments,
 *                                                                                       fold, what the host adds, and no
 *                                                                                       arriving/<name> any more
 *
 * A crash before the transaction leaves files in a folder that the state says is none of a log: they go at the next start. After
 * it there is a log like any other, whose first segments happen to be files with several names.
 */
import type { Disk } from '../../disk.ts'
import { DiskError, StoreError } from '../../errors.ts'
import type { EntryFormat, LogFold, LogOffer, LogOptions, OfferedSegment } from '../../log-store.ts'
import type { SegmentFiles } from '../../segments/segment-files.ts'
import type { SegmentScanner } from '../../segments/segment-scan.ts'
import { indexFileName, Segment, segmentFileName } from '../../segments/segment.ts'
import type { CheckedState } from '../../state/checked-state.ts'
import type { Clock } from '../../store-options.ts'
import {
  arrivingPrefix,
  describeLog,
  encodeJson,
  foldKey,
  restoreSegment,
  segmentKey,
  storeKey,
  type StateChanges
} from '../checkpoint.ts'
import type { Committer } from '../commit.ts'
import { foldBytesMax, type Destager } from '../destage.ts'
import { checkLogName } from '../recovery/catalog.ts'
import { linkIfThere } from './offers.ts'
import { StoreLog, type LogHost } from '../store-log.ts'

/** The parts of a store that this needs. */
export interface AdoptionParts {
  readonly disk: Disk
  /** The store's folder. */
  readonly directory: string
  readonly format: EntryFormat
  readonly clock: Clock
  readonly files: SegmentFiles
  readonly scanner: SegmentScanner
  readonly engineState: CheckedState
  readonly hostState: CheckedState
  readonly committer: Committer
  readonly destager: Destager
}

/** What it asks of its store. */
export interface AdoptionHost extends LogHost {
  directoryOf(name: string): string
  isTaken(name: string): boolean
  /** Resolves when the files of a former log of this name are gone. */
  whenRemoved(name: string): Promise<void>
  /** The log exists durably. */
  register(log: StoreLog): void
  /** Runs work whose failure is the end of the store. */
  guarded<T>(work: () => Promise<T>): Promise<T>
}

export interface AdoptionRequest {
  readonly name: string
  readonly options: LogOptions
  readonly fold?: LogFold
}

export class Adoption {
  readonly #parts: AdoptionParts
  readonly #host: AdoptionHost
  /** Logs whose files are on their way. */
  readonly #arriving = new Set<string>()

  constructor(parts: AdoptionParts, host: AdoptionHost) {
    this.#parts = parts
    this.#host = host
  }

  /** A log of this name is being made. */
  isUnderWay(name: string): boolean {
    return this.#arriving.has(name)
  }

  /** As `LogStore.adoptLog`. */
  async adopt(
    request: AdoptionRequest,
    offer: LogOffer,
    changes: ReadonlyMap<string, Uint8Array | undefined>
  ): Promise<StoreLog> {
    const { name } = request
    checkLogName(name)
    checkOffer(name, offer)
    if (this.#host.isTaken(name)) throw new StoreError('LOG_EXISTS', 'adopt', { log: name })
    this.#arriving.add(name)
    try {
      await this.#host.whenRemoved(name)
      return await this.#host.guarded(() => this.#adopt(request, offer, changes))
    } finally {
      this.#arriving.delete(name)
    }
  }

  async #adopt(
    { name, options, fold }: AdoptionRequest,
    offer: LogOffer,
    changes: ReadonlyMap<string, Uint8Array | undefined>
  ): Promise<StoreLog> {
    const { engineState, destager, files } = this.#parts
    const directory = this.#host.directoryOf(name)
    await engineState.put(arrivingPrefix + name, Uint8Array.of(1))
    const segments = restoreSegments(directory, offer, this.#parts.clock.now())
    const number = destager.nextLogNumber++
    const { startOffset } = offer
    const birth = { name, number, directory, options: { ...options }, fold, segments, startOffset }
    const log = new StoreLog(this.#host, birth)
    try {
      await this.#link(offer, directory)
      await this.#replay(log, offer)
    } catch (error) {
      if (!(error instanceof DiskError || (error instanceof StoreError && error.code === 'NOT_ADOPTED'))) throw error
      for (const segment of segments) await files.forget(segment)
      await removeArrival(this.#parts.disk, this.#parts.directory, engineState, name, directory)
      throw new StoreError('NOT_ADOPTED', 'the files that were offered cannot be taken', { log: name, cause: error })
    }
    await destager.exclusive(() => this.#store(log, changes))
    this.#host.register(log)
    return log
  }

  /** Gives the offered files names in `directory`, durably. */
  async #link(offer: LogOffer, directory: string): Promise<void> {
    const { disk } = this.#parts
    await disk.remove(directory)
    await disk.makeDirectory(directory)
    for (const segment of offer.segments) {
      const fileName = segmentFileName(segment.baseOffset)
      await disk.link(`${offer.directory}/${fileName}`, `${directory}/${fileName}`)
      await checkSize(disk, `${directory}/${fileName}`, segment)
      const indexName = indexFileName(segment.baseOffset)
      await linkIfThere(disk, `${offer.directory}/${indexName}`, `${directory}/${indexName}`)
    }
    await disk.syncDirectory(directory)
  }

  /** Brings the log's fold to its end: the offered state, then what came after. */
  async #replay(log: StoreLog, { fold: offered, endOffset }: LogOffer): Promise<void> {
    const { fold } = log
    if (fold === undefined) return
    const { format, scanner } = this.#parts
    const snapshot = offered === undefined ? '' : offered.snapshot
    fold.restore(snapshot === '' ? undefined : Uint8Array.fromBase64(snapshot))
    const from = offered?.offset ?? log.segments[0]!.baseOffset
    for (let next = from; next < endOffset;) {
      const segment = log.segmentAt(next)
      await scanner.scan(segment, 0, segment.byteCount, segment.baseOffset, (bytes, at, length) => {
        const lastOffset = format.lastOffsetAt(bytes, at)
        if (lastOffset < next) return true
        if (!format.isIntact(bytes, at, length)) return false
        fold.replay(bytes.subarray(at, at + length))
        next = lastOffset + 1
        return true
      })
      if (next < segment.endOffset)
        throw new StoreError('NOT_ADOPTED', `${segment.path} is damaged at offset ${next}`, { log: log.name })
    }
  }

  /** The transaction after which the log exists. */
  async #store(log: StoreLog, hostChanges: ReadonlyMap<string, Uint8Array | undefined>): Promise<void> {
    const { committer, destager, engineState, hostState } = this.#parts
    const changes: StateChanges = new Map([[arrivingPrefix + log.name, undefined]])
    for (const segment of log.segments.slice(0, -1))
      changes.set(segmentKey(log.number, segment.baseOffset), encodeJson(describe(segment)))
    this.#describeFold(log, changes)
    const { active, endPosition: position, endOffset, startOffset } = log
    describeLog(log, { active, position, endOffset, startOffset, sequence: committer.issuedSequence }, changes)
    changes.set(storeKey, encodeJson({ ...destager.lastStored, nextLogNumber: destager.nextLogNumber }))
    await engineState.putAll(changes, { state: hostState, changes: hostChanges })
  }

  #describeFold(log: StoreLog, changes: StateChanges): void {
    if (log.fold === undefined) return
    const bytes = log.fold.snapshot()
    if (bytes === undefined) log.noteEmptyFold(log.endOffset)
    else if (bytes.length <= foldBytesMax) changes.set(foldKey(log.number, log.endOffset), bytes.slice())
    else return
    log.foldStoredOffset = log.endOffset
  }
}

/** Removes what an adoption that a crash or a refusal ended left behind. */
async function removeArrival(
  disk: Disk,
  storeDirectory: string,
  state: CheckedState,
  name: string,
  directory: string
): Promise<void> {
  await disk.remove(directory)
  await disk.syncDirectory(`${storeDirectory}/logs`)
  await state.putAll(new Map([[arrivingPrefix + name, undefined]]))
}

/** The same for all that former runs left behind; for recovery, when all logs are known. */
export async function removeArrivals(
  disk: Disk,
  storeDirectory: string,
  state: CheckedState,
  logs: ReadonlyMap<string, StoreLog>,
  directoryOf: (name: string) => string
): Promise<void> {
  for (const key of state.keys(arrivingPrefix)) {
    const name = key.slice(arrivingPrefix.length)
    if (logs.has(name)) await state.putAll(new Map([[key, undefined]]))
    else await removeArrival(disk, storeDirectory, state, name, directoryOf(name))
  }
}

function describe(segment: Segment): OfferedSegment {
  const { baseOffset, byteCount, endOffset, createdMs, maxTimestamp } = segment
  const marks = segment.marks.map(({ offset, filePosition }) => [offset, filePosition] as const)
  return {
    baseOffset,
    byteCount,
    endOffset,
    createdMs,
    maxTimestamp: String(maxTimestamp),
    ...(marks.length > 0 && { marks })
  }
}

/** The offered segments, finished, and an empty one behind them that takes appends. */
function restoreSegments(directory: string, offer: LogOffer, nowMs: number): Segment[] {
  const segments: Segment[] = []
  for (const offered of offer.segments)
    segments.push(restoreSegment(directory, offered, segments.at(-1)?.endPosition ?? 0, true))
  segments.push(new Segment(directory, offer.endOffset, segments.at(-1)!.endPosition, nowMs))
  return segments
}

async function checkSize(disk: Disk, path: string, { byteCount }: OfferedSegment): Promise<void> {
  const file = await disk.open(path, { mode: 'read', direct: false, durable: false })
  try {
    const size = await file.size()
    if (size !== byteCount) throw new StoreError('NOT_ADOPTED', `${path} has ${size} bytes, not ${byteCount}`)
  } finally {
    await file.close()
  }
}

/** Throws `NOT_ADOPTED` unless the segments follow each other and hold what the offer says. */
function checkOffer(log: string, { segments, startOffset, endOffset, fold }: LogOffer): void {
  const first = segments[0]?.baseOffset ?? NaN
  let due = first
  const follows = segments.every(({ baseOffset, endOffset: end, byteCount }) => {
    const good = baseOffset === due && end > baseOffset && Number.isSafeInteger(end) && byteCount > 0
    due = end
    return good
  })
  const inside = startOffset >= first && startOffset < endOffset && due === endOffset
  if (!follows || !inside || (fold !== undefined && fold.offset > endOffset))
    throw new StoreError('NOT_ADOPTED', 'an offer that cannot be', { log })
}
