/** Handing a log from one store to another by links: what both have afterwards, whatever either does then. */
import { describe, expect, it } from 'vitest'
import type { Disk } from '../../disk.ts'
import { DiskError } from '../../errors.ts'
import type { LogOffer } from '../../log-store.ts'
import { segmentFileName } from '../../segments/segment.ts'
import { CountingFold } from '../store-model.ts'
import { bytesOf, logOptions, manyEntries, overriding, same, TwoStores, type Side } from './two-stores.ts'

const targetFolder = '/target/logs/orders'

async function linkCounts(disk: Disk, folder: string): Promise<number[]> {
  const counts: number[] = []
  for (const name of (await disk.list(folder)).filter(each => each.endsWith('.log'))) {
    const file = await disk.open(`${folder}/${name}`, { mode: 'read', direct: false, durable: false })
    counts.push(await file.linkCount())
    await file.close()
  }
  return counts
}

describe('a log that is handed over', () => {
  it('is there whole, byte for byte, in files that both stores have names of', async () => {
    const stores = new TwoStores()
    const [source, target] = [await stores.open('source'), await stores.open('target')]
    const log = await stores.fill(source, manyEntries)
    const whole = await bytesOf(log)
    const adopted = await stores.handOver(source, target)
    expect([adopted.startOffset, adopted.endOffset, adopted.flushedOffset]).toEqual([0, log.endOffset, log.endOffset])
    expect(same(await bytesOf(adopted), whole)).toBe(true)
    expect(adopted.sizeBytes).toBe(whole.length)
    const counts = await linkCounts(stores.disk, targetFolder)
    expect(counts.length).toBeGreaterThan(5)
    expect(new Set(counts)).toEqual(new Set([2]))
    expect(await stores.disk.list('/source/offers')).toEqual([])
    expect(await adopted.findMaxTimestamp(adopted.endOffset)).toEqual(await log.findMaxTimestamp(log.endOffset))
    expect(await adopted.findByTimestamp(1030n, 60)).toMatchObject({ baseOffset: 30 })
  })

  it('costs no writes of entries', async () => {
    let written = 0
    const stores = new TwoStores({
      disk: { onOperation: ({ kind, length }) => void (kind === 'write' && (written += length)) }
    })
    const [source, target] = [await stores.open('source'), await stores.open('target')]
    const log = await stores.fill(
      source,
      Array.from({ length: 100 }, () => 30_000)
    )
    await source.offerLog('orders', end => end)
    written = 0
    await stores.handOver(source, target)
    expect(log.sizeBytes).toBeGreaterThan(3_000_000)
    expect(written).toBeLessThan(20_000)
  })

  it('goes on in either store without the other noticing, and survives power cuts', async () => {
    const stores = new TwoStores()
    const [source, target] = [await stores.open('source'), await stores.open('target')]
    const log = await stores.fill(source, manyEntries)
    const adopted = await stores.handOver(source, target)
    await stores.append(source, log, 5000, 'source')
    for (const bytes of [100, 70_000, 900]) await stores.append(target, adopted, bytes, 'target')
    await Promise.all([log.flush(), adopted.flush()])
    const [inSource, inTarget] = [await bytesOf(log), await bytesOf(adopted)]
    stores.crash('drop-all')
    const again = (await stores.open('source')).logs.get('orders')!
    const other = (await stores.open('target')).logs.get('orders')!
    expect(same(await bytesOf(again), inSource)).toBe(true)
    expect(same(await bytesOf(other), inTarget)).toBe(true)
    expect(other.endOffset).toBe(63)
  })

  it('outlives the log that it comes from, and the other way round', async () => {
    for (const gone of ['source', 'target'] as const) {
      const stores = new TwoStores()
      const opened = { source: await stores.open('source'), target: await stores.open('target') }
      const log = await stores.fill(opened.source, manyEntries)
      const whole = await bytesOf(log)
      await stores.handOver(opened.source, opened.target)
      await opened[gone].removeLogs(['orders'])
      await opened[gone].close()
      stores.crash('keep-all')
      const left = gone === 'source' ? 'target' : 'source'
      expect(await stores.disk.list(`/${gone}/logs`)).toEqual([])
      expect(same(await bytesOf((await stores.open(left)).logs.get('orders')!), whole)).toBe(true)
    }
  })

  it('keeps what the other store trims', async () => {
    const stores = new TwoStores()
    const [source, target] = [await stores.open('source'), await stores.open('target')]
    const log = await stores.fill(source, manyEntries)
    const whole = await bytesOf(log)
    const adopted = await stores.handOver(source, target)
    await log.trim(50)
    expect(same(await bytesOf(adopted), whole)).toBe(true)
  })

  it('keeps what the other store cuts off and writes anew in its place', async () => {
    for (const cut of ['source', 'target'] as const) {
      const stores = new TwoStores()
      const opened = { source: await stores.open('source'), target: await stores.open('target') }
      const log = await stores.fill(opened.source, manyEntries)
      const whole = await bytesOf(log)
      const logs = { source: log, target: await stores.handOver(opened.source, opened.target) }
      await logs[cut].truncate(31)
      for (let i = 0; i < 30; i++) await stores.append(opened[cut], logs[cut], 1000 + i, cut)
      await logs[cut].flush()
      const other: Side = cut === 'source' ? 'target' : 'source'
      expect(same(await bytesOf(logs[other]), whole)).toBe(true)
      const changed = await bytesOf(logs[cut])
      expect(same(changed, whole)).toBe(false)
      stores.crash('drop-all')
      expect(same(await bytesOf((await stores.open(other)).logs.get('orders')!), whole)).toBe(true)
      expect(same(await bytesOf((await stores.open(cut)).logs.get('orders')!), changed)).toBe(true)
    }
  })

  it('keeps what it has when the other store rebuilds itself from files without its state', async () => {
    const stores = new TwoStores()
    const [source, target] = [await stores.open('source'), await stores.open('target')]
    const log = await stores.fill(source, manyEntries)
    const whole = await bytesOf(log)
    await stores.handOver(source, target)
    await Promise.all([source.close(), target.close()])
    const damaged = `/source/logs/orders/${segmentFileName(0)}`
    const sizeBefore = stores.disk.contents(damaged)!.length
    stores.states.source.erase()
    stores.disk.corrupt(damaged, 45_000)
    const rebuilt = await stores.open('source')
    expect(rebuilt.status().stateLost).toBe(true)
    await rebuilt.close()
    // The bit is wrong for both: it is one file. But what the one makes of it is its own.
    expect(stores.disk.contents(`${targetFolder}/${segmentFileName(0)}`)!.length).toBe(sizeBefore)
    const kept = (await stores.open('target')).logs.get('orders')!
    const read = await kept.read(20, 1 << 20, 60, true)
    expect(read.byteCount).toBeGreaterThan(0)
    read.release()
    expect(kept.endOffset).toBe(60)
    expect(whole.length).toBe(kept.sizeBytes)
  })

  it('may be handed back', async () => {
    const stores = new TwoStores()
    const [source, target] = [await stores.open('source'), await stores.open('target')]
    const log = await stores.fill(source, manyEntries)
    const adopted = await stores.handOver(source, target)
    await source.removeLogs(['orders'])
    await stores.append(target, adopted, 2000, 'target')
    await adopted.flush()
    const whole = await bytesOf(adopted)
    const offer = (await target.offerLog('orders', end => end))!
    const back = await source.adoptLog({ name: 'orders', options: logOptions }, offer)
    await target.withdrawOffer(offer.directory)
    await target.removeLogs(['orders'])
    expect(back.endOffset).toBe(log.endOffset + 1)
    expect(same(await bytesOf(back), whole)).toBe(true)
  })
})

