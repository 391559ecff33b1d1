/**
 * Verification of what is at rest (`Log.verify`): reads destaged entries from the device, past the tail cache and the blocks
 * that readers left, checks every one, and keeps nothing. Whoever calls it decides how fast it goes.
 *
 *     place of the last call, or the segment's beginning ──► one window of the file ──► entries in it ──► next place
 *                                                             cannot be read: half of it, ... ──► damage up to the next mark
 *                                                             is not what was written ──────────► damage
 *
 * Memory: that of a segment scan (segment-scan.ts), 1 MiB or the largest entry, for the time of a call. A cut of the log while
 * it reads voids what it saw; it looks again.
 */
import { DiskError, StoreError } from '../../errors.ts'
import type { EntryFormat, Verification } from '../../log-store.ts'
import { pageBytes } from '../../memory/arena.ts'
import type { SegmentScanner } from '../../segments/segment-scan.ts'
import type { Segment } from '../../segments/segment.ts'
import { recordDamage, wrongBytes, type DamagedPlace, type PlaceBehind } from './damage.ts'
import type { SegmentIndexes } from './segment-indexes.ts'
import type { StoreLog } from '../store-log.ts'

/** Bytes of the file that one call reads, at most and at least (fewer when there are fewer); a larger entry is read whole. */
export const verifiedBytesMax = 1 << 20
const verifiedBytesMin = 64 << 10
/** A range that cannot be read is looked at in pieces down to this. */
const unreadableBytesMin = 16 << 10

/** Where a verification goes on. */
interface Place extends PlaceBehind {
  readonly segment: Segment
  readonly generation: number
}

/** What a look at a window found. */
interface Look {
  /** Behind the last entry that is intact. */
  readonly reached: PlaceBehind
  readonly damaged: DamagedPlace | undefined
  readonly why: string
}

export class Verifier {
  readonly #format: EntryFormat
  readonly #scanner: SegmentScanner
  readonly #indexes: SegmentIndexes
  readonly #places = new WeakMap<StoreLog, Place>()

  constructor(format: EntryFormat, scanner: SegmentScanner, indexes: SegmentIndexes) {
    this.#format = format
    this.#scanner = scanner
    this.#indexes = indexes
  }

  /** As `Log.verify`. */
  async verify(log: StoreLog, from: number, maxBytes: number): Promise<Verification> {
    for (;;) {
      if (log.removed) throw new StoreError('CLOSED', 'the log is closed', { log: log.name })
      const offset = Math.max(from, log.startOffset)
      if (offset >= log.destagedOffset) return { nextOffset: offset, atEnd: true, byteCount: 0, damage: [] }
      const place = this.#placeOf(log, offset)
      const end = restingEnd(log, place.segment)
      if (place.filePosition >= end.filePosition) {
        // Offsets that were lost with their commit, behind the last entry of a segment.
        const following = log.segments[log.segments.indexOf(place.segment) + 1]
        return { nextOffset: following?.baseOffset ?? offset, atEnd: following === undefined, byteCount: 0, damage: [] }
      }
      const known = new Set(log.damage)
      const behind = await this.#step(log, place, end, maxBytes)
      if (behind === undefined || isOutdated(log, place)) continue
      this.#places.set(log, { ...place, ...behind })
      const damage = log.damage.filter(range => !known.has(range))
      const byteCount = behind.filePosition - place.filePosition
      return { nextOffset: behind.offset, atEnd: behind.offset >= log.destagedOffset, byteCount, damage }
    }
  }

  #placeOf(log: StoreLog, offset: number): Place {
    const segment = log.segmentAt(offset)
    const { generation } = log
    const known = this.#places.get(log)
    if (known?.offset === offset && known.segment === segment && known.generation === generation) return known
    return { segment, generation, offset: segment.baseOffset, filePosition: 0 }
  }

  /** Where the next call goes on; undefined: what was seen does not count. */
  async #step(log: StoreLog, place: Place, end: PlaceBehind, maxBytes: number): Promise<PlaceBehind | undefined> {
    const { reached, damaged, why } = await this.#look(log, place, end, maxBytes)
    if (isOutdated(log, place)) return undefined
    if (damaged === undefined) return reached
    await this.#indexes.load(log, place.segment).catch(error => {
      // Without an index the damage ends where the segment does.
      if (!isUnreadable(error)) throw error
    })
    if (isOutdated(log, place)) return undefined
    return recordDamage(log, place.segment, damaged, end, why)
  }

  /** Looks at one window, in smaller pieces where the device cannot read it. */
  async #look(log: StoreLog, place: Place, end: PlaceBehind, maxBytes: number): Promise<Look> {
    const wanted = Math.min(Math.max(maxBytes, verifiedBytesMin), verifiedBytesMax)
    for (let windowBytes = wanted; ; windowBytes /= 2) {
      try {
        const looked = await this.#scan(log, place, end, windowBytes)
        if (looked !== undefined) return looked
        return (await this.#scan(log, place, end, undefined)) as Look
      } catch (error) {
        if (!isUnreadable(error)) throw error
        if (windowBytes / 2 >= unreadableBytesMin) continue
        const { offset, filePosition } = place
        const why = `bytes at position ${filePosition} of ${place.segment.path} cannot be read: ${error.message}`
        return { reached: place, damaged: { offset, filePosition, entry: undefined }, why }
      }
    }
  }

  /**
   * Checks the entries that lie wholly in the window that begins with the page of `place`; undefined when the first one does
   * not. Without a window: the first entry alone.
   */
  async #scan(
    log: StoreLog,
    place: Place,
    end: PlaceBehind,
    windowBytes: number | undefined
  ): Promise<Look | undefined> {
    const { segment, offset, filePosition } = place
    const page = Math.floor(filePosition / pageBytes) * pageBytes
    const to = windowBytes === undefined ? end.filePosition : Math.min(end.filePosition, page + windowBytes)
    let next = offset
    let wrong: DamagedPlace['entry']
    const position = await this.#scanner.scan(segment, filePosition, to, offset, (bytes, at, length) => {
      if (windowBytes === undefined && next > offset) return false
      const lastOffset = this.#format.lastOffsetAt(bytes, at)
      if (log.isWhole(bytes, at, length)) next = lastOffset + 1
      else wrong = { length, lastOffset }
      return wrong === undefined
    })
    const isUndecided = position === filePosition && wrong === undefined
    if (isUndecided && to < end.filePosition) return undefined
    const damaged =
      isUndecided || wrong !== undefined ? { offset: next, filePosition: position, entry: wrong } : undefined
    return { reached: { offset: next, filePosition: position }, damaged, why: wrongBytes(segment, position) }
  }
}

/** The end of what of the segment is destaged. */
function restingEnd(log: StoreLog, segment: Segment): PlaceBehind {
  if (log.destagedPosition >= segment.endPosition) return { offset: segment.endOffset, filePosition: segment.byteCount }
  return { offset: log.destagedOffset, filePosition: log.destagedPosition - segment.startPosition }
}

function isOutdated(log: StoreLog, { segment, generation }: Place): boolean {
  return log.removed || log.generation !== generation || !log.segments.includes(segment)
}

function isUnreadable(error: unknown): error is DiskError {
  return error instanceof DiskError && error.code === 'IO'
}
