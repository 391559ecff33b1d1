/** What the compliance suite of disks is given: disks to test, and a test runner. */
import type { Disk } from '../../disk.ts'

/** A disk for one test, with an empty folder on it. */
export interface DiskUnderTest {
  readonly disk: Disk
  /** An existing, empty folder. */
  readonly folder: string
  /** Cleans up after the test; the disk may be closed already. */
  dispose(): Promise<void>
  /** Makes the next flush of any file fail, once. Left out where that cannot be arranged: those tests are skipped. */
  failNextSync?(): void
  /** Makes the next write fail, once. */
  failNextWrite?(): void
  /** Makes the next write of more than one block short: the device takes only the first block. */
  shortenNextWrite?(): void
  /** Descriptors that the process holds. */
  descriptorCount?(): number
}

/** `describe` and `it` of vitest, jest, node:test or mocha. */
export interface TestRunner {
  describe(name: string, define: () => void): void
  it(name: string, test: (context: TestContext) => Promise<void>): void
}

/** What the runner passes to a test; only `skip` is used. */
export interface TestContext {
  skip(reason?: string): void
}

/** What the suite needs beyond disks. */
export interface ComplianceOptions {
  /** A disk on a file system with 1 to 8 MiB of space; or why there is none here (the tests that need it are skipped). */
  readonly makeSmallDisk?: () => Promise<DiskUnderTest | string>
}

/** Defines a test of one disk. */
export type Suite = (title: string, test: (subject: DiskUnderTest, context: TestContext) => Promise<void>) => void