describe('what is offered', () => {
  it('ends with the last segment that may be handed over', async () => {
    const stores = new TwoStores()
    const source = await stores.open('source')
    await stores.fill(source, manyEntries)
    const asked: number[] = []
    const offer = await source.offerLog('orders', end => {
      asked.push(end)
      return 31
    })
    expect(asked).toEqual([60])
    expect(offer!.endOffset).toBeLessThanOrEqual(31)
    expect(offer!.endOffset).toBeGreaterThan(20)
    expect(await source.offerLog('orders', () => 3)).toBeUndefined()
    expect(JSON.parse(JSON.stringify(offer))).toEqual(offer)
  })

  it('ends before what is damaged', async () => {
    const stores = new TwoStores()
    const source = await stores.open('source')
    const log = await stores.fill(source, manyEntries)
    await source.close()
    const bases = (await stores.disk.list('/source/logs/orders')).filter(name => name.endsWith('.log'))
    stores.disk.corrupt(`/source/logs/orders/${bases[4]}`, 2000)
    const again = await stores.open('source')
    const read = async (): Promise<void> => void (await bytesOf(again.logs.get('orders')!))
    await expect(read()).rejects.toThrow('CORRUPT')
    const offer = await again.offerLog('orders', end => end)
    expect(offer!.segments.length).toBe(4)
    expect(offer!.endOffset).toBeLessThan(log.endOffset)
  })

  it('stays while the log is trimmed and removed, until it is withdrawn or the store is opened again', async () => {
    const stores = new TwoStores()
    const source = await stores.open('source')
    const log = await stores.fill(source, manyEntries)
    const whole = await bytesOf(log)
    const offer = (await source.offerLog('orders', end => end))!
    await log.trim(55)
    await source.removeLogs(['orders'])
    await source.close()
    const target = await stores.open('target')
    const adopted = await target.adoptLog({ name: 'orders', options: logOptions }, offer)
    expect(same(await bytesOf(adopted), whole)).toBe(true)
    await stores.open('source')
    expect(await stores.disk.list('/source/offers')).toEqual([])
    await expect(target.adoptLog({ name: 'late', options: logOptions }, offer)).rejects.toMatchObject({
      code: 'NOT_ADOPTED'
    })
  })

  it('is nothing where there are no links, and the log goes on', async () => {
    const stores = new TwoStores({
      wrapDisk: disk =>
        overriding(disk, {
          link: source => Promise.reject(new DiskError('UNSUPPORTED', source, 'another file system'))
        })
    })
    const source = await stores.open('source')
    const log = await stores.fill(source, manyEntries)
    expect(await source.offerLog('orders', end => end)).toBeUndefined()
    await stores.append(source, log, 10, 'source')
    await log.flush()
    expect(source.failure).toBeUndefined()
    expect(await stores.disk.list('/source/offers')).toEqual([])
  })
})

