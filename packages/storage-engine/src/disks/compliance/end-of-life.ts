/** The part of `diskCompliance` about what is closed stays closed. */
import assert from 'node:assert/strict'
import type { Suite } from './contract.ts'
import { BUFFERED, pattern, rejects } from './probes.ts'

/** Defines the tests. */
export function closeSuite(test: Suite): void {
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
