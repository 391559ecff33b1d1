/** The pace of the scrub and what it remembers: with logs that answer as told, in time that moves only when told. */
import { ManualScheduler } from '@milena/shard-scheduler/testing'
import type { Damage, LogStore, Verification } from '@milena/storage-engine'
import { describe, expect, it } from 'vitest'
import { Scrubber, STEP_BYTES } from './scrubber.ts'

const HOUR_MS = 3_600_000

/** A log of so many bytes, one offset a byte. */
class PlayedLog {
  readonly sizeBytes: number
  /** Offsets that verification was asked for. */
  readonly asked: number[] = []
  /** Damage that is found at an offset. */
  readonly rotten = new Map<number, Damage>()
  tookMs = 0
  readonly #scheduler: ManualScheduler

  constructor(scheduler: ManualScheduler, sizeBytes: number) {
    this.#scheduler = scheduler
    this.sizeBytes = sizeBytes
  }

  async verify(offset: number, maxBytes: number): Promise<Verification> {
    this.asked.push(offset)
    if (this.tookMs > 0) await new Promise<void>(resolve => void this.#scheduler.after(this.tookMs, resolve))
    const nextOffset = Math.min(this.sizeBytes, offset + maxBytes)
    const damage = [...this.rotten].filter(([at]) => at >= offset && at < nextOffset).map(([, range]) => range)
    for (const { startOffset } of damage) this.rotten.delete(startOffset)
    return { nextOffset, atEnd: nextOffset === this.sizeBytes, byteCount: nextOffset - offset, damage }
  }
}

class Shard {
  readonly scheduler = new ManualScheduler()
  readonly logs = new Map<string, PlayedLog>()
  readonly kept = new Map<string, Uint8Array>()
  readonly told: string[] = []
  readonly reported: object[] = []
  damage: Damage[] = []
  wallMs = 1_783_000_000_000
  /** Every timer ends so much late. */
  lateMs = 0
  intervalMs = HOUR_MS
  bytesPerSecond = 1 << 20
  refusesAppends = false
  failure: Error | undefined

  add(name: string, sizeBytes: number): PlayedLog {
    const log = new PlayedLog(this.scheduler, sizeBytes)
    this.logs.set(name, log)
    return log
  }

  start(): Scrubber {
    const store = {
      logs: this.logs,
      status: () => ({ damage: this.damage }),
      state: {
        get: (key: string) => this.kept.get(key),
        put: (key: string, value: Uint8Array) => Promise.resolve(void this.kept.set(key, value))
      }
    }
    Object.defineProperty(store, 'refusesAppends', { get: () => this.refusesAppends })
    Object.defineProperty(store, 'failure', { get: () => this.failure })
    const nothing = (): void => undefined
    return new Scrubber({
      store: store as unknown as LogStore,
      groups: new Map(['a', 'b', 'c'].map(name => [name, { noteDamage: () => void this.told.push(name) }])),
      pace: () => ({ bytesPerSecond: this.bytesPerSecond, intervalMs: this.intervalMs }),
      clock: {
        now: () => this.wallMs + this.scheduler.now(),
        monotonic: () => this.scheduler.now(),
        after: (delayMs, task) => this.scheduler.after(delayMs + this.lateMs, task)
      },
      log: { info: nothing, warn: nothing, error: fields => void this.reported.push(fields) }
    })
  }

