/**
 * Group commit. Whatever waits in all logs becomes durable together: one journal frame, plus one direct write per log that
 * has much. One commit is in flight at a time; the next one gathers meanwhile and is issued in the turn in which the previous
 * one completed, or at the end of the turn of the first append when nothing was in flight.
 *
 * A log with less than `inlineBytesMax` waiting goes inline. One with more is written from its tail straight to its segment,
 * from where destaging stood (what was inline before goes with it), and the frame carries an *extent* record for it; unless
 * its segment is being written or much went inline before, because every log of the shard waits for a commit's slowest write.
 * The commit is complete, and only then anything acknowledged, when the frame and all direct writes are durable.
 */
import { assert } from '../assert.ts'
import { crc32c } from '../bytes.ts'
import { DiskError } from '../errors.ts'
import { FrameBuilder, RecordKind, frameBytesFor, frameHeaderBytes, recordBytes } from '../journal/frame.ts'
import type { Journal } from '../journal/journal.ts'
import type { EntryFormat, Log } from '../log-store.ts'
import type { PagePool } from '../memory/page-pool.ts'
import type { SegmentWriter } from '../segments/segment-writer.ts'
import type { Segment } from '../segments/segment.ts'
import type { Scheduler } from '../store-options.ts'
import { logDescription } from './checkpoint.ts'
import type { StoreLog } from './store-log.ts'

/** What a direct write may take along of what went inline before: this, or so many times of its own bytes. */
const backlogBytesMin = 1 << 20
const backlogFactor = 4

/** From which sizes on entries take which way. */
export interface CommitLimits {
  readonly inlineBytesMax: number
  readonly commitBytesMax: number
  readonly frameBytesMax: number
}

/** What the committer must know of its store. */
export interface CommitHost {
  readonly failure: Error | undefined
}

/** What commits are made with. */
export interface CommitParts {
  readonly host: CommitHost
  readonly pool: PagePool
  readonly format: EntryFormat
  readonly journal: Journal
  readonly builder: FrameBuilder
  readonly writer: SegmentWriter
  readonly scheduler: Scheduler
  readonly limits: CommitLimits
}

/** What one commit takes of one log. */
interface Part {
  readonly log: StoreLog
  readonly direct: boolean
  readonly from: number
  readonly to: number
  readonly firstOffset: number
  readonly nextOffset: number
  /** Largest timestamp in the last segment up to `to`. */
  readonly maxTimestamp: bigint
  /** The log's description, when the journal file does not know the log yet. */
  readonly name: Uint8Array | undefined
  /** Segments that the range touches. */
  readonly segments: readonly Segment[]
}

/** Where a part ends. */
interface LogEnd {
  readonly position: number
  readonly offset: number
  /** Largest timestamp in the last segment up to there. */
  readonly maxTimestamp: bigint
}

interface Plan {
  parts: Part[]
  previous: StoreLog[]
  recordCount: number
  payloadBytes: number
}

export class Committer {
  readonly #host: CommitHost
  readonly #pool: PagePool
  readonly #format: EntryFormat
  readonly #journal: Journal
  readonly #builder: FrameBuilder
  readonly #writer: SegmentWriter
  readonly #scheduler: Scheduler
  readonly #limits: CommitLimits
  #queue: StoreLog[] = []
  #previousLogs: StoreLog[] = []
  #scheduled = false
  #inFlight = false
  #chain = 0
  /** Sequence of the next commit. */
  #nextSequence = 1
  /** The last commit that is complete. One that failed never is. */
  #completeSequence = 0
  /** Bytes written directly since the last call of `resetDirectBytes`. */
  #directBytes = 0
  /** Commits, records and bytes since open, for metrics and benches. */
  commitCount = 0
  /** Called when the file system is full; resolves when it is worth trying again. */
  whenSpace: () => Promise<void> = () => Promise.reject(new Error('no space'))
  onFlushed: (logs: readonly Log[]) => void = () => {}
  /** After each commit, and when one cannot start because the journal is full. */
  onPressure: (journalFull: boolean) => void = () => {}
  onFailed: (error: Error) => void = () => {}
  /** A log has records that no checkpoint contains. */
  onPending: (log: StoreLog, sequence: number) => void = () => {}
  /** The log has much to write and goes inline only because of what is not destaged yet. */
  onBacklog: (log: StoreLog) => void = () => {}
  /** Resolvers of `settled`. */
  #settledWaiters: (() => void)[] = []

