import { describe, expect, it } from 'vitest'
import type { Log, LogOptions } from '../log-store.ts'
import { MemoryStoreHost } from '../testing/memory-store.ts'
import { plainEntry } from '../testing/plain-entries.ts'
import { concat, readAll } from './store-model.ts'

const options: LogOptions = { segmentBytes: 256 << 10, indexIntervalBytes: 4096, segmentMs: 1e12 }
const entry = (baseOffset: number, byteCount: number, timestamp = -1n) =>
  plainEntry({ baseOffset, payload: new Uint8Array(byteCount).fill(baseOffset + 1), timestamp })

async function create(host: MemoryStoreHost, name = 'orders') {
  const store = await host.open()
  const [log] = await store.createLogs([{ name, options }])
  return { store, log: log! }
}

function appendAll(log: Log, count: number, byteCount: number): Uint8Array[] {
  const entries: Uint8Array[] = []
  for (let made = 0; made < count; made++) {
    entries.push(entry(log.endOffset, byteCount))
    expect(log.append(entries.at(-1)!)).toBe('appended')
  }
  return entries
}

describe('a store', () => {
  it('tells its host once per commit, when the entries are durable and not before', async () => {
    const told: { name: string; flushedOffset: number }[] = []
    const host = new MemoryStoreHost({
      onFlushed: logs => logs.forEach(log => told.push({ name: log.name, flushedOffset: log.flushedOffset }))
    })
    const { store, log } = await create(host)
    appendAll(log, 3, 100)
    expect(log.endOffset).toBe(3)
    expect(log.flushedOffset).toBe(0)
    await log.flush()
    expect(told).toEqual([{ name: 'orders', flushedOffset: 3 }])
    await store.close()
  })

  it('reads the tail synchronously, as views, byte for byte', async () => {
    const { store, log } = await create(new MemoryStoreHost())
    const entries = appendAll(log, 50, 777)
    const result = log.read(0, 1 << 20, log.endOffset, true)
    expect(result).not.toBeInstanceOf(Promise)
    const read = await result
    expect(Buffer.compare(concat(read.slices), concat(entries))).toBe(0)
    expect(read.nextOffset).toBe(50)
    read.release()
    await store.close()
  })

  it('has after a power cut everything that was flushed, inline and direct', async () => {
    const host = new MemoryStoreHost()
    const { log } = await create(host)
    const entries = [...appendAll(log, 20, 500), ...appendAll(log, 3, 90_000), ...appendAll(log, 20, 500)]
    await log.flush()
    host.crash('drop-all')
    const store = await host.open()
    const again = store.logs.get('orders')!
    expect(again.endOffset).toBe(43)
    expect(Buffer.compare(await readAll(again, 0, 43, 50_000), concat(entries))).toBe(0)
    expect(store.status().damage).toEqual([])
    await store.close()
  })

  it('has everything after a clean close, and continues', async () => {
    const host = new MemoryStoreHost()
    const { store, log } = await create(host)
    const entries = appendAll(log, 10, 5000)
    await store.close()
    const second = await host.open()
    const again = second.logs.get('orders')!
    entries.push(...appendAll(again, 10, 5000))
    await again.flush()
    expect(Buffer.compare(await readAll(again, 0, 20, 1 << 20), concat(entries))).toBe(0)
    await second.close()
  })

  it('rolls segments, trims whole ones and refuses what is below the start', async () => {
    const host = new MemoryStoreHost()
    const { store, log } = await create(host)
    appendAll(log, 40, 50_000)
    await log.flush()
    await store.close()
    const second = await host.open()
    const again = second.logs.get('orders')!
    const before = again.sizeBytes
    await again.trim(20)
    expect(again.startOffset).toBe(20)
    expect(again.sizeBytes).toBeLessThan(before)
    expect(() => again.read(19, 1000, 40, true)).toThrow(/OUT_OF_RANGE/)
    expect((await readAll(again, 20, 40, 1 << 20)).length).toBe(20 * 50_028)
    host.crash('drop-all')
    const third = await host.open()
    expect(third.logs.get('orders')!.startOffset).toBe(20)
    await third.close()
  })

  it('flushes what it trims up to, so that the start is never beyond the end after a power cut', async () => {
    const host = new MemoryStoreHost()
    const { log } = await create(host)
    appendAll(log, 10, 100)
    await log.trim(8)
    host.crash('drop-all')
    const store = await host.open()
    const again = store.logs.get('orders')!
    expect([again.startOffset, again.endOffset]).toEqual([8, 10])
    await store.close()
  })

  it('goes on writing while the files of a new journal are still being prepared', async () => {
    const { store, log } = await create(new MemoryStoreHost())
    for (let round = 0; round < 100; round++) {
      appendAll(log, 1, 30_000)
      await log.flush()
    }
    expect(log.flushedOffset).toBe(100)
    await store.close()
  })
})
