/**
 * What one replica writes, in Raft's order: records to the shard's log, marks to its state store.
 *
 *     append effect ──► steps ──► records: Log.append        durable with the store's next commit
 *                                 marks:   StateWriter.put   and everything behind them waits until they are durable
 *                                 cut:     Log.truncate, then the marks behind it
 *                                 reset:   the snapshot is kept, the log emptied, the snapshot put in place
 *
 * `marks` and `endOffset` are what Raft believes: they run ahead of the steps. After a crash at any step the store holds a
 * prefix of what some moment believed: marks behind the end of the log are dropped when it is opened.
 *
 * With nothing waiting (nearly always) a record goes to the log at once and its bytes are copied only there.
 */
import type { Entry, EntryId, Index } from '@milena/raft'
import { StoreError, type Log, type LogFold, type LogStore } from '@milena/storage-engine'
import type { GroupSnapshots } from '../contract.ts'
import { isOfItsTerm } from './entry-check.ts'
import { finishInstall } from '../lives/group-install.ts'
import { encodeInstall, encodeMarks, installKey, marksKey, voidKey, type PendingInstall } from '../kept/group-state.ts'
import type { Marks } from '../kept/marks.ts'
import type { StateWriter } from '../kept/state-writer.ts'

/** Pause before a write that the store has no space for is tried again. */
const NO_SPACE_RETRY_MS = 100

type Step =
  | { readonly kind: 'records'; readonly bytes: Uint8Array; readonly replay: boolean }
  | { readonly kind: 'marks'; readonly marks: Marks; readonly saved: () => void }
  | { readonly kind: 'cut'; readonly offset: number; readonly marks: Marks }
  | { readonly kind: 'reset'; readonly install: PendingInstall; readonly done: () => void }
  | { readonly kind: 'clear' }

export interface GroupWritesOptions {
  readonly name: string
  readonly store: LogStore
  readonly log: Log
  readonly marks: Marks
  /** What the log holds is not the group's. */
  readonly isVoid: boolean
  readonly fold: LogFold | undefined
  readonly snapshot: GroupSnapshots | undefined
  readonly state: StateWriter
  /** Calls back once after so many ms. */
  readonly after: (delayMs: number, callback: () => void) => () => void
  /** Something became durable, or nothing waits any more. */
  readonly onProgress: () => void
  /** Bytes of records that wait as copies became more, or (negative) fewer. */
  readonly onHeld: (bytes: number) => void
}

export class GroupWrites {
  readonly #options: GroupWritesOptions
  #steps: Step[] = []
  #busy = false
  /** Steps under way or waiting that take something away. */
  #cuts = 0
  #bytesHeld = 0
  #stopped = false
  /** `heldEnd` when everything stopped. */
  #stoppedEnd = Infinity
  #marks: Marks
  #savedMarks: Marks
  #endOffset: number
  #isVoid: boolean
  #idleWaiters: (() => void)[] = []

  constructor(options: GroupWritesOptions) {
    this.#options = options
    this.#marks = this.#savedMarks = options.marks
    this.#isVoid = options.isVoid
    this.#endOffset = options.isVoid ? 0 : options.log.endOffset
    options.log.isExpected = (bytes, at) => isOfItsTerm(bytes, at, this)
  }

  /** Marks as Raft believes. */
  get marks(): Marks {
    return this.#marks
  }

  /** End of the log as Raft believes. */
  get endOffset(): number {
    return this.#endOffset
  }

