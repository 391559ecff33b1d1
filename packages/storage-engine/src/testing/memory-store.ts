/** A whole store in memory, for tests and examples: its disk, its state, its clock, and a way to lose power. */
import type { Disk } from '../disk.ts'
import { MemoryDisk, type CrashPolicy, type MemoryDiskOptions } from '../disks/memory-disk.ts'
import { SeededRandom } from '../disks/seeded-random.ts'
import type { EntryFormat, Log, LogFold, LogStore } from '../log-store.ts'
import { MemoryStateDevice } from '../state/memory-state.ts'
import type { Clock, StoreLogger, StoreSettings } from '../store-options.ts'
import { openStore } from '../store/open-store.ts'
import { plainFormat } from './plain-entries.ts'

/** A clock that moves only when told. */
export class ManualClock implements Clock {
  #nowMs: number
  #timers: { atMs: number; callback: () => void }[] = []

  constructor(nowMs = 1_700_000_000_000) {
    this.#nowMs = nowMs
  }

  now(): number {
    return this.#nowMs
  }

  /** Pauses of a millisecond pass by themselves: only what is waited for on purpose needs `advance`. */
  after(delayMs: number, callback: () => void): () => void {
    if (delayMs <= 1) {
      const pause = setImmediate(callback)
      return () => clearImmediate(pause)
    }
    const timer = { atMs: this.#nowMs + delayMs, callback }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter(other => other !== timer)
    }
  }

  /** Moves on and runs what became due. */
  advance(byMs: number): void {
    this.#nowMs += byMs
    const due = this.#timers.filter(({ atMs }) => atMs <= this.#nowMs)
    this.#timers = this.#timers.filter(({ atMs }) => atMs > this.#nowMs)
    for (const { callback } of due) callback()
  }
}

export interface MemoryStoreOptions {
  readonly seed?: number
  readonly format?: EntryFormat
  readonly settings?: Partial<StoreSettings>
  readonly disk?: MemoryDiskOptions
  /** Puts something between the store and its disk: a planted bug, a probe. */
  readonly wrapDisk?: (disk: Disk) => Disk
  readonly folds?: (logName: string) => LogFold | undefined
  readonly onFlushed?: (logs: readonly Log[]) => void
  readonly log?: StoreLogger
}

/** Small enough for tests: 4 MiB of memory, 1 MiB of journal, no reserve on the device. */
export const memoryStoreSettings: Partial<StoreSettings> = {
  memoryBytes: 4 << 20,
  journalBytes: 1 << 20,
  reserveBytes: 0
}

/** A machine with one store on it: open it, cut the power, open it again. */
export class MemoryStoreHost {
  disk: MemoryDisk
  readonly state = new MemoryStateDevice()
  readonly clock = new ManualClock()
  readonly random: SeededRandom
  readonly #options: MemoryStoreOptions
  #generation = 0

  constructor(options: MemoryStoreOptions = {}) {
    this.#options = options
    this.random = new SeededRandom(options.seed ?? 1)
    this.disk = new MemoryDisk({ seed: options.seed ?? 1, ...options.disk, strictBuffers: false })
  }

  async open(settings: Partial<StoreSettings> = {}): Promise<LogStore> {
    const generation = this.#generation
    const { folds, onFlushed, log } = this.#options
    return await openStore({
      disk: this.#options.wrapDisk?.(this.disk) ?? this.disk,
      directory: '/store',
      openState: () => this.state.open(),
      format: this.#options.format ?? plainFormat,
      clock: this.clock,
      scheduler: { soon: callback => queueMicrotask(() => generation === this.#generation && callback()) },
      newIdentity: () => new Uint8Array(16).map(() => Math.floor(this.random.below(256))),
      settings: { ...memoryStoreSettings, ...this.#options.settings, ...settings },
      ...(folds && { folds }),
      // A machine without power acknowledges nothing.
      ...(onFlushed && { onFlushed: (logs: readonly Log[]) => generation === this.#generation && onFlushed(logs) }),
      ...(log && { log })
    })
  }

  /** Power loss: the open store is dead from here on, the disk keeps what it had promised, and some of the rest. */
  crash(policy: CrashPolicy = 'random', next: Omit<MemoryDiskOptions, 'seed' | 'alignment'> = {}): void {
    this.#generation++
    this.disk = this.disk.crash({ policy, next: { strictBuffers: false, ...next } })
    this.state.crash(() => this.random.below(1 << 24) / (1 << 24))
  }
}

/** An open store on a new memory disk. */
export function memoryStore(options: MemoryStoreOptions = {}): Promise<LogStore> {
  return new MemoryStoreHost(options).open()
}
