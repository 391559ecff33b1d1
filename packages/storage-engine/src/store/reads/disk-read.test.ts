import { expect, it } from 'vitest'
import type { Disk, DiskFile } from '../../disk.ts'
import type { Log, LogOptions, LogStore } from '../../log-store.ts'
import { MemoryStoreHost } from '../../testing/memory-store.ts'
import { plainEntry } from '../../testing/plain-entries.ts'

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

/** A store that has just been opened, whose only log has `ENTRY_COUNT` entries on disk and none in memory. */
async function reopened(memoryBytes: number, reads: Reads): Promise<{ store: LogStore; log: Log }> {
  const host = new MemoryStoreHost({
    settings: { memoryBytes, journalBytes: 1 << 20, reserveBytes: 0 },
    wrapDisk: disk => countReads(disk, reads)
  })
  const first = await host.open()
  const [written] = await first.createLogs([{ name: 'orders', options }])
  for (let baseOffset = 0; baseOffset < ENTRY_COUNT; baseOffset++) {
    const entry = plainEntry({ baseOffset, payload: new Uint8Array(ENTRY_BYTES).fill(baseOffset) })
    while (written?.append(entry) === 'full') await first.whenWritable()
  }
  await first.close()
  const store = await host.open()
  const log = store.logs.get('orders')
  if (log === undefined) throw new Error('no log')
  reads.count = 0
  return { store, log }
}

async function readOne(log: Log, offset: number): Promise<void> {
  const read = await log.read(offset, ENTRY_BYTES * 2 - 1, ENTRY_COUNT, true)
  expect([read.nextOffset, read.byteCount > ENTRY_BYTES]).toEqual([offset + 1, true])
  read.release()
}

/** Lets all happen that does not wait for another call. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await new Promise(resolve => setImmediate(resolve))
}

it.each([
  { memoryMiB: 32, blocksAhead: 3 },
  { memoryMiB: 12, blocksAhead: 2 },
  { memoryMiB: 8, blocksAhead: 1 }
])('a reader in order has $blocksAhead blocks read ahead of it with $memoryMiB MiB of memory', async one => {
  const reads = { count: 0, bytes: 0 }
  const { store, log } = await reopened(one.memoryMiB << 20, reads)
  await readOne(log, 0)
  await settle()
  expect(reads.count).toBe(1)
  // The second read shows that the log is read in order; it finds its entry in the first block.
  await readOne(log, 1)
  await settle()
  expect(reads.count).toBe(1 + one.blocksAhead)
  // All others find what they need in what was read ahead; each block is read once.
  for (let offset = 2; offset < ENTRY_COUNT; offset++) {
    const before = reads.count
    await readOne(log, offset)
    await settle()
    expect(reads.count - before).toBeLessThanOrEqual(1)
  }
  expect(reads.count).toBeLessThanOrEqual((ENTRY_COUNT * ENTRY_BYTES) / (3 * ENTRY_BYTES) + 1)
  await store.close()
})

it('readers that need more memory together than there is all come to the end: who waits for memory holds none', async () => {
  const { store, log } = await reopened(4 << 20, { count: 0, bytes: 0 })
  let ended = 0
  const readFrom = async (start: number): Promise<void> => {
    for (let offset = start; offset < ENTRY_COUNT; offset++) await readOne(log, offset)
    ended++
  }
  await Promise.all(Array.from({ length: ENTRY_COUNT }, (_, start) => readFrom(start)))
  expect(ended).toBe(ENTRY_COUNT)
  await store.close()
})

it('a reader alone gets all of the memory, what it holds itself included', async () => {
  const host = new MemoryStoreHost({ settings: { memoryBytes: 2 << 20, journalBytes: 1 << 20 } })
  const first = await host.open()
  const [written] = await first.createLogs([{ name: 'orders', options }])
  for (let baseOffset = 0; baseOffset < 150; baseOffset++) {
    const entry = plainEntry({ baseOffset, payload: new Uint8Array(40_000) })
    while (written!.append(entry) === 'full') await first.whenWritable()
  }
  await first.close()
  const store = await host.open()
  const log = store.logs.get('orders')!
  // Reads here and there leave a small block each, all over the memory; the entry behind the last one is half in such a block.
  for (const offset of [...Array.from({ length: 24 }, (_, place) => place * 6), 139]) {
    const read = await log.read(offset, 1, 150, true)
    expect(read.nextOffset).toBe(offset + 1)
    read.release()
  }
  const read = await log.read(140, 1, 150, true)
  expect(read.nextOffset).toBe(141)
  read.release()
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
