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
import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import type { Disk, DiskFile, OpenOptions } from '../disk.ts'
import { DiskError, type DiskErrorCode } from '../errors.ts'
import { linkSuite } from './link-compliance.ts'

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

export interface ComplianceOptions {
  /** A disk on a file system with 1 to 8 MiB of space; or why there is none here (the tests that need it are skipped). */
  readonly makeSmallDisk?: () => Promise<DiskUnderTest | string>
}

const DIRECT: OpenOptions = { mode: 'create', direct: true, durable: true }
const BUFFERED: OpenOptions = { mode: 'create', direct: false, durable: false }
const PARALLEL_OPERATIONS = 3000

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

/** Defines a test of one disk. */
export type Suite = (title: string, test: (subject: DiskUnderTest, context: TestContext) => Promise<void>) => void

function bytesSuite(test: Suite): void {
  test('reads back what was written, also at positions inside blocks', async ({ disk, folder }) => {
    const file = await disk.open(`${folder}/a`, BUFFERED)
    await file.write(pattern(10_000, 3), 777)
    const back = new Uint8Array(10_777)
    assert.equal(await file.read(back, 0), 10_777)
    assert.deepEqual(back.subarray(0, 777), new Uint8Array(777))
    assert.deepEqual(back.subarray(777), pattern(10_000, 3))
  })

  test('reads fewer bytes only at the end of the file, and none behind it', async ({ disk, folder }) => {
    const file = await disk.open(`${folder}/a`, BUFFERED)
    await file.write(pattern(1000, 1), 0)
    const back = new Uint8Array(600)
    assert.equal(await file.read(back, 0), 600)
    assert.equal(await file.read(back, 600), 400)
    assert.deepEqual(back.subarray(0, 400), pattern(1000, 1).subarray(600))
    assert.equal(await file.read(back, 1000), 0)
    assert.equal(await file.read(back, 50_000), 0)
  })

  test('writes and reads views that start anywhere in their memory', async ({ disk, folder }) => {
    const file = await disk.open(`${folder}/a`, BUFFERED)
    const memory = new Uint8Array(100).fill(9)
    memory.set(pattern(30, 5), 41)
    await file.write(memory.subarray(41, 71), 0)
    const back = new Uint8Array(50)
    assert.equal(await file.read(back.subarray(7, 37), 0), 30)
    assert.deepEqual(back.subarray(7, 37), pattern(30, 5))
    assert.deepEqual([back[6], back[37]], [0, 0])
  })

  test('works beyond 4 GiB', async ({ disk, folder }) => {
    const file = await disk.open(`${folder}/a`, BUFFERED)
    const position = 2 ** 32 * 3 + 123
    await file.write(pattern(5000, 8), position)
    assert.equal(await file.size(), position + 5000)
    const back = new Uint8Array(5000)
    assert.equal(await file.read(back, position), 5000)
    assert.deepEqual(back, pattern(5000, 8))
  })

  test('lets a later write win over an earlier one that resolved', async ({ disk, folder }) => {
    const file = await disk.open(`${folder}/a`, BUFFERED)
    for (let round = 0; round < 50; round++) await file.write(pattern(3000, round), 100)
    assert.deepEqual(await contents(file), [...new Uint8Array(100), ...pattern(3000, 49)])
  })

  test('shows a resolved write to readers of other handles', async ({ disk, folder }) => {
    const writer = await disk.open(`${folder}/a`, BUFFERED)
    const reader = await disk.open(`${folder}/a`, { ...BUFFERED, mode: 'read' })
    await writer.write(pattern(64, 1), 0)
    assert.deepEqual(await contents(reader), [...pattern(64, 1)])
  })

  test('truncates shorter and longer, with zeros where bytes were cut', async ({ disk, folder }) => {
    const file = await disk.open(`${folder}/a`, BUFFERED)
    await file.write(pattern(5000, 2), 0)
    await file.truncate(1234)
    assert.equal(await file.size(), 1234)
    await file.truncate(3000)
    await file.sync()
    assert.deepEqual(await contents(file), [...pattern(5000, 2).subarray(0, 1234), ...new Uint8Array(1766)])
  })

  test('allocates: the file grows, reads zeros there, and keeps what it held', async ({ disk, folder }) => {
    const file = await disk.open(`${folder}/a`, BUFFERED)
    await file.write(pattern(100, 4), 0)
    await file.allocate(0, 100_000)
    assert.equal(await file.size(), 100_000)
    await file.allocate(0, 50)
    assert.equal(await file.size(), 100_000)
    assert.deepEqual(await contents(file), [...pattern(100, 4), ...new Uint8Array(99_900)])
  })

  test('flushes a file that was written, was not written, and is being written', async ({ disk, folder }) => {
    const file = await disk.open(`${folder}/a`, BUFFERED)
    await file.sync()
    await file.write(pattern(100, 4), 0)
    await Promise.all([file.sync(), file.write(pattern(100, 5), 100), file.sync()])
    assert.equal(await file.size(), 200)
  })

  test('takes empty buffers', async ({ disk, folder }) => {
    const file = await disk.open(`${folder}/a`, DIRECT)
    await file.write(new Uint8Array(0), 0).catch((error: unknown) => assert.equal(codeOf(error), 'MISALIGNED'))
    assert.equal(await file.size(), 0)
  })
}

