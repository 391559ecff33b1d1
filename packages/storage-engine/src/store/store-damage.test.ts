/** What is damaged is reported and refused, never served and never cut off; what is intact stays readable. */
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../disks/seeded-random.ts'
import { StoreError } from '../errors.ts'
import type { Log, LogOptions, LogStore } from '../log-store.ts'
import { MemoryStoreHost } from '../testing/memory-store.ts'
import { plainEntry } from '../testing/plain-entries.ts'
import { concat, CountingFold } from './store-model.ts'

const options: LogOptions = { segmentBytes: 64 << 10, indexIntervalBytes: 1024, segmentMs: 1e12 }

function entryAt(offset: number, byteCount = 700): Uint8Array {
  const payload = new Uint8Array(byteCount)
  for (let at = 0; at < byteCount; at++) payload[at] = (offset * 31 + at) & 255
  return plainEntry({ baseOffset: offset, payload, timestamp: BigInt(1000 + offset) })
}

function append(log: Log, count: number, byteCount?: number): void {
  for (let made = 0; made < count; made++) expect(log.append(entryAt(log.endOffset, byteCount))).toBe('appended')
}

async function filled(
  host: MemoryStoreHost,
  count: number,
  byteCount?: number
): Promise<{ store: LogStore; log: Log }> {
  const store = await host.open()
  const [log] = await store.createLogs([{ name: 'orders', options }])
  append(log!, count, byteCount)
  await log!.flush()
  return { store, log: log! }
}

/** Every offset read alone: the ones that are refused. Anything served must be what was written. */
async function refused(log: Log, byteCount?: number): Promise<number[]> {
  const result: number[] = []
  for (let offset = log.startOffset; offset < log.endOffset; offset++) {
    try {
      const read = await log.read(offset, 1, log.endOffset, true)
      expect(Buffer.compare(concat(read.slices), entryAt(offset, byteCount)), `offset ${offset}`).toBe(0)
      read.release()
    } catch (error) {
      expect((error as StoreError).code).toBe('CORRUPT')
      result.push(offset)
    }
  }
  return result
}

const firstSegment = '/store/logs/orders/00000000000000000000.log'

