/**
 * Destaging: moves what is durable in the journal into the segments, in big writes, and records it as a checkpoint; then the
 * journal space and the memory are free again.
 *
 * A round fixes, synchronously, how far each of its logs goes (their flushed ends, which are exactly what the commits up to
 * `sequence` wrote), writes those ranges, and stores all checkpoints in one transaction. Recovery replays for each log only
 * frames above its `sequence`. Rounds never overlap; truncation and trimming take turns with them. After a turn that failed
 * there is no other, nor after a commit that failed: a checkpoint would call the journal done with what was not written, and a
 * flush that is tried again and succeeds proves nothing.
 *
 * Rounds are started by: the journal being half full (the logs that hold its older half), memory (all logs), many bytes
 * written directly (all), and logs that have waited `destageIdleMs` (those).
 */
import { DiskError, StoreError, isFatal } from '../errors.ts'
import type { CommitHost } from './commit.ts'
import type { Journal } from '../journal/journal.ts'
import type { SegmentWriter } from '../segments/segment-writer.ts'
import type { CheckedState } from '../state/checked-state.ts'
import {
  describeLog,
  describeSegment,
  encodeJson,
  foldKey,
  foldPrefix,
  offsetOfFoldKey,
  logKey,
  segmentKey,
  segmentPrefix,
  storeKey,
  type StateChanges,
  type StoreCheckpoint
} from './checkpoint.ts'
import { Mutex } from './mutex.ts'
import type { StoreLog } from './store-log.ts'

/** Largest snapshot of a fold that is kept. */
export const foldBytesMax = 1 << 20
/** What a fold that has nothing to keep is known by here. */
const nothingKept = new Uint8Array(0)

/** A log as a round takes it. */
interface Target {
  readonly log: StoreLog
  readonly position: number
  readonly offset: number
  readonly fold: { readonly offset: number; readonly bytes: Uint8Array } | undefined
  readonly firstPendingSequence: number
}

export class Destager {
  readonly #host: CommitHost
  readonly #journal: Journal
  readonly #writer: SegmentWriter
  readonly #state: CheckedState
  readonly #commits: { readonly completeSequence: number }
  readonly #concurrency: number
  /** Logs with records that no checkpoint contains, the one with the oldest record first. */
  readonly #pending = new Set<StoreLog>()
  readonly #turns = new Mutex()
  #running = false
  #failure: unknown
  nextLogNumber = 1
  /** What the state store holds about the journal. */
  lastStored: StoreCheckpoint = { nextLogNumber: 1, replayFrom: 1, complete: 0 }
  /** A log could not be destaged for want of space; it stays pending. */
  onNoSpace: () => void = () => {}
  /** Rounds since open. */
  roundCount = 0

  constructor(
    host: CommitHost,
    journal: Journal,
    writer: SegmentWriter,
    state: CheckedState,
    commits: { readonly completeSequence: number },
    concurrency: number
  ) {
    this.#host = host
    this.#journal = journal
    this.#writer = writer
    this.#state = state
    this.#commits = commits
    this.#concurrency = concurrency
  }

  get busy(): boolean {
    return this.#running
  }

  /** Commit `sequence` wrote records of the log. */
  notePending(log: StoreLog, sequence: number, nowMs: number): void {
    if (log.firstPendingSequence > 0 || log.removed) return
    log.firstPendingSequence = sequence
    log.pendingSinceMs = nowMs
    this.#pending.add(log)
  }

  /** No commit holds anything of the log that a checkpoint lacks. */
  forget(log: StoreLog): void {
    this.#pending.delete(log)
    log.firstPendingSequence = 0
  }

