import { describe, expect, it } from 'vitest'
import { planRecovery, type SurvivorReport } from '@milena/raft'
import type { BrokerId, GroupRecovery, ReplicaReport } from './contract.ts'
import { MemoryCluster, propose, valuesOf, type MemoryShard } from './testing/memory-cluster.ts'

const THREE = [1000, 2000, 3000]

const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `${from + i}`)

async function write(cluster: MemoryCluster, shard: MemoryShard, values: readonly string[]): Promise<void> {
  const group = shard.group('g')
  for (const value of values) expect(propose(group, [value]).kind).toBe('proposed')
  const end = group.log.endOffset
  await cluster.until(() => group.committedOffset === end)
}

/** Three replicas with some records, led by the first. */
async function threeReplicas(seed = 1, slowMs = 0): Promise<MemoryCluster> {
  const cluster = await MemoryCluster.start(THREE, { seed, slowMs })
  await cluster.open('g', THREE, { preferredLeader: 1000 })
  await write(cluster, await cluster.elect('g'), numbers(0, 20))
  await cluster.until(() => THREE.every(id => cluster.shard(id).group('g').committedOffset === 20))
  return cluster
}

function reportOf(shard: MemoryShard): ReplicaReport {
  return shard.host.report(['g']).get('g')!
}

/** As an operator would: from what the shards that are up say. */
function decide(cluster: MemoryCluster, number = 1): GroupRecovery | 'quorum' | 'nobody' {
  const reports = cluster.shards.filter(({ up }) => up).map(reportOf)
  const left = reports.flatMap(({ replica, membership, ...report }): SurvivorReport[] =>
    membership === undefined ? [] : [{ ...report, id: replica, membership }]
  )
  const plan = planRecovery(left)
  if (plan.kind !== 'recover') return plan.kind
  const survivor = reports.find(({ replica }) => replica === plan.survivor.id)!.brokerId
  return { number, survivor, term: plan.term }
}

async function recover(cluster: MemoryCluster, number = 1): Promise<GroupRecovery> {
  const recovery = decide(cluster, number)
  if (typeof recovery === 'string') throw new Error(recovery)
  for (const shard of cluster.shards) if (shard.up) await cluster.during(shard.host.recover('g', recovery))
  return recovery
}

/** It comes back with its disk and opens the group as the metadata wants it by then. */
async function comeBack(cluster: MemoryCluster, id: BrokerId, recovery?: GroupRecovery): Promise<void> {
  await cluster.during(cluster.shard(id).start())
  const request = recovery === undefined ? { bootstrap: THREE } : { bootstrap: [], recovery }
  await cluster.during(cluster.shard(id).open({ name: 'g', peers: () => THREE, ...request }))
}

