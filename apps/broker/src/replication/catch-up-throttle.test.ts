import { describe, expect, it } from 'vitest'
import { CatchUpBudgets, RUN_BYTES_MIN, type CatchUpLimit } from './catch-up-throttle.ts'
import { MemoryCluster, propose, type MemoryShard } from './testing/memory-cluster.ts'

const MIB = 1 << 20
const RATE = 200_000
const RATES: readonly CatchUpLimit[] = [{ key: 'rate', bytesPerSecond: RATE }]

describe('a budget', () => {
  /** Bytes taken in steps of 50 ms by somebody who always wants more. */
  const takenIn = (budgets: CatchUpBudgets, limits: readonly CatchUpLimit[], steps: number): number => {
    let bytes = 0
    for (let step = 0; step < steps; step++) {
      for (let taken = 1; taken > 0;) bytes += taken = budgets.take(limits, MIB)
      budgets.refill(50)
    }
    return bytes
  }

  it('holds its rate over a second and more, and never stops for good', () => {
    for (const bytesPerSecond of [1000, 200_000, 50 * MIB]) {
      const bytes = takenIn(new CatchUpBudgets(undefined), [{ key: 'x', bytesPerSecond }], 20 * 100)
      expect(bytes).toBeGreaterThanOrEqual(bytesPerSecond * 100)
      expect(bytes).toBeLessThanOrEqual(bytesPerSecond * 101 + MIB)
    }
  })

  it('is the lowest of all that hold, and shared by key', () => {
    const budgets = new CatchUpBudgets(undefined)
    const high = { key: 'high', bytesPerSecond: 10 * MIB }
    const both = takenIn(budgets, [high, { key: 'low', bytesPerSecond: MIB }], 200)
    expect(both / MIB).toBeCloseTo(10, 0)
    const shared = new CatchUpBudgets(undefined)
    let bytes = 0
    for (let step = 0; step < 200; step++) {
      for (const other of ['a', 'b']) {
        bytes += shared.take(
          [
            { key: 'low', bytesPerSecond: MIB },
            { key: other, bytesPerSecond: 10 * MIB }
          ],
          MIB
        )
      }
      shared.refill(50)
    }
    expect(bytes / MIB).toBeCloseTo(10, 0)
  })

  it('lets through nothing at a rate of nothing, and everything without one', () => {
    const budgets = new CatchUpBudgets(undefined)
    expect(takenIn(budgets, [{ key: 'none', bytesPerSecond: 0 }], 100)).toBe(0)
    expect(budgets.take([], MIB)).toBe(MIB)
  })

  it('saves a second at most, and takes back what was not needed', () => {
    const budgets = new CatchUpBudgets(undefined)
    const limits = [{ key: 'x', bytesPerSecond: 4 * MIB }]
    budgets.take(limits, 1)
    budgets.refill(60_000)
    budgets.refill(60_000)
    expect(takenIn(budgets, limits, 1)).toBeLessThanOrEqual(4 * MIB + MIB)
    const taken = budgets.take(limits, RUN_BYTES_MIN)
    budgets.giveBack(limits, taken)
    expect(budgets.take(limits, RUN_BYTES_MIN)).toBe(taken)
  })
})

const VALUE = 'x'.repeat(10_000)
const FOUR = [1000, 2000, 3000, 4000]

async function fill(cluster: MemoryCluster, leader: MemoryShard, batches: number): Promise<void> {
  const group = leader.group('g')
  for (let i = 0; i < batches; i++) expect(propose(group, [VALUE]).kind).toBe('proposed')
  const end = group.log.endOffset
  await cluster.until(() => group.committedOffset === end)
}

/** A group on the first three of four shards, with a MB in it, that throttles followers. */
async function throttled(followers: readonly number[]): Promise<{ cluster: MemoryCluster; leader: MemoryShard }> {
  const throttle = { limitsOf: (_: string, follower: number) => (followers.includes(follower) ? RATES : []) }
  const cluster = await MemoryCluster.start(FOUR, { seed: 3, host: { throttle } })
  await cluster.open('g', [1000, 2000, 3000], { preferredLeader: 1000 })
  const leader = await cluster.elect('g')
  await fill(cluster, leader, 100)
  return { cluster, leader }
}

describe('a group', () => {
  it('sends a new replica no more than its rate, and lets it in when it has caught up', async () => {
    const { cluster, leader } = await throttled([4000])
    await cluster.shard(4000).open({ name: 'g', bootstrap: [], peers: () => FOUR })
    let done = false
    void leader
      .group('g')
      .changeReplicas([1000, 2000, 4000], [])
      .then(result => (done = result))
    const held = (): number => cluster.shard(4000).group('g').log.endOffset
    await cluster.until(() => held() > 0)
    const before = held()
    await cluster.advance(2_000)
    const bytesPerSecond = ((held() - before) * VALUE.length) / 2
    expect(bytesPerSecond).toBeGreaterThan(RATE * 0.8)
    expect(bytesPerSecond).toBeLessThan(RATE * 1.2)
    // Who is in sync goes on at full speed meanwhile.
    await fill(cluster, leader, 5)
    expect(leader.group('g').inSync.toSorted()).toEqual([1000, 2000, 3000])
    await cluster.until(() => done)
    expect(leader.group('g').membership.voters.toSorted()).toEqual([1000, 2000, 4000])
  })

  it('throttles nobody who is in sync', async () => {
    const { cluster, leader } = await throttled(FOUR)
    await cluster.until(() => leader.group('g').inSync.length === 3)
    const group = leader.group('g')
    for (let i = 0; i < 100; i++) expect(propose(group, [VALUE]).kind).toBe('proposed')
    const end = group.log.endOffset
    // A MB to two followers would take ten seconds at their rate.
    const tookMs = await cluster.until(() =>
      FOUR.slice(0, 3).every(id => cluster.shard(id).group('g').log.endOffset === end)
    )
    expect(tookMs).toBeLessThan(1_000)
  })

  it('does not throttle a voter without which there is no majority', async () => {
    const { cluster, leader } = await throttled(FOUR)
    cluster.shard(3000).powerOff()
    await fill(cluster, leader, 100)
    cluster.shard(2000).powerOff()
    await cluster.during(cluster.shard(3000).start())
    await cluster.during(cluster.shard(3000).open({ name: 'g', bootstrap: [1000, 2000, 3000] }))
    const next = await cluster.elect('g')
    const end = next.group('g').log.endOffset
    const tookMs = await cluster.until(() => cluster.shard(3000).group('g').log.endOffset >= end)
    expect(tookMs).toBeLessThan(3_000)
  })
})
