import { describe, expect, it } from 'vitest'
import { MemoryCluster, propose, valuesOf, type MemoryShard } from './testing/memory-cluster.ts'

const VOTERS = [1000, 2000, 3000]
/** More than the script has of either. */
const POINTS_MAX = 60

interface Outcome {
  /** The power was cut: the script has that many points. */
  readonly cut: boolean
}

/**
 * One life of a group in which the replica on 1000 leads, is cut off and appends alone, takes it back, leads again. Its power is
 * cut at the `point`th time that it is about to make something durable.
 */
async function script(what: 'state' | 'disk', point: number): Promise<Outcome> {
  const cluster = await MemoryCluster.start(VOTERS, { seed: point, slowMs: 20 })
  const victim = cluster.shard(1000)
  let left = point
  let cut = false
  const reach = (): void => {
    if (!cut && --left === 0) {
      cut = true
      // In a turn of its own: whoever writes is not interrupted in the middle of its call.
      queueMicrotask(() => victim.powerOff())
    }
  }
  if (what === 'state') victim.machine.state.faults.beforeCommit = reach
  else victim.onDiskOperation = reach
  const acknowledged: string[] = []
  const open = (shard: MemoryShard): Promise<unknown> =>
    cluster.during(Promise.race([shard.open({ name: 'g', bootstrap: VOTERS, preferredLeader: 1000 }), shard.whenDown]))
  const recover = async (): Promise<void> => {
    while (!victim.up) {
      await cluster.during(Promise.race([victim.start(), victim.whenDown]))
      if (victim.up) await open(victim)
    }
  }
  const write = async (value: string): Promise<void> => {
    const leader = await cluster.elect('g')
    const group = leader.group('g')
    const { endOffset, term } = { endOffset: group.log.endOffset, term: group.term }
    if (propose(group, [value, `${value}'`]).kind !== 'proposed') return
    await cluster.advance(100)
    if (leader.up && group.term === term && group.committedOffset >= endOffset + 2)
      acknowledged.push(value, `${value}'`)
    await recover()
  }
  for (const shard of cluster.shards) await open(shard)
  await cluster.advance(50)
  await recover()
  await write('a')
  await write('b')
  cluster.network.isolate(1000)
  if (victim.group('g').leading) propose(victim.group('g'), ['alone', 'alone'])
  await cluster.until(() => cluster.shards.some(shard => shard !== victim && shard.up && shard.group('g').leading))
  await cluster.advance(50)
  const other = cluster.shards.find(shard => shard !== victim && shard.group('g').leading)!
  propose(other.group('g'), ['c', "c'"])
  await cluster.advance(50)
  acknowledged.push('c', "c'")
  await recover()
  cluster.network.heal()
  await cluster.advance(1500)
  await recover()
  await write('d')
  void (await cluster.elect('g')).group('g').transferLeadership(1000)
  await cluster.advance(300)
  await recover()
  await write('e')
  const leader = await cluster.elect('g')
  await cluster.until(() =>
    cluster.shards.every(shard => shard.group('g').committedOffset === leader.group('g').log.endOffset)
  )
  const values = await cluster.during(valuesOf(leader.group('g').log))
  for (const shard of cluster.shards) expect(await cluster.during(valuesOf(shard.group('g').log))).toEqual(values)
  expect(values.filter(value => acknowledged.includes(value))).toEqual(acknowledged)
  expect(values).not.toContain('alone')
  return { cut }
}

describe('a replica whose power is cut', () => {
  it('before any put of its state comes back with marks that fit its log', async () => {
    let points = 0
    for (let point = 1; point <= POINTS_MAX; point++) {
      if (!(await script('state', point)).cut) break
      points++
    }
    expect(points).toBeGreaterThan(6)
    expect(points).toBeLessThan(POINTS_MAX)
  }, 120_000)

  it('at any write of its log comes back with what it acknowledged', async () => {
    let points = 0
    for (let point = 1; point <= POINTS_MAX; point++) {
      if (!(await script('disk', point)).cut) break
      points++
    }
    expect(points).toBeGreaterThan(6)
    expect(points).toBeLessThan(POINTS_MAX)
  }, 120_000)
})
