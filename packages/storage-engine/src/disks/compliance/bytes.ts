/** The part of `diskCompliance` about what is written is read back. */
import assert from 'node:assert/strict'
import type { Suite } from './contract.ts'
import { DIRECT, BUFFERED, pattern, contents, codeOf } from './probes.ts'

/** Defines the tests. */
export function bytesSuite(test: Suite): void {
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
