/**
 * What every `Disk` promises, as tests: the one suite that `MemoryDisk`, `ThreadDisk` and `RingDisk` pass, and that any other
 * implementation of the port should.
 *
 *     import { describe, it } from 'vitest'
 *     diskCompliance({ describe, it }, 'MyDisk', () => ({ disk: new MyDisk(), folder: '/data', dispose: async () => {} }))
 *
 * The test runner is passed in, so that this module depends on none. Power cuts are not tested here (only `MemoryDisk` and a
 * machine without power can); what must hold up to the crash is.
 */
import { bytesSuite } from './bytes.ts'
import type { ComplianceOptions, DiskUnderTest, Suite, TestRunner } from './contract.ts'
import { directSuite } from './direct-io.ts'
import { closeSuite } from './end-of-life.ts'
import { failureSuite } from './failures.ts'
import { fullSuite } from './full-device.ts'
import { linkSuite } from './links.ts'
import { loadSuite } from './load.ts'
import { namesSuite } from './names.ts'

export type { ComplianceOptions, DiskUnderTest, TestContext, TestRunner } from './contract.ts'

/** Defines the suite. `makeDisk` is called once per test. */
export function diskCompliance(
  runner: TestRunner,
  name: string,
  makeDisk: () => Promise<DiskUnderTest> | DiskUnderTest,
  options: ComplianceOptions = {}
): void {
  const suite: Suite = (title, test) => {
    runner.it(title, async context => {
      const subject = await makeDisk()
      try {
        await test(subject, context)
      } finally {
        await subject.disk.close()
        await subject.dispose()
      }
    })
  }
  runner.describe(`${name}: bytes`, () => bytesSuite(suite))
  runner.describe(`${name}: direct I/O`, () => directSuite(suite))
  runner.describe(`${name}: names`, () => namesSuite(suite))
  runner.describe(`${name}: links`, () => linkSuite(suite))
  runner.describe(`${name}: failures`, () => failureSuite(suite))
  runner.describe(`${name}: load`, () => loadSuite(suite))
  runner.describe(`${name}: end of life`, () => closeSuite(suite))
  runner.describe(`${name}: a full device`, () => fullSuite(runner, options))
}
