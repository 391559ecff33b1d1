import { expect, it } from 'vitest'
import type { Disk, DiskFile } from '../disk.ts'
import type { LogOptions } from '../log-store.ts'
import { MemoryStoreHost } from '../testing/memory-store.ts'
import { plainEntry } from '../testing/plain-entries.ts'

const ENTRY_BYTES = 300_000
const ENTRY_COUNT = 20
const options: LogOptions = { segmentBytes: 8 << 20, indexIntervalBytes: 4096, segmentMs: 1e12 }

interface Reads {
  count: number
  bytes: number
}

/** Passes everything through and counts reads of files. */
function countReads(disk: Disk, reads: Reads): Disk {
  const watched = (file: DiskFile): DiskFile =>
    new Proxy(file, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name)
        if (typeof value !== 'function') return value
        const call = value.bind(target) as (...args: unknown[]) => unknown
        if (name !== 'read') return call
        return (buffer: Uint8Array, position: number) => {
          reads.count++
          reads.bytes += buffer.length
          return call(buffer, position)
        }
      }
    })
  return new Proxy(disk, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      const call = value.bind(target) as (...args: unknown[]) => unknown
      if (name !== 'open') return call
      return async (...args: unknown[]) => watched((await call(...args)) as DiskFile)
    }
  })
}

it('a log that is read from disk in order is read ahead: the next block is on its way while this one is served', async () => {
  const reads = { count: 0, bytes: 0 }
  const host = new MemoryStoreHost({
    settings: { memoryBytes: 32 << 20, journalBytes: 1 << 20, reserveBytes: 0 },
    wrapDisk: disk => countReads(disk, reads)
  })
  const first = await host.open()
  const [log] = await first.createLogs([{ name: 'orders', options }])
  for (let baseOffset = 0; baseOffset < ENTRY_COUNT; baseOffset++) {
    log?.append(plainEntry({ baseOffset, payload: new Uint8Array(ENTRY_BYTES).fill(baseOffset) }))
    await log?.flush()
  }
  await first.close()
  const store = await host.open()
  const again = store.logs.get('orders')
  if (again === undefined) throw new Error('no log')
  const readOne = async (offset: number): Promise<number> => {
    const before = reads.count
    const read = await again.read(offset, ENTRY_BYTES * 2 - 1, ENTRY_COUNT, true)
    expect([read.nextOffset, read.byteCount > ENTRY_BYTES]).toEqual([offset + 1, true])
    read.release()
    return reads.count - before
  }
  await readOne(0)
  // The second read shows that the log is read in order; it finds its entry in the first block and fetches the next one.
  expect(await readOne(1)).toBe(1)
  // All others find what they need, and cause at most the next block to be fetched.
  let later = 0
  for (let offset = 2; offset < ENTRY_COUNT; offset++) {
    const caused = await readOne(offset)
    expect(caused).toBeLessThanOrEqual(1)
    later += caused
  }
  expect(later).toBeGreaterThan(0)
  expect(later).toBeLessThan(ENTRY_COUNT / 2)
  await store.close()
})

it('a read in the middle of a segment that was being written when the store closed reads little of it', async () => {
  const reads = { count: 0, bytes: 0 }
  const host = new MemoryStoreHost({
    settings: { memoryBytes: 8 << 20, journalBytes: 1 << 20 },
    wrapDisk: disk => countReads(disk, reads)
  })
  const first = await host.open()
  const [log] = await first.createLogs([{ name: 'orders', options: { ...options, segmentBytes: 1 << 30 } }])
  const entryCount = 600
  for (let baseOffset = 0; baseOffset < entryCount; baseOffset++) {
    const entry = plainEntry({ baseOffset, payload: new Uint8Array(30_000).fill(baseOffset) })
    while (log!.append(entry) === 'full') await first.whenWritable()
  }
  await first.close()
  // Twice: what one run learned from a checkpoint goes into the next one.
  for (let restart = 0; restart < 2; restart++) {
    const store = await host.open()
    const again = store.logs.get('orders')!
    for (const offset of [0, 77, 300, 451, entryCount - 1]) {
      reads.bytes = 0
      const read = await again.read(offset, 1, entryCount, true)
      expect(read.nextOffset).toBe(offset + 1)
      read.release()
      expect(reads.bytes).toBeLessThan(2.5 * (1 << 20))
    }
    expect(again.append(plainEntry({ baseOffset: again.endOffset, payload: new Uint8Array(10) }))).toBe('appended')
    await again.flush()
    await store.close()
  }
})
