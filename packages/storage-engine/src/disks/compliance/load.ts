/** The part of `diskCompliance` about very many operations at once. */
import assert from 'node:assert/strict'
import type { Suite } from './contract.ts'
import { DIRECT, BUFFERED, pattern } from './probes.ts'

const PARALLEL_OPERATIONS = 3000

/** Defines the tests. */
export function loadSuite(test: Suite): void {
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
