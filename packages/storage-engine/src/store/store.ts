/**
 * The store itself: ties memory, journal, segments, state and destaging together and is what callers hold. See `log-store.ts`
 * for the contract and `open-store.ts` for how one comes to be.
 *
 * ```
 *   open ──disk below its reserve──► no-space ──space is back──► open
 *     └──────a write, flush or state commit failed──────► failed        (for ever; reads of what is flushed go on)
 *     └──────close()──────► closed
 * ```
 */
import { DiskError, StoreError, isFatal } from '../errors.ts'
import type {
  Damage,
  EntryFormat,
  EntryLocation,
  Log,
  LogFold,
  LogOffer,
  LogOptions,
  LogStore,
  ReadResult,
  StoreStatus,
  Verification
} from '../log-store.ts'
import type { PagePool } from '../memory/page-pool.ts'
import { Segment } from '../segments/segment.ts'
import type { CheckedState } from '../state/checked-state.ts'
import type { Clock } from '../store-options.ts'
import { Adoption, type AdoptionRequest } from './hand-over/adoption.ts'
import { describeLog, encodeJson, storeKey, type StateChanges } from './checkpoint.ts'
import { describeRemoval } from './destage.ts'
import { acknowledgeLoss } from './identity.ts'
import { Pressure } from './pressure.ts'
import { lookAgain } from './reads/lookup.ts'
import { readableEnd } from './reads/readable-end.ts'
import { emptyRead } from './reads/tail-read.ts'
import { checkLogName } from './recovery/catalog.ts'
import { Offers } from './hand-over/offers.ts'
import { Removals } from './removal/removals.ts'
import { Shortener } from './removal/shorten.ts'
import { SpaceGuard } from './space.ts'
import { StoreLog, type LogBirth, type LogHost } from './store-log.ts'
import type { StoreParts } from './store-parts.ts'

export class Store implements LogStore, LogHost {
  readonly #parts: StoreParts
  readonly #logs = new Map<string, StoreLog>()
  readonly #numbers = new Map<number, StoreLog>()
  readonly #removals: Removals
  readonly #space: SpaceGuard
  readonly #pressure: Pressure
  readonly #shortener: Shortener
  readonly #offers: Offers
  readonly #adoption: Adoption
  readonly #storeDamage: Damage[] = []
  #tick: () => void = () => {}
  /** `close` was called: nobody waits for space any more. */
  #closing = false
  #closed = false
  readonly pool: PagePool
  readonly format: EntryFormat
  readonly clock: Clock
  readonly scratch: Uint8Array
  readonly entryBytesMax: number
  readonly state: CheckedState
  failure: Error | undefined
  stateLost = false

