/** Failing and full devices, bounded memory, and very many logs. */
import { describe, expect, it } from 'vitest'
import type { Disk } from '../disk.ts'
import { DiskError } from '../errors.ts'
import type { Log, LogOptions, ReadResult } from '../log-store.ts'
import { MemoryStoreHost } from '../testing/memory-store.ts'
import { plainEntry } from '../testing/plain-entries.ts'
import { concat, readAll } from './store-model.ts'

const options: LogOptions = { segmentBytes: 1 << 20, indexIntervalBytes: 4096, segmentMs: 1e12 }

const entryAt = (offset: number, byteCount: number) =>
  plainEntry({ baseOffset: offset, payload: new Uint8Array(byteCount).fill(offset) })

/** Lets everything that is under way in memory go on. */
async function settle(turns = 50): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise(resolve => setImmediate(resolve))
}

/** A disk whose segments refuse writes while it is full; a file that refused one refuses all, as files that promise durability do. */
function withFullSegments(disk: Disk, isFull: () => boolean): Disk {
  const open: Disk['open'] = async (path, options) => {
    const file = await disk.open(path, options)
    if (!path.endsWith('.log')) return file
    let refusal: DiskError | undefined
    return {
      path,
      read: (buffer, position) => file.read(buffer, position),
      write: (buffer, position) => {
        if (isFull()) refusal ??= new DiskError('NO_SPACE', path, 'the disk is full: ENOSPC')
        return refusal === undefined ? file.write(buffer, position) : Promise.reject(refusal)
      },
      sync: () => file.sync(),
      allocate: (start, end) => file.allocate(start, end),
      truncate: length => file.truncate(length),
      size: () => file.size(),
      linkCount: () => file.linkCount(),
      close: () => file.close()
    }
  }
  return new Proxy(disk, {
    get(target, name) {
      if (name === 'open') return open
      const own: unknown = Reflect.get(target, name, target)
      return typeof own === 'function' ? (own as (...inputs: unknown[]) => unknown).bind(target) : own
    }
  })
}

