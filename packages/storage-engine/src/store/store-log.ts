/**
 * One log of a store: where its bytes and offsets stand, and appending to it.
 *
 * Every place is a pair (log position, offset), and these never pass each other:
 *
 * ```
 *   first segment          destaged        flushed         issued             end
 *   ├──────────────────────┼───────────────┼───────────────┼──────────────────┤
 *     in the segments        durable, in     in the commit    in memory only
 *                            the journal     under way
 * ```
 * All of them are entry boundaries. The tail cache holds at least [destaged, end).
 */
import { assert } from '../assert.ts'
import { StoreError } from '../errors.ts'
import type {
  Damage,
  EntryCheck,
  EntryFormat,
  EntryLocation,
  Log,
  LogFold,
  LogOptions,
  ReadResult,
  Verification
} from '../log-store.ts'
import { TailCache } from '../memory/tail-cache.ts'
import type { PagePool } from '../memory/page-pool.ts'
import { Segment } from '../segments/segment.ts'
import type { Clock } from '../store-options.ts'
import type { LogCheckpoint } from './checkpoint.ts'
import type { DiskBlock } from './reads/disk-read.ts'
import { Mutex } from './mutex.ts'
import { Readers } from './reads/readers.ts'

/** What a log asks of its store. */
export interface LogHost {
  readonly pool: PagePool
  readonly format: EntryFormat
  readonly clock: Clock
  readonly scratch: Uint8Array
  readonly entryBytesMax: number
  /** Appends are refused at the moment: failed, out of space or closed. */
  readonly refusesAppends: boolean
  readonly failure: Error | undefined
  /** The log has something to commit. */
  enqueue(log: StoreLog): void
  read(
    log: StoreLog,
    offset: number,
    maxBytes: number,
    endBefore: number,
    atLeastOne: boolean
  ): ReadResult | Promise<ReadResult>
  findByTimestamp(log: StoreLog, timestamp: bigint, endBefore: number, from: number): Promise<EntryLocation | undefined>
  findMaxTimestamp(log: StoreLog, endBefore: number): Promise<EntryLocation | undefined>
  verify(log: StoreLog, offset: number, maxBytes: number): Promise<Verification>
  truncate(log: StoreLog, offset: number): Promise<void>
  trim(log: StoreLog, startOffset: number): Promise<void>
  resetTo(log: StoreLog, offset: number): Promise<void>
}

interface FlushWaiter {
  readonly position: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** Makes log positions `[from, to)`, all inside the segment, durable in its file. */
type SegmentRangeWriter = (segment: Segment, from: number, to: number) => Promise<void>

const nothing = (): Promise<void> => Promise.resolve()

/** What a log is when it comes into the store: new, recovered or handed over. */
export interface LogBirth {
  readonly name: string
  /** Stands for the log in the journal. */
  readonly number: number
  readonly directory: string
  readonly options: LogOptions
  readonly fold: LogFold | undefined
  /** Oldest first; at least one. */
  readonly segments: Segment[]
  readonly startOffset: number
}

export class StoreLog implements Log {
  readonly name: string
  readonly number: number
  readonly directory: string
  options: LogOptions
  fold: LogFold | undefined
  /** The fold stands for all entries appended (false while recovery or a truncation rebuilds it). */
  foldReady = true
  /** Oldest snapshot of the fold that is stored: what is below it need not be replayed any more. */
  foldStoredOffset = 0
  /** See `LogCheckpoint.emptyFolds`. */
  emptyFolds: readonly number[] = []
  readonly tail: TailCache
  /** Oldest first; never empty. The last one takes appends. */
  segments: Segment[]
  startOffset: number
  endOffset: number
  endPosition: number
  issuedOffset: number
  issuedPosition: number
  flushedOffset: number
  flushedPosition: number
  destagedOffset: number
  destagedPosition: number
  /** Entries appended and issued since open; tells how large entries are on average. */
  entriesAppended = 0
  entriesIssued = 0
  /** In the committer's queue. */
  queued = false
  /** Serial of the journal file that last named this log. */
  namedInFile = -1
  /** What the journal holds of the log is void: the next commit says so. */
  beginsAnew = true
  /** First commit whose records the last checkpoint does not contain; 0 when there is none. */
  firstPendingSequence = 0
  /** Clock when that commit completed. */
  pendingSinceMs = 0
  /** Sealed segments that no checkpoint names any more, by base offset. */
  droppedSegments: number[] = []
  /** What the state store holds about this log. */
  checkpoint: LogCheckpoint | undefined
  /** Truncations and resets under way: no appends meanwhile. */
  cuts = 0
  /** Grows when entries were cut off: whatever a read learned about places in the log before is void. */
  generation = 0
  /** Removals of segment files that are not finished. */
  removalsUnderWay = 0
  /** Gone from the store; nothing works any more. */
  removed = false
  damage: Damage[] = []
  isExpected: EntryCheck | undefined
  readonly readers = new Readers()
  /** Blocks of this log that were read from disk, newest last. */
  readonly reads: DiskBlock[] = []
  /** One writer to the segments at a time. */
  readonly gate = new Mutex()
  readonly #host: LogHost
  readonly #flushWaiters: FlushWaiter[] = []
  /** A range is being written to its segments. */
  #destaging = false

