import { SeededRandom } from '@milena/storage-engine/testing'
import { describe, expect, it } from 'vitest'
import {
  MemoryCluster,
  propose,
  valuesOf,
  type MemoryClusterOptions,
  type MemoryShard
} from './testing/memory-cluster.ts'

const VOTERS = [1000, 2000, 3000]
const STEPS = 60

interface Proposed {
  readonly shard: MemoryShard
  readonly life: number
  readonly term: number
  readonly offset: number
  readonly value: string
}

/** A group under power cuts, killed processes and cut cables, and what its leaders said was committed. */
class Run {
  readonly cluster: MemoryCluster
  readonly random: SeededRandom
  readonly acknowledged = new Map<number, string>()
  readonly lives = new Map<number, number>()
  pending: Proposed[] = []
  valueCount = 0

  constructor(cluster: MemoryCluster, seed: number) {
    this.cluster = cluster
    this.random = new SeededRandom(seed)
  }

  async open(shard: MemoryShard): Promise<void> {
    this.lives.set(shard.id, (this.lives.get(shard.id) ?? 0) + 1)
    await this.cluster.during(shard.open({ name: 'g', bootstrap: VOTERS, preferredLeader: 1000 }))
  }

  async step(): Promise<void> {
    const at = this.random.below(3)
    const shard = this.cluster.shards[at]!
    const other = VOTERS[(at + 1 + this.random.below(2)) % 3]!
    const dice = this.random.below(100)
    if (dice < 60) this.proposeSome()
    else if (dice < 68) await this.stop(shard, 'powerOff')
    else if (dice < 76) await this.stop(shard, 'kill')
    else if (dice < 84) this.cluster.network.cut(shard.id, other)
    else if (dice < 88) this.cluster.network.cutOneWay(shard.id, other)
    else if (dice < 94) this.cluster.network.heal()
    for (const down of this.cluster.shards) if (!down.up && this.random.chance(0.4)) await this.restart(down)
    await this.cluster.advance(10 * (1 + this.random.below(30)))
    this.observe()
  }

  proposeSome(): void {
    for (const shard of this.cluster.shards) {
      if (!shard.up || !shard.group('g').leading) continue
      const group = shard.group('g')
      for (let count = this.random.below(4); count >= 0; count--) {
        const value = `v${this.valueCount++}`
        const { endOffset: offset } = group.log
        if (propose(group, [value, `${value}'`]).kind !== 'proposed') continue
        this.pending.push({ shard, life: this.lives.get(shard.id)!, term: group.term, offset, value })
      }
    }
  }

  async stop(shard: MemoryShard, how: 'powerOff' | 'kill'): Promise<void> {
    if (!shard.up) return
    shard[how]()
    await this.cluster.scheduler.settle()
  }

  async restart(shard: MemoryShard): Promise<void> {
    await this.cluster.during(shard.start())
    await this.open(shard)
  }

  /** Notes what leaders say is committed. */
  observe(): void {
    this.pending = this.pending.filter(({ shard, life, term, offset, value }) => {
      if (!shard.up || this.lives.get(shard.id) !== life) return false
      const group = shard.group('g')
      if (!group.leading || group.term !== term) return false
      if (group.committedOffset < offset + 2) return true
      this.acknowledged.set(offset, value)
      return false
    })
  }

  async end(): Promise<void> {
    this.cluster.network.heal()
    for (const shard of this.cluster.shards) if (!shard.up) await this.restart(shard)
    const leader = await this.cluster.elect('g')
    await this.cluster.until(() => {
      const end = leader.group('g').log.endOffset
      return this.cluster.shards.every(
        shard => shard.group('g').committedOffset === end && end === shard.group('g').log.endOffset
      )
    })
  }
}

/** Steps of a run, then peace: everything acknowledged is everywhere. */
async function checkRun(seed: number, host: NonNullable<MemoryClusterOptions['host']> = {}): Promise<void> {
  const cluster = await MemoryCluster.start(VOTERS, {
    seed,
    slowMs: 20,
    network: { path: { latencyMs: 1, jitterMs: 3 } },
    host
  })
  const run = new Run(cluster, seed)
  for (const shard of cluster.shards) await run.open(shard)
  await cluster.elect('g')
  for (let step = 0; step < STEPS; step++) await run.step()
  await run.end()
  const [first, ...others] = await cluster.during(
    Promise.all(cluster.shards.map(shard => valuesOf(shard.group('g').log)))
  )
  for (const other of others) expect(other).toEqual(first)
  expect(run.acknowledged.size).toBeGreaterThan(10)
  for (const [offset, value] of run.acknowledged) expect(first?.[offset]).toBe(value)
}

describe('a group under power cuts, killed processes and cut cables', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('loses nothing that was committed, and ends the same everywhere (seed %i)', seed =>
    checkRun(seed)
  )

  it.each([9, 10, 11])('does the same when replicas that catch up are throttled (seed %i)', async seed => {
    let asked = 0
    const limits = [{ key: 'all', bytesPerSecond: 300 }]
    const limitsOf = (): typeof limits => (asked++, limits)
    await checkRun(seed, { throttle: { limitsOf } })
    expect(asked).toBeGreaterThan(0)
  })
})
