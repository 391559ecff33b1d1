/**
 * What `openStore` needs from its host: ports and settings. The engine takes nothing else from its environment: no clock,
 * no timer, no file system of its own choosing.
 */
import type { Disk } from './disk.ts'
import type { EntryFormat, Log, LogFold } from './log-store.ts'

/** Time as a port. */
export interface Clock {
  /** Wall clock, ms since the epoch. Used for the age of segments only. */
  now(): number
  /** Calls back once after `delayMs`; the returned function cancels. Must not keep the process alive. */
  after(delayMs: number, callback: () => void): () => void
}

/** The event loop as a port. */
export interface Scheduler {
  /** Runs `callback` after the I/O of this turn (production: `setImmediate`). */
  soon(callback: () => void): void
}

/** Structured log sink; a pino logger fits. */
export interface StoreLogger {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/**
 * A durable ordered map, as raw as the library below it. The engine adds checksums, duplicates and namespaces itself
 * (`state/checked-state.ts`), so that every backend is protected alike.
 */
export interface StateBackend {
  get(key: string): Uint8Array | undefined
  /** All or nothing; durable (device cache included) when it resolves. `undefined` removes. A rejection is final. */
  commit(changes: ReadonlyMap<string, Uint8Array | undefined>): Promise<void>
  /** Keys that begin with `prefix`, sorted by code unit. */
  keys(prefix: string): string[]
  close(): Promise<void>
}

/** Sizes and times of a store. */
export interface StoreSettings {
  /** Bytes of page memory: tail caches, read buffers and journal frame together. At least 2 MiB. Default 64 MiB. */
  memoryBytes: number
  /** Bytes of the journal on disk, all files together. At least 512 KiB. Default 64 MiB. */
  journalBytes: number
  /** Files in the journal's ring, 2 to 64. Default 8. */
  journalFileCount: number
  /** A log with at least this much waiting is written to its segment directly, not through the journal. Default 64 KiB. */
  inlineBytesMax: number
  /** Bytes (inline and direct together) that one commit takes at most, unless a single entry is larger. Default 8 MiB. */
  commitBytesMax: number
  /** Bytes written directly after which a checkpoint is taken, so that recovery reads no more than that. Default 64 MiB. */
  checkpointBytes: number
  /** A log that has had undestaged bytes for this long is destaged. Default 10,000 ms. */
  destageIdleMs: number
  /** Segment writes in flight during destaging. Default 8. */
  destageConcurrency: number
  /** Destaging writes this much of a log, or more, piece by piece with one flush at the end; less in one write. Default 256 KiB. */
  gentleBytesMin: number
  /** Below this many free bytes on the file system appends are refused (`no-space`). Default 64 MiB. */
  reserveBytes: number
  /** How often free space is looked at. Default 1,000 ms. */
  spaceCheckMs: number
  /** Segment files kept open. Default 512. */
  openFilesMax: number
}

/** What holds for every setting that is not given. */
export const defaultStoreSettings: StoreSettings = {
  memoryBytes: 64 << 20,
  journalBytes: 64 << 20,
  journalFileCount: 8,
  inlineBytesMax: 64 << 10,
  commitBytesMax: 8 << 20,
  checkpointBytes: 64 << 20,
  destageIdleMs: 10_000,
  destageConcurrency: 8,
  gentleBytesMin: 256 << 10,
  reserveBytes: 64 << 20,
  spaceCheckMs: 1_000,
  openFilesMax: 512
}

/** What a store takes from the world. */
export interface StoreOptions {
  readonly disk: Disk
  /** Folder of this shard's store; made when missing. One store at a time may use it. */
  readonly directory: string
  /** Opens the small durable state. `openLmdbState` in production, `MemoryStateDevice.open` in tests. */
  readonly openState: () => Promise<StateBackend>
  readonly format: EntryFormat
  readonly clock: Clock
  readonly scheduler: Scheduler
  /** 16 random bytes: the identity of a new store, names that no other store gives. */
  readonly newIdentity: () => Uint8Array
  readonly settings?: Partial<StoreSettings>
  /** The fold of a log that recovery finds. Called once per log, before its replay. */
  readonly folds?: (logName: string) => LogFold | undefined
  /** Runs once per commit, after `flushedOffset` of these logs moved. Must not throw. The array is reused: do not keep it. */
  readonly onFlushed?: (logs: readonly Log[]) => void
  /** Runs once when the store fails; nothing is acknowledged afterwards. */
  readonly onFailed?: (cause: Error) => void
  readonly log?: StoreLogger
}
