/**
 * The disk of a shard as a process of its node sees it. In production all shards of a node have one file system, and hand logs to
 * each other by giving files second names; here each has a disk that loses power by itself. So a link to a file of another shard
 * becomes a copy of what is on that one's disk, durable like any file that is written and synced. What two names of one file mean
 * is for the tests of the storage engine.
 */
import type { Disk } from '@milena/storage-engine'
import type { MemoryDisk } from '@milena/storage-engine/testing'
import { overridden } from '../canaries/replication-canaries.ts'

/** `others`: the disks of all shards of the node, as they are now. */
export function diskOfNode(own: MemoryDisk, others: () => readonly MemoryDisk[]): Disk {
  return overridden<Disk>(own, {
    link: async (source, target) => {
      const bytes = own.contents(source) === undefined ? contentsOn(others(), source) : undefined
      if (bytes === undefined) return own.link(source, target)
      const file = await own.open(target, { mode: 'create', direct: false, durable: false })
      try {
        await file.write(bytes, 0)
        await file.sync()
      } finally {
        await file.close()
      }
    }
  })
}

function contentsOn(disks: readonly MemoryDisk[], path: string): Uint8Array | undefined {
  for (const disk of disks) {
    const bytes = disk.contents(path)
    if (bytes !== undefined) return bytes
  }
  return undefined
}