describe('a fold', () => {
  it('stands for exactly what was handed over, after a crash as well', async () => {
    for (const endBefore of [60, 45, 31]) {
      const stores = new TwoStores()
      const source = await stores.open('source')
      const log = await stores.fill(source, manyEntries.slice(0, 30))
      // A state of the fold that is kept lies below what is handed over.
      await source.offerLog('orders', end => end)
      for (const bytes of manyEntries.slice(30)) await stores.append(source, log, bytes, 'source')
      const target = await stores.open('target')
      const adopted = await stores.handOver(source, target, endBefore)
      const expected = foldOf(await bytesOf(adopted))
      expect(snapshotOf(stores.folds.get('target')!)).toEqual(expected)
      await stores.append(target, adopted, 1234, 'target')
      await adopted.flush()
      const grown = foldOf(await bytesOf(adopted))
      stores.crash('drop-all')
      await stores.open('target')
      expect(snapshotOf(stores.folds.get('target')!)).toEqual(grown)
    }
  })

  it('that cannot be known at the end of what may be handed over leaves the log where it is', async () => {
    const stores = new TwoStores()
    const source = await stores.open('source')
    const log = await stores.fill(source, manyEntries)
    await source.offerLog('orders', end => end)
    await stores.append(source, log, 100, 'source')
    await source.offerLog('orders', end => end)
    await log.trim(58)
    expect(await source.offerLog('orders', () => 59)).toBeUndefined()
  })
})

