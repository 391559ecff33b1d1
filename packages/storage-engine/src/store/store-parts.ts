/** What a store is made of: put together by open-store.ts, used by the store and by the rooms that do its longer work. */
import type { AlignedBuffer, Disk } from '../disk.ts'
import type { Journal } from '../journal/journal.ts'
import type { EntryFormat } from '../log-store.ts'
import type { PagePool } from '../memory/page-pool.ts'
import type { SegmentFiles } from '../segments/segment-files.ts'
import type { SegmentScanner } from '../segments/segment-scan.ts'
import type { SegmentWriter } from '../segments/segment-writer.ts'
import type { CheckedState } from '../state/checked-state.ts'
import type { Clock, Scheduler, StateBackend, StoreLogger, StoreSettings } from '../store-options.ts'
import type { Committer } from './commit.ts'
import type { Destager } from './destage.ts'
import type { DiskReader } from './reads/disk-read.ts'
import type { TimestampLookup } from './reads/lookup.ts'
import type { SegmentIndexes } from './reads/segment-indexes.ts'
import type { TailReader } from './reads/tail-read.ts'
import type { Verifier } from './reads/verify.ts'

/** See `StoreOptions` and `StoreSettings` for what comes from outside. */
export interface StoreParts {
  readonly disk: Disk
  readonly directory: string
  readonly settings: StoreSettings
  readonly format: EntryFormat
  readonly clock: Clock
  readonly pool: PagePool
  readonly memory: AlignedBuffer
  readonly journal: Journal
  readonly files: SegmentFiles
  readonly writer: SegmentWriter
  readonly scanner: SegmentScanner
  readonly indexes: SegmentIndexes
  readonly tailReader: TailReader
  readonly diskReader: DiskReader
  readonly lookup: TimestampLookup
  readonly verifier: Verifier
  readonly backend: StateBackend
  readonly engineState: CheckedState
  readonly hostState: CheckedState
  readonly scheduler: Scheduler
  readonly committer: Committer
  readonly destager: Destager
  readonly newIdentity: () => Uint8Array
  readonly logger: StoreLogger
  readonly onFailed: (cause: Error) => void
}
