/* Real implementation of a port: names on a POSIX file system, through `node:fs` on the thread pool. */
/**
 * What `RingDisk` and `ThreadDisk` share: folders, links, renames, removals and opening. They are rare, so the thread pool serves
 * both. Durability of names follows POSIX: fsync of the folder that holds the name.
 */
import fs from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { OpenOptions } from '../disk.ts'
import { DiskError } from '../errors.ts'
import { codeOf, wrapErrors } from './system-error.ts'

const { O_CREAT, O_DIRECTORY, O_DSYNC, O_RDONLY, O_RDWR } = fs.constants
/** Missing outside Linux. */
const O_DIRECT: number | undefined = fs.constants.O_DIRECT

const openFile = promisify(fs.open)
const closeFile = promisify(fs.close)
const syncFile = promisify(fs.fsync)
const FILE_MODE = 0o640

/** An open descriptor; `direct` is false when the file system refused O_DIRECT, with the reason. */
export interface Descriptor {
  readonly fd: number
  readonly direct: boolean
  /** Whether a write through it is durable by itself; false where only a flush reaches the device. */
  readonly synchronous: boolean
}

export function openDescriptor(path: string, options: OpenOptions): Promise<Descriptor> {
  return wrapErrors(path, 'open', async () => {
    const synchronous = options.durable && process.platform === 'linux'
    let flags = options.mode === 'read' ? O_RDONLY : O_RDWR
    if (options.mode === 'create') flags |= O_CREAT
    if (synchronous) flags |= O_DSYNC
    if (!options.direct || O_DIRECT === undefined)
      return { fd: await openFile(path, flags, FILE_MODE), direct: false, synchronous }
    try {
      return { fd: await openFile(path, flags | O_DIRECT, FILE_MODE), direct: true, synchronous }
    } catch (error) {
      if (codeOf(error) !== 'EINVAL') throw error
      return { fd: await openFile(path, flags, FILE_MODE), direct: false, synchronous }
    }
  })
}

export function makeDirectory(path: string): Promise<void> {
  return wrapErrors(path, 'mkdir', async () => {
    const topmost = await fs.promises.mkdir(path, { recursive: true })
    // An earlier call may have made it and crashed before the sync: the name above it is synced in every case.
    if (topmost === undefined) return syncAncestor(dirname(path))
    for (let folder = path; ; folder = dirname(folder)) {
      await syncDirectory(dirname(folder))
      if (join(folder) === join(topmost) || dirname(folder) === folder) return
    }
  })
}

/** Syncs a folder that is not ours; one that we may not open was not made by us either. */
async function syncAncestor(path: string): Promise<void> {
  try {
    await syncDirectory(path)
  } catch (error) {
    const cause = error instanceof Error ? codeOf(error.cause) : ''
    if (cause !== 'EACCES' && cause !== 'EPERM') throw error
  }
}

export function list(path: string): Promise<string[]> {
  return wrapErrors(path, 'readdir', async () => {
    try {
      return (await fs.promises.readdir(path)).sort()
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return []
      throw error
    }
  })
}

export function rename(source: string, target: string): Promise<void> {
  return wrapErrors(source, 'rename', () => fs.promises.rename(source, target))
}

export function link(source: string, target: string): Promise<void> {
  return wrapErrors(source, 'link', async () => {
    try {
      await fs.promises.link(source, target)
    } catch (error) {
      // A file system without links, or a kernel that protects files of others from them.
      if (codeOf(error) !== 'EPERM') throw error
      throw new DiskError('UNSUPPORTED', source, 'link: not permitted', { cause: error })
    }
  })
}

export function remove(path: string): Promise<void> {
  return wrapErrors(path, 'remove', () => fs.promises.rm(path, { recursive: true, force: true }))
}

export function syncDirectory(path: string): Promise<void> {
  return wrapErrors(path, 'sync of folder', async () => {
    // Windows has no flush of folders; its metadata journal is all there is.
    if (process.platform === 'win32') return
    const fd = await openFile(path, O_RDONLY | O_DIRECTORY)
    try {
      await syncFile(fd)
    } finally {
      await closeFile(fd)
    }
  })
}

export function freeBytes(path: string): Promise<number> {
  return wrapErrors(path, 'statfs', async () => {
    const { bavail, bsize } = await fs.promises.statfs(path)
    return bavail * bsize
  })
}

export function totalBytes(path: string): Promise<number> {
  return wrapErrors(path, 'statfs', async () => {
    const { blocks, bsize } = await fs.promises.statfs(path)
    return blocks * bsize
  })
}

export const close: (fd: number) => Promise<void> = closeFile
export const truncate: (fd: number, length: number) => Promise<void> = promisify(fs.ftruncate)

const stat = promisify(fs.fstat)

export async function size(fd: number): Promise<number> {
  return (await stat(fd)).size
}

export async function linkCount(fd: number): Promise<number> {
  return (await stat(fd)).nlink
}
