/** Two stores on one disk, as two shards of a node have, with one power supply. Part of the tests, not of the package. */
import type { Disk } from '../../disk.ts'
import { MemoryDisk, type CrashPolicy, type MemoryDiskOptions } from '../../disks/memory-disk.ts'
import { SeededRandom } from '../../disks/seeded-random.ts'
import type { Log, LogFold, LogOptions, LogStore } from '../../log-store.ts'
import { MemoryStateDevice } from '../../state/memory-state.ts'
import { ManualClock, memoryStoreSettings } from '../../testing/memory-store.ts'
import { plainEntry, plainFormat } from '../../testing/plain-entries.ts'
import { openStore } from '../open-store.ts'
import { CountingFold, readAll } from '../store-model.ts'

export const logOptions: LogOptions = { segmentBytes: 64 << 10, indexIntervalBytes: 1024, segmentMs: 1e12 }

export type Side = 'source' | 'target'

export interface TwoStoresOptions {
  readonly seed?: number
  readonly disk?: MemoryDiskOptions
  readonly wrapDisk?: (disk: Disk, side: Side) => Disk
  /** Whether logs have folds. Default true. */
  readonly withFolds?: boolean
}

export class TwoStores {
  disk: MemoryDisk
  readonly states: Record<Side, MemoryStateDevice> = {
    source: new MemoryStateDevice(),
    target: new MemoryStateDevice()
  }
  readonly folds = new Map<string, CountingFold>()
  readonly #options: TwoStoresOptions
  readonly #random: SeededRandom
  #generation = 0

  constructor(options: TwoStoresOptions = {}) {
    this.#options = options
    this.#random = new SeededRandom(options.seed ?? 1)
    this.disk = new MemoryDisk({ seed: options.seed ?? 1, ...options.disk, strictBuffers: false })
  }

  open(side: Side): Promise<LogStore> {
    const generation = this.#generation
    const { wrapDisk } = this.#options
    return openStore({
      disk: wrapDisk?.(this.disk, side) ?? this.disk,
      directory: `/${side}`,
      openState: () => this.states[side].open(),
      format: plainFormat,
      clock: new ManualClock(),
      scheduler: { soon: callback => queueMicrotask(() => generation === this.#generation && callback()) },
      newIdentity: () => new Uint8Array(16).map(() => this.#random.below(256)),
      settings: memoryStoreSettings,
      folds: () => this.newFold(side)
    })
  }

  newFold(side: Side): LogFold | undefined {
    if (this.#options.withFolds === false) return undefined
    const fold = new CountingFold()
    this.folds.set(side, fold)
    return fold
  }

  /** A log `orders` in the source with entries of these many bytes, flushed. */
  async fill(store: LogStore, byteCounts: readonly number[]): Promise<Log> {
    const fold = this.newFold('source')
    const [log] = await store.createLogs([{ name: 'orders', options: logOptions, ...(fold && { fold }) }])
    for (const byteCount of byteCounts) await this.append(store, log!, byteCount, 'source')
    await log!.flush()
    return log!
  }

  async append(store: LogStore, log: Log, byteCount: number, side: Side): Promise<void> {
    const payload = new Uint8Array(byteCount).map((_, at) => (log.endOffset * 31 + at) & 255)
    const entry = plainEntry({ baseOffset: log.endOffset, payload, timestamp: BigInt(1000 + log.endOffset) })
    while (log.append(entry) === 'full') await store.whenWritable(entry.length)
    this.folds.get(side)?.apply(entry)
  }

  /** Hands `orders` over, whole. */
  async handOver(source: LogStore, target: LogStore, endBefore?: number): Promise<Log> {
    const offer = await source.offerLog('orders', end => endBefore ?? end)
    if (offer === undefined) throw new Error('nothing was offered')
    const fold = this.newFold('target')
    const log = await target.adoptLog({ name: 'orders', options: logOptions, ...(fold && { fold }) }, offer)
    await source.withdrawOffer(offer.directory)
    return log
  }

  crash(policy: CrashPolicy = 'random', next: Omit<MemoryDiskOptions, 'seed' | 'alignment'> = {}): void {
    this.#generation++
    this.disk = this.disk.crash({ policy, next: { strictBuffers: false, ...next } })
    for (const state of Object.values(this.states)) state.crash(() => this.#random.below(1 << 24) / (1 << 24))
  }
}

export const bytesOf = (log: Log): Promise<Uint8Array> => readAll(log, log.startOffset, log.endOffset, 50_000)

/** Some dozens of entries over about nine segments. */
export const manyEntries: readonly number[] = Array.from({ length: 60 }, (_, i) =>
  i % 7 === 0 ? 40_000 : 300 + i * 97
)

export const same = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0

/** The disk with some calls replaced. */
export function overriding(disk: Disk, calls: Partial<Disk>): Disk {
  return new Proxy(disk, {
    get: (target, name) => {
      const replaced = Reflect.get(calls, name) as unknown
      if (replaced !== undefined) return replaced
      const value = Reflect.get(target, name) as unknown
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    }
  })
}