  constructor(host: LogHost, { name, number, directory, options, fold, segments, startOffset }: LogBirth) {
    this.#host = host
    this.name = name
    this.number = number
    this.directory = directory
    this.options = options
    this.fold = fold
    this.segments = segments
    this.tail = new TailCache(host.pool, host.scratch)
    this.startOffset = startOffset
    const { endOffset, endPosition } = this.active
    this.endOffset = this.issuedOffset = this.flushedOffset = this.destagedOffset = endOffset
    this.endPosition = this.issuedPosition = this.flushedPosition = this.destagedPosition = endPosition
  }

  get active(): Segment {
    return this.segments.at(-1)!
  }

  get sizeBytes(): number {
    return this.endPosition - this.segments[0]!.startPosition
  }

  append(entry: Uint8Array): 'appended' | 'full' | 'failed' {
    const host = this.#host
    if (host.refusesAppends || this.removed) return 'failed'
    if (this.cuts > 0) return 'full'
    if (entry.length > host.entryBytesMax)
      throw new StoreError('ENTRY_TOO_LARGE', `${entry.length} bytes, at most ${host.entryBytesMax}`, {
        log: this.name
      })
    assert(host.format.lengthAt(entry, 0) === entry.length, 'an entry is appended whole')
    if (this.shouldRoll(entry.length, host.format.lastOffsetAt(entry, 0))) this.roll()
    if (!this.place(entry, 0, entry.length)) return 'full'
    if (!this.queued) host.enqueue(this)
    return 'appended'
  }

  /**
   * Puts the entry at `at` of `bytes` behind the end of the active segment: copies it, moves the end, feeds the index. False:
   * no memory. Neither rolls nor starts a commit (recovery uses it as well).
   */
  place(bytes: Uint8Array, at: number, length: number): boolean {
    const { format } = this.#host
    const baseOffset = format.baseOffsetAt(bytes, at)
    const lastOffset = format.lastOffsetAt(bytes, at)
    assert(baseOffset === this.endOffset && lastOffset >= baseOffset, 'an entry begins where the log ends')
    const segment = this.active
    if (!this.tail.reserve(this.endPosition, length, segment.startPosition, this.options.segmentBytes)) return false
    this.tail.write(length === bytes.length ? bytes : bytes.subarray(at, at + length), this.endPosition)
    this.account(segment, baseOffset, lastOffset, format.maxTimestampAt(bytes, at), length)
    return true
  }

  /** Counts an entry whose bytes have been placed: in the tail (append) or in the segment already (recovery). */
  account(segment: Segment, baseOffset: number, lastOffset: number, maxTimestamp: bigint, length: number): void {
    const filePosition = segment.byteCount
    if (filePosition === 0) segment.createdMs = this.#host.clock.now()
    const { index } = segment
    const last = index.lastPosition
    const since = last >= 0 ? filePosition - last : index.coveredFrom > 0 ? Infinity : filePosition
    if (since >= this.options.indexIntervalBytes) index.add(baseOffset, filePosition, segment.maxTimestamp)
    if (maxTimestamp > segment.maxTimestamp) segment.maxTimestamp = maxTimestamp
    segment.byteCount += length
    this.endPosition += length
    this.endOffset = segment.endOffset = lastOffset + 1
    this.entriesAppended++
  }

  shouldRoll(length: number, lastOffset: number): boolean {
    const segment = this.active
    if (segment.byteCount === 0) return false
    if (segment.byteCount + length > this.options.segmentBytes) return true
    if (lastOffset - segment.baseOffset > 0x7fff_ffff) return true
    return this.#host.clock.now() - segment.createdMs >= this.options.segmentMs
  }