function directSuite(test: Suite): void {
  test('has a power of two in [512, 4096] as alignment', async ({ disk }) => {
    assert.ok([512, 1024, 2048, 4096].includes(disk.alignment))
  })

  test('hands out zeroed memory, rounded up, and zeroed again when it is reused', async ({ disk }) => {
    const first = disk.allocateBuffer(disk.alignment + 1)
    assert.ok(first.bytes.length > disk.alignment && first.bytes.length % disk.alignment === 0)
    assert.ok(first.bytes.every(byte => byte === 0))
    first.bytes.fill(1)
    first.release()
    const second = disk.allocateBuffer(disk.alignment + 1)
    assert.ok(second.bytes.every(byte => byte === 0))
    second.release()
  })

  test('gives two holders of memory different bytes', async ({ disk }) => {
    const held = Array.from({ length: 40 }, (_, index) => disk.allocateBuffer(disk.alignment * (1 + (index % 7))))
    held.forEach((memory, index) => memory.bytes.fill(index + 1))
    held.forEach((memory, index) => assert.ok(memory.bytes.every(byte => byte === index + 1)))
    held.forEach(memory => memory.release())
  })

  test('reads back aligned writes of many sizes, the largest 4 MiB', async ({ disk, folder }) => {
    const file = await disk.open(`${folder}/a`, DIRECT)
    for (const bytes of [disk.alignment, 3 * disk.alignment, 1 << 16, 1 << 20, 1 << 22]) {
      const memory = disk.allocateBuffer(2 * bytes)
      const written = memory.bytes.subarray(0, bytes)
      written.set(pattern(bytes, bytes))
      await file.write(written, bytes)
      assert.equal(await file.read(memory.bytes.subarray(bytes), bytes), bytes)
      assert.ok(Buffer.from(memory.bytes.subarray(bytes)).equals(Buffer.from(written)))
      memory.release()
    }
  })

  test('reads an unaligned end of file with aligned reads', async ({ disk, folder }) => {
    const buffered = await disk.open(`${folder}/a`, BUFFERED)
    await buffered.write(pattern(disk.alignment + 100, 6), 0)
    await buffered.sync()
    const file = await disk.open(`${folder}/a`, { ...DIRECT, mode: 'read' })
    const memory = disk.allocateBuffer(4 * disk.alignment)
    assert.equal(await file.read(memory.bytes, 0), disk.alignment + 100)
    assert.deepEqual(memory.bytes.slice(0, disk.alignment + 100), pattern(disk.alignment + 100, 6))
    assert.equal(await file.read(memory.bytes, disk.alignment), 100)
    assert.equal(await file.read(memory.bytes, 2 * disk.alignment), 0)
  })

  test('refuses misaligned positions, lengths, views and foreign memory, and goes on afterwards', async ({
    disk,
    folder
  }) => {
    const file = await disk.open(`${folder}/a`, DIRECT)
    const memory = disk.allocateBuffer(4 * disk.alignment).bytes
    const block = memory.subarray(0, disk.alignment)
    const wrong: [Uint8Array, number][] = [
      [block, 1],
      [block, disk.alignment / 2],
      [block, -disk.alignment],
      [block, Number.NaN],
      [memory.subarray(0, disk.alignment - 1), 0],
      [memory.subarray(8, disk.alignment + 8), 0],
      [new Uint8Array(disk.alignment), 0]
    ]
    for (const [bytes, position] of wrong) {
      await rejects(file.write(bytes, position), 'MISALIGNED')
      await rejects(file.read(bytes, position), 'MISALIGNED')
    }
    await file.write(block, 0)
    assert.equal(await file.size(), disk.alignment)
  })
}