  constructor(parts: StoreParts) {
    this.#parts = parts
    this.pool = parts.pool
    this.format = parts.format
    this.clock = parts.clock
    this.state = parts.hostState
    this.scratch = new Uint8Array(Math.max(64, parts.format.headerBytes))
    this.entryBytesMax = Math.min(parts.format.entryBytesMax, Math.floor(parts.pool.arena.bytes.length / 4))
    this.#space = new SpaceGuard(parts.disk, parts.directory, parts.settings.reserveBytes, parts.logger, () =>
      this.#pressure.wakeAll()
    )
    this.#pressure = new Pressure(parts, this.#space, this)
    const guarded = <T>(work: () => Promise<T>): Promise<T> => this.guarded(work)
    this.#shortener = new Shortener(parts, guarded, () => this.#pressure.released())
    this.#removals = new Removals(parts, () => this.#closed)
    this.#offers = new Offers(parts, guarded)
    this.#adoption = new Adoption(parts, this)
  }

  get logs(): ReadonlyMap<string, StoreLog> {
    return this.#logs
  }

  get isOver(): boolean {
    return this.failure !== undefined || this.#closed
  }

  get refusesAppends(): boolean {
    return this.isOver || this.#space.full
  }

  // ---- for open-store and recovery ----

  get numbers(): ReadonlyMap<number, StoreLog> {
    return this.#numbers
  }

  directoryOf(name: string): string {
    return `${this.#parts.directory}/logs/${name}`
  }

  /** Adds a log that exists durably (or is about to). */
  adopt(birth: LogBirth): StoreLog {
    const log = new StoreLog(this, birth)
    this.register(log)
    return log
  }

  register(log: StoreLog): void {
    this.#logs.set(log.name, log)
    this.#numbers.set(log.number, log)
  }

  addStoreDamage(reason: string): void {
    this.#storeDamage.push({ log: '*', startOffset: 0, endOffset: 0, reason })
  }

  /** Begins normal work: timers run, pressure starts destaging. */
  start(): void {
    const { committer, destager, journal, diskReader, settings } = this.#parts
    committer.whenSpace = () => this.#space.whenWorthTrying()
    destager.onNoSpace = () => this.#destagingMetFullDisk()
    committer.onPending = (log, sequence) => destager.notePending(log, sequence, this.clock.now())
    committer.onPressure = journalFull => this.#pressure.consider(journalFull)
    committer.onFailed = error => this.fail(error)
    committer.onBacklog = log => this.#pressure.noteBacklog(log)
    journal.onRoom = () => committer.schedule()
    journal.onFailed = error => this.#journalNotPrepared(error)
    diskReader.onWaiting = () => this.#pressure.destage(() => destager.allPending())
    this.pool.onRelease = () => this.#pressure.released()
    const tick = () => {
      this.#tick = this.clock.after(settings.spaceCheckMs, tick)
      void this.#onTick()
    }
    this.#tick = this.clock.after(settings.spaceCheckMs, tick)
  }

  async checkSpace(): Promise<void> {
    await this.#space.check()
  }

  // ---- writing ----

  enqueue(log: StoreLog): void {
    this.#parts.committer.enqueue(log)
  }

  writable(bytes: number): boolean {
    return this.#pressure.hasRoom(bytes)
  }

  whenWritable(bytes = 1): Promise<void> {
    return this.#pressure.whenRoom(bytes)
  }

  async #onTick(): Promise<void> {
    const { destager, settings, committer } = this.#parts
    if (this.isOver) return
    try {
      await this.#space.check()
    } catch (error) {
      return this.fail(error as Error)
    }
    committer.schedule()
    this.#pressure.consider(false)
    const idle = destager.logsPendingSince(this.clock.now() - settings.destageIdleMs)
    if (idle.length > 0) this.#pressure.destage(() => idle)
  }

  #journalNotPrepared(error: Error): void {
    if (error instanceof DiskError && error.code === 'NO_SPACE') {
      const prepareAgain = (): void => this.#parts.journal.prepareAgain()
      this.#space.whenWorthTrying().then(prepareAgain, () => {})
    } else this.fail(error)
  }

  /** A write, flush or state commit failed: from now on nothing is acknowledged. */
  fail(cause: Error): void {
    if (this.isOver) return
    this.failure = cause
    const isUnfinished = this.#closing && (cause as Partial<StoreError>).code === 'NO_SPACE'
    if (isUnfinished)
      this.#parts.logger.warn({ err: cause }, 'closed on a full disk: what waited for space is given up')
    else this.#parts.logger.error({ err: cause }, 'the store failed; nothing is acknowledged from now on')
    this.#wakeAll()
    if (!isUnfinished) this.#parts.onFailed(cause)
  }

  #destagingMetFullDisk(): void {
    this.#space.becomeExhausted()
    if (this.#closing) this.fail(new StoreError('NO_SPACE', 'the disk is full'))
  }

  #wakeAll(): void {
    for (const log of this.#logs.values()) log.failWaiters()
    this.#space.giveUp()
    this.#pressure.wakeAll()
  }

  // ---- reading ----

  read(
    log: StoreLog,
    offset: number,
    maxBytes: number,
    endBefore: number,
    atLeastOne: boolean
  ): ReadResult | Promise<ReadResult> {
    if (this.#closed || log.removed) throw new StoreError('CLOSED', 'the log is closed', { log: log.name })
    const end = readableEnd(log, offset, endBefore)
    if (offset >= end) return emptyRead(this.pool, offset)
    const { generation } = log
    return (
      this.#parts.tailReader.read(log, offset, maxBytes, end, atLeastOne) ??
      this.#parts.diskReader.read(log, offset, maxBytes, end, atLeastOne).catch((error: unknown) => {
        // Entries were cut off while it read: it may have met bytes that were no longer or not yet there.
        if (log.generation !== generation) return this.read(log, offset, maxBytes, endBefore, atLeastOne)
        return this.#rethrow(log, offset, error)
      })
    )
  }

  #rethrow(log: StoreLog, offset: number, error: unknown): never {
    if (error instanceof StoreError) throw error
    if (offset < log.startOffset)
      throw new StoreError('OUT_OF_RANGE', `offset ${offset} was trimmed`, { log: log.name })
    if (this.#closed || log.removed) throw new StoreError('CLOSED', 'the log is closed', { log: log.name })
    throw new StoreError('FAILED', `offset ${offset} cannot be read`, { log: log.name, cause: error })
  }

  findByTimestamp(log: StoreLog, time: bigint, endBefore: number, from: number): Promise<EntryLocation | undefined> {
    return lookAgain(log, () => this.#parts.lookup.findByTimestamp(log, time, endBefore, from))
  }

  findMaxTimestamp(log: StoreLog, endBefore: number): Promise<EntryLocation | undefined> {
    return lookAgain(log, () => this.#parts.lookup.findMaxTimestamp(log, endBefore))
  }

  async verify(log: StoreLog, offset: number, maxBytes: number): Promise<Verification> {
    if (this.#closed) throw new StoreError('CLOSED', 'the log is closed', { log: log.name })
    return await this.#parts.verifier.verify(log, offset, maxBytes)
  }

  // ---- shortening: see shorten.ts ----

  async truncate(log: StoreLog, offset: number): Promise<void> {
    await this.#shortener.truncate(log, offset)
  }

  async trim(log: StoreLog, startOffset: number): Promise<void> {
    await this.#shortener.trim(log, startOffset)
  }

  async resetTo(log: StoreLog, offset: number): Promise<void> {
    await this.#shortener.resetTo(log, offset)
  }

  /** Runs work that writes: an error that is not an answer to the caller is the end of the store. */
  async guarded<T>(work: () => Promise<T>): Promise<T> {
    if (this.failure !== undefined) throw new StoreError('FAILED', 'the store failed earlier', { cause: this.failure })
    if (this.#closed) throw new StoreError('CLOSED', 'the store is closed')
    try {
      return await work()
    } catch (error) {
      if (!isFatal(error)) throw error
      this.fail(error as Error)
      throw new StoreError('FAILED', 'the store failed', { cause: error })
    }
  }

  // ---- logs come and go ----

  async createLogs(requests: readonly { name: string; options: LogOptions; fold?: LogFold }[]): Promise<Log[]> {
    const { destager, engineState, committer } = this.#parts
    const names = new Set<string>()
    for (const { name } of requests) {
      checkLogName(name)
      if (this.isTaken(name) || names.has(name)) throw new StoreError('LOG_EXISTS', 'create', { log: name })
      names.add(name)
    }
    for (const name of names) await this.whenRemoved(name)
    return await this.guarded(() =>
      destager.exclusive(async () => {
        const changes: StateChanges = new Map()
        const made = requests.map(({ name, options, fold }) => {
          if (this.isTaken(name)) throw new StoreError('LOG_EXISTS', 'create', { log: name })
          const number = destager.nextLogNumber++
          const directory = this.directoryOf(name)
          const active = new Segment(directory, 0, 0, this.clock.now())
          const birth = { name, number, directory, options: { ...options }, fold, segments: [active], startOffset: 0 }
          const log = new StoreLog(this, birth)
          const sequence = committer.issuedSequence
          describeLog(log, { active, position: 0, endOffset: 0, startOffset: 0, sequence }, changes)
          return log
        })
        changes.set(storeKey, encodeJson({ ...destager.lastStored, nextLogNumber: destager.nextLogNumber }))
        await engineState.putAll(changes)
        for (const log of made) this.register(log)
        return made
      })
    )
  }

  async removeLogs(names: readonly string[]): Promise<void> {
    const { destager, engineState, diskReader } = this.#parts
    await this.guarded(() =>
      destager.exclusive(async () => {
        const logs = names.map(name => {
          const log = this.#logs.get(name)
          if (log === undefined) throw new StoreError('UNKNOWN_LOG', 'remove', { log: name })
          return log
        })
        const changes: StateChanges = new Map()
        for (const log of logs) {
          log.removed = true
          describeRemoval(engineState, log, changes)
        }
        await engineState.putAll(changes)
        for (const log of logs) {
          destager.forget(log)
          this.#logs.delete(log.name)
          this.#numbers.delete(log.number)
          log.failWaiters()
          diskReader.invalidate(log)
          this.#removals.begin(log)
        }
      })
    )
  }

  isTaken(name: string): boolean {
    return this.#logs.has(name) || this.#adoption.isUnderWay(name)
  }

  async whenRemoved(name: string): Promise<void> {
    await this.#removals.whenRemoved(name)
  }

  // ---- handing logs over: see hand-over/ ----

  async offerLog(
    name: string,
    endBefore: (endOffset: number) => number | Promise<number>
  ): Promise<LogOffer | undefined> {
    const log = this.#logs.get(name)
    if (log === undefined) throw new StoreError('UNKNOWN_LOG', 'offer', { log: name })
    return await this.#offers.offer(log, endBefore)
  }

  async withdrawOffer(directory: string): Promise<void> {
    await this.#offers.withdraw(directory)
  }

  async adoptLog(
    request: AdoptionRequest,
    offer: LogOffer,
    changes: ReadonlyMap<string, Uint8Array | undefined> = new Map()
  ): Promise<Log> {
    return await this.#adoption.adopt(request, offer, changes)
  }

  // ---- the rest ----

  status() {
    const { journal } = this.#parts
    const damage = [...this.#storeDamage]
    for (const log of this.#logs.values()) damage.push(...log.damage)
    return {
      state: this.#standing(),
      journalBytesLive: journal.liveBytes,
      memoryBytesFree: this.pool.availableBytes,
      damage,
      stateLost: this.stateLost
    }
  }

  #standing(): StoreStatus['state'] {
    if (this.failure !== undefined) return 'failed'
    if (this.#closed) return 'closed'
    return this.#space.full ? 'no-space' : 'open'
  }

  acknowledgeStateLoss(): Promise<void> {
    return acknowledgeLoss(this.#parts.engineState)
  }

  async close(): Promise<void> {
    const { committer, destager, journal, files, writer, backend, memory } = this.#parts
    if (this.#closed) return
    this.#tick()
    this.#closing = true
    this.#space.giveUp()
    if (this.failure === undefined && !this.#space.full) {
      try {
        await Promise.all([...this.#logs.values()].map(log => log.flush()))
        await destager.round(() => destager.allPending())
      } catch (error) {
        this.fail(error as Error)
      }
    }
    await committer.settled()
    await destager.settled()
    await Promise.all([this.#shortener.settled(), this.#removals.settled()])
    this.#closed = true
    this.#wakeAll()
    await journal.close()
    await files.close()
    await backend.close()
    writer.close()
    memory.release()
  }
}
