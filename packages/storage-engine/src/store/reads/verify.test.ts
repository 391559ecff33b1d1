/** Verification finds what rots at rest, all of it and nothing else, at the pace of its caller and past every cache. */
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../disks/seeded-random.ts'
import { StoreError } from '../../errors.ts'
import type { Damage, Log, LogOptions, LogStore } from '../../log-store.ts'
import { MemoryStoreHost } from '../../testing/memory-store.ts'
import { plainEntry, plainFormat } from '../../testing/plain-entries.ts'

const options: LogOptions = { segmentBytes: 256 << 10, indexIntervalBytes: 4096, segmentMs: 1e12 }
/** Of an entry with 700 bytes of payload. */
const ENTRY_BYTES = 728
const WINDOW = 64 << 10

function append(log: Log, count: number, byteCount = 700): void {
  for (let made = 0; made < count; made++) {
    const payload = new Uint8Array(byteCount).fill(log.endOffset)
    const offsetCount = 1 + (log.endOffset % 3)
    expect(log.append(plainEntry({ baseOffset: log.endOffset, payload, offsetCount }))).toBe('appended')
  }
}

/** A log of several segments, all at rest in a store that was opened again. */
async function atRest(host: MemoryStoreHost, count = 1000): Promise<{ store: LogStore; log: Log }> {
  const first = await host.open()
  const [log] = await first.createLogs([{ name: 'orders', options }])
  append(log!, count)
  await log!.flush()
  await first.close()
  const store = await host.open()
  return { store, log: store.logs.get('orders')! }
}

/** One pass from `from` on: what was found, and how many bytes in how many calls. */
async function pass(log: Log, from = log.startOffset): Promise<{ damage: Damage[]; bytes: number; calls: number }> {
  const damage: Damage[] = []
  let bytes = 0
  let calls = 0
  for (let offset = from; ;) {
    const verified = await log.verify(offset, WINDOW)
    damage.push(...verified.damage)
    bytes += verified.byteCount
    if (verified.byteCount > 0) calls++
    if (verified.atEnd) return { damage, bytes, calls }
    offset = verified.nextOffset
  }
}

const path = (base: number): string => `/store/logs/orders/${String(base).padStart(20, '0')}.log`

/** Base offsets of the log's segment files, in order. */
async function bases(host: MemoryStoreHost): Promise<number[]> {
  const names = await host.disk.list('/store/logs/orders')
  return names.filter(name => name.endsWith('.log')).map(name => Number(name.slice(0, 20)))
}