function namesSuite(test: Suite): void {
  test('opens what is there and makes only what it is told to make', async ({ disk, folder }) => {
    for (const mode of ['read', 'write'] as const) {
      await rejects(disk.open(`${folder}/a`, { ...BUFFERED, mode }), 'NOT_FOUND')
    }
    await rejects(disk.open(`${folder}/missing/a`, BUFFERED), 'NOT_FOUND')
    const made = await disk.open(`${folder}/a`, BUFFERED)
    assert.equal(made.path, `${folder}/a`)
    await made.write(pattern(10, 1), 0)
    await made.close()
    const again = await disk.open(`${folder}/a`, BUFFERED)
    assert.equal(await again.size(), 10)
    const read = await disk.open(`${folder}/a`, { ...BUFFERED, mode: 'read' })
    await rejects(read.write(pattern(10, 1), 0), 'UNSUPPORTED')
  })

  test('makes folders with their parents, twice without complaint', async ({ disk, folder }) => {
    await disk.makeDirectory(`${folder}/x/y/z`)
    await disk.makeDirectory(`${folder}/x/y/z`)
    await disk.makeDirectory(`${folder}/x/y/w`)
    assert.deepEqual(await disk.list(`${folder}/x/y`), ['w', 'z'])
  })

  test('lists names sorted, and nothing for a missing folder', async ({ disk, folder }) => {
    for (const name of ['b', '10', 'a', '9', 'B']) await (await disk.open(`${folder}/${name}`, BUFFERED)).close()
    assert.deepEqual(await disk.list(folder), ['10', '9', 'B', 'a', 'b'])
    assert.deepEqual(await disk.list(`${folder}/missing`), [])
  })

  test('renames over an existing file: readers of the name see the new one, open handles the old', async ({
    disk,
    folder
  }) => {
    const old = await disk.open(`${folder}/target`, BUFFERED)
    await old.write(pattern(20, 1), 0)
    const fresh = await disk.open(`${folder}/source`, BUFFERED)
    await fresh.write(pattern(30, 2), 0)
    await disk.rename(`${folder}/source`, `${folder}/target`)
    await disk.syncDirectory(folder)
    assert.deepEqual(await disk.list(folder), ['target'])
    const opened = await disk.open(`${folder}/target`, BUFFERED)
    assert.deepEqual(await contents(opened), [...pattern(30, 2)])
    assert.deepEqual(await contents(old), [...pattern(20, 1)])
    await rejects(disk.rename(`${folder}/source`, `${folder}/target`), 'NOT_FOUND')
  })

  test('renames between folders', async ({ disk, folder }) => {
    await disk.makeDirectory(`${folder}/x`)
    await (await disk.open(`${folder}/a`, BUFFERED)).close()
    await disk.rename(`${folder}/a`, `${folder}/x/b`)
    assert.deepEqual([await disk.list(folder), await disk.list(`${folder}/x`)], [['x'], ['b']])
  })

  test('removes files, whole folders and what is not there', async ({ disk, folder }) => {
    await disk.makeDirectory(`${folder}/x/y`)
    for (const name of ['a', 'x/b', 'x/y/c']) await (await disk.open(`${folder}/${name}`, BUFFERED)).close()
    await disk.remove(`${folder}/a`)
    await disk.remove(`${folder}/x`)
    await disk.remove(`${folder}/x`)
    assert.deepEqual(await disk.list(folder), [])
  })

  test('keeps a removed file usable for those who hold it open', async ({ disk, folder }) => {
    const file = await disk.open(`${folder}/a`, BUFFERED)
    await file.write(pattern(100, 1), 0)
    await disk.remove(`${folder}/a`)
    await file.write(pattern(100, 2), 100)
    assert.deepEqual(await contents(file), [...pattern(100, 1), ...pattern(100, 2)])
  })

  test('tells how much can still be written', async ({ disk, folder }) => {
    assert.ok((await disk.freeBytes(folder)) > 0)
  })
}

