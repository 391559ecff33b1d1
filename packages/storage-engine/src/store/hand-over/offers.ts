/**
 * Offering a log to another store (`LogStore.offerLog`), without copying it:
 *
 *     seal the active segment ──► flush ──► the host says up to where ──► finish what is sealed ──► a second name for each file
 *        with the fold's state               (entries that are never       (destaged, exact length,     in offers/<random>/
 *        as of there                          taken back)                   in a checkpoint)
 *
 * From then on those files have several names, and nobody writes to a file that has (own-file.ts). Names are made in turn with
 * destaging and shortening, so a file that gets one is exactly what the checkpoint says. They need not survive a crash: who opens
 * the store removes them all.
 */
import type { Disk } from '../../disk.ts'
import { DiskError, StoreError } from '../../errors.ts'
import type { LogOffer } from '../../log-store.ts'
import type { SegmentFiles } from '../../segments/segment-files.ts'
import { indexFileName, segmentFileName, type Segment } from '../../segments/segment.ts'
import type { CheckedState } from '../../state/checked-state.ts'
import type { StoreLogger } from '../../store-options.ts'
import { describeSegment, foldKey, foldPrefix, offsetOfFoldKey } from '../checkpoint.ts'
import { foldBytesMax, type Destager } from '../destage.ts'
import type { StoreLog } from '../store-log.ts'

/** Segments in one offer. */
export const offeredSegmentsMax = 8192

/** The parts of a store that this needs. */
export interface OfferParts {
  readonly disk: Disk
  /** The store's folder. */
  readonly directory: string
  readonly files: SegmentFiles
  readonly engineState: CheckedState
  readonly destager: Destager
  readonly newIdentity: () => Uint8Array
  readonly logger: StoreLogger
}

/** A log as it was when its active segment was sealed. */
interface Sealed {
  readonly offset: number
  readonly generation: number
  /** The fold as of `offset`, empty for "start empty"; undefined when it is not known or too large. */
  readonly fold: Uint8Array | undefined
}

type Fold = NonNullable<LogOffer['fold']>

export class Offers {
  readonly #parts: OfferParts
  readonly #guarded: <T>(work: () => Promise<T>) => Promise<T>
  /** Folders of offers that are not withdrawn. */
  readonly #open = new Set<string>()

  /** `guarded` runs work whose failure is the end of the store. */
  constructor(parts: OfferParts, guarded: <T>(work: () => Promise<T>) => Promise<T>) {
    this.#parts = parts
    this.#guarded = guarded
  }

  /** As `LogStore.offerLog`. */
  async offer(
    log: StoreLog,
    endBefore: (endOffset: number) => number | Promise<number>
  ): Promise<LogOffer | undefined> {
    const { destager } = this.#parts
    // In a turn: no cut is under way, which would not expect another segment.
    const sealed = await this.#guarded(() => destager.exclusive(() => Promise.resolve(seal(log))))
    await log.flush()
    const end = await endBefore(sealed.offset)
    return await this.#guarded(() => destager.exclusive(() => this.#offerUpTo(log, end, sealed)))
  }

  async #offerUpTo(log: StoreLog, endBefore: number, sealed: Sealed): Promise<LogOffer | undefined> {
    if (log.removed) throw new StoreError('CLOSED', 'the log was removed', { log: log.name })
    await this.#parts.destager.roundInTurn([log])
    const segments = wholeSegments(log, endBefore)
    const endOffset = segments.at(-1)?.endOffset ?? 0
    if (endOffset <= log.startOffset) return undefined
    const fold = this.#foldAt(log, endOffset, sealed)
    if (log.fold !== undefined && fold === undefined && segments[0]!.baseOffset > 0) return undefined
    const directory = `${this.#parts.directory}/offers/${this.#parts.newIdentity().toHex()}`
    if (!(await this.#link(segments, directory, log.name))) return undefined
    return {
      directory,
      startOffset: log.startOffset,
      endOffset,
      segments: segments.map(segment => describeSegment(segment, segment.endPosition, segment.endOffset)),
      ...(fold && { fold })
    }
  }

  /** The newest state of the fold that is not beyond `endOffset`. */
  #foldAt(log: StoreLog, endOffset: number, { offset, generation, fold }: Sealed): Fold | undefined {
    if (fold !== undefined && offset <= endOffset && generation === log.generation)
      return { offset, snapshot: fold.toBase64() }
    const { engineState } = this.#parts
    const stored = engineState.keys(foldPrefix(log.number)).map(key => offsetOfFoldKey(key))
    const newest = Math.max(-1, ...stored.filter(other => other <= endOffset))
    const empty = Math.max(-1, ...log.emptyFolds.filter(other => other <= endOffset))
    if (newest < 0 && empty < 0) return undefined
    if (empty >= newest) return { offset: empty, snapshot: '' }
    return { offset: newest, snapshot: engineState.get(foldKey(log.number, newest))!.toBase64() }
  }

  /** False: there is no such thing here, or the files are not; nothing is left of the attempt. */
  async #link(segments: readonly Segment[], directory: string, log: string): Promise<boolean> {
    const { disk, files, logger } = this.#parts
    this.#open.add(directory)
    try {
      await disk.makeDirectory(directory)
      for (const segment of segments) {
        files.becomeShared(segment)
        await disk.link(segment.path, `${directory}/${segmentFileName(segment.baseOffset)}`)
        await linkIfThere(disk, segment.indexPath, `${directory}/${indexFileName(segment.baseOffset)}`)
      }
      return true
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      logger.warn({ log, err: error }, 'segments cannot be offered to another store')
      await this.withdraw(directory)
      return false
    }
  }

  /** As `LogStore.withdrawOffer`. */
  async withdraw(directory: string): Promise<void> {
    if (!this.#open.delete(directory)) return
    const { disk, logger } = this.#parts
    try {
      await disk.remove(directory)
    } catch (error) {
      // Space is all that it costs, until the store is opened again.
      logger.warn({ path: directory, err: error }, 'an offer could not be withdrawn')
    }
  }
}

/** Removes what offers of a former run left behind. */
export async function removeOffers(disk: Disk, directory: string): Promise<void> {
  await disk.remove(`${directory}/offers`)
}

/** Links a file that may be missing: an index is made again from its segment. */
export async function linkIfThere(disk: Disk, source: string, target: string): Promise<void> {
  try {
    await disk.link(source, target)
  } catch (error) {
    if (!(error instanceof DiskError && error.code === 'NOT_FOUND')) throw error
  }
}

function seal(log: StoreLog): Sealed {
  if (log.removed) throw new StoreError('CLOSED', 'the log was removed', { log: log.name })
  if (log.active.byteCount > 0) log.roll()
  const fold = log.fold !== undefined && log.foldReady ? (log.fold.snapshot()?.slice() ?? new Uint8Array(0)) : undefined
  const { endOffset: offset, generation } = log
  return { offset, generation, fold: fold !== undefined && fold.length <= foldBytesMax ? fold : undefined }
}

/** Finished segments that a checkpoint names, from the first on, below `endBefore` and below all damage. */
function wholeSegments(log: StoreLog, endBefore: number): Segment[] {
  const end = Math.min(endBefore, ...log.damage.map(({ startOffset }) => startOffset))
  const first = log.segments.findIndex(({ recorded, endOffset }) => !recorded || endOffset > end)
  return log.segments.slice(0, Math.min(first < 0 ? log.segments.length : first, offeredSegmentsMax))
}
