import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../disks/seeded-random.ts'
import { StoreError } from '../../errors.ts'
import type { Log, LogOptions, ReadResult } from '../../log-store.ts'
import { MemoryStoreHost } from '../../testing/memory-store.ts'
import { plainEntry, plainFormat } from '../../testing/plain-entries.ts'
import { CountingFold, concat, readAll } from '../store-model.ts'

const options: LogOptions = { segmentBytes: 64 << 10, indexIntervalBytes: 1024, segmentMs: 1e12 }

/** An entry that says in which life of the log it was written. */
const entryOf = (baseOffset: number, life: number, byteCount: number) =>
  plainEntry({ baseOffset, payload: new Uint8Array(byteCount).fill(life) })

async function create(host = new MemoryStoreHost(), fold?: CountingFold) {
  const store = await host.open()
  const [log] = await store.createLogs([{ name: 'orders', options, ...(fold && { fold }) }])
  return { host, store, log: log! }
}

function appendAll(log: Log, count: number, life: number, byteCount = 500): Uint8Array[] {
  const entries = Array.from({ length: count }, () => {
    const entry = entryOf(log.endOffset, life, byteCount)
    expect(log.append(entry)).toBe('appended')
    return entry
  })
  return entries
}

const filesOf = async (host: MemoryStoreHost) =>
  (await host.disk.list('/store/logs/orders'))
    .filter(name => name.endsWith('.log'))
    .map(name => Number(name.slice(0, 20)))

describe('a reset', () => {
  it.each([0, 7, 1_000_000])(
    'to %i leaves an empty log that goes on there, now and after a power cut',
    async offset => {
      const host = new MemoryStoreHost()
      const { log } = await create(host)
      appendAll(log, 400, 1)
      await log.resetTo(offset)
      expect([log.startOffset, log.endOffset, log.flushedOffset, log.sizeBytes]).toEqual([offset, offset, offset, 0])
      const entries = appendAll(log, 30, 2)
      await log.flush()
      host.crash('drop-all')
      const store = await host.open()
      const again = store.logs.get('orders')!
      expect([again.startOffset, again.endOffset]).toEqual([offset, offset + 30])
      expect(Buffer.compare(await readAll(again, offset, offset + 30, 1 << 20), concat(entries))).toBe(0)
      expect(store.status().damage).toEqual([])
      await store.close()
    }
  )

  it('refuses appends until it is done, and offsets that no log can have', async () => {
    const { store, log } = await create()
    appendAll(log, 3, 1)
    const reset = log.resetTo(50)
    expect(log.append(entryOf(3, 1, 10))).toBe('full')
    await reset
    expect(log.append(entryOf(50, 2, 10))).toBe('appended')
    await expect(log.resetTo(-1)).rejects.toThrow(/OUT_OF_RANGE/)
    await expect(log.resetTo(2 ** 53)).rejects.toThrow(/OUT_OF_RANGE/)
    await store.close()
  })

  it('starts the fold empty', async () => {
    const fold = new CountingFold()
    const { store, log } = await create(new MemoryStoreHost(), fold)
    for (const entry of appendAll(log, 20, 1)) fold.apply(entry)
    await log.resetTo(5)
    expect(fold.count).toBe(0)
    await store.close()
  })

  it('removes the files of the former life, also when a power cut comes before it could', async () => {
    let done = false
    for (let cutAt = 1; !done; cutAt++) {
      let left = Infinity
      let cut = () => {}
      const power = new Promise<void>(resolve => (cut = resolve))
      const host = new MemoryStoreHost({
        disk: {
          onOperation: () => {
            if (--left !== 0) return
            host.crash('keep-all')
            cut()
          }
        }
      })
      const { log, store } = await create(host)
      appendAll(log, 400, 1)
      await log.flush()
      await log.trim(10)
      left = cutAt
      const reset = log.resetTo(5000).then(
        () => (done = true),
        () => false
      )
      await Promise.race([reset, power])
      if (done) {
        await store.close()
        expect(await filesOf(host)).toEqual([])
        expect(cutAt).toBeGreaterThan(3)
      } else {
        const again = await host.open()
        if (again.logs.get('orders')!.startOffset === 5000) expect(await filesOf(host)).toEqual([])
        await again.close()
      }
    }
  })
})

describe('entries that are cut off', () => {
  it('stay what they were in the hands of readers, whatever takes their place', async () => {
    const { store, log } = await create()
    const entries = appendAll(log, 6, 1, 300)
    await log.flush()
    const held = await log.read(0, 1 << 20, 6, true)
    await log.truncate(2)
    const later = appendAll(log, 6, 2, 300)
    await log.flush()
    expect(Buffer.compare(concat(held.slices), concat(entries))).toBe(0)
    held.release()
    expect(Buffer.compare(await readAll(log, 0, 8, 1 << 20), concat([...entries.slice(0, 2), ...later]))).toBe(0)
    await store.close()
  })

  it(
    'leave room for others in the middle of reads that never see a mixture, nor call it damage',
    { timeout: 240_000 },
    async () => {
      const random = new SeededRandom(11)
      // Each operation takes a few turns of the loop, so that reads and cuts meet in the middle of each other.
      const later = (turns: number, callback: () => void): unknown =>
        setImmediate(() => (turns <= 0 ? callback() : later(turns - 1, callback)))
      const host = new MemoryStoreHost({
        seed: 11,
        settings: { memoryBytes: 1 << 20, journalBytes: 1 << 20 },
        disk: { scheduler: { schedule: later }, latencyMs: (_, fraction) => Math.floor(fraction * 4) }
      })
      const { store, log } = await create(host)
      const floor = 60
      let life = 1
      let reads = 0
      let stopped = false
      appendAll(log, floor, life)
      const checkRead = ({ slices, nextOffset }: ReadResult, offset: number) => {
        const bytes = concat(slices)
        let next = offset
        for (let at = 0; at < bytes.length; at += plainFormat.lengthAt(bytes, at)) {
          const whole = plainFormat.isIntact(bytes, at, plainFormat.lengthAt(bytes, at))
          if (!whole || plainFormat.baseOffsetAt(bytes, at) !== next++) throw new Error(`offset ${next} is a mixture`)
        }
        if (next !== nextOffset) throw new Error(`${nextOffset} does not follow ${next - 1}`)
        reads++
      }
      const reader = async () => {
        const own = random.fork()
        while (!stopped) {
          await new Promise(resolve => setImmediate(resolve))
          const offset = own.below(log.endOffset + 1)
          const result = await (async () => log.read(offset, 1 + own.below(100_000), Infinity, true))().catch(
            (error: unknown) => {
              if (!(error instanceof StoreError && error.code === 'OUT_OF_RANGE')) throw error
              expect(offset).toBeGreaterThanOrEqual(floor)
              return undefined
            }
          )
          if (result === undefined) continue
          checkRead(result, offset)
          result.release()
        }
      }
      const readers = Promise.all(Array.from({ length: 3 }, reader))
      for (let round = 0; round < 8; round++) {
        life++
        for (let made = 0; made < 400; made++) {
          while (log.append(entryOf(log.endOffset, life % 256, 100 + random.below(8000))) === 'full')
            await store.whenWritable()
          if (random.chance(0.1)) await log.flush()
        }
        await log.truncate(floor + random.below(log.endOffset - floor))
      }
      stopped = true
      await readers
      expect(reads).toBeGreaterThan(1000)
      expect(store.status().damage).toEqual([])
      await store.close()
    }
  )
})