describe('a failing device', () => {
  it('ends acknowledging for ever, tells why, and leaves what was flushed readable', async () => {
    const flushed: number[] = []
    const host = new MemoryStoreHost({ onFlushed: ([log]) => flushed.push(log!.flushedOffset) })
    const store = await host.open()
    const [log] = await store.createLogs([{ name: 'orders', options }])
    log!.append(entryAt(0, 100))
    await log!.flush()
    host.disk.failWrites()
    log!.append(entryAt(1, 100))
    await expect(log!.flush()).rejects.toThrow(/FAILED/)
    expect(store.status().state).toBe('failed')
    expect(store.failure).toMatchObject({ code: 'IO' })
    expect(log!.append(entryAt(2, 100))).toBe('failed')
    host.disk.clearFaults()
    host.clock.advance(60_000)
    await settle()
    expect(flushed).toEqual([1])
    await expect(store.createLogs([{ name: 'more', options }])).rejects.toThrow(/FAILED/)
    await expect(log!.trim(1)).rejects.toThrow(/FAILED/)
    const read = await log!.read(0, 1000, log!.flushedOffset, true)
    expect(concat(read.slices)).toEqual(entryAt(0, 100))
    read.release()
    await store.close()
  })

  it('after a failed flush of a folder never acknowledges either', async () => {
    const host = new MemoryStoreHost()
    const store = await host.open()
    const [log] = await store.createLogs([{ name: 'orders', options }])
    await settle(200)
    host.disk.failSync()
    log!.append(entryAt(0, 200_000))
    await expect(log!.flush()).rejects.toThrow(/FAILED/)
    expect(store.status().state).toBe('failed')
    await store.close()
  })

  it('that did not take one log into its segment makes no checkpoint for another: the journal still has both', async () => {
    const host = new MemoryStoreHost()
    const store = await host.open()
    const [orders, payments] = await store.createLogs([
      { name: 'orders', options },
      { name: 'payments', options }
    ])
    for (const log of [orders!, payments!]) for (let offset = 0; offset < 3; offset++) log.append(entryAt(offset, 100))
    await Promise.all([orders!.flush(), payments!.flush()])
    host.disk.failSync({ path: '/store/logs/orders', times: 1 })
    const cuts = await Promise.allSettled([orders!.truncate(2), payments!.truncate(2)])
    expect(cuts.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    host.crash('keep-all')
    const again = await host.open()
    expect(again.status().damage).toEqual([])
    for (const log of again.logs.values())
      expect(await readAll(log, 0, 3, 10_000)).toEqual(concat([0, 1, 2].map(offset => entryAt(offset, 100))))
    await again.close()
  })

  it('that did not take all of a direct write makes no checkpoint: the journal still has what the write took along', async () => {
    const host = new MemoryStoreHost({ settings: { destageIdleMs: 10_000 } })
    const store = await host.open()
    const [orders, payments] = await store.createLogs([
      { name: 'orders', options },
      { name: 'payments', options }
    ])
    payments!.append(entryAt(0, 100))
    await payments!.flush()
    host.clock.advance(6_000)
    await settle()
    orders!.append(entryAt(0, 10_000))
    await orders!.flush()
    // A round over `payments` waits for its turn while a commit fails that wrote `orders` directly, but for the first piece.
    let release = () => {}
    host.state.faults.delay = done => (release = done)
    const created = store.createLogs([{ name: 'other', options }])
    host.clock.advance(6_000)
    await settle()
    host.disk.failWrites({ path: `/store/logs/orders/${'0'.repeat(20)}.log`, times: 1 })
    orders!.append(entryAt(1, 200_000))
    await expect(orders!.flush()).rejects.toThrow(/FAILED/)
    host.state.faults = {}
    release()
    await created
    await settle()
    host.crash('keep-all')
    const again = await host.open()
    expect(again.status().damage).toEqual([])
    expect(await readAll(again.logs.get('orders')!, 0, 1, 100_000)).toEqual(entryAt(0, 10_000))
    await again.close()
  })

  it('of the small state fails the store: nothing is answered after it', async () => {
    const host = new MemoryStoreHost()
    const store = await host.open()
    host.state.faults.beforeCommit = () => {
      throw new Error('EIO')
    }
    await expect(store.state.put('vote', new Uint8Array(1))).rejects.toThrow(/FAILED/)
    host.state.faults = {}
    await expect(store.state.put('vote', new Uint8Array(1))).rejects.toThrow(/FAILED/)
    expect(store.status().state).toBe('failed')
    await store.close()
  })
})

describe('a full device', () => {
  it('refuses appends early, keeps reading and trimming, and recovers by itself', async () => {
    const host = new MemoryStoreHost({ settings: { reserveBytes: 512 << 10 }, disk: { capacityBytes: 8 << 20 } })
    const store = await host.open()
    const [log] = await store.createLogs([{ name: 'orders', options }])
    let refusedAt = -1
    for (let offset = 0; offset < 300 && refusedAt < 0; offset++) {
      const result = log!.append(entryAt(offset, 60_000))
      if (result === 'failed') refusedAt = offset
      else if (result === 'full') await store.whenWritable()
      if (offset % 10 === 0) {
        host.clock.advance(1000)
        await settle(5)
      }
    }
    expect(refusedAt).toBeGreaterThan(20)
    expect(store.status().state).toBe('no-space')
    expect(store.failure).toBeUndefined()
    await settle()
    const { flushedOffset } = log!
    expect((await readAll(log!, 0, flushedOffset, 1 << 20)).length).toBe(flushedOffset * 60_028)
    await log!.trim(flushedOffset - 1)
    await settle(200)
    host.clock.advance(1000)
    await settle(200)
    expect(store.status().state).toBe('open')
    const next = log!.endOffset
    expect(log!.append(entryAt(next, 60_000))).toBe('appended')
    await log!.flush()
    host.crash('drop-all')
    const again = await host.open()
    expect(again.logs.get('orders')!.endOffset).toBe(next + 1)
    await again.close()
  })

  it('hit without warning makes a commit wait, not fail, and it completes when there is space', async () => {
    const host = new MemoryStoreHost()
    const store = await host.open()
    const [log] = await store.createLogs([{ name: 'orders', options }])
    await settle(200)
    host.disk.capacityBytes = (1 << 20) + (64 << 10)
    log!.append(entryAt(0, 300_000))
    const flushing = log!.flush()
    await settle()
    expect(store.status().state).toBe('no-space')
    expect(log!.flushedOffset).toBe(0)
    expect(log!.append(entryAt(1, 10))).toBe('failed')
    host.disk.capacityBytes = Infinity
    host.clock.advance(1000)
    await flushing
    expect(store.status().state).toBe('open')
    expect(log!.append(entryAt(1, 10))).toBe('appended')
    await store.close()
  })

  it('met by a write to a segment is forgotten when there is space, without a restart', async () => {
    let full = false
    const host = new MemoryStoreHost({ wrapDisk: disk => withFullSegments(disk, () => full) })
    const store = await host.open()
    const [log] = await store.createLogs([{ name: 'orders', options }])
    log!.append(entryAt(0, 300_000))
    await log!.flush()
    await settle(200)
    full = true
    log!.append(entryAt(1, 300_000))
    const flushing = log!.flush()
    await settle(200)
    expect(store.status().state).toBe('no-space')
    full = false
    for (let second = 0; second < 3; second++) {
      host.clock.advance(1000)
      await settle(200)
    }
    expect(store.status().state).toBe('open')
    await flushing
    expect((await readAll(log!, 0, 2, 1 << 20)).length).toBe(600_056)
    await store.close()
  })

  it.each([
    { title: 'was full before', closesLate: true },
    { title: 'is found to be full', closesLate: false }
  ])('that $title and stays so keeps no store from closing, and what waited is not there afterwards', async one => {
    const host = new MemoryStoreHost()
    const store = await host.open()
    const [log] = await store.createLogs([{ name: 'orders', options }])
    log!.append(entryAt(0, 100))
    await log!.flush()
    await settle(200)
    host.disk.capacityBytes = 1
    log!.append(entryAt(1, 300_000))
    const refused = expect(log!.flush()).rejects.toThrow(/FAILED/)
    if (one.closesLate) await settle()
    expect(store.status().state).toBe(one.closesLate ? 'no-space' : 'open')
    await store.close()
    await refused
    host.disk.capacityBytes = Infinity
    const again = await host.open()
    expect([again.status().damage, again.logs.get('orders')!.endOffset]).toEqual([[], 1])
    await again.close()
  })

  it('that has no room for the rest of the journal keeps no store from closing', async () => {
    const host = new MemoryStoreHost({ disk: { capacityBytes: 1 << 20 } })
    const store = await host.open()
    await settle(200)
    expect(store.status().state).toBe('no-space')
    await store.close()
    await settle()
    expect(store.status().state).toBe('closed')
  })

  it('that ends a recovery early does not make damage of a last commit that was torn', async () => {
    const host: MemoryStoreHost = new MemoryStoreHost({
      disk: { onOperation: ({ kind }) => kind === 'write' && armed && host.crash('keep-all') }
    })
    let armed = false
    const store = await host.open()
    const [log] = await store.createLogs([{ name: 'orders', options }])
    log!.append(entryAt(0, 500))
    await log!.flush()
    armed = true
    log!.append(plainEntry({ baseOffset: 1, payload: new Uint8Array(20_000).fill(0xab) }))
    await expect(log!.flush()).rejects.toThrow(/FAILED/)
    const names = await host.disk.list('/store/journal')
    const found = names.flatMap(name => {
      const path = `/store/journal/${name}`
      const at = Buffer.from(host.disk.contents(path) ?? []).indexOf(Buffer.alloc(100, 0xab))
      return at < 0 ? [] : [{ path, at: at + 10_000 }]
    })
    expect(found).toHaveLength(1)
    for (const { path, at } of found) host.disk.corrupt(path, at)
    host.disk.capacityBytes = 1
    await expect(host.open()).rejects.toThrow(/recovery needs space/)
    host.crash('keep-all')
    host.disk.capacityBytes = Infinity
    const again = await host.open()
    expect(again.status().damage).toEqual([])
    expect(again.logs.get('orders')!.endOffset).toBe(1)
    await again.close()
  })
})

describe('memory', () => {
  it('is bounded: appends answer full, and room comes back when bytes are durable', async () => {
    const host = new MemoryStoreHost({ settings: { memoryBytes: 2 << 20 } })
    const store = await host.open()
    const [log] = await store.createLogs([{ name: 'orders', options }])
    let appended = 0
    let full = 0
    while (appended < 400) {
      const result = log!.append(entryAt(appended, 20_000))
      if (result === 'appended') appended++
      else {
        expect(result).toBe('full')
        expect(store.writable(20_028)).toBe(false)
        full++
        await store.whenWritable()
      }
    }
    expect(full).toBeGreaterThan(2)
    await log!.flush()
    expect((await readAll(log!, 0, 400, 1 << 20)).length).toBe(400 * 20_028)
    await store.close()
  })

  it('held by a reader is not reused, whatever happens to the log', async () => {
    const host = new MemoryStoreHost({ settings: { memoryBytes: 2 << 20 } })
    const store = await host.open()
    const [log, other] = await store.createLogs([
      { name: 'orders', options },
      { name: 'other', options }
    ])
    for (let offset = 0; offset < 20; offset++) log!.append(entryAt(offset, 10_000))
    await log!.flush()
    const held: ReadResult = await log!.read(0, 1 << 20, 20, true)
    const before = concat(held.slices)
    await store.removeLogs(['orders'])
    await fillTo(store, other!, 300)
    expect(Buffer.compare(concat(held.slices), before)).toBe(0)
    held.release()
    expect(() => held.release()).toThrow(/once/)
    await store.close()
  })

  it('comes back entirely: after reads, removals and destaging everything can be given out again', async () => {
    const host = new MemoryStoreHost({ settings: { memoryBytes: 2 << 20 } })
    const store = await host.open()
    const before = store.status().memoryBytesFree
    const [log] = await store.createLogs([{ name: 'orders', options }])
    await fillTo(store, log!, 200)
    await log!.flush()
    await readAll(log!, 0, 200, 30_000)
    host.clock.advance(20_000)
    await settle(300)
    expect(store.status().memoryBytesFree).toBe(before)
    await store.removeLogs(['orders'])
    await settle(100)
    expect(store.status().memoryBytesFree).toBe(before)
    await store.close()
  })
})

async function fillTo(store: { whenWritable(): Promise<void> }, log: Log, endOffset: number): Promise<void> {
  while (log.endOffset < endOffset) {
    const result = log.append(entryAt(log.endOffset, 20_000))
    expect(result).not.toBe('failed')
    if (result === 'full') await store.whenWritable()
  }
}

describe('very many logs', () => {
  it('cost no memory while they rest, and recover', async () => {
    const host = new MemoryStoreHost({ settings: { memoryBytes: 64 << 20, journalBytes: 8 << 20 } })
    const store = await host.open()
    const free = store.status().memoryBytesFree
    const logs = await store.createLogs(
      Array.from({ length: 10_000 }, (_, index) => ({ name: `log-${index}`, options }))
    )
    expect(store.status().memoryBytesFree).toBe(free)
    expect(host.disk.contents('/store/logs/log-0/00000000000000000000.log')).toBeUndefined()
    for (const log of logs.slice(0, 2000)) expect(log.append(entryAt(0, 500))).toBe('appended')
    await logs[1999]!.flush()
    host.crash('drop-all')
    const again = await host.open()
    expect(again.logs.size).toBe(10_000)
    for (let index = 0; index < 2000; index += 97) expect(again.logs.get(`log-${index}`)!.endOffset).toBe(1)
    expect(again.status().memoryBytesFree).toBe(free)
    await again.close()
  })

  it('can be removed and made again under the same name, starting empty', async () => {
    const host = new MemoryStoreHost()
    const store = await host.open()
    const [log] = await store.createLogs([{ name: 'orders', options }])
    log!.append(entryAt(0, 200_000))
    await log!.flush()
    await store.removeLogs(['orders'])
    expect(log!.append(entryAt(1, 10))).toBe('failed')
    const [fresh] = await store.createLogs([{ name: 'orders', options }])
    expect(fresh!.endOffset).toBe(0)
    fresh!.append(entryAt(0, 50))
    await fresh!.flush()
    host.crash('drop-all')
    const again = await host.open()
    expect((await readAll(again.logs.get('orders')!, 0, 1, 1000)).length).toBe(78)
    await again.close()
  })

  it('must have sound and different names', async () => {
    const store = await new MemoryStoreHost().open()
    for (const name of ['', '..', '.', 'a/b', '../x', 'ä', 'x'.repeat(250), 'a\0'])
      await expect(store.createLogs([{ name, options }])).rejects.toThrow(/INVALID_NAME/)
    await store.createLogs([{ name: 'orders', options }])
    await expect(store.createLogs([{ name: 'orders', options }])).rejects.toThrow(/LOG_EXISTS/)
    await expect(store.removeLogs(['nobody'])).rejects.toThrow(/UNKNOWN_LOG/)
    expect(store.status().state).toBe('open')
    await store.close()
  })
})
