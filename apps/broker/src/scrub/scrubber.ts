/**
 * The background scrub of a shard: reads all of its logs from the disk, again and again, so that what rots is found while other
 * replicas are sound, and not when it is needed.
 *
 *     waiting ──interval since the last pass began──► running: log by log, a step, a pause, a step, ... ──► waiting
 *                                                       │ ▲
 *                                              busy, disk slow, disk full: paused
 *
 * A step verifies 256 KiB (`Log.verify`) and keeps nothing. Damage that it finds is logged once and told to the replica, which gets
 * everything back from the others if it can (`ReplicatedLog.noteDamage`); at the beginning of a pass all damage that is known is
 * told again, since more may be possible by now.
 *
 * Pace: at most `bytesPerSecond`, at most a fifth of the time that the disk gives, nothing while the loop is held up or the disk
 * takes long; but a step now and then in any case, so that a pass comes to its end on a shard that is always busy.
 */
import { DiskError, StoreError, type Damage, type Log, type LogStore, type Verification } from '@milena/storage-engine'
import type { BrokerClock } from '../system-clock.ts'
import { keepProgress, readProgress, type ScrubProgress } from './scrub-progress.ts'

/** Bytes of a log that one step verifies. */
export const STEP_BYTES = 256 * 1024
/** After a step it rests for so many times what the step took. */
const REST_FACTOR = 4
/** A step that takes longer, ms, says that the disk is slow; then it rests so long, ms. */
const SLOW_STEP_MS = 250
const SLOW_REST_MS = 5_000
/** A pause that ends so much late, ms, says that the loop is held up; then it looks again after so many ms. */
const LATE_MS = 25
const BUSY_REST_MS = 1_000
/** Looks in a row that may find the shard busy before a step is made all the same. */
const BUSY_LOOKS_MAX = 60
/** How often it looks whether a pass is due, ms, and how often it keeps where it is. */
const LOOK_MS = 10_000
const KEEP_MS = 60_000

/** How fast and how often; asked again and again. */
export interface ScrubPace {
  readonly bytesPerSecond: number
  /** From the beginning of a pass to that of the next, ms; 0: no scrub. */
  readonly intervalMs: number
}

export interface ScrubberOptions {
  readonly store: LogStore
  /** Replicas of the logs, by name. */
  readonly groups: ReadonlyMap<string, { noteDamage(): void }>
  readonly pace: () => ScrubPace
  readonly clock: BrokerClock
  readonly log: {
    info(fields: object, message: string): void
    warn(fields: object, message: string): void
    error(fields: object, message: string): void
  }
}

/** What the admin API shows. */
export interface ScrubStatus {
  /** `off`: switched off, or the store failed. */
  readonly state: 'off' | 'waiting' | 'running' | 'paused'
  /** Why it is paused. */
  readonly reason: 'shard busy' | 'disk slow' | 'disk full' | undefined
  /** Of the pass that runs: the log that it is at, bytes so far, and bytes of all logs when it began. */
  readonly log: string | undefined
  readonly bytesDone: number
  readonly bytesTotal: number
  /** Wall clock, ms, of the last pass; 0: never. */
  readonly startedMs: number
  readonly finishedMs: number
  /** Ranges that this process found damaged. */
  readonly damageFound: number
}

export class Scrubber {
  readonly #options: ScrubberOptions
  #progress: ScrubProgress
  #state: ScrubStatus['state'] = 'off'
  #reason: ScrubStatus['reason']
  #at: string | undefined
  #bytesDone = 0
  #bytesTotal = 0
  #damageFound = 0
  /** Monotonic ms when the progress was kept last. */
  #keptMs: number
  /** How late the last pause ended, ms. */
  #lateMs = 0
  #cancelSleep: () => void = () => undefined
  #closed = false
  readonly #ended: Promise<void>

