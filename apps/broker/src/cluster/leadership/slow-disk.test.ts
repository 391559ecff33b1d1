import { describe, expect, it } from 'vitest'
import { SLOW_DISK_LOOK_MS, SlowDisk, type WatchedGroup } from './slow-disk.ts'

/** What a shard with 1,000 records a second sees when writes to its disk end at `flushes`, ms, and others commit within 5 ms. */
class Load {
  readonly #disk = new SlowDisk()
  readonly #endsOf: (nowMs: number) => number
  role: WatchedGroup['role'] = 'leader'
  othersCommit = true
  rate = 1

  /** `endsOf`: up to which time records are durable here, ms. */
  constructor(endsOf: (nowMs: number) => number) {
    this.#endsOf = endsOf
  }

  /** After how many ms leadership is handed over; undefined: not within `ms`. */
  handsOverWithin(ms: number): number | undefined {
    for (let now = 0; now <= ms; now += SLOW_DISK_LOOK_MS) {
      const flushedOffset = Math.floor(Math.max(0, this.#endsOf(now)) * this.rate)
      const others = Math.floor(Math.max(0, now - 5) * this.rate)
      const committedOffset = this.othersCommit ? others : flushedOffset
      const idle = { name: 'idle', role: 'leader', committedOffset: 7, log: { flushedOffset: 7 } } as const
      if (this.#disk.look([idle, { name: 'busy', role: this.role, committedOffset, log: { flushedOffset } }]))
        return now
    }
    return undefined
  }
}

/** Writes one after the other, each of so many ms: what was appended before the last one began is durable. */
const writesOf = (ms: number) => (now: number) => (Math.floor(now / ms) - 1) * ms
/** Stands still for `stallMs` at the end of every `everyMs`. */
const stallsOf = (stallMs: number, everyMs: number) => (now: number) => {
  const into = now % everyMs
  return into < everyMs - stallMs ? now - 2 : now - into + everyMs - stallMs
}

describe('a slow disk', () => {
  it.each([500, 700, 1000, 1500])('of %i ms a write gives leadership up within four seconds', ms => {
    const after = new Load(writesOf(ms)).handsOverWithin(60_000)
    expect(after).toBeGreaterThan(2000)
    expect(after).toBeLessThan(4000)
  })

  it.each([
    ['a write takes 100 ms', writesOf(100)],
    ['it stands still for 1.3 s of every two', stallsOf(1300, 2000)],
    ['it stands still for two seconds of every four', stallsOf(2000, 4000)],
    ['it stands still for 0.3 s of every 0.6', stallsOf(300, 600)]
  ])('is none when %s', (_, endsOf) => {
    expect(new Load(endsOf).handsOverWithin(60_000)).toBeUndefined()
  })

  it('is none when others are no faster, when nobody writes, or when others lead', () => {
    expect(Object.assign(new Load(writesOf(1000)), { othersCommit: false }).handsOverWithin(60_000)).toBeUndefined()
    expect(Object.assign(new Load(writesOf(1000)), { rate: 0 }).handsOverWithin(60_000)).toBeUndefined()
    const follower = Object.assign(new Load(writesOf(1000)), { role: 'follower' as const })
    expect(follower.handsOverWithin(60_000)).toBeUndefined()
  })

  it('is judged anew after leadership was handed over', () => {
    const load = new Load(writesOf(1000))
    const first = load.handsOverWithin(60_000) ?? 0
    expect(load.handsOverWithin(first - 1)).toBeUndefined()
  })
})
