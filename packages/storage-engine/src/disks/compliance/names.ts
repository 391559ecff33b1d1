/** The part of `diskCompliance` about opening, renaming, removing and listing. */
import assert from 'node:assert/strict'
import type { Suite } from './contract.ts'
import { BUFFERED, pattern, contents, rejects } from './probes.ts'

/** Defines the tests. */
export function namesSuite(test: Suite): void {
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

  test('tells how much can still be written, and of how much', async ({ disk, folder }) => {
    const freeBytes = await disk.freeBytes(folder)
    assert.ok(freeBytes > 0)
    assert.ok((await disk.totalBytes(folder)) >= freeBytes)
  })
}
