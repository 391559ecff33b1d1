/**
 * Which logs exist: from the checkpoints in the state store, or, when those were lost, from the folders and segment files
 * themselves (every segment is then read once, to find its last whole entry and its largest timestamp).
 */
import type { Disk } from '../../disk.ts'
import { StoreError } from '../../errors.ts'
import type { Damage, EntryFormat, LogOptions } from '../../log-store.ts'
import type { SegmentFiles } from '../../segments/segment-files.ts'
import type { SegmentScanner } from '../../segments/segment-scan.ts'
import { Segment, baseOffsetOf } from '../../segments/segment.ts'
import type { CheckedState } from '../../state/checked-state.ts'
import {
  decodeJson,
  restoreSegment,
  storeKey,
  type LogCheckpoint,
  type SegmentCheckpoint,
  type StoreCheckpoint
} from '../checkpoint.ts'

/** A log as found. */
export interface CatalogEntry {
  readonly number: number
  readonly name: string
  readonly options: LogOptions
  readonly startOffset: number
  readonly segments: Segment[]
  readonly checkpoint: LogCheckpoint | undefined
  /** Offsets between segments that are missing. */
  readonly damage?: readonly Omit<Damage, 'log'>[]
}

export const optionsUnknown: LogOptions = {
  segmentBytes: 128 << 20,
  indexIntervalBytes: 4096,
  segmentMs: 14 * 86_400_000
}

/** Throws `INVALID_NAME` unless a log may be called so. */
export function checkLogName(name: string): void {
  if (!/^[A-Za-z0-9._-]{1,249}$/.test(name) || name === '.' || name === '..')
    throw new StoreError('INVALID_NAME', JSON.stringify(name))
}

export function loadStoreCheckpoint(state: CheckedState): StoreCheckpoint | undefined {
  const bytes = state.get(storeKey)
  return bytes === undefined ? undefined : decodeJson<StoreCheckpoint>(bytes)
}

export function loadCatalog(state: CheckedState, directoryOf: (name: string) => string): CatalogEntry[] {
  const finished = new Map<number, SegmentCheckpoint[]>()
  for (const key of state.keys('segment/')) {
    const number = Number(key.split('/')[1])
    const list = finished.get(number) ?? []
    list.push(decodeJson<SegmentCheckpoint>(state.get(key)!))
    finished.set(number, list)
  }
  return state.keys('log/').map(key => {
    const number = Number(key.slice('log/'.length))
    const checkpoint = decodeJson<LogCheckpoint>(state.get(key)!)
    const directory = directoryOf(checkpoint.name)
    const segments: Segment[] = []
    for (const description of finished.get(number) ?? [])
      segments.push(restoreSegment(directory, description, segments.at(-1)?.endPosition ?? 0, true))
    segments.push(restoreSegment(directory, checkpoint.active, segments.at(-1)?.endPosition ?? 0, false))
    const { name, options, startOffset } = checkpoint
    return { number, name, options, startOffset, segments, checkpoint }
  })
}

/** The logs that have segments, when nothing else is known about them. Numbers begin at `firstNumber`. */
export async function rebuildCatalog(
  disk: Disk,
  directory: string,
  files: SegmentFiles,
  scanner: SegmentScanner,
  format: EntryFormat,
  firstNumber: number
): Promise<CatalogEntry[]> {
  const entries: CatalogEntry[] = []
  for (const name of await disk.list(`${directory}/logs`)) {
    const folder = `${directory}/logs/${name}`
    const bases = (await disk.list(folder)).map(baseOffsetOf).filter(base => base !== undefined)
    const segments: Segment[] = []
    const damage: Omit<Damage, 'log'>[] = []
    for (const base of bases) {
      const previous = segments.at(-1)
      // Left behind by a cut, or begun by one that left entries in the segment before: then the journal has its records.
      if (previous !== undefined && previous.endOffset > base) continue
      if (previous !== undefined && previous.endOffset < base)
        damage.push({ startOffset: previous.endOffset, endOffset: base, reason: `${previous.path} ends early` })
      const segment = new Segment(folder, base, previous?.endPosition ?? 0, 0)
      await rebuildSegment(segment, files, scanner, format)
      if (previous !== undefined) previous.sealed = true
      segments.push(segment)
    }
    const startOffset = segments[0]?.baseOffset ?? 0
    if (segments.length === 0) continue
    entries.push({
      number: firstNumber + entries.length,
      name,
      options: optionsUnknown,
      startOffset,
      segments,
      checkpoint: undefined,
      damage
    })
  }
  return entries
}

async function rebuildSegment(
  segment: Segment,
  files: SegmentFiles,
  scanner: SegmentScanner,
  format: EntryFormat
): Promise<void> {
  const size = await files.use(segment, 'write', file => file.size())
  segment.allocatedBytes = size
  segment.byteCount = await scanner.scan(segment, 0, size, segment.baseOffset, (bytes, at, length) => {
    if (!format.isIntact(bytes, at, length)) return false
    segment.endOffset = format.lastOffsetAt(bytes, at) + 1
    const timestamp = format.maxTimestampAt(bytes, at)
    if (timestamp > segment.maxTimestamp) segment.maxTimestamp = timestamp
    return true
  })
  segment.flushedTimestamp = segment.maxTimestamp
  segment.index.coveredFrom = segment.byteCount
}
