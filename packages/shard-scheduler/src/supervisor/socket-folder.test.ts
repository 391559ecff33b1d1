import assert from 'node:assert'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, test } from 'vitest'
import { createSocketFolder, removeSocketFolder, socketPath, SOCKET_PATH_BYTES_MAX } from './socket-folder.ts'

const parent = mkdtempSync(join(tmpdir(), 'milena-test-'))
afterAll(() => rmSync(parent, { recursive: true, force: true }))

test('Each start gets a folder of its own that only this user can enter.', () => {
  const folders = [createSocketFolder(join(parent, 'run')), createSocketFolder(join(parent, 'run'))]
  assert.notEqual(folders[0], folders[1])
  for (const folder of folders) {
    assert.equal(dirname(folder), join(parent, 'run'))
    assert.equal(statSync(folder).mode & 0o777, 0o700)
    removeSocketFolder(folder)
  }
  assert.deepEqual(readdirSync(join(parent, 'run')), [])
})

test('Where paths would be too long for a socket, the folder goes to the temporary folder.', () => {
  const deep = join(parent, 'd'.repeat(60), 'e'.repeat(60))
  const folder = createSocketFolder(deep)
  assert.equal(dirname(folder), tmpdir())
  assert.equal(statSync(folder).mode & 0o777, 0o700)
  assert.ok(Buffer.byteLength(socketPath(folder, 99_999)) <= SOCKET_PATH_BYTES_MAX)
  removeSocketFolder(folder)
  assert.equal(existsSync(folder), false)
})

test('Folders of supervisors that are gone are removed, those of living ones and other things stay.', () => {
  const run = join(parent, 'stale')
  // Process ids end at 4,194,304 on Linux: the first of these names no process. 1 lives always.
  for (const name of [
    'milena-mesh-4999999-abcdef',
    'milena-mesh-1-abcdef',
    `milena-mesh-${process.pid}-former`,
    'other'
  ]) {
    mkdirSync(join(run, name), { recursive: true })
  }
  const mine = createSocketFolder(run)
  const again = createSocketFolder(run)
  assert.deepEqual(
    readdirSync(run)
      .map(name => join(run, name))
      .sort(),
    [join(run, 'milena-mesh-1-abcdef'), join(run, 'other'), mine, again].sort()
  )
})
