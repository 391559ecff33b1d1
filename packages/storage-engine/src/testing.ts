/**
 * Fakes and compliance suites of the storage engine, for its own tests and for those of its hosts.
 */
export {
  MemoryDisk,
  type CrashOptions,
  type CrashPolicy,
  type DiskOperation,
  type DiskScheduler,
  type Fate,
  type FaultTarget,
  type MemoryDiskOptions
} from './disks/memory-disk.ts'
export { SeededRandom } from './disks/seeded-random.ts'
export {
  diskCompliance,
  type ComplianceOptions,
  type DiskUnderTest,
  type TestContext,
  type TestRunner
} from './disks/compliance/disk-compliance.ts'
export { bytesAtRest, type BytesAtRest } from './testing/at-rest.ts'
export { MemoryStateDevice, type MemoryStateFaults } from './state/memory-state.ts'
export {
  ManualClock,
  MemoryStoreHost,
  memoryStore,
  memoryStoreSettings,
  type MemoryStoreOptions
} from './testing/memory-store.ts'
export { plainEntry, plainFormat, plainPayload, type PlainEntry } from './testing/plain-entries.ts'
