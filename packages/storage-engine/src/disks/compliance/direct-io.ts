/** The part of `diskCompliance` about reads and writes past the page cache. */
import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import type { Suite } from './contract.ts'
import { DIRECT, BUFFERED, pattern, rejects } from './probes.ts'

/** Defines the tests. */
export function directSuite(test: Suite): void {
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