function failureSuite(test: Suite): void {
  test('poisons a file at a failed flush: later writes and flushes reject with the same error', async (subject, context) => {
    const { disk, folder } = subject
    if (subject.failNextSync === undefined) return context.skip('no way to make a flush fail here')
    const file = await disk.open(`${folder}/a`, BUFFERED)
    const other = await disk.open(`${folder}/b`, BUFFERED)
    await file.write(pattern(100, 1), 0)
    subject.failNextSync()
    const error = await rejects(file.sync(), 'IO')
    assert.equal(await rejection(file.sync()), error)
    assert.equal(await rejection(file.write(pattern(100, 1), 0)), error)
    assert.equal(await file.read(new Uint8Array(100), 0), 100)
    await other.write(pattern(100, 1), 0)
    await other.sync()
    await file.close()
  })

  test('poisons a durable file at a failed write, also for writes already in line', async (subject, context) => {
    const { disk, folder } = subject
    if (subject.failNextWrite === undefined) return context.skip('no way to make a write fail here')
    const file = await disk.open(`${folder}/a`, DIRECT)
    const memory = disk.allocateBuffer(disk.alignment).bytes
    await file.write(memory, 0)
    subject.failNextWrite()
    const error = await rejects(file.write(memory, 0), 'IO')
    assert.equal(await rejection(file.write(memory, 0)), error)
    assert.equal(await rejection(file.sync()), error)
    assert.equal(await file.read(memory, 0), disk.alignment)
    await file.close()
  })

  test('does not poison a file that promises nothing at a failed write', async (subject, context) => {
    const { disk, folder } = subject
    if (subject.failNextWrite === undefined) return context.skip('no way to make a write fail here')
    const file = await disk.open(`${folder}/a`, BUFFERED)
    subject.failNextWrite()
    await rejects(file.write(pattern(100, 1), 0), 'IO')
    await file.write(pattern(100, 2), 0)
    assert.deepEqual(await contents(file), [...pattern(100, 2)])
  })

  test('continues a short write', async (subject, context) => {
    const { disk, folder } = subject
    if (subject.shortenNextWrite === undefined) return context.skip('no way to make a write short here')
    const file = await disk.open(`${folder}/a`, DIRECT)
    const memory = disk.allocateBuffer(8 * disk.alignment).bytes
    memory.set(pattern(memory.length, 7))
    subject.shortenNextWrite()
    await file.write(memory, 0)
    assert.deepEqual(await contents(await disk.open(`${folder}/a`, BUFFERED)), [...pattern(memory.length, 7)])
  })
}

function loadSuite(test: Suite): void {
  test(`carries ${PARALLEL_OPERATIONS} writes at once, and as many reads`, async ({ disk, folder }) => {
    const file = await disk.open(`${folder}/a`, { ...DIRECT, durable: false })
    const block = disk.alignment
    const memory = disk.allocateBuffer(PARALLEL_OPERATIONS * block)
    const views = Array.from({ length: PARALLEL_OPERATIONS }, (_, index) =>
      memory.bytes.subarray(index * block, (index + 1) * block)
    )
    views.forEach((view, index) => view.fill(index).set([index & 255, index >> 8]))
    const backwards = views.map((view, index) => ({ view, position: index * block })).reverse()
    await Promise.all(backwards.map(({ view, position }) => file.write(view, position)))
    memory.bytes.fill(0)
    const counts = await Promise.all(backwards.map(({ view, position }) => file.read(view, position)))
    assert.ok(counts.every(count => count === block))
    views.forEach((view, index) => {
      assert.deepEqual(
        [view[0], view[1], view[2], view[block - 1]],
        [index & 255, index >> 8, index & 255, index & 255]
      )
    })
    memory.release()
  })

  test('keeps files apart under mixed reads, writes, flushes and growth', async ({ disk, folder }) => {
    const files = await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(index => disk.open(`${folder}/${index}`, BUFFERED)))
    await Promise.all(
      files.map(async (file, index) => {
        for (let round = 0; round < 20; round++) {
          const bytes = pattern(500 + round, index * 100 + round)
          const writes = [file.write(bytes, round * 1000), file.sync(), file.size()]
          await Promise.all(writes)
          const back = new Uint8Array(bytes.length)
          assert.equal(await file.read(back, round * 1000), bytes.length)
          assert.deepEqual(back, bytes)
        }
      })
    )
  })

  test('does not slow down or leak with many opens and closes', async subject => {
    const { disk, folder } = subject
    const before = subject.descriptorCount?.()
    for (let round = 0; round < 100; round++) {
      const file = await disk.open(`${folder}/${round % 10}`, DIRECT)
      await file.close()
    }
    assert.equal(subject.descriptorCount?.(), before)
  })
}

