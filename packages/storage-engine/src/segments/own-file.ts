/**
 * Files that several stores have names of (`exportLog`, `importLog`). Sealed segments do not change, so nobody needs to know;
 * but a log that is cut, or rebuilt without its state, goes on inside an old segment. Whoever is about to write makes the file
 * its own first:
 *
 *     <base>.log ──► inode with other names     ──copy──► <base>.log.own ──rename──► <base>.log ──► inode of its own
 *
 * The bytes are the same at every moment, so a power cut anywhere leaves one file or the other.
 */
import type { Disk, DiskFile } from '../disk.ts'
import { DiskError } from '../errors.ts'
import { pageBytes } from '../memory/arena.ts'
import type { Segment } from './segment.ts'

const pieceBytes = 1 << 20

/** Makes the segment's file, if there is one, its own. True: it is another file now, what was opened before is not it. */
export async function makeOwn(disk: Disk, segment: Segment): Promise<boolean> {
  const shared = await openIfThere(disk, segment.path)
  if (shared === undefined) return false
  try {
    if ((await shared.linkCount()) <= 1) return false
    await copy(disk, shared, `${segment.path}.own`)
  } finally {
    await shared.close()
  }
  await disk.rename(`${segment.path}.own`, segment.path)
  await disk.syncDirectory(segment.directory)
  return true
}

async function openIfThere(disk: Disk, path: string): Promise<DiskFile | undefined> {
  try {
    return await disk.open(path, { mode: 'read', direct: true, durable: false })
  } catch (error) {
    if (error instanceof DiskError && error.code === 'NOT_FOUND') return undefined
    throw error
  }
}

async function copy(disk: Disk, source: DiskFile, path: string): Promise<void> {
  const byteCount = await source.size()
  const buffer = disk.allocateBuffer(pieceBytes)
  const target = await disk.open(path, { mode: 'create', direct: true, durable: false })
  try {
    await target.truncate(0)
    for (let position = 0; position < byteCount; position += pieceBytes) {
      const count = await source.read(buffer.bytes.subarray(0, pieceBytes), position)
      await target.write(buffer.bytes.subarray(0, Math.ceil(count / pageBytes) * pageBytes), position)
    }
    await target.truncate(byteCount)
    await target.sync()
  } finally {
    await target.close()
    buffer.release()
  }
}