  /** Runs `work` between rounds. `FAILED` once the store, a round or such work has failed (other than by an answer to its caller). */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.#turns.run(async () => {
      const failure = this.#failure ?? this.#host.failure
      if (failure !== undefined) throw new StoreError('FAILED', 'the store failed', { cause: failure })
      try {
        return await work()
      } catch (error) {
        if (isFatal(error)) this.#failure = error
        throw error
      }
    })
  }

  /** Resolves when all turns that were asked for are over. */
  settled(): Promise<void> {
    return this.#turns.run(async () => {})
  }

  /** Logs that hold the older half of the journal. */
  logsBelow(sequence: number): StoreLog[] {
    const logs: StoreLog[] = []
    for (const log of this.#pending) {
      if (log.firstPendingSequence < sequence) logs.push(log)
    }
    return logs
  }

  logsPendingSince(timeMs: number): StoreLog[] {
    return [...this.#pending].filter(log => log.pendingSinceMs <= timeMs)
  }

  allPending(): StoreLog[] {
    return [...this.#pending]
  }

  /** One round over these logs, after those under way. Rejects when the store fails. */
  async round(choose: () => readonly StoreLog[]): Promise<void> {
    await this.exclusive(async () => {
      this.#running = true
      try {
        await this.roundInTurn(choose())
      } finally {
        this.#running = false
      }
    })
  }

  /** The same for a caller that has the turn already (`exclusive`). */
  async roundInTurn(logs: readonly StoreLog[]): Promise<void> {
    this.roundCount++
    const sequence = this.#commits.completeSequence
    const targets = logs.filter(log => !log.removed).map(log => this.#fix(log))
    const written = await this.#writeAll(targets)
    const changes: StateChanges = new Map()
    for (const target of written) this.#describe(target, sequence, changes)
    const replayFrom = this.#replayFrom(sequence)
    const store: StoreCheckpoint = { nextLogNumber: this.nextLogNumber, replayFrom, complete: sequence }
    changes.set(storeKey, encodeJson(store))
    await this.#state.putAll(changes)
    this.lastStored = store
    this.#journal.releaseBelow(replayFrom)
  }

  #fix(log: StoreLog): Target {
    const { firstPendingSequence } = log
    this.#pending.delete(log)
    log.firstPendingSequence = 0
    const bytes = log.fold !== undefined && log.foldReady ? (log.fold.snapshot() ?? nothingKept) : undefined
    const fold =
      bytes === undefined || bytes.length > foldBytesMax ? undefined : { offset: log.endOffset, bytes: bytes.slice() }
    return { log, position: log.flushedPosition, offset: log.flushedOffset, fold, firstPendingSequence }
  }

  #replayFrom(sequence: number): number {
    let from = sequence + 1
    for (const log of this.#pending) from = Math.min(from, log.firstPendingSequence)
    return from
  }

  /** Writes the targets' ranges. Those for which there is no space stay pending; the others are returned. */
  async #writeAll(targets: readonly Target[]): Promise<Target[]> {
    const written: Target[] = []
    let next = 0
    const worker = async () => {
      while (next < targets.length) {
        const target = targets[next++]!
        if (this.#isWritten(target) || (await this.#writeLog(target))) written.push(target)
        else {
          this.#putBack(target)
          this.onNoSpace()
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(this.#concurrency, targets.length) }, worker))
    return written.filter(({ log }) => !log.removed)
  }

  /** Direct writes have brought the log to where the round wants it: the gate, which those need, is left alone. */
  #isWritten({ log, position }: Target): boolean {
    return log.destagedPosition >= position && log.unfinishedSegments().length === 1
  }

  #putBack({ log, firstPendingSequence }: Target): void {
    if (log.removed || firstPendingSequence === 0) return
    log.firstPendingSequence = firstPendingSequence
    this.#pending.add(log)
  }

  /** False: the file system is full. */
  async #writeLog({ log, position, offset }: Target): Promise<boolean> {
    const settle = async (): Promise<void> => {
      log.becomeDestaged(position, offset)
      for (const segment of log.unfinishedSegments())
        if (segment.sealed && segment.endPosition <= position) await this.#writer.finish(segment)
    }
    try {
      await log.destage(position, (...range) => this.#writer.writeGently(log.tail, ...range), settle)
      return true
    } catch (error) {
      if (error instanceof DiskError && error.code === 'NO_SPACE') return false
      throw error
    }
  }

  /** Adds the log's checkpoint to `changes`. */
  #describe({ log, position, offset, fold }: Target, sequence: number, changes: StateChanges): void {
    for (const base of log.droppedSegments.splice(0)) changes.set(segmentKey(log.number, base), undefined)
    for (let index = log.segments.length - 1; index >= 0; index--) {
      const segment = log.segments[index]!
      if (segment.recorded) break
      if (!segment.finished) continue
      segment.recorded = true
      const description = describeSegment(segment, segment.endPosition, segment.endOffset)
      changes.set(segmentKey(log.number, segment.baseOffset), encodeJson(description))
    }
    const kept = fold !== undefined && fold.offset <= log.flushedOffset ? fold : undefined
    if (kept?.bytes.length === 0) log.noteEmptyFold(kept.offset)
    else if (kept !== undefined) this.#describeFold(log, kept.offset, kept.bytes, changes)
    const active = log.unfinishedSegments()[0]!
    describeLog(log, { active, position, endOffset: offset, startOffset: log.startOffset, sequence }, changes)
  }

  #describeFold(log: StoreLog, offset: number, bytes: Uint8Array, changes: StateChanges): void {
    const older = this.#state.keys(foldPrefix(log.number))
    for (const key of older.slice(0, Math.max(0, older.length - 1))) changes.set(key, undefined)
    changes.set(foldKey(log.number, offset), bytes)
    log.foldStoredOffset = offsetOfFoldKey(older.at(-1)) ?? log.emptyFolds.at(-1) ?? offset
  }
}

/** Removes everything that the state store holds about a log. */
export function describeRemoval(state: CheckedState, log: StoreLog, changes: StateChanges): void {
  changes.set(logKey(log.number), undefined)
  for (const key of state.keys(segmentPrefix(log.number))) changes.set(key, undefined)
  for (const key of state.keys(foldPrefix(log.number))) changes.set(key, undefined)
}
