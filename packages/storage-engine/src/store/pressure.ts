/**
 * Pressure: when the store destages, and who waits for room until it has.
 *
 *     memory short, or much written directly ──► everything pending, which also makes a checkpoint
 *     journal more than half live, or full   ──► the logs that hold the older half of it (full: all)
 *     a log with much behind it              ──► that log
 *
 * One round at a time; after each the conditions are looked at again. Rounds that nothing presses for (idle logs, a read that
 * wants memory) are asked for from outside.
 */
import type { Clock } from '../store-options.ts'
import type { SpaceGuard } from './space.ts'
import type { StoreLog } from './store-log.ts'
import type { StoreParts } from './store-parts.ts'

/** Pause before somebody tries again who found no room although there seems to be some. */
const UNUSABLE_ROOM_RETRY_MS = 1
/** Two pages more than an append asks for: it may begin and end in the middle of one. */
const ROOM_MARGIN_BYTES = 8192

/** The store, as far as pressure needs it. */
export interface PressureHost {
  /** Failed, closed, or below the reserve of the disk. */
  readonly refusesAppends: boolean
  /** Failed or closed. */
  readonly isOver: boolean
  fail(cause: Error): void
}

/** What a round may be about; asked when the round begins. */
type Choice = () => readonly StoreLog[]

export class Pressure {
  readonly #parts: StoreParts
  readonly #clock: Clock
  readonly #space: SpaceGuard
  readonly #host: PressureHost
  #waiters: { readonly bytes: number; readonly resolve: () => void }[] = []
  /** A round has been asked for and has not chosen its logs yet. */
  #roundWanted = false
  /** Logs that are to be destaged although neither memory nor the journal is short. */
  readonly #backlogged = new Set<StoreLog>()

  constructor(parts: StoreParts, space: SpaceGuard, host: PressureHost) {
    this.#parts = parts
    this.#clock = parts.clock
    this.#space = space
    this.#host = host
  }

  /** Whether `bytes` can be appended now. */
  hasRoom(bytes: number): boolean {
    return this.#parts.pool.appendableBytes >= bytes + ROOM_MARGIN_BYTES
  }

  /** Resolves when it is worth trying to append `bytes`, at once when appends are refused. */
  whenRoom(bytes: number): Promise<void> {
    return new Promise(resolve => {
      if (this.#host.refusesAppends) return this.#parts.scheduler.soon(resolve)
      this.consider(false)
      // Room that the caller could not use (it is scattered, or cached by the caller's own tail): time must pass, so that
      // destaging, which makes more, gets on.
      if (this.hasRoom(bytes)) this.#clock.after(UNUSABLE_ROOM_RETRY_MS, resolve)
      else this.#waiters.push({ bytes, resolve })
    })
  }

  /** Memory became free. */
  released(): void {
    this.#parts.diskReader.retryWaiting()
    if (this.#waiters.length > 0) this.#wake(bytes => this.hasRoom(bytes))
  }

  /** Whoever waits for room learns from `append` why there is none. */
  wakeAll(): void {
    this.#wake(() => true)
  }

  /** A log has much that is to be destaged. */
  noteBacklog(log: StoreLog): void {
    this.#backlogged.add(log)
    this.consider(false)
  }

  /** Looks whether anything presses, and destages if so. `journalFull`: a commit found no room in the journal. */
  consider(journalFull: boolean): void {
    const { pool, journal, destager, committer, settings } = this.#parts
    if (pool.appendableBytes < pool.arena.bytes.length / 4 || committer.directBytes >= settings.checkpointBytes) {
      this.destage(() => {
        committer.resetDirectBytes()
        this.#backlogged.clear()
        return destager.allPending()
      })
    } else if (journalFull || journal.liveBytes > journal.byteCount / 2) {
      this.destage(() => destager.logsBelow(journalFull ? Infinity : journal.middleSequence))
    } else if (this.#backlogged.size > 0) {
      this.destage(() => {
        const logs = [...this.#backlogged]
        this.#backlogged.clear()
        return logs
      })
    }
  }

  /** Starts a round unless one is running; when one is, another pass over the conditions follows it. */
  destage(choose: Choice): void {
    const { destager } = this.#parts
    if (this.#host.isOver || destager.busy || this.#roundWanted || this.#space.exhausted) return
    this.#roundWanted = true
    destager
      .round(() => {
        this.#roundWanted = false
        return choose()
      })
      .then(
        () => this.consider(false),
        (error: Error) => this.#host.fail(error)
      )
  }

  #wake(which: (bytes: number) => boolean): void {
    const waiters = this.#waiters
    this.#waiters = waiters.filter(({ bytes }) => !which(bytes))
    for (const { bytes, resolve } of waiters) if (which(bytes)) resolve()
  }
}
