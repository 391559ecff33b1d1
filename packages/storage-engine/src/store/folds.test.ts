import { describe, expect, it } from 'vitest'
import type { Log, LogFold, LogOptions, LogStore } from '../log-store.ts'
import { MemoryStoreHost } from '../testing/memory-store.ts'
import { plainEntry } from '../testing/plain-entries.ts'

const options: LogOptions = { segmentBytes: 64 << 20, indexIntervalBytes: 4096, segmentMs: 1e12 }

/** Keeps nothing, as the producers of a log that has only plain ones; counts what it is shown. */
class EmptyFold implements LogFold {
  replayed = 0
  restored = 0
  snapshot(): undefined {
    return undefined
  }
  restore(snapshot: Uint8Array | undefined): void {
    expect(snapshot).toBeUndefined()
    this.restored++
  }
  replay(): void {
    this.replayed++
  }
}

/** A store whose one log has an `EmptyFold`, a new one each time it is opened. */
class Fixture {
  fold = new EmptyFold()
  readonly host = new MemoryStoreHost({ folds: () => (this.fold = new EmptyFold()) })

  async create(): Promise<{ store: LogStore; log: Log }> {
    const store = await this.host.open()
    const [log] = await store.createLogs([{ name: 'orders', options, fold: this.fold }])
    return { store, log: log! }
  }

  async reopen(): Promise<{ store: LogStore; log: Log }> {
    const store = await this.host.open()
    return { store, log: store.logs.get('orders')! }
  }
}

async function append(log: Log, count: number): Promise<void> {
  for (let made = 0; made < count; made++) {
    const payload = new Uint8Array(1000).fill(log.endOffset)
    expect(log.append(plainEntry({ baseOffset: log.endOffset, payload, timestamp: -1n }))).toBe('appended')
  }
  await log.flush()
}

describe('A fold that has nothing to keep', () => {
  it('is not shown again what was there at a checkpoint', async () => {
    const fixture = new Fixture()
    const { store, log } = await fixture.create()
    await append(log, 500)
    await store.close()
    const again = await fixture.reopen()
    expect(fixture.fold.replayed).toBe(0)
    await append(again.log, 10)
    await again.store.close()
    await (await fixture.reopen()).store.close()
    expect(fixture.fold.replayed).toBe(0)
  })

  it('is shown after a power cut what came after the checkpoint, and only once', async () => {
    const fixture = new Fixture()
    const { store, log } = await fixture.create()
    await append(log, 500)
    await store.close()
    await append((await fixture.reopen()).log, 7)
    fixture.host.crash()
    const recovered = await fixture.reopen()
    expect(recovered.log.endOffset).toBe(507)
    expect(fixture.fold.replayed).toBe(7)
    fixture.host.crash()
    expect((await fixture.reopen()).log.endOffset).toBe(507)
    expect(fixture.fold.replayed).toBe(0)
  })

  it('begins at the checkpoint before the cut when a log is cut, not at the beginning', async () => {
    const fixture = new Fixture()
    const { store, log } = await fixture.create()
    await append(log, 500)
    await store.close()
    const second = await fixture.reopen()
    await append(second.log, 20)
    await second.store.close()
    const third = await fixture.reopen()
    await third.log.truncate(510)
    expect(fixture.fold.restored).toBe(2)
    expect(fixture.fold.replayed).toBe(10)
    await third.store.close()
    const fourth = await fixture.reopen()
    expect(fourth.log.endOffset).toBe(510)
    expect(fixture.fold.replayed).toBe(10)
    await fourth.store.close()
    await fixture.reopen()
    expect(fixture.fold.replayed).toBe(0)
  })

  it('is shown everything when the log is cut before all that is known', async () => {
    const fixture = new Fixture()
    const { store, log } = await fixture.create()
    await append(log, 500)
    await store.close()
    const { store: again, log: cut } = await fixture.reopen()
    await cut.truncate(300)
    expect(fixture.fold.replayed).toBe(300)
    await again.close()
  })
})

describe('A fold that has to be replayed', () => {
  it('passes over a segment whose file is missing, which is damage, and the store opens', async () => {
    // Too large to be kept: it is replayed from the beginning each time.
    const fold: LogFold = { snapshot: () => new Uint8Array(2 << 20), restore: () => undefined, replay: () => undefined }
    const host = new MemoryStoreHost({ folds: () => fold })
    const store = await host.open()
    const small = { ...options, segmentBytes: 64 << 10 }
    const [log] = await store.createLogs([{ name: 'orders', options: small, fold }])
    await append(log!, 200)
    await store.close()
    await host.disk.remove('/store/logs/orders/00000000000000000000.log')
    await host.disk.remove('/store/logs/orders/00000000000000000000.index')
    const again = await host.open()
    expect(again.status().damage).toMatchObject([{ log: 'orders', startOffset: 0 }])
    const { endOffset } = again.status().damage[0]!
    expect(endOffset).toBeLessThan(100)
    const read = await again.logs.get('orders')!.read(endOffset, 1 << 20, 200, true)
    expect(read.nextOffset).toBeGreaterThan(endOffset)
    read.release()
  })
})
