/**
 * Reads entries for other replicas: the marks of a range from memory, the batches between them from the shard's log, as views.
 *
 * One read of the log serves one run: marks take no room there. A run never ends inside an entry; it begins before the range when
 * the range begins inside one.
 */
import type { Index, IndexRange } from '@milena/raft'
import { StoreError, type Log, type ReadResult } from '@milena/storage-engine'
import { batchHeader } from '@milena/wire-protocol'
import type { EntryRun } from '../wire/exchange-codec.ts'
import type { Marks } from '../kept/marks.ts'

export interface ReadRun extends EntryRun {
  readonly start: Index
  /** Last index covered; `start - 1` when nothing of the range is in the log yet. */
  readonly lastIndex: Index
  /** Must be called once the slices were sent. */
  release(): void
}

export type RunOutcome =
  | { readonly kind: 'run'; readonly run: ReadRun }
  /** The range begins before what is held. */
  | { readonly kind: 'gone' }
  /** The log cannot read it: damage. */
  | { readonly kind: 'unreadable'; readonly offset: number }

const BASE_OFFSET_BYTES = 8
const NOTHING = (): void => undefined

/** As much of `range` as fits `bytesMax`, but at least one entry. Synchronous when the bytes are in the tail cache. */
export function readRun(log: Log, marks: Marks, range: IndexRange, bytesMax: number): RunOutcome | Promise<RunOutcome> {
  if (range.start <= marks.before.index) return { kind: 'gone' }
  const from = marks.endOffsetAt(range.start - 1)
  const to = Math.min(marks.endOffsetAt(range.end - 1), log.endOffset)
  if (from >= to) return runOf(marks, range, undefined, from)
  const first = Math.max(from, log.startOffset)
  try {
    const read = log.read(first, bytesMax, to, true)
    if (!(read instanceof Promise)) return runOf(marks, range, read, first)
    return read.then(
      result => runOf(marks, range, result, first),
      (error: unknown) => failed(error, first)
    )
  } catch (error) {
    return failed(error, first)
  }
}

function failed(error: unknown, offset: number): RunOutcome {
  if (!(error instanceof StoreError)) throw error
  return error.code === 'OUT_OF_RANGE' || error.code === 'CLOSED' ? { kind: 'gone' } : { kind: 'unreadable', offset }
}

function runOf(marks: Marks, range: IndexRange, read: ReadResult | undefined, from: number): RunOutcome {
  const nextOffset = read?.nextOffset ?? from
  const slices = read?.slices ?? []
  const byteCount = read?.byteCount ?? 0
  // A range that begins inside an entry: go back to where that one begins.
  const start = byteCount === 0 ? range.start : Math.min(range.start, marks.indexOf(baseOffsetOf(slices)))
  const lastIndex = Math.min(range.end - 1, marks.lastIndex(nextOffset))
  const placed = marks
    .between(start, lastIndex + 1)
    .map(({ index, mark }) => ({ index, term: mark.term, membership: mark.membership }))
  const release = read === undefined ? NOTHING : () => read.release()
  return { kind: 'run', run: { start, lastIndex, marks: placed, slices, byteCount, release } }
}

/** Base offset of the batch that the slices begin with, which may be split over them. */
function baseOffsetOf(slices: readonly Uint8Array[]): number {
  const [first] = slices
  if (first !== undefined && first.length >= BASE_OFFSET_BYTES) return batchHeader.baseOffset(first, 0)
  const head = new Uint8Array(BASE_OFFSET_BYTES)
  let filled = 0
  for (const slice of slices) {
    const part = slice.subarray(0, BASE_OFFSET_BYTES - filled)
    head.set(part, filled)
    filled += part.length
  }
  return batchHeader.baseOffset(head, 0)
}

/** Where the entry that contains `offset` begins; `offset` itself at the end of the log. */
export async function entryStart(log: Log, offset: number): Promise<number> {
  if (offset >= log.endOffset) return offset
  const read = await log.read(offset, 1, offset + 1, true)
  try {
    return baseOffsetOf(read.slices)
  } finally {
    read.release()
  }
}
