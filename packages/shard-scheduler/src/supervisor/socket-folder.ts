/**
 * Real implementation: the private folder of the mesh's Unix sockets. Mode 0700 and owned by this user, so that no other
 * local user can connect; one folder per start, so that two brokers never meet. A socket's path may have 107 bytes (Linux) or
 * 103 (macOS), so when the wanted place lies too deep the folder goes to the system's temporary folder instead.
 */
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SupervisorError } from '../errors.ts'

/** Longest path of a socket, bytes, without the terminating zero; the shorter one of Linux and macOS. */
export const SOCKET_PATH_BYTES_MAX = 103

const PREFIX = 'milena-mesh-'
/** Longest name of a socket in the folder: `/s` and a shard number of up to five digits. */
const SOCKET_NAME_BYTES_MAX = 7
const RANDOM_CHARACTERS = 6
const created = new Set<string>()

/** Path of a shard's socket in the folder. */
export function socketPath(folder: string, shard: number): string {
  return join(folder, `s${shard}`)
}

/**
 * Makes a fresh private folder inside `parent` (made when absent), or in the temporary folder when there is no parent or paths
 * in it would get too long. Throws `SupervisorError` (`SOCKET_FOLDER`) when it cannot be made private.
 *
 * @param parent Belongs to one broker: folders that its former supervisors left there are removed.
 */
export function createSocketFolder(parent: string | undefined): string {
  const name = `${PREFIX}${process.pid}-`
  const folder = mkdtempSync(join(prepareParent(parent, name) ?? tmpdir(), name))
  chmodSync(folder, 0o700)
  assertPrivate(folder)
  created.add(folder)
  return folder
}

/** Removes a folder made by `createSocketFolder`. */
export function removeSocketFolder(folder: string): void {
  created.delete(folder)
  rmSync(folder, { recursive: true, force: true })
}

/** Makes `parent` ready, unless sockets in it would have too long a path. */
function prepareParent(parent: string | undefined, name: string): string | undefined {
  if (parent === undefined) return undefined
  const lengthBytes = Buffer.byteLength(join(parent, name)) + RANDOM_CHARACTERS + SOCKET_NAME_BYTES_MAX
  if (lengthBytes > SOCKET_PATH_BYTES_MAX) return undefined
  mkdirSync(parent, { recursive: true })
  removeStaleFolders(parent)
  return parent
}

function assertPrivate(folder: string): void {
  const stat = lstatSync(folder)
  const userId = process.getuid?.() ?? stat.uid
  if (!stat.isDirectory() || stat.uid !== userId || (stat.mode & 0o077) !== 0) {
    throw new SupervisorError(
      'SOCKET_FOLDER',
      `${folder} is open to other users (mode ${(stat.mode & 0o777).toString(8)})`
    )
  }
}

function removeStaleFolders(parent: string): void {
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(PREFIX)) continue
    const folder = join(parent, name)
    const processId = Number.parseInt(name.slice(PREFIX.length), 10)
    // In a container every start may have the same process id: a folder of this very id is stale unless it is ours.
    const stale = processId === process.pid ? !created.has(folder) : !processLives(processId)
    if (stale) rmSync(folder, { recursive: true, force: true })
  }
}

function processLives(processId: number): boolean {
  if (!Number.isInteger(processId) || processId <= 0) return false
  try {
    process.kill(processId, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
