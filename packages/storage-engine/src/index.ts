/**
 * @milena/storage-engine
 */
export type { AlignedBuffer, Disk, DiskFile, OpenOptions } from './disk.ts'
export { openDisk, type OpenDiskOptions, type OpenedDisk } from './disks/open-disk.ts'
export { MemoryDisk } from './disks/memory-disk.ts'
export { DiskError, StoreError, type DiskErrorCode, type StoreErrorCode } from './errors.ts'
export type {
  EntryFormat,
  EntryLocation,
  Log,
  LogFold,
  LogOptions,
  LogStore,
  ReadResult,
  StateStore,
  StoreStatus
} from './log-store.ts'
export type { Clock, Scheduler, StateBackend, StoreLogger, StoreOptions, StoreSettings } from './store-options.ts'
export { MemoryStateDevice } from './state/memory-state.ts'
export { openStore } from './store/open-store.ts'
export { openLmdbState } from './state/lmdb-state.ts'
