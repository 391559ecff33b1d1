/**
 * Power cuts at every disk operation and every commit of the state while a log is handed over: the source has everything, the
 * target has the whole log or nothing of it; planted bugs that this must find.
 */
import { describe, expect, it } from 'vitest'
import type { Disk } from '../../disk.ts'
import type { CrashPolicy } from '../../disks/memory-disk.ts'
import { bytesOf, logOptions, manyEntries, overriding, same, TwoStores, type TwoStoresOptions } from './two-stores.ts'

const mark = new TextEncoder().encode('with the log')

/** Hands a log over with a power cut at the `cutAt`-th step from its beginning on. False: it ended before. */
async function cutAt(stores: TwoStores, at: number, policy: CrashPolicy, arm: (tick: () => void) => void) {
  const [source, target] = [await stores.open('source'), await stores.open('target')]
  const log = await stores.fill(source, manyEntries.slice(0, 25))
  const whole = await bytesOf(log)
  let left = at
  let cut!: () => void
  const power = new Promise<void>(resolve => (cut = resolve))
  arm(() => {
    if (--left !== 0) return
    stores.crash(policy)
    cut()
  })
  let ended = false
  const work = (async () => {
    const offer = (await source.offerLog('orders', end => end))!
    const fold = stores.newFold('target')!
    await target.adoptLog({ name: 'orders', options: logOptions, fold }, offer, new Map([['mark', mark]]))
    await source.withdrawOffer(offer.directory)
    ended = true
  })()
  await Promise.race([work.catch(() => undefined), power])
  if (ended) stores.crash(policy)
  return { whole, ended }
}

/** What both stores hold afterwards; throws with what is wrong. */
async function check(stores: TwoStores, whole: Uint8Array, ended: boolean): Promise<'handed over' | 'not'> {
  const [source, target] = [await stores.open('source'), await stores.open('target')]
  expect([source.status().damage, target.status().damage]).toEqual([[], []])
  expect(same(await bytesOf(source.logs.get('orders')!), whole)).toBe(true)
  expect(await stores.disk.list('/source/offers')).toEqual([])
  const adopted = target.logs.get('orders')
  expect(target.state.get('mark')).toEqual(adopted === undefined ? undefined : mark)
  if (adopted === undefined) {
    expect(ended).toBe(false)
    expect(await stores.disk.list('/target/logs')).toEqual([])
    expect(stores.states.target.rawKeys().filter(key => key.includes('arriving'))).toEqual([])
    await target.createLogs([{ name: 'orders', options: logOptions }])
    return 'not'
  }
  expect(same(await bytesOf(adopted), whole)).toBe(true)
  await stores.append(target, adopted, 500, 'target')
  await adopted.flush()
  return 'handed over'
}

async function cutAtEveryOperation(policy: CrashPolicy, wrapDisk?: TwoStoresOptions['wrapDisk']) {
  const results: string[] = []
  for (let at = 1; ; at++) {
    let tick = (): void => undefined
    const stores = new TwoStores({ seed: at, disk: { onOperation: () => tick() }, ...(wrapDisk && { wrapDisk }) })
    const { whole, ended } = await cutAt(stores, at, policy, armed => (tick = armed))
    results.push(await check(stores, whole, ended))
    if (ended) return results
  }
}

describe('a power cut while a log is handed over', () => {
  for (const policy of ['random', 'drop-all', 'keep-all', 'tear-all'] as const)
    it(`at any disk operation (${policy}) leaves all of it or nothing in the target, and everything in the source`, async () => {
      const results = await cutAtEveryOperation(policy)
      expect(results.length).toBeGreaterThan(30)
      expect(new Set(results)).toEqual(new Set(['not', 'handed over']))
    })

  it('at any commit of the state does the same', async () => {
    const results = new Set<string>()
    for (let seed = 0; seed < 8; seed++)
      for (let at = 1; ; at++) {
        const stores = new TwoStores({ seed: 100 * at + seed })
        const { whole, ended } = await cutAt(stores, at, 'random', tick => {
          for (const state of Object.values(stores.states))
            state.faults.delay = done => void (tick(), queueMicrotask(done))
        })
        for (const state of Object.values(stores.states)) state.faults = {}
        results.add(await check(stores, whole, ended))
        if (ended) break
      }
    expect(results).toEqual(new Set(['not', 'handed over']))
  })

  it('is noticed when the folder of the links is not synced (canary)', async () => {
    const plant = (disk: Disk): Disk =>
      overriding(disk, {
        syncDirectory: path => (path === '/target/logs/orders' ? Promise.resolve() : disk.syncDirectory(path))
      })
    await expect(cutAtEveryOperation('drop-all', plant)).rejects.toThrow()
  })
})

describe('writing into a file that another store has (canary)', () => {
  it('is noticed when nobody looks how many names a file has', async () => {
    const plant = (disk: Disk): Disk =>
      overriding(disk, {
        open: async (path, options) => {
          const file = await disk.open(path, options)
          return overriding(file as never, { linkCount: () => Promise.resolve(1) } as never) as never
        }
      })
    const stores = new TwoStores({ wrapDisk: plant })
    const [source, target] = [await stores.open('source'), await stores.open('target')]
    const log = await stores.fill(source, manyEntries)
    const whole = await bytesOf(log)
    const adopted = await stores.handOver(source, target)
    await log.truncate(31)
    for (let i = 0; i < 30; i++) await stores.append(source, log, 1000 + i, 'source')
    await log.flush()
    await source.close()
    const found = await bytesOf(adopted).catch(() => new Uint8Array(0))
    expect(same(found, whole)).toBe(false)
  })
})