describe('adopting', () => {
  it('makes changes of the state durable together with the log', async () => {
    const stores = new TwoStores()
    const [source, target] = [await stores.open('source'), await stores.open('target')]
    await stores.fill(source, manyEntries)
    const offer = (await source.offerLog('orders', end => end))!
    const value = new TextEncoder().encode('mine')
    await target.state.put('old', value)
    await target.adoptLog(
      { name: 'orders', options: logOptions },
      offer,
      new Map<string, Uint8Array | undefined>([
        ['mark', value],
        ['old', undefined]
      ])
    )
    stores.crash('drop-all')
    const again = await stores.open('target')
    expect([again.state.get('mark'), again.state.get('old')]).toEqual([value, undefined])
    expect([...again.logs.keys()]).toEqual(['orders'])
  })

  it('refuses files that are gone, shorter, or offers that cannot be, and leaves nothing of them', async () => {
    const stores = new TwoStores()
    const [source, target] = [await stores.open('source'), await stores.open('target')]
    await stores.fill(source, manyEntries)
    const offer = (await source.offerLog('orders', end => end))!
    const [first, ...rest] = offer.segments
    const wrong: LogOffer[] = [
      { ...offer, directory: '/source/offers/nowhere' },
      { ...offer, segments: [{ ...first!, byteCount: first!.byteCount + 1 }, ...rest] },
      { ...offer, segments: rest },
      { ...offer, segments: [] },
      { ...offer, endOffset: offer.endOffset + 1 },
      { ...offer, fold: { offset: offer.endOffset + 1, snapshot: '' } }
    ]
    for (const each of wrong) {
      const adopted = target.adoptLog({ name: 'orders', options: logOptions }, each)
      await expect(adopted).rejects.toMatchObject({ code: 'NOT_ADOPTED' })
    }
    expect(await stores.disk.list('/target/logs')).toEqual([])
    expect(stores.states.target.rawKeys().filter(key => key.includes('arriving'))).toEqual([])
    expect(target.failure).toBeUndefined()
    await expect(target.createLogs([{ name: 'orders', options: logOptions }])).resolves.toHaveLength(1)
    const taken = target.adoptLog({ name: 'orders', options: logOptions }, offer)
    await expect(taken).rejects.toMatchObject({ code: 'LOG_EXISTS' })
  })

  it('refuses a damaged file when the fold has to be made from it', async () => {
    const stores = new TwoStores()
    const [source, target] = [await stores.open('source'), await stores.open('target')]
    await stores.fill(source, manyEntries)
    const { fold: _known, ...offer } = (await source.offerLog('orders', end => end))!
    stores.disk.corrupt(`/source/logs/orders/${segmentFileName(0)}`, 41_000)
    const adopted = target.adoptLog({ name: 'orders', options: logOptions, fold: new CountingFold() }, offer)
    await expect(adopted).rejects.toMatchObject({ code: 'NOT_ADOPTED' })
    expect(await stores.disk.list('/target/logs')).toEqual([])
  })
})

function snapshotOf(fold: CountingFold): number[] {
  return [fold.count, fold.sum]
}

/** The state of a fold that has seen these entries. */
function foldOf(bytes: Uint8Array): number[] {
  const fold = new CountingFold()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < bytes.length; at += view.getUint32(at, true))
    fold.apply(bytes.subarray(at, at + view.getUint32(at, true)))
  return snapshotOf(fold)
}