  constructor({ host, pool, format, journal, builder, writer, scheduler, limits }: CommitParts) {
    this.#host = host
    this.#pool = pool
    this.#format = format
    this.#journal = journal
    this.#builder = builder
    this.#writer = writer
    this.#scheduler = scheduler
    this.#limits = limits
  }

  get completeSequence(): number {
    return this.#completeSequence
  }

  /** The last commit that was issued. */
  get issuedSequence(): number {
    return this.#nextSequence - 1
  }

  /** Commits up to this one are of the past: the next one follows it. */
  resumeAfter(sequence: number): void {
    this.#nextSequence = sequence + 1
    this.#completeSequence = sequence
  }

  get directBytes(): number {
    return this.#directBytes
  }

  resetDirectBytes(): void {
    this.#directBytes = 0
  }

  enqueue(log: StoreLog): void {
    log.queued = true
    this.#queue.push(log)
    this.schedule()
  }

  schedule(): void {
    if (this.#scheduled || this.#inFlight) return
    this.#scheduled = true
    this.#scheduler.soon(() => {
      this.#scheduled = false
      this.#issue()
    })
  }

  /** The log begins anew: the next frame says nothing about where it ended. */
  forgetPrevious(log: StoreLog): void {
    this.#previousLogs = this.#previousLogs.filter(other => other !== log)
  }

  /** Resolves when no commit is in flight. */
  settled(): Promise<void> {
    if (!this.#inFlight) return Promise.resolve()
    return new Promise(resolve => this.#settledWaiters.push(resolve))
  }

  #becomeSettled(): void {
    this.#inFlight = false
    for (const resolve of this.#settledWaiters.splice(0)) resolve()
  }

  #issue(): void {
    if (this.#inFlight || this.#host.failure !== undefined) return
    if (this.#queue.length === 0) return
    let plan = this.#plan(this.#journal.fileSerialFor(0))
    let frameBytes = frameBytesFor(plan.recordCount, plan.payloadBytes)
    if (this.#journal.beginsFile(frameBytes)) {
      plan = this.#plan(this.#journal.fileSerialFor(frameBytes))
      frameBytes = frameBytesFor(plan.recordCount, plan.payloadBytes)
    }
    if (plan.parts.length === 0) return
    if (!this.#journal.room(frameBytes)) return this.onPressure(true)
    const sequence = this.#nextSequence++
    this.#inFlight = true
    const frame = this.#build(plan, sequence, this.#journal.fileSerialFor(frameBytes))
    const writes: Promise<void>[] = [this.#journal.append(frame, sequence)]
    for (const part of plan.parts) if (part.direct) writes.push(this.#writeDirectly(part))
    Promise.all(writes).then(
      () => this.#complete(plan, sequence),
      (error: Error) => {
        this.onFailed(error)
        void Promise.allSettled(writes).then(() => this.#becomeSettled())
      }
    )
  }

  /** Decides what the commit takes; changes nothing. */
  #plan(fileSerial: number): Plan {
    const plan: Plan = {
      parts: [],
      previous: [],
      recordCount: this.#previousLogs.length,
      payloadBytes: 0
    }
    let budget = this.#limits.commitBytesMax
    for (const log of this.#queue) {
      const part = budget > 0 && !log.removed ? this.#planLog(plan, log, budget, fileSerial) : undefined
      if (part === undefined) continue
      plan.parts.push(part)
      budget -= part.to - part.from
    }
    const taken = new Set(plan.parts.map(part => part.log))
    plan.previous = this.#previousLogs.filter(log => !taken.has(log))
    plan.recordCount -= this.#previousLogs.length - plan.previous.length
    return plan
  }

  /** What the commit takes of one log; undefined: nothing this time. Adds it to the frame's size. */
  #planLog(plan: Plan, log: StoreLog, budget: number, fileSerial: number): Part | undefined {
    const from = log.issuedPosition
    const waiting = log.endPosition - from
    const named = log.namedInFile === fileSerial && !log.beginsAnew
    const name = named ? undefined : logDescription(log.name, log.options)
    const large = waiting >= this.#limits.inlineBytesMax
    let direct = large && this.#shouldWriteDirectly(log, waiting)
    let room = direct ? budget : Math.min(budget, this.#inlineRoom(plan, log, from, name))
    let end = this.#whole(log)
    if (waiting > room) {
      if (plan.parts.length > 0 && (!large || room < this.#limits.inlineBytesMax)) return undefined
      end = this.#cutAtEntry(log, from, room)
      if (!direct && end.position - from > room) {
        // An entry that is too large for the frame has no choice.
        if (plan.parts.length > 0) return undefined
        direct = true
        room = budget
        end = waiting > room ? this.#cutAtEntry(log, from, room) : this.#whole(log)
      }
    }
    const { position: to, offset: nextOffset, maxTimestamp } = end
    const segments = log.segmentsBetween(from, to)
    const recordCount = plan.recordCount + segments.length + (name === undefined ? 0 : 1)
    const payloadBytes = plan.payloadBytes + (direct ? 0 : to - from) + (name?.length ?? 0)
    if (frameBytesFor(recordCount, payloadBytes) > this.#limits.frameBytesMax) {
      assert(plan.parts.length > 0, 'a frame holds at least one log')
      return undefined
    }
    plan.recordCount = recordCount
    plan.payloadBytes = payloadBytes
    return { log, direct, from, to, firstOffset: log.issuedOffset, nextOffset, maxTimestamp, name, segments }
  }

  /**
   * Direct writes of a log wait for its gate, and take along everything that went inline before. While the log is being
   * destaged, or when that would be many times of what waits now, the journal is the faster way; the log is destaged then, so
   * that a load that lasts goes directly soon.
   */
  #shouldWriteDirectly(log: StoreLog, waiting: number): boolean {
    if (!log.gate.idle) return false
    if (log.issuedPosition - log.destagedPosition <= Math.max(backlogBytesMin, backlogFactor * waiting)) return true
    this.onBacklog(log)
    return false
  }

  /** Payload bytes that still fit the frame when `log` is added to it. */
  #inlineRoom(plan: Plan, log: StoreLog, from: number, name: Uint8Array | undefined): number {
    const recordCount = plan.recordCount + log.segmentsBetween(from, log.endPosition).length + 1
    const taken = frameHeaderBytes + recordCount * recordBytes + plan.payloadBytes + (name?.length ?? 0)
    return this.#limits.frameBytesMax - taken
  }

  #whole(log: StoreLog): LogEnd {
    const { endPosition: position, endOffset: offset } = log
    return { position, offset, maxTimestamp: log.segmentAtPosition(position - 1).maxTimestamp }
  }

  /** The last entry boundary at most `budget` bytes behind `from`, or the end of the first entry. */
  #cutAtEntry(log: StoreLog, from: number, budget: number): LogEnd {
    const format = this.#format
    let segment = log.segmentAtPosition(from)
    let maxTimestamp = segment.flushedTimestamp
    let position = from
    let offset = log.issuedOffset
    while (position < log.endPosition) {
      log.tail.peek(position, format.headerBytes)
      const { peekBytes, peekStart } = log.tail
      const length = format.lengthAt(peekBytes, peekStart)
      if (position > from && position + length - from > budget) break
      if (position >= segment.endPosition) {
        segment = log.segmentAtPosition(position)
        maxTimestamp = -1n
      }
      const timestamp = format.maxTimestampAt(peekBytes, peekStart)
      if (timestamp > maxTimestamp) maxTimestamp = timestamp
      offset = format.lastOffsetAt(peekBytes, peekStart) + 1
      position += length
    }
    return { position, offset, maxTimestamp }
  }

  #build(plan: Plan, sequence: number, fileSerial: number): Uint8Array {
    const builder = this.#builder
    builder.begin(plan.recordCount)
    for (const log of plan.previous)
      builder.addRecord(RecordKind.previous, log.number, 0, 0, 0, 0, log.flushedOffset, log.flushedOffset)
    for (const part of plan.parts) {
      if (part.name !== undefined) this.#addName(part, part.name, fileSerial)
      this.#addPart(part)
      part.log.issuedPosition = part.to
      part.log.issuedOffset = part.nextOffset
      part.log.queued = false
    }
    const left = this.#queue.filter(log => log.queued && !log.removed)
    this.#queue = []
    for (const log of left) this.#queue.push(log)
    for (const { log } of plan.parts) {
      if (log.issuedPosition === log.endPosition) continue
      log.queued = true
      this.#queue.push(log)
    }
    const frame = builder.finish(sequence, sequence - 1, this.#chain)
    this.#chain = new DataView(frame.buffer, frame.byteOffset).getUint32(4, true)
    return frame
  }

  #addName({ log, segments, from, firstOffset, nextOffset }: Part, description: Uint8Array, fileSerial: number): void {
    const at = this.#builder.payloadAt
    this.#builder.addPayload(description)
    const kind = log.beginsAnew ? RecordKind.anew : RecordKind.name
    const { baseOffset, startPosition } = segments[0]!
    const filePosition = from - startPosition
    this.#builder.addRecord(kind, log.number, description.length, at, baseOffset, filePosition, firstOffset, nextOffset)
    log.namedInFile = fileSerial
    log.beginsAnew = false
  }

  /** One record per segment that the part touches. */
  #addPart(part: Part): void {
    const { log } = part
    const countAverage = (part.to - part.from) / Math.max(1, log.entriesAppended - log.entriesIssued)
    log.entriesIssued = log.entriesAppended
    let firstOffset = part.firstOffset
    for (const segment of part.segments) {
      const from = Math.max(part.from, segment.startPosition)
      const to = Math.min(part.to, segment.endPosition)
      const nextOffset = to === part.to ? part.nextOffset : segment.endOffset
      let kind: RecordKind = RecordKind.inline
      let payload = this.#builder.payloadAt
      if (part.direct) {
        kind = countAverage < 4096 ? RecordKind.extentOfBytes : RecordKind.extent
        payload = kind === RecordKind.extent ? this.#headerSum(log, from, to) : this.#byteSum(log, from, to)
      } else {
        const { bytes } = this.#pool.arena
        log.tail.forEachPiece(from, to, (_, start, length) =>
          this.#builder.addPayload(bytes.subarray(start, start + length))
        )
      }
      const filePosition = from - segment.startPosition
      this.#builder.addRecord(
        kind,
        log.number,
        to - from,
        payload,
        segment.baseOffset,
        filePosition,
        firstOffset,
        nextOffset
      )
      firstOffset = nextOffset
    }
  }

  #headerSum(log: StoreLog, from: number, to: number): number {
    const format = this.#format
    let sum = 0
    for (let position = from; position < to;) {
      log.tail.peek(position, format.headerBytes)
      const { peekBytes, peekStart } = log.tail
      sum = crc32c(peekBytes.subarray(peekStart, peekStart + format.headerBytes), sum)
      position += format.lengthAt(peekBytes, peekStart)
    }
    return sum
  }

  #byteSum(log: StoreLog, from: number, to: number): number {
    const { bytes } = this.#pool.arena
    let sum = 0
    log.tail.forEachPiece(from, to, (_, start, length) => {
      sum = crc32c(bytes.subarray(start, start + length), sum)
    })
    return sum
  }

  /**
   * A commit that is under way cannot be given up: without space it tries again when there is some. The gate is free
   * meanwhile, so that trimming and removing, which make space, are not held up.
   */
  async #writeDirectly(part: Part): Promise<void> {
    const { log } = part
    this.#directBytes += part.to - part.from
    for (;;) {
      try {
        return await log.destage(part.to, (...range) => this.#writer.write(log.tail, ...range))
      } catch (error) {
        if (!(error instanceof DiskError && error.code === 'NO_SPACE')) throw error
        await this.whenSpace()
      }
    }
  }

  #complete(plan: Plan, sequence: number): void {
    this.commitCount++
    this.#completeSequence = sequence
    if (this.#host.failure !== undefined) return this.#becomeSettled()
    const logs: StoreLog[] = []
    for (const part of plan.parts) {
      part.log.becomeFlushed(part.to, part.nextOffset)
      if (part.direct) part.log.becomeDestaged(part.to, part.nextOffset)
      for (const segment of part.segments) segment.flushedTimestamp = segment.maxTimestamp
      part.segments.at(-1)!.flushedTimestamp = part.maxTimestamp
      this.onPending(part.log, sequence)
      logs.push(part.log)
    }
    this.#previousLogs = logs
    this.#becomeSettled()
    this.#issue()
    if (logs.length > 0) this.onFlushed(logs)
    this.onPressure(false)
  }
}

/** Bytes that a frame needs beside the payload of one log: bounds what one entry may be to go inline. */
export function frameOverheadBytes(): number {
  return frameHeaderBytes + 4 * recordBytes + 1024
}