describe('when two of three replicas vanish', () => {
  it('the third says what it holds, elects nobody, and serves again once it is told to go on alone', async () => {
    const cluster = await threeReplicas()
    const survivor = cluster.shard(3000)
    expect(decide(cluster)).toBe('quorum')
    cluster.shard(1000).powerOff()
    cluster.shard(2000).powerOff()
    await cluster.advance(3_000)
    expect(cluster.leaderOf('g')).toBeUndefined()
    expect(reportOf(survivor)).toMatchObject({ state: 'sound', startOffset: 0, endOffset: 20, committedOffset: 20 })
    const before = survivor.group('g').term
    const { term } = await recover(cluster)
    await cluster.until(() => cluster.leaderOf('g') === survivor)
    expect(survivor.group('g').term).toBeGreaterThan(before + 1000)
    expect(survivor.group('g').term).toBeGreaterThan(term)
    await write(cluster, survivor, numbers(20, 23))
    expect(await valuesOf(survivor.group('g').log)).toEqual(numbers(0, 23))
    expect(survivor.group('g').membership).toEqual({ voters: [3000], learners: [], joint: false })
  })

  it('what only the survivor holds beyond the last known commit is kept, and an older epoch ends where the log did', async () => {
    const cluster = await threeReplicas()
    const leader = cluster.shard(1000)
    cluster.network.isolate(2000)
    cluster.network.isolate(3000)
    const epoch = leader.group('g').term
    expect(propose(leader.group('g'), numbers(20, 25)).kind).toBe('proposed')
    await cluster.advance(200)
    cluster.shard(2000).powerOff()
    cluster.shard(3000).powerOff()
    await cluster.until(() => leader.group('g').role !== 'leader')
    expect(reportOf(leader)).toMatchObject({ endOffset: 25, committedOffset: 20, last: { term: epoch } })
    await recover(cluster)
    await cluster.until(() => leader.group('g').leading)
    expect(leader.group('g').committedOffset).toBe(25)
    await write(cluster, leader, ['after'])
    expect(leader.group('g').endOffsetOfEpoch(epoch)).toEqual({ epoch, endOffset: 25 })
    expect(leader.group('g').epochAt(24)).toBe(epoch)
    expect(leader.group('g').epochAt(25)).toBe(leader.group('g').term)
  })

  it('one that returns with more than the survivor had is led back to the survivor, and votes again, though another is still away', async () => {
    const cluster = await threeReplicas()
    // The survivor misses what the two others acknowledge.
    cluster.network.isolate(3000)
    await write(cluster, cluster.shard(1000), numbers(20, 30))
    await cluster.advance(4_000)
    cluster.shard(1000).powerOff('keep-all')
    cluster.shard(2000).powerOff('keep-all')
    cluster.network.heal()
    await cluster.advance(2_000)
    const recovery = await recover(cluster)
    const survivor = cluster.shard(3000)
    await cluster.until(() => survivor.group('g').leading)
    await write(cluster, survivor, ['new 20', 'new 21'])
    void survivor.group('g').changeReplicas(THREE, [])
    await comeBack(cluster, 1000, recovery)
    await cluster.until(
      () => survivor.group('g').membership.voters.length === 2 && !survivor.group('g').membership.joint
    )
    await cluster.until(() => cluster.shard(1000).group('g').committedOffset === 22)
    expect(await valuesOf(cluster.shard(1000).group('g').log)).toEqual([...numbers(0, 20), 'new 20', 'new 21'])
    // It counts: nothing is committed without it.
    cluster.shard(1000).powerOff()
    expect(propose(survivor.group('g'), ['alone']).kind).toBe('proposed')
    await cluster.advance(400)
    expect(survivor.group('g').committedOffset).toBe(22)
  })

  it('one that returns and has not heard of the recovery wins nothing and disturbs nobody', async () => {
    const cluster = await threeReplicas()
    cluster.shard(1000).powerOff('keep-all')
    cluster.shard(2000).powerOff('keep-all')
    await cluster.advance(1_000)
    const recovery = await recover(cluster)
    const survivor = cluster.shard(3000)
    await cluster.until(() => survivor.group('g').leading)
    const { term } = survivor.group('g')
    await comeBack(cluster, 1000)
    await cluster.advance(5_000)
    expect(cluster.shard(1000).group('g').role).not.toBe('leader')
    expect(survivor.group('g')).toMatchObject({ term, leading: true })
    // Two together are a majority of what they remember. They are no part of the group, and stay far below its term.
    await comeBack(cluster, 2000)
    await cluster.until(() => [1000, 2000].some(id => cluster.shard(id).group('g').leading))
    const old = [1000, 2000].map(id => cluster.shard(id)).find(shard => shard.group('g').leading)!
    expect(propose(old.group('g'), ['of before']).kind).toBe('proposed')
    await cluster.advance(1_000)
    expect(survivor.group('g')).toMatchObject({ term, leading: true })
    expect(old.group('g').term).toBeLessThan(recovery.term)
    // Once they hear of it what they wrote is forgotten.
    for (const id of [1000, 2000]) await cluster.during(cluster.shard(id).host.recover('g', recovery))
    expect(cluster.shard(old.id).group('g').committedOffset).toBe(0)
    expect(cluster.shard(old.id).listeners.get('g')!.truncatedTo).toContain(0)
    void survivor.group('g').changeReplicas(THREE, [])
    await cluster.until(
      () => survivor.group('g').membership.voters.length === 3 && !survivor.group('g').membership.joint
    )
    await write(cluster, survivor, ['new'])
    for (const id of THREE) {
      await cluster.until(() => cluster.shard(id).group('g').committedOffset === 21)
      expect(await valuesOf(cluster.shard(id).group('g').log)).toEqual([...numbers(0, 20), 'new'])
    }
  })

  it('a survivor that is opened only later does what was decided meanwhile, once', async () => {
    const cluster = await threeReplicas()
    for (const id of THREE) cluster.shard(id).powerOff('keep-all')
    const recovery = { number: 1, survivor: 3000, term: 1001 }
    await comeBack(cluster, 3000, recovery)
    const survivor = cluster.shard(3000)
    await cluster.until(() => survivor.group('g').leading)
    await write(cluster, survivor, ['20'])
    const { term } = survivor.group('g')
    await cluster.during(survivor.host.recover('g', recovery))
    expect(survivor.group('g').term).toBe(term)
    survivor.powerOff('keep-all')
    await comeBack(cluster, 3000, recovery)
    await cluster.until(() => survivor.group('g').leading)
    expect(survivor.group('g').term).toBe(term + 1)
    expect(await valuesOf(survivor.group('g').log)).toEqual(numbers(0, 21))
  })

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('a crash at any moment of a recovery is caught up with (seed %i)', async seed => {
    const cluster = await threeReplicas(seed, 20)
    cluster.shard(1000).powerOff()
    cluster.shard(2000).powerOff()
    await cluster.advance(1_500)
    const recovery = decide(cluster)
    if (typeof recovery === 'string') throw new Error(recovery)
    const survivor = cluster.shard(3000)
    void survivor.host.recover('g', recovery).catch(() => undefined)
    await cluster.advance(seed * 7)
    survivor.powerOff()
    await comeBack(cluster, 3000, recovery)
    await cluster.until(() => survivor.group('g').leading)
    await write(cluster, survivor, ['20'])
    expect(await valuesOf(survivor.group('g').log)).toEqual(numbers(0, 21))
  })
})