  /** Seals the active segment; the next one begins at the end of the log. */
  roll(): void {
    this.active.sealed = true
    this.segments.push(new Segment(this.directory, this.endOffset, this.endPosition, this.#host.clock.now()))
  }

  flush(): Promise<void> {
    if (this.#host.failure !== undefined || this.removed) return Promise.reject(this.#unwritable())
    if (this.flushedPosition === this.endPosition) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.#flushWaiters.push({ position: this.endPosition, resolve, reject })
    })
  }

  /** A commit that reached up to here is durable. */
  becomeFlushed(position: number, offset: number): void {
    assert(position >= this.flushedPosition && position <= this.endPosition, 'flushing moves forward')
    this.flushedPosition = position
    this.flushedOffset = offset
    while (this.#flushWaiters.length > 0 && this.#flushWaiters[0]!.position <= position)
      this.#flushWaiters.shift()!.resolve()
  }

  /** The checkpoint that is being made says that the fold has nothing to keep of what lies below `offset`. */
  noteEmptyFold(offset: number): void {
    const older = this.emptyFolds.at(-1)
    if (older === offset) return
    this.emptyFolds = older === undefined ? [offset] : [older, offset]
    if (older !== undefined) this.foldStoredOffset = older
  }

  /** Everything below is in the segments, durably. */
  becomeDestaged(position: number, offset: number): void {
    if (position <= this.destagedPosition) return
    this.destagedPosition = position
    this.destagedOffset = offset
    if (!this.#destaging) this.tail.markDestaged(position)
  }

  /**
   * Writes what of `[destagedPosition, to)` lies in each segment, then runs `settle`, all while holding the gate. The tail keeps
   * the range meanwhile, also when a commit whose direct writes came before ends now and says that it is destaged.
   */
  destage(to: number, write: SegmentRangeWriter, settle: () => Promise<void> = nothing): Promise<void> {
    return this.gate.run(async () => {
      if (this.removed) return
      this.#destaging = true
      try {
        for (const segment of this.segmentsBetween(this.destagedPosition, to)) {
          const from = Math.max(this.destagedPosition, segment.startPosition)
          const end = Math.min(to, segment.endPosition)
          if (from < end) await write(segment, from, end)
        }
        await settle()
      } finally {
        this.#destaging = false
        this.tail.markDestaged(this.destagedPosition)
      }
    })
  }

  /** Entries were cut off. */
  becomeCut(): void {
    this.generation++
    this.beginsAnew = true
    this.readers.forget()
  }

  /** Nothing more will become durable. */
  failWaiters(): void {
    for (const waiter of this.#flushWaiters.splice(0)) waiter.reject(this.#unwritable())
  }

  #unwritable(): StoreError {
    const { failure } = this.#host
    return new StoreError(this.removed ? 'CLOSED' : 'FAILED', 'the log accepts no more writes', {
      log: this.name,
      cause: failure
    })
  }

  /** The segment that holds `offset`, or the last one. */
  segmentAt(offset: number): Segment {
    return this.segments[this.#lastIndex(segment => segment.baseOffset <= offset)]!
  }

  /** The segment that holds log position `position`, or the last one. */
  segmentAtPosition(position: number): Segment {
    return this.segments[this.#lastIndex(segment => segment.startPosition <= position)]!
  }

  /** Segments with bytes in `[from, to)`, oldest first. */
  segmentsBetween(from: number, to: number): Segment[] {
    const result: Segment[] = []
    for (let index = this.segments.length - 1; index >= 0; index--) {
      const segment = this.segments[index]!
      if (segment.endPosition <= from) break
      if (segment.startPosition < to && segment.byteCount > 0) result.unshift(segment)
    }
    return result
  }

  /** Segments that can still change or lack their final form, oldest first; never empty. */
  unfinishedSegments(): Segment[] {
    let first = this.segments.length - 1
    while (first > 0 && !this.segments[first - 1]!.finished) first--
    return this.segments.slice(first)
  }

  #lastIndex(isAtOrBefore: (segment: Segment) => boolean): number {
    let low = 0
    let high = this.segments.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (isAtOrBefore(this.segments[middle]!)) low = middle
      else high = middle - 1
    }
    return low
  }

  /** The entry `[at, at + length)`, as it was read from disk, is what was written. */
  isWhole(bytes: Uint8Array, at: number, length: number): boolean {
    return this.#host.format.isIntact(bytes, at, length) && this.isExpected?.(bytes, at) !== false
  }

  /** Offsets [startOffset, endOffset) are damaged: reads refuse them from now on. */
  addDamage(startOffset: number, endOffset: number, reason: string): void {
    const known = this.damage.some(range => range.startOffset <= startOffset && range.endOffset >= endOffset)
    if (!known && endOffset > this.startOffset) this.damage.push({ log: this.name, startOffset, endOffset, reason })
  }

  read(offset: number, maxBytes: number, endBefore: number, atLeastOne: boolean): ReadResult | Promise<ReadResult> {
    return this.#host.read(this, offset, maxBytes, endBefore, atLeastOne)
  }

  findByTimestamp(timestamp: bigint, endBefore: number, from = 0): Promise<EntryLocation | undefined> {
    return this.#host.findByTimestamp(this, timestamp, endBefore, from)
  }

  findMaxTimestamp(endBefore: number): Promise<EntryLocation | undefined> {
    return this.#host.findMaxTimestamp(this, endBefore)
  }

  verify(offset: number, maxBytes: number): Promise<Verification> {
    return this.#host.verify(this, offset, maxBytes)
  }

  truncate(offset: number): Promise<void> {
    return this.#host.truncate(this, offset)
  }

  trim(startOffset: number): Promise<void> {
    return this.#host.trim(this, startOffset)
  }

  resetTo(offset: number): Promise<void> {
    return this.#host.resetTo(this, offset)
  }
}