  async advance(durationMs: number): Promise<void> {
    for (let left = durationMs; left > 0; left -= 50) await this.scheduler.advance(Math.min(50, left))
  }
}

const range = (log: string, startOffset: number): Damage => ({
  log,
  startOffset,
  endOffset: startOffset + 5,
  reason: 'x'
})

describe('the scrub of a shard', () => {
  it('reads every log once, no faster than its rate, and begins again when the interval is over', async () => {
    const shard = new Shard()
    const first = shard.add('a', 3 * STEP_BYTES)
    const second = shard.add('b', 4 * STEP_BYTES)
    const scrubber = shard.start()
    await shard.advance(1000)
    expect(scrubber.status()).toMatchObject({ state: 'running', bytesTotal: 7 * STEP_BYTES })
    expect(scrubber.status().bytesDone).toBeLessThanOrEqual(shard.bytesPerSecond + STEP_BYTES)
    expect(scrubber.status().bytesDone).toBeGreaterThanOrEqual(shard.bytesPerSecond * 0.8)
    await shard.advance(1500)
    expect(first.asked).toEqual([0, STEP_BYTES, 2 * STEP_BYTES])
    expect(second.asked).toHaveLength(4)
    expect(scrubber.status()).toMatchObject({ state: 'waiting', bytesDone: 7 * STEP_BYTES, damageFound: 0 })
    await shard.advance(HOUR_MS - 60_000)
    expect(first.asked).toHaveLength(3)
    await shard.advance(61_000)
    expect(first.asked).toHaveLength(6)
    await scrubber.close()
  })

  it('reports what it finds once, tells the replica, and tells it again with every pass', async () => {
    const shard = new Shard()
    const log = shard.add('a', 3 * STEP_BYTES)
    log.rotten.set(STEP_BYTES + 7, range('a', STEP_BYTES + 7))
    const scrubber = shard.start()
    await shard.advance(3000)
    expect(shard.reported).toMatchObject([range('a', STEP_BYTES + 7)])
    expect(shard.told).toEqual(['a'])
    expect(scrubber.status().damageFound).toBe(1)
    shard.damage = [range('a', STEP_BYTES + 7), range('*', 0)]
    await shard.advance(2 * HOUR_MS)
    expect(shard.told).toEqual(['a', 'a', 'a'])
    expect(shard.reported).toHaveLength(1)
    await scrubber.close()
  })

  it('goes on after a restart where it was, and waits for what is left of the interval', async () => {
    const shard = new Shard()
    shard.bytesPerSecond = 64 << 10
    const first = shard.add('a', 5 * STEP_BYTES)
    const second = shard.add('b', 40 * STEP_BYTES)
    let scrubber = shard.start()
    await shard.advance(120_000)
    await scrubber.close()
    const { bytesDone } = scrubber.status()
    const last = second.asked.at(-1)!
    second.asked.length = 0
    scrubber = shard.start()
    await shard.advance(100)
    expect(first.asked).toHaveLength(5)
    expect(second.asked[0]).toBeGreaterThan(last - 20 * STEP_BYTES)
    expect(second.asked[0]).toBeGreaterThan(0)
    shard.bytesPerSecond = 1 << 30
    await shard.advance(30_000)
    expect(scrubber.status()).toMatchObject({ state: 'waiting', bytesDone: 45 * STEP_BYTES })
    expect(bytesDone).toBeLessThan(45 * STEP_BYTES)
    await scrubber.close()
    scrubber = shard.start()
    await shard.advance(30_000)
    expect(scrubber.status().state).toBe('waiting')
    expect(first.asked).toHaveLength(5)
    // A clock that is put back keeps it waiting for one interval at most.
    await scrubber.close()
    shard.wallMs -= 1000 * HOUR_MS
    scrubber = shard.start()
    await shard.advance(HOUR_MS + 30_000)
    expect(first.asked).toHaveLength(10)
    await scrubber.close()
  })

  it('leaves most of the time of a disk that is busy to others, and rests while it is slow', async () => {
    const shard = new Shard()
    shard.bytesPerSecond = 1 << 30
    const log = shard.add('a', 1000 * STEP_BYTES)
    log.tookMs = 100
    const scrubber = shard.start()
    await shard.advance(10_000)
    expect(log.asked.length).toBeGreaterThan(15)
    expect(log.asked.length).toBeLessThanOrEqual(21)
    log.tookMs = 1000
    const before = log.asked.length
    await shard.advance(2000)
    expect(scrubber.status()).toMatchObject({ state: 'paused', reason: 'disk slow' })
    await shard.advance(58_000)
    expect(log.asked.length - before).toBeLessThanOrEqual(11)
    expect(log.asked.length - before).toBeGreaterThan(5)
    await scrubber.close()
  })

  it('pauses while the loop is held up, but for a step now and then', async () => {
    const shard = new Shard()
    shard.bytesPerSecond = 1 << 30
    const log = shard.add('a', 1000 * STEP_BYTES)
    shard.lateMs = 100
    const scrubber = shard.start()
    await shard.advance(30_000)
    expect(scrubber.status()).toMatchObject({ state: 'paused', reason: 'shard busy' })
    expect(log.asked).toHaveLength(1)
    await shard.advance(300_000)
    expect(log.asked.length).toBeGreaterThan(3)
    expect(log.asked.length).toBeLessThan(8)
    shard.lateMs = 0
    await shard.advance(5000)
    expect(scrubber.status()).toMatchObject({ state: 'waiting' })
    await scrubber.close()
  })

  it('waits while the disk is full, ends with a store that failed, and is off when it is switched off', async () => {
    const shard = new Shard()
    const log = shard.add('a', 1000 * STEP_BYTES)
    shard.refusesAppends = true
    const scrubber = shard.start()
    await shard.advance(200_000)
    expect(log.asked).toEqual([])
    expect(scrubber.status()).toMatchObject({ state: 'paused', reason: 'disk full' })
    shard.refusesAppends = false
    await shard.advance(5000)
    expect(log.asked.length).toBeGreaterThan(5)
    shard.intervalMs = 0
    await shard.advance(1000)
    const { length } = log.asked
    await shard.advance(100_000)
    expect(log.asked).toHaveLength(length)
    expect(scrubber.status().state).toBe('off')
    shard.intervalMs = HOUR_MS
    await shard.advance(20_000)
    expect(scrubber.status().state).toBe('running')
    shard.failure = new Error('the disk failed')
    await shard.advance(10_000)
    expect(scrubber.status().state).toBe('off')
    await scrubber.close()
  })

  it('is not kept waiting by a clock that was far ahead when a pass began and is put right while it waits', async () => {
    const shard = new Shard()
    const log = shard.add('a', STEP_BYTES)
    shard.wallMs += 10_000 * HOUR_MS
    const scrubber = shard.start()
    await shard.advance(5000)
    expect(scrubber.status().state).toBe('waiting')
    shard.wallMs -= 10_000 * HOUR_MS
    await shard.advance(HOUR_MS + 30_000)
    expect(log.asked).toHaveLength(2)
    await scrubber.close()
  })

  it('passes over a log that goes away while it is read', async () => {
    const shard = new Shard()
    shard.add('a', 100 * STEP_BYTES)
    const second = shard.add('b', STEP_BYTES)
    const scrubber = shard.start()
    await shard.advance(2000)
    shard.logs.delete('a')
    await shard.advance(2000)
    expect(second.asked).toEqual([0])
    expect(scrubber.status().state).toBe('waiting')
    await scrubber.close()
  })
})