describe('Log.verify', () => {
  it('passes over what is whole, every byte once, a window at a time', async () => {
    const host = new MemoryStoreHost()
    const { store, log } = await atRest(host)
    const { damage, bytes, calls } = await pass(log)
    expect(damage).toEqual([])
    expect(bytes).toBe(log.sizeBytes)
    expect(calls).toBeGreaterThanOrEqual(Math.ceil(log.sizeBytes / WINDOW))
    expect(calls).toBeLessThan(2 + (2 * log.sizeBytes) / WINDOW)
    await store.close()
  })

  it('finds rot that no read has met, tells it once, and has it refused from then on', async () => {
    const host = new MemoryStoreHost()
    const { store, log } = await atRest(host)
    host.disk.corrupt(path(0), ENTRY_BYTES * 100 + 300)
    expect(store.status().damage).toEqual([])
    const { damage } = await pass(log)
    expect(damage).toHaveLength(1)
    expect(store.status().damage).toEqual(damage)
    const { startOffset, endOffset } = damage[0]!
    expect(endOffset - startOffset).toBeLessThanOrEqual(3)
    await expect(async () => log.read(startOffset, 1, log.endOffset, true)).rejects.toThrow(/CORRUPT/)
    expect((await pass(log)).damage).toEqual([])
    expect(store.status().damage).toHaveLength(1)
    await store.close()
  })

  it('finds every bit that rots, wherever it is, and says nothing of entries elsewhere', async () => {
    const random = new SeededRandom(5)
    for (let trial = 0; trial < 60; trial++) {
      const host = new MemoryStoreHost({ seed: trial })
      const { store, log } = await atRest(host, 600)
      const { endOffset } = log
      const all = await bases(host)
      const at = random.below(all.length)
      const segment = all[at]!
      const entryCount = Math.min(360, 600 - 360 * at)
      const position = random.below(entryCount * ENTRY_BYTES)
      host.disk.corrupt(path(segment), position, 1 + random.below(4))
      const { damage } = await pass(log)
      expect(damage.length, `trial ${trial}`).toBeGreaterThan(0)
      const from = Math.min(...damage.map(({ startOffset }) => startOffset))
      const to = Math.max(...damage.map(range => range.endOffset))
      expect(from, `trial ${trial}`).toBeGreaterThanOrEqual(segment)
      expect(to - from, `trial ${trial}`).toBeLessThan(30)
      for (let offset = log.startOffset; offset < endOffset;) {
        if (offset >= from && offset < to) {
          offset = to
          continue
        }
        const read = await log.read(offset, 1, endOffset, true)
        offset = read.nextOffset
        read.release()
      }
      await store.close()
    }
  })

  it('finds what rots in an entry that is larger than its window, and what follows it', async () => {
    const host = new MemoryStoreHost({ settings: { memoryBytes: 16 << 20 } })
    const store = await host.open()
    const [log] = (await store.createLogs([{ name: 'orders', options: { ...options, segmentBytes: 8 << 20 } }])) as [
      Log
    ]
    append(log, 1, 2 << 20)
    append(log, 1, 1 << 20)
    append(log, 10)
    await log.flush()
    await store.close()
    const again = await host.open()
    const reopened = again.logs.get('orders')!
    expect((await pass(reopened)).damage).toEqual([])
    host.disk.corrupt(path(0), 1_500_000)
    host.disk.corrupt(path(0), (2 << 20) + 28 + (1 << 20) + 28 + 100)
    expect((await pass(reopened)).damage).toHaveLength(2)
    await again.close()
  })

  it('of a sector that the device cannot read refuses that stretch and serves the rest', async () => {
    const host = new MemoryStoreHost()
    const { store, log } = await atRest(host)
    host.disk.failReads({ path: path(0), times: 20 })
    const first = await log.verify(0, WINDOW)
    expect(first.damage).toHaveLength(1)
    expect(first.damage[0]!.reason).toMatch(/cannot be read/)
    expect(first.damage[0]!.endOffset).toBeLessThan(30)
    host.disk.clearFaults()
    expect((await pass(log, first.nextOffset)).damage).toEqual([])
    await store.close()
  })

  it('takes a read that fails once for no damage', async () => {
    const host = new MemoryStoreHost()
    const { store, log } = await atRest(host)
    host.disk.failReads({ path: path(0), times: 1 })
    expect((await pass(log)).damage).toEqual([])
    await store.close()
  })

  it('takes a segment whose file is gone for damage', async () => {
    const host = new MemoryStoreHost()
    const { store, log } = await atRest(host)
    const [, second] = await bases(host)
    await host.disk.remove(path(second!))
    const { damage } = await pass(log)
    expect(damage[0]!.startOffset).toBe(second)
    expect(damage.at(-1)!.endOffset).toBe((await bases(host))[1] ?? log.endOffset)
    await store.close()
  })

  it('denies what its holder knows to be wrong although the checksum holds', async () => {
    const host = new MemoryStoreHost()
    const { store, log } = await atRest(host)
    const wrong = 42
    log.isExpected = (bytes, at) => plainFormat.baseOffsetAt(bytes, at) !== wrong
    const first = await log.read(0, 1 << 20, log.endOffset, true)
    expect(first.nextOffset).toBe(wrong)
    first.release()
    expect((await pass(log)).damage).toMatchObject([{ startOffset: wrong }])
    await expect(async () => log.read(wrong, 1, log.endOffset, true)).rejects.toThrow(/CORRUPT/)
    await store.close()
  })

  it('keeps nothing in memory of what it reads, and finds what readers have cached', async () => {
    const host = new MemoryStoreHost()
    const { store, log } = await atRest(host)
    const read = await log.read(100, WINDOW, log.endOffset, true)
    read.release()
    const { memoryBytesFree } = store.status()
    host.disk.corrupt(path(0), ENTRY_BYTES * 60 + 300)
    expect((await pass(log)).damage).toHaveLength(1)
    expect(store.status().memoryBytesFree).toBe(memoryBytesFree)
    await store.close()
  })

  it('ends where what is destaged ends: nothing is at rest in a store that has just been written', async () => {
    const host = new MemoryStoreHost()
    const store = await host.open()
    const [log] = (await store.createLogs([{ name: 'orders', options }])) as [Log]
    append(log, 5)
    await log.flush()
    expect(await log.verify(0, WINDOW)).toEqual({ nextOffset: 0, atEnd: true, byteCount: 0, damage: [] })
    await store.close()
    await expect(log.verify(0, WINDOW)).rejects.toThrow(StoreError)
  })

  it('finds no damage where entries are cut off, trimmed and written anew while it looks', async () => {
    for (let seed = 1; seed <= 30; seed++) {
      const host = new MemoryStoreHost({ seed })
      const { store, log } = await atRest(host, 800)
      const random = new SeededRandom(seed)
      let over = false
      const changes = (async () => {
        for (let round = 0; round < 12; round++) {
          const choice = random.below(4)
          if (choice === 0) append(log, 40)
          else if (choice === 1) await log.trim(Math.min(log.flushedOffset, log.startOffset + random.below(60)))
          else if (choice === 2) await log.truncate(await boundaryBelow(log, log.endOffset - 1))
          else await log.resetTo(log.endOffset + random.below(3))
          await log.flush()
        }
        over = true
      })()
      while (!over) expect((await pass(log)).damage, `seed ${seed}`).toEqual([])
      await changes
      expect((await pass(log)).damage, `seed ${seed}`).toEqual([])
      expect(store.status().damage).toEqual([])
      await store.close()
    }
  })
})

/** Where the entry begins that contains `offset`, or the log does. */
async function boundaryBelow(log: Log, offset: number): Promise<number> {
  if (offset < log.startOffset) return log.endOffset
  const read = await log.read(offset, 1, log.endOffset, true)
  const [bytes] = read.slices
  const base = plainFormat.baseOffsetAt(bytes!, 0)
  read.release()
  return Math.max(base, log.startOffset)
}