function closeSuite(test: Suite): void {
  test('closing a file waits for what is in flight; later calls reject', async ({ disk, folder }) => {
    const file = await disk.open(`${folder}/a`, BUFFERED)
    let written = 0
    const writes = Array.from({ length: 20 }, (_, index) =>
      file.write(pattern(100, index), index * 100).then(() => (written += 1))
    )
    await file.close()
    assert.equal(written, 20)
    await Promise.all(writes)
    await rejects(file.write(pattern(1, 1), 0), 'CLOSED')
    await rejects(file.read(pattern(1, 1), 0), 'CLOSED')
    await rejects(file.sync(), 'CLOSED')
    await rejects(file.size(), 'CLOSED')
    await file.close()
    assert.equal(await (await disk.open(`${folder}/a`, BUFFERED)).size(), 2000)
  })

  test('closing the disk waits for what is in flight, closes the files and refuses the rest', async subject => {
    const { disk, folder } = subject
    const file = await disk.open(`${folder}/a`, BUFFERED)
    let written = 0
    const writes = Array.from({ length: 20 }, (_, index) =>
      file.write(pattern(100, index), index * 100).then(() => (written += 1))
    )
    await disk.close()
    assert.equal(written, 20)
    await Promise.all(writes)
    await disk.close()
    await rejects(disk.open(`${folder}/a`, BUFFERED), 'CLOSED')
    await rejects(disk.list(folder), 'CLOSED')
    await rejects(file.write(pattern(1, 1), 0), 'CLOSED')
  })
}

function fullSuite({ it }: TestRunner, { makeSmallDisk }: ComplianceOptions): void {
  const test = (title: string, body: (subject: DiskUnderTest) => Promise<void>): void => {
    it(title, async context => {
      const subject = makeSmallDisk === undefined ? 'no small file system was given' : await makeSmallDisk()
      if (typeof subject === 'string') return context.skip(subject)
      try {
        await body(subject)
      } finally {
        await subject.disk.close()
        await subject.dispose()
      }
    })
  }

  test('says NO_SPACE, keeps reading, and writes again when there is room', async ({ disk, folder }) => {
    const file = await disk.open(`${folder}/a`, { ...DIRECT, durable: false })
    const memory = disk.allocateBuffer(64 * 1024).bytes
    memory.set(pattern(memory.length, 3))
    let position = 0
    const error = await rejection(
      (async () => {
        for (; position < 1 << 26; position += memory.length) await file.write(memory, position)
      })()
    )
    assert.equal(codeOf(error), 'NO_SPACE')
    assert.ok(position > 0)
    assert.ok((await disk.freeBytes(folder)) < memory.length)
    assert.equal(await file.read(memory, 0), memory.length)
    assert.ok(Buffer.from(memory).equals(Buffer.from(pattern(memory.length, 3))))
    await file.truncate(0)
    await file.write(memory, 0)
  })

  test('refuses to allocate more than there is, and keeps what it reserved', async ({ disk, folder }) => {
    const file = await disk.open(`${folder}/a`, { ...DIRECT, durable: false })
    await rejects(file.allocate(0, 1 << 26), 'NO_SPACE')
    await file.truncate(0)
    const reserved = 256 * 1024
    await file.allocate(0, reserved)
    const filler = await disk.open(`${folder}/filler`, BUFFERED)
    const memory = disk.allocateBuffer(64 * 1024).bytes
    const error = await rejection(
      (async () => {
        for (let position = 0; position < 1 << 26; position += memory.length) {
          await filler.write(memory, position)
          await filler.sync()
        }
      })()
    )
    assert.equal(codeOf(error), 'NO_SPACE')
    for (let position = 0; position < reserved; position += memory.length) await file.write(memory, position)
  })
}

/** Bytes that differ by place and by seed. */
function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let index = 0; index < length; index++) bytes[index] = (index * 7 + (index >> 8) + seed * 13) & 0xff
  return bytes
}

async function contents(file: DiskFile): Promise<number[]> {
  const bytes = new Uint8Array(await file.size())
  assert.equal(await file.read(bytes, 0), bytes.length)
  return [...bytes]
}

function codeOf(error: unknown): DiskErrorCode | undefined {
  return error instanceof DiskError ? error.code : undefined
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  return assert.fail('the call should have been refused')
}

async function rejects(promise: Promise<unknown>, code: DiskErrorCode): Promise<unknown> {
  const error = await rejection(promise)
  assert.equal(codeOf(error), code, String(error))
  return error
}