  /** Begins at once, with whatever is due. */
  constructor(options: ScrubberOptions) {
    this.#options = options
    const { clock, store } = options
    this.#progress = readProgress(store.state)
    this.#keptMs = clock.monotonic()
    this.#ended = this.#run().catch((error: unknown) => {
      this.#state = 'off'
      if (!this.#closed && store.failure === undefined)
        options.log.error({ err: error }, 'the scrub of this shard ended; its next start goes on')
    })
  }

  status(): ScrubStatus {
    const { startedMs, finishedMs } = this.#progress
    return {
      state: this.#state,
      reason: this.#reason,
      log: this.#at,
      bytesDone: this.#bytesDone,
      bytesTotal: this.#bytesTotal,
      startedMs,
      finishedMs,
      damageFound: this.#damageFound
    }
  }

  /** Resolves when nothing is being read any more. Before the store is closed. */
  close(): Promise<void> {
    this.#closed = true
    this.#cancelSleep()
    return this.#ended
  }

  get #mayGoOn(): boolean {
    return !this.#closed && this.#options.store.failure === undefined
  }

  async #run(): Promise<void> {
    const { clock, pace } = this.#options
    while (this.#mayGoOn) {
      const { intervalMs } = pace()
      const nowMs = clock.now()
      // A clock that was put back must not keep the next pass away.
      this.#progress = { ...this.#progress, startedMs: Math.min(this.#progress.startedMs, nowMs) }
      const { startedMs, next } = this.#progress
      const leftMs = next === undefined ? startedMs + intervalMs - nowMs : 0
      if (intervalMs > 0 && leftMs <= 0) await this.#pass()
      this.#state = intervalMs > 0 ? 'waiting' : 'off'
      await this.#sleep(intervalMs > 0 ? Math.min(LOOK_MS, Math.max(1, leftMs)) : LOOK_MS)
    }
    this.#state = 'off'
  }

  /** All logs once, or what is left of it. */
  async #pass(): Promise<void> {
    const { store, clock, log } = this.#options
    const goesOn = this.#progress.next
    this.#bytesDone = goesOn?.bytesDone ?? 0
    this.#bytesTotal = [...store.logs.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    if (goesOn === undefined) this.#progress = { ...this.#progress, startedMs: clock.now() }
    for (const name of new Set(store.status().damage.map(range => range.log))) this.#tell(name)
    const found = this.#damageFound
    for (const name of [...store.logs.keys()].sort()) {
      if (goesOn !== undefined && name < goesOn.log) continue
      await this.#scrubLog(name, name === goesOn?.log ? goesOn.offset : 0)
      if (!this.#mayGoOn || this.#isOff) return
    }
    this.#at = undefined
    this.#progress = { ...this.#progress, finishedMs: clock.now(), next: undefined }
    await this.#keep()
    const damageFound = this.#damageFound - found
    log.info({ bytes: this.#bytesDone, damageFound }, 'all logs of this shard were read and verified')
  }

  get #isOff(): boolean {
    return this.#options.pace().intervalMs === 0
  }

  async #scrubLog(name: string, from: number): Promise<void> {
    const { store, clock } = this.#options
    this.#at = name
    for (let offset = from; ;) {
      if (!(await this.#clear()) || this.#isOff) return
      const log = store.logs.get(name)
      if (log === undefined) return
      const startedMs = clock.monotonic()
      const step = await this.#step(log, offset)
      if (step === undefined) return
      offset = step.nextOffset
      this.#bytesDone += step.byteCount
      for (const range of step.damage) this.#report(range)
      this.#progress = { ...this.#progress, next: { log: name, offset, bytesDone: this.#bytesDone } }
      if (clock.monotonic() - this.#keptMs >= KEEP_MS) await this.#keep()
      await this.#rest(step.byteCount, clock.monotonic() - startedMs)
      if (step.atEnd) return
    }
  }

  /** Undefined: the log is gone, or the disk does not answer as disks do; the next pass looks at it again. */
  async #step(log: Log, offset: number): Promise<Verification | undefined> {
    try {
      return await log.verify(offset, STEP_BYTES)
    } catch (error) {
      if (error instanceof DiskError)
        this.#options.log.warn({ log: log.name, offset, err: error }, 'the scrub passes over the rest of a log')
      else if (!(error instanceof StoreError)) throw error
      return undefined
    }
  }

  #report(range: Damage): void {
    this.#damageFound++
    this.#options.log.error({ ...range }, 'damaged range: reads of it are refused')
    this.#tell(range.log)
  }

  #tell(name: string): void {
    this.#options.groups.get(name)?.noteDamage()
  }

  /** So long that the rate is kept and the disk is mostly left to others. */
  async #rest(byteCount: number, tookMs: number): Promise<void> {
    const rateMs = (byteCount / this.#options.pace().bytesPerSecond) * 1000
    const isSlow = tookMs > SLOW_STEP_MS
    if (isSlow) this.#pause('disk slow')
    await this.#sleep(Math.max(rateMs, tookMs * REST_FACTOR, isSlow ? SLOW_REST_MS : 0))
  }

  /** Waits while there is something more urgent. False: there is nothing to go on with. */
  async #clear(): Promise<boolean> {
    const { store } = this.#options
    for (let look = 0; this.#mayGoOn && !this.#isOff; look++) {
      const { refusesAppends } = store
      if (!refusesAppends && (this.#lateMs < LATE_MS || look >= BUSY_LOOKS_MAX)) break
      this.#pause(refusesAppends ? 'disk full' : 'shard busy')
      await this.#sleep(BUSY_REST_MS)
    }
    this.#state = 'running'
    this.#reason = undefined
    return this.#mayGoOn
  }

  #pause(reason: ScrubStatus['reason']): void {
    this.#state = 'paused'
    this.#reason = reason
  }

  async #keep(): Promise<void> {
    const { store, clock } = this.#options
    this.#keptMs = clock.monotonic()
    await keepProgress(store.state, this.#progress)
  }

  /** Ends at once when it is closed. */
  #sleep(delayMs: number): Promise<void> {
    const { clock } = this.#options
    if (this.#closed) return Promise.resolve()
    const dueMs = clock.monotonic() + delayMs
    return new Promise(resolve => {
      const cancel = clock.after(delayMs, () => {
        this.#lateMs = clock.monotonic() - dueMs
        resolve()
      })
      this.#cancelSleep = () => {
        cancel()
        resolve()
      }
    })
  }
}