describe('damage', () => {
  it('in a payload refuses that entry and serves all others', async () => {
    const host = new MemoryStoreHost()
    const { store } = await filled(host, 200)
    await store.close()
    host.disk.corrupt(firstSegment, 728 * 10 + 400)
    const again = await host.open()
    const log = again.logs.get('orders')!
    expect(await refused(log)).toEqual([10])
    expect(again.status().damage).toMatchObject([{ log: 'orders', startOffset: 10, endOffset: 11 }])
    expect(again.status().state).toBe('open')
    await again.close()
  })

  it('in any bit of a segment is never served', async () => {
    const random = new SeededRandom(3)
    for (let trial = 0; trial < 40; trial++) {
      const host = new MemoryStoreHost({ seed: trial })
      const { store } = await filled(host, 60)
      await store.close()
      host.disk.corrupt(firstSegment, random.below(60 * 728), 1 + random.below(3))
      const again = await host.open()
      const bad = await refused(again.logs.get('orders')!)
      expect(bad.length).toBeGreaterThan(0)
      expect(bad.length).toBeLessThan(6)
      await again.close()
    }
  })

  it('in the page that a log goes on in after a restart is not served from memory, to which it was read back', async () => {
    const host = new MemoryStoreHost()
    const { store } = await filled(host, 3)
    await store.close()
    host.disk.corrupt(firstSegment, 728 + 400)
    const again = await host.open()
    const log = again.logs.get('orders')!
    append(log, 1)
    await log.flush()
    host.clock.advance(20_000)
    await log.truncate(log.endOffset - 1)
    append(log, 2)
    await log.flush()
    expect(await refused(log)).toEqual([1])
    await again.close()
    const third = await host.open()
    expect(await refused(third.logs.get('orders')!)).toEqual([1])
    await third.close()
  })

  it('in that page is not served after the next commit was destaged either', async () => {
    const host = new MemoryStoreHost()
    const { store } = await filled(host, 3)
    await store.close()
    host.disk.corrupt(firstSegment, 728 + 400)
    const first = await host.open()
    append(first.logs.get('orders')!, 1)
    await first.logs.get('orders')!.flush()
    host.crash('drop-all')
    // Recovery destages what the journal holds, into that page.
    const again = await host.open()
    expect(await refused(again.logs.get('orders')!)).toEqual([1])
    await again.close()
  })

  it('of an index file costs nothing but a scan', async () => {
    const host = new MemoryStoreHost()
    const { store } = await filled(host, 300)
    await store.close()
    host.disk.corrupt('/store/logs/orders/00000000000000000000.index', 100)
    const again = await host.open()
    expect(await refused(again.logs.get('orders')!)).toEqual([])
    expect(await again.logs.get('orders')!.findByTimestamp(1042n, 300)).toMatchObject({ baseOffset: 42 })
    await again.close()
  })

  it('of a journal payload that a later commit calls complete is reported, and what follows it survives', async () => {
    const host = new MemoryStoreHost()
    const { log } = await filled(host, 5)
    append(log, 1)
    await log.flush()
    append(log, 5)
    await log.flush()
    const journal = Buffer.from(host.disk.contents('/store/journal/0000.journal')!)
    host.crash('drop-all')
    host.disk.corrupt('/store/journal/0000.journal', journal.indexOf(Buffer.from(entryAt(5).subarray(8, 28))) + 300)
    const again = await host.open()
    const recovered = again.logs.get('orders')!
    expect(recovered.endOffset).toBe(11)
    expect(await refused(recovered)).toEqual([5])
    append(recovered, 3)
    await recovered.flush()
    await again.close()
    const third = await host.open()
    expect(third.logs.get('orders')!.endOffset).toBe(14)
    expect(await refused(third.logs.get('orders')!)).toEqual([5])
    await third.close()
  })

  it('of a journal header that a later commit calls complete is reported with the offsets that are missing', async () => {
    const host = new MemoryStoreHost()
    const { log } = await filled(host, 5)
    append(log, 2)
    await log.flush()
    append(log, 3)
    await log.flush()
    host.crash('drop-all')
    const second = frameStarts(host.disk.contents('/store/journal/0000.journal')!)[1]!
    host.disk.corrupt('/store/journal/0000.journal', second + 30)
    const again = await host.open()
    const recovered = again.logs.get('orders')!
    expect(recovered.endOffset).toBe(10)
    expect(await refused(recovered)).toEqual([5, 6])
    await again.close()
  })

  it('of a commit in which a segment ended and the next one began is passed over by the fold', async () => {
    const folds: CountingFold[] = []
    const newFold = (): CountingFold => {
      folds.push(new CountingFold())
      return folds.at(-1)!
    }
    const host = new MemoryStoreHost({ folds: newFold })
    const store = await host.open()
    const [log] = (await store.createLogs([{ name: 'orders', options, fold: newFold() }])) as [Log]
    for (const count of [85, 10, 3]) {
      append(log, count)
      await log.flush()
    }
    host.crash('drop-all')
    const second = frameStarts(host.disk.contents('/store/journal/0000.journal')!)[1]!
    host.disk.corrupt('/store/journal/0000.journal', second + 30)
    const again = await host.open()
    const damage = again.status().damage.filter(range => range.log === 'orders')
    expect(damage).toMatchObject([{ startOffset: 85, endOffset: 95 }])
    expect(again.logs.get('orders')!.endOffset).toBe(98)
    expect(folds.at(-1)!.count).toBe(88)
    await again.close()
  })

  it('of the last commit before the end is known when the next commit wrote another log', async () => {
    const host = new MemoryStoreHost()
    const { store, log } = await filled(host, 5)
    const [other] = await store.createLogs([{ name: 'other', options }])
    append(log, 2)
    await log.flush()
    append(other!, 1)
    await other!.flush()
    host.crash('drop-all')
    const second = frameStarts(host.disk.contents('/store/journal/0000.journal')!)[1]!
    host.disk.corrupt('/store/journal/0000.journal', second + 30)
    const again = await host.open()
    expect(again.status().damage.filter(({ log: name }) => name === 'orders')).toMatchObject([
      { startOffset: 5, endOffset: 7 }
    ])
    await again.close()
  })

  it('of the journal behind what a checkpoint knows complete is reported', async () => {
    const host = new MemoryStoreHost()
    const { store, log } = await filled(host, 5)
    const [other] = await store.createLogs([{ name: 'other', options }])
    append(other!, 2)
    await other!.flush()
    await log.truncate(4)
    host.crash('drop-all')
    for (const at of frameStarts(host.disk.contents('/store/journal/0000.journal')!))
      host.disk.corrupt('/store/journal/0000.journal', at + 30)
    const again = await host.open()
    expect(again.status().damage.length).toBeGreaterThan(0)
    await again.close()
  })

  it('of a directly written range in the last commit before the power cut is a torn tail and is dropped', async () => {
    const host = new MemoryStoreHost()
    const { log } = await filled(host, 5)
    append(log, 3, 80_000)
    await log.flush()
    host.crash('drop-all')
    host.disk.corrupt('/store/logs/orders/00000000000000000007.log', 5000)
    const again = await host.open()
    expect(again.logs.get('orders')!.endOffset).toBe(7)
    expect(again.status().damage).toEqual([])
    await again.close()
  })

  it('of a directly written range that a later commit calls complete is reported', async () => {
    const host = new MemoryStoreHost()
    const { log } = await filled(host, 5)
    append(log, 1, 100_000)
    await log.flush()
    append(log, 1)
    await log.flush()
    host.crash('drop-all')
    host.disk.corrupt('/store/logs/orders/00000000000000000005.log', 5000)
    const again = await host.open()
    const recovered = again.logs.get('orders')!
    expect(recovered.endOffset).toBe(7)
    expect(again.status().damage).toMatchObject([{ log: 'orders', startOffset: 5, endOffset: 6 }])
    await again.close()
  })

  it('of one copy of the small state is repaired from the other, of both is an error and not a guess', async () => {
    const host = new MemoryStoreHost()
    const store = await host.open()
    await store.state.put('vote', new TextEncoder().encode('term 7'))
    const [first, second] = host.state.rawKeys().filter(key => key.endsWith('host/vote'))
    host.state.corrupt(first!, 200)
    expect(new TextDecoder().decode(store.state.get('vote'))).toBe('term 7')
    host.state.corrupt(second!, 77)
    expect(() => store.state.get('vote')).toThrow(/CORRUPT/)
    await store.close()
  })

  it('that loses the small state is noticed: logs come back from segments and journal, and the loss is told', async () => {
    const host = new MemoryStoreHost()
    const { log } = await filled(host, 150)
    append(log, 2, 80_000)
    append(log, 7)
    await log.flush()
    host.crash('drop-all')
    host.state.erase()
    const again = await host.open()
    expect(again.status().stateLost).toBe(true)
    const recovered = again.logs.get('orders')!
    expect(recovered.endOffset).toBe(159)
    const read = await recovered.read(0, 1 << 20, 10, true)
    expect(
      Buffer.compare(concat(read.slices), concat(Array.from({ length: 10 }, (_, offset) => entryAt(offset))))
    ).toBe(0)
    read.release()
    append(recovered, 1)
    await recovered.flush()
    await again.close()
    const third = await host.open()
    expect(third.logs.get('orders')!.endOffset).toBe(160)
    expect(third.status().stateLost).toBe(true)
    await third.acknowledgeStateLoss()
    host.crash('drop-all')
    const fourth = await host.open()
    expect(fourth.status().stateLost).toBe(false)
    expect(fourth.logs.get('orders')!.endOffset).toBe(160)
    await fourth.close()
  })

  it('that loses the small state and fails while it rebuilds it tells the loss in the next start', async () => {
    const host = new MemoryStoreHost()
    const { log } = await filled(host, 150)
    append(log, 9)
    await log.flush()
    const { endOffset } = log
    host.crash('drop-all')
    host.state.erase()
    for (let commits = 0; commits < 6; commits++) {
      let left = commits
      host.state.faults.beforeCommit = () => {
        if (left-- <= 0) throw new Error('the machine stops here')
      }
      await host.open().catch(() => undefined)
      host.crash('random')
      delete host.state.faults.beforeCommit
    }
    const store = await host.open()
    expect(store.status().stateLost).toBe(true)
    expect(store.logs.get('orders')!.endOffset).toBe(endOffset)
    await store.close()
  })

  it('of swapped folders is refused', async () => {
    const host = new MemoryStoreHost({ seed: 1 })
    await (await host.open()).close()
    const other = new MemoryStoreHost({ seed: 2 })
    await (await other.open()).close()
    const mixed = new MemoryStoreHost({ seed: 1 })
    Object.assign(mixed, { disk: host.disk, state: other.state })
    await expect(mixed.open()).rejects.toThrow(/IDENTITY_MISMATCH/)
  })
})

function frameStarts(journal: Uint8Array): number[] {
  const starts: number[] = []
  for (let at = 0; at < journal.length; at += 4096)
    if (Buffer.from(journal.subarray(at, at + 4)).toString() === 'MLJ1') starts.push(at)
  return starts
}
