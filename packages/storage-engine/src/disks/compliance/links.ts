/** The part of `diskCompliance` about files with several names. */
import assert from 'node:assert/strict'
import type { Disk } from '../../disk.ts'
import { DiskError } from '../../errors.ts'
import type { Suite } from './contract.ts'
import { BUFFERED } from './probes.ts'

/** Defines the tests. */
export function linkSuite(test: Suite): void {
  test('shows what is written under one name under the other, also to handles opened before', async ({
    disk,
    folder
  }) => {
    await write(disk, `${folder}/a`, 'first')
    await disk.link(`${folder}/a`, `${folder}/b`)
    const opened = await disk.open(`${folder}/b`, { ...BUFFERED, mode: 'read' })
    await write(disk, `${folder}/a`, 'other')
    assert.equal(await read(disk, `${folder}/b`), 'other')
    const bytes = new Uint8Array(5)
    await opened.read(bytes, 0)
    assert.equal(new TextDecoder().decode(bytes), 'other')
    assert.deepEqual(await disk.list(folder), ['a', 'b'])
  })

  test('keeps the file until its last name is removed', async ({ disk, folder }) => {
    await disk.makeDirectory(`${folder}/x`)
    await disk.makeDirectory(`${folder}/y`)
    await write(disk, `${folder}/x/a`, 'kept')
    await disk.link(`${folder}/x/a`, `${folder}/y/b`)
    await disk.syncDirectory(`${folder}/y`)
    await disk.remove(`${folder}/x`)
    assert.equal(await read(disk, `${folder}/y/b`), 'kept')
    assert.deepEqual(await disk.list(folder), ['y'])
  })

  test('counts the names of a file', async ({ disk, folder }) => {
    const file = await disk.open(`${folder}/a`, BUFFERED)
    assert.equal(await file.linkCount(), 1)
    await disk.link(`${folder}/a`, `${folder}/b`)
    await disk.link(`${folder}/b`, `${folder}/c`)
    assert.equal(await file.linkCount(), 3)
    await disk.remove(`${folder}/a`)
    await write(disk, `${folder}/d`, 'another file')
    await disk.rename(`${folder}/d`, `${folder}/c`)
    assert.equal(await file.linkCount(), 1)
    await disk.remove(`${folder}/b`)
    assert.equal(await file.linkCount(), 0)
  })

  test('a name that is replaced by a rename stands for another file, the other names do not', async ({
    disk,
    folder
  }) => {
    await write(disk, `${folder}/a`, 'old')
    await disk.link(`${folder}/a`, `${folder}/b`)
    await write(disk, `${folder}/fresh`, 'new')
    await disk.rename(`${folder}/fresh`, `${folder}/a`)
    assert.equal(await read(disk, `${folder}/a`), 'new')
    assert.equal(await read(disk, `${folder}/b`), 'old')
  })

  test('refuses a name that exists, a file that does not, a folder that does not', async ({ disk, folder }) => {
    await write(disk, `${folder}/a`, 'one')
    await write(disk, `${folder}/b`, 'two')
    await rejects(disk.link(`${folder}/a`, `${folder}/b`), 'IO')
    assert.equal(await read(disk, `${folder}/b`), 'two')
    await rejects(disk.link(`${folder}/missing`, `${folder}/c`), 'NOT_FOUND')
    await rejects(disk.link(`${folder}/a`, `${folder}/missing/c`), 'NOT_FOUND')
    await rejects(disk.link(folder, `${folder}/c`), 'UNSUPPORTED')
  })
}

async function write(disk: Disk, path: string, text: string): Promise<void> {
  const file = await disk.open(path, BUFFERED)
  await file.write(new TextEncoder().encode(text), 0)
  await file.sync()
  await file.close()
}

async function read(disk: Disk, path: string): Promise<string> {
  const file = await disk.open(path, { ...BUFFERED, mode: 'read' })
  const bytes = new Uint8Array(await file.size())
  await file.read(bytes, 0)
  await file.close()
  return new TextDecoder().decode(bytes)
}

async function rejects(promise: Promise<unknown>, code: string): Promise<void> {
  const error = await promise.then(
    () => assert.fail('the call should have been refused'),
    (reason: unknown) => reason
  )
  assert.equal(error instanceof DiskError && error.code, code, String(error))
}