describe('of five replicas, three of which vanish', () => {
  it('the best of the two that are left goes on, the other copies it anew, and both make a quorum again', async () => {
    const five = [1000, 2000, 3000, 4000, 5000]
    const cluster = await MemoryCluster.start(five, { seed: 3 })
    await cluster.open('g', five, { preferredLeader: 1000, peers: () => five })
    const leader = await cluster.elect('g')
    await write(cluster, leader, numbers(0, 10))
    await cluster.until(() => five.every(id => cluster.shard(id).group('g').committedOffset === 10))
    cluster.network.isolate(5000)
    await write(cluster, leader, numbers(10, 15))
    for (const id of [1000, 2000, 3000]) cluster.shard(id).powerOff()
    cluster.network.heal()
    await cluster.advance(2_000)
    const recovery = await recover(cluster)
    expect(recovery.survivor).toBe(4000)
    const survivor = cluster.shard(4000)
    await cluster.until(() => survivor.group('g').leading)
    void survivor.group('g').changeReplicas([4000, 5000], [])
    await cluster.until(
      () => survivor.group('g').membership.voters.length === 2 && !survivor.group('g').membership.joint
    )
    await write(cluster, survivor, numbers(15, 17))
    await cluster.until(() => cluster.shard(5000).group('g').committedOffset === 17)
    expect(await valuesOf(cluster.shard(5000).group('g').log)).toEqual(numbers(0, 17))
  })
})
