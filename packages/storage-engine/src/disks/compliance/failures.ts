/** The part of `diskCompliance` about what fails, and what is said of it. */
import assert from 'node:assert/strict'
import type { Suite } from './contract.ts'
import { DIRECT, BUFFERED, pattern, contents, rejection, rejects } from './probes.ts'

/** Defines the tests. */
export function failureSuite(test: Suite): void {
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
