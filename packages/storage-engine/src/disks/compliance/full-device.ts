/** The part of `diskCompliance` about a device without space. */
import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import type { ComplianceOptions, DiskUnderTest, TestRunner } from './contract.ts'
import { DIRECT, BUFFERED, pattern, codeOf, rejection, rejects } from './probes.ts'

/** Defines the tests. */
export function fullSuite({ it }: TestRunner, { makeSmallDisk }: ComplianceOptions): void {
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
