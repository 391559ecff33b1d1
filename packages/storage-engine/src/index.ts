/**
 * Logs on direct-I/O segments behind a shard-wide journal.
 *
 * A *store* holds many logs and belongs to one process. Appends are copied once, into page memory that mirrors the segment
 * files; whatever waits in all logs is made durable together, by one device write for the many small appends and by direct
 * writes for the large ones; reads of the tail are views. The README says what appended, flushed and readable mean, draws the
 * layouts on disk, and shows a running example; `log-store.ts` is the contract in types.
 *
 * The engine knows no Kafka: where an entry keeps its offsets, timestamp and checksum is told by an `EntryFormat`. It takes
 * clock, event loop, disk and small durable state as ports (`StoreOptions`). Fakes: `@milena/storage-engine/testing`.
 */
export type { AlignedBuffer, Disk, DiskFile, OpenOptions } from './disk.ts'
export { MemoryDisk, type MemoryDiskOptions } from './disks/memory-disk.ts'
export { openDisk, type OpenDiskOptions, type OpenedDisk } from './disks/open-disk.ts'
export { DiskError, StoreError, type DiskErrorCode, type StoreErrorCode } from './errors.ts'
export type {
  Damage,
  EntryCheck,
  EntryFormat,
  EntryLocation,
  Log,
  LogFold,
  LogOffer,
  LogOptions,
  LogStore,
  OfferedSegment,
  ReadResult,
  StateStore,
  StoreStatus,
  Verification
} from './log-store.ts'
export { openLmdbState, type LmdbStateOptions } from './state/lmdb-state.ts'
export { MemoryStateDevice, type MemoryStateFaults } from './state/memory-state.ts'
export {
  defaultStoreSettings,
  type Clock,
  type Scheduler,
  type StateBackend,
  type StoreLogger,
  type StoreOptions,
  type StoreSettings
} from './store-options.ts'
export { openStore } from './store/open-store.ts'