  /** Up to here the log holds what Raft believes: before whatever is still to be cut. */
  get heldEnd(): number {
    const { endOffset } = this.#options.log
    if (this.#isVoid) return 0
    let end = Math.min(endOffset, this.#stoppedEnd)
    if (this.#cuts === 0) return end
    for (const step of this.#steps) {
      if (step.kind === 'cut') end = Math.min(end, step.offset)
      else if (step.kind === 'clear' || step.kind === 'reset') end = 0
    }
    return end
  }

  /** Nothing waits: a record that is appended now goes to the log at once. */
  get idle(): boolean {
    return this.#steps.length === 0
  }

  /** All that Raft believes is on the disk. */
  get isSettled(): boolean {
    return this.idle && !this.#isVoid && this.#options.log.flushedOffset === this.#endOffset
  }

  /** Bytes of records that wait here as copies. */
  get bytesHeld(): number {
    return this.#bytesHeld
  }

  /** The last entry of the log as Raft believes that is durable; undefined while something is being taken away. */
  get durable(): EntryId | undefined {
    if (this.#cuts > 0 || this.#isVoid) return undefined
    const marks = this.#marks
    const savedCount = this.#savedMarks.count
    const unsavedOffset = marks.offsetOfMark(savedCount)
    const flushed = this.#options.log.flushedOffset
    const offset = unsavedOffset === undefined ? flushed : Math.min(flushed, unsavedOffset)
    const index = offset + Math.min(savedCount, marks.lastIndex(offset) - offset)
    return { index, term: marks.termAt(index) }
  }

  whenIdle(): Promise<void> {
    if (this.idle) return Promise.resolve()
    return new Promise(resolve => this.#idleWaiters.push(resolve))
  }

  /**
   * Carries out an append. `replay`: records are shown to the fold (a follower's). Payloads are copied before it returns.
   * Answers the offset from which on records were taken away, if any were.
   */
  append(truncateFrom: Index | undefined, entries: readonly Entry<Uint8Array>[], replay: boolean): number | undefined {
    if (this.#isVoid) this.#clear()
    const cutTo = truncateFrom === undefined ? undefined : this.#cut(truncateFrom)
    for (const entry of entries) {
      if (entry.kind === 'data') {
        this.#appendRecords(entry.payload, replay)
        this.#endOffset += entry.width
      } else {
        const mark = { offset: this.#endOffset, term: entry.term }
        this.#changeMarks(this.#marks.with(entry.kind === 'noop' ? mark : { ...mark, membership: entry.membership }))
      }
    }
    return cutTo
  }

  #appendRecords(bytes: Uint8Array, replay: boolean): void {
    if (this.#stopped) return
    if (this.idle && this.#options.log.append(bytes) === 'appended') {
      if (replay) this.#options.fold?.replay(bytes)
      return
    }
    this.#hold(bytes.length)
    this.#push({ kind: 'records', bytes: new Uint8Array(bytes), replay })
  }

  #changeMarks(marks: Marks): void {
    this.#marks = marks
    this.#push({ kind: 'marks', marks, saved: NOTHING })
  }

  #cut(index: Index): number | undefined {
    const offset = this.#marks.endOffsetAt(index - 1)
    const marks = this.#marks.truncatedFrom(index)
    if (offset === this.#endOffset && marks === this.#marks) return undefined
    this.#cuts++
    const shorter = offset < this.#endOffset
    this.#marks = marks
    this.#endOffset = offset
    this.#push({ kind: 'cut', offset, marks })
    return shorter ? offset : undefined
  }

  #clear(): void {
    this.#isVoid = false
    this.#cuts++
    this.#push({ kind: 'clear' })
  }

  /** Replaces log and marks by a snapshot; `done` runs when it is in place, durably. */
  reset(install: PendingInstall, done: () => void): void {
    this.#isVoid = false
    this.#cuts++
    this.#marks = install.marks
    this.#endOffset = install.marks.base.offset
    this.#push({ kind: 'reset', install, done })
  }

  /** Drops marks before `offset`, then records. Resolves when that is durable. */
  async compact(offset: number): Promise<void> {
    const marks = this.#marks.compactedTo(offset)
    if (marks !== this.#marks) {
      this.#marks = marks
      await new Promise<void>(saved => this.#push({ kind: 'marks', marks, saved }))
    }
  }

  /** Nothing is written any more: the group is removed, or the store failed. */
  stop(): void {
    // What was to be cut stays in the log: it is not shown although the step that says so goes.
    this.#stoppedEnd = this.heldEnd
    this.#stopped = true
    this.#steps = []
    this.#hold(-this.#bytesHeld)
  }

  #hold(bytes: number): void {
    this.#bytesHeld += bytes
    this.#options.onHeld(bytes)
  }

  #push(step: Step): void {
    this.#steps.push(step)
    this.#run()
  }

  /** Takes steps until one has to be waited for. */
  #run(): void {
    while (!this.#busy && !this.#stopped) {
      const step = this.#steps[0]
      if (step === undefined) break
      switch (step.kind) {
        case 'records':
          this.#tryRecords(step)
          break
        case 'marks':
          this.#saveMarks(step.marks, step.saved)
          break
        case 'cut':
          this.#carry(() => this.#cutLog(step.offset, step.marks))
          break
        case 'clear':
          this.#carry(() => this.#clearLog())
          break
        case 'reset':
          this.#carry(() => this.#resetLog(step.install, step.done))
          break
      }
    }
    if (this.idle && this.#idleWaiters.length > 0) for (const resolve of this.#idleWaiters.splice(0)) resolve()
  }

  #tryRecords(step: Extract<Step, { kind: 'records' }>): void {
    const { log, store, fold, after } = this.#options
    const outcome = log.append(step.bytes)
    if (outcome === 'appended') {
      this.#steps.shift()
      this.#hold(-step.bytes.length)
      if (step.replay) fold?.replay(step.bytes)
      return
    }
    if (store.failure !== undefined) return this.stop()
    this.#busy = true
    const again = (): void => {
      this.#busy = false
      this.#run()
    }
    if (outcome === 'full') void store.whenWritable(step.bytes.length).then(again)
    else after(NO_SPACE_RETRY_MS, again)
  }

  #saveMarks(marks: Marks, saved: () => void): void {
    const { state, name, onProgress } = this.#options
    this.#busy = true
    state.put(marksKey(name), encodeMarks(marks), () => {
      if (this.#stopped) return
      this.#savedMarks = marks
      this.#busy = false
      this.#steps.shift()
      saved()
      this.#run()
      onProgress()
    })
  }

  /**
   * Runs work of more than one wait, again and again while a full disk stands in its way; what else it rejects with is a failure
   * of the store, which says so itself.
   */
  #carry(work: () => Promise<void>): void {
    this.#busy = true
    work().then(
      () => {
        if (this.#stopped) return
        this.#busy = false
        this.#cuts--
        this.#steps.shift()
        this.#run()
        this.#options.onProgress()
      },
      (error: unknown) => {
        if (!(error instanceof StoreError && error.code === 'NO_SPACE')) return this.stop()
        this.#options.after(NO_SPACE_RETRY_MS, () => {
          this.#busy = false
          this.#run()
        })
      }
    )
  }

  async #cutLog(offset: number, marks: Marks): Promise<void> {
    const { log } = this.#options
    await log.truncate(offset)
    // The next life's marks are not to be overwritten.
    if (this.#stopped) return
    if (marks.count !== this.#savedMarks.count || marks.items.at(-1) !== this.#savedMarks.items.at(-1))
      await this.#putMarks(marks)
  }

  async #clearLog(): Promise<void> {
    const { log, state, name } = this.#options
    await log.resetTo(0)
    await new Promise<void>(saved => state.put(voidKey(name), undefined, saved))
  }

  async #resetLog(install: PendingInstall, done: () => void): Promise<void> {
    const { name, state } = this.#options
    await new Promise<void>(saved => state.put(installKey(name), encodeInstall(install), saved))
    await finishInstall({ ...this.#options, install })
    this.#savedMarks = install.marks
    done()
  }

  #putMarks(marks: Marks): Promise<void> {
    const { state, name } = this.#options
    return new Promise(resolve =>
      state.put(marksKey(name), encodeMarks(marks), () => {
        this.#savedMarks = marks
        resolve()
      })
    )
  }
}

const NOTHING = (): void => undefined
