import { describe, expect, it } from 'vitest'
import type { GroupSnapshots } from './contract.ts'
import { MemoryCluster, propose, valuesOf, type MemoryShard } from './testing/memory-cluster.ts'

const FOUR = [1000, 2000, 3000, 4000]

async function write(cluster: MemoryCluster, shard: MemoryShard, values: readonly string[]): Promise<void> {
  const group = shard.group('g')
  for (const value of values) expect(propose(group, [value]).kind).toBe('proposed')
  const end = group.log.endOffset
  await cluster.until(() => group.committedOffset === end)
}

const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `${from + i}`)

/** A group on the first shards of four, with some records in it. */
async function groupOn(voters: readonly number[], seed = 1): Promise<{ cluster: MemoryCluster; leader: MemoryShard }> {
  const cluster = await MemoryCluster.start(FOUR, { seed })
  await cluster.open('g', voters, { preferredLeader: voters[0]! })
  const leader = await cluster.elect('g')
  await write(cluster, leader, numbers(0, 20))
  return { cluster, leader }
}

describe('replicas', () => {
  it('are added and removed while the group works, and the new ones hold everything', async () => {
    const { cluster, leader } = await groupOn([1000, 2000, 3000])
    await cluster.shard(4000).open({ name: 'g', bootstrap: [], peers: () => FOUR })
    let done: boolean | undefined
    void leader
      .group('g')
      .changeReplicas([1000, 2000, 4000], [])
      .then(result => (done = result))
    await cluster.until(() => done !== undefined)
    expect(done).toBe(true)
    expect(leader.group('g').membership).toEqual({ voters: [1000, 2000, 4000], learners: [], joint: false })
    await write(cluster, leader, numbers(20, 25))
    await cluster.until(() => cluster.shard(4000).group('g').committedOffset === 25)
    expect(await valuesOf(cluster.shard(4000).group('g').log)).toEqual(numbers(0, 25))
  })

  it('are exchanged whole, the leader included, which hands over', async () => {
    const { cluster, leader } = await groupOn([1000])
    for (const id of [2000, 3000, 4000]) await cluster.shard(id).open({ name: 'g', bootstrap: [], peers: () => FOUR })
    let done: boolean | undefined
    void leader
      .group('g')
      .changeReplicas([2000, 3000, 4000], [])
      .then(result => (done = result))
    await cluster.until(() => done === true)
    await cluster.until(() => [2000, 3000, 4000].some(id => cluster.shard(id).group('g').leading))
    const next = cluster.shards.find(shard => shard.id !== 1000 && shard.group('g').leading)!
    await write(cluster, next, numbers(20, 22))
    expect(next.group('g').membership.voters.toSorted()).toEqual([2000, 3000, 4000])
    expect(await valuesOf(next.group('g').log)).toEqual(numbers(0, 22))
  })

  it('can be learners, which hold everything and count for nothing', async () => {
    const { cluster, leader } = await groupOn([1000])
    await cluster.shard(2000).open({ name: 'g', bootstrap: [], peers: () => FOUR })
    let done: boolean | undefined
    void leader
      .group('g')
      .changeReplicas([1000], [2000])
      .then(result => (done = result))
    await cluster.until(() => done === true)
    await cluster.until(() => cluster.shard(2000).group('g').committedOffset === 20)
    cluster.shard(2000).kill()
    await write(cluster, leader, numbers(20, 21))
    expect(leader.group('g').durableAt(1)).toBe(21)
  })

  it('keep a change under way when the leader dies: the next one can finish it', async () => {
    const { cluster, leader } = await groupOn([1000, 2000, 3000])
    await cluster.shard(4000).open({ name: 'g', bootstrap: [], peers: () => FOUR })
    void leader.group('g').changeReplicas([2000, 3000, 4000], [])
    await cluster.advance(30)
    leader.kill()
    const next = await cluster.elect('g')
    expect(next.id).not.toBe(1000)
    let done: boolean | undefined
    void next
      .group('g')
      .changeReplicas([2000, 3000, 4000], [])
      .then(result => (done = result))
    await cluster.until(() => done !== undefined)
    expect(done).toBe(true)
    await write(cluster, next, numbers(20, 21))
  })

  it('that were removed while they were away, and know nothing of it, are let in when they are wanted again', async () => {
    const { cluster, leader } = await groupOn([1000, 2000, 3000])
    const away = cluster.shard(3000)
    away.kill()
    await cluster.during(leader.group('g').changeReplicas([1000, 2000], []))
    await write(cluster, leader, numbers(20, 25))
    await cluster.during(away.start())
    await cluster.during(away.open({ name: 'g', bootstrap: [1000, 2000, 3000], peers: () => FOUR }))
    await cluster.advance(3000)
    expect(away.group('g').membership.voters).toContain(3000)
    expect(leader.group('g').membership.voters).toEqual([1000, 2000])
    expect(await cluster.during(leader.group('g').changeReplicas([1000, 2000, 3000], []))).toBe(true)
    await cluster.until(() => away.group('g').committedOffset === 25)
    expect(await valuesOf(away.group('g').log)).toEqual(numbers(0, 25))
  })

  it('are caught up when they are opened long after their shard is back, though the group sleeps', async () => {
    const { cluster, leader } = await groupOn([1000, 2000, 3000])
    const added = cluster.shard(4000)
    // By another group that they share the shards know that they are there.
    await cluster.open('other', FOUR)
    await cluster.during(added.open({ name: 'g', bootstrap: [], peers: () => FOUR }))
    cluster.network.setPath({ latencyMs: 50 })
    let done: boolean | undefined
    void leader
      .group('g')
      .changeReplicas([1000, 2000, 4000], [])
      .then(result => (done = result))
    await cluster.until(() => leader.group('g').membership.learners.includes(4000))
    added.kill()
    cluster.network.setPath({ latencyMs: 0 })
    await cluster.advance(5000)
    await cluster.during(added.start())
    await cluster.during(added.open({ name: 'other', bootstrap: FOUR }))
    await cluster.advance(5000)
    expect(done).toBe(undefined)
    await cluster.during(added.open({ name: 'g', bootstrap: [], peers: () => FOUR }))
    await cluster.until(() => done === true)
    expect(await valuesOf(added.group('g').log)).toEqual(numbers(0, 20))
  })

  it('that slept as learners while they were given up are let in when they are wanted again', async () => {
    const { cluster, leader } = await groupOn([1000, 2000, 3000])
    const learner = cluster.shard(4000)
    // By another group that they share the shards know that they are there.
    await cluster.open('other', FOUR)
    await cluster.during(learner.open({ name: 'g', bootstrap: [], peers: () => FOUR }))
    await cluster.during(leader.group('g').changeReplicas([1000, 2000, 3000], [4000]))
    await cluster.advance(5000)
    await cluster.during(leader.group('g').changeReplicas([1000, 2000, 3000], []))
    await cluster.advance(5000)
    expect(learner.group('g').leader).toBe(1000)
    await cluster.during(leader.group('g').transferLeadership(2000))
    const next = await cluster.elect('g')
    let done: boolean | undefined
    void next
      .group('g')
      .changeReplicas([1000, 2000, 4000], [])
      .then(result => (done = result))
    await cluster.until(() => done === true)
    await write(cluster, next, numbers(20, 22))
    await cluster.until(() => learner.group('g').committedOffset === 22)
    expect(await valuesOf(learner.group('g').log)).toEqual(numbers(0, 22))
  })

  it('that were learners and were given up while they were away are let in when they are wanted again', async () => {
    const { cluster, leader } = await groupOn([1000])
    const away = cluster.shard(2000)
    await cluster.during(away.open({ name: 'g', bootstrap: [], peers: () => FOUR }))
    await cluster.during(leader.group('g').changeReplicas([1000], [2000]))
    await cluster.until(() => away.group('g').membership.learners.includes(2000))
    await cluster.advance(1000)
    away.kill()
    expect(await cluster.during(leader.group('g').changeReplicas([1000], []))).toBe(true)
    leader.kill()
    await cluster.during(leader.start())
    await cluster.during(leader.open({ name: 'g', bootstrap: [1000] }))
    await cluster.elect('g')
    await cluster.during(away.start())
    await cluster.during(away.open({ name: 'g', bootstrap: [], peers: () => FOUR }))
    await cluster.advance(1000)
    expect(away.group('g').membership.learners).toContain(2000)
    expect(await cluster.during(leader.group('g').changeReplicas([1000, 2000], []))).toBe(true)
  })

  it('hand leadership over when asked, and say when it did not come about', async () => {
    const { cluster, leader } = await groupOn([1000, 2000, 3000])
    let done: boolean | undefined
    void leader
      .group('g')
      .transferLeadership(3000)
      .then(result => (done = result))
    await cluster.until(() => done !== undefined)
    expect(done).toBe(true)
    await cluster.until(() => cluster.shard(3000).group('g').leading)
    cluster.network.isolate(2000)
    done = undefined
    void cluster
      .shard(3000)
      .group('g')
      .transferLeadership(2000)
      .then(result => (done = result))
    await cluster.until(() => done !== undefined)
    expect(done).toBe(false)
  })
})

describe('a shard that lost its state', () => {
  it('votes in no group again under the id that it forgot, is let in anew, and gets everything back', async () => {
    const { cluster, leader } = await groupOn([1000, 2000, 3000])
    const lost = cluster.shard(3000)
    lost.kill()
    lost.machine.state.erase()
    await lost.start()
    expect(lost.store.status().stateLost).toBe(true)
    await lost.open({ name: 'g', bootstrap: [1000, 2000, 3000], peers: () => FOUR })
    expect(lost.group('g').membership.voters).toEqual([])
    await write(cluster, leader, numbers(20, 22))
    await cluster.until(() => lost.group('g').committedOffset === 22)
    await cluster.until(() => {
      const follower = leader
        .group('g')
        .followers()
        .find(({ brokerId }) => brokerId === 3000)
      return follower?.voter === true && follower.matchOffset === 22 && !leader.group('g').membership.joint
    })
    expect(await valuesOf(lost.group('g').log)).toEqual(numbers(0, 22))
    // It counts again: with it, and without another, the group goes on.
    cluster.shard(2000).kill()
    await write(cluster, leader, numbers(22, 23))
  })

  it('keeps what it held while nobody lets it in', async () => {
    const { cluster } = await groupOn([1000, 2000, 3000])
    for (const id of [1000, 2000, 3000]) cluster.shard(id).kill()
    const lost = cluster.shard(3000)
    lost.machine.state.erase()
    await lost.start()
    await lost.open({ name: 'g', bootstrap: [1000, 2000, 3000], peers: () => FOUR })
    await cluster.advance(3000)
    expect(lost.group('g').leader).toBeUndefined()
    expect(lost.store.logs.get('g')?.endOffset).toBe(20)
    // Over another restart as well, which finds the state that the first one began with.
    lost.kill()
    await lost.start()
    await lost.open({ name: 'g', bootstrap: [1000, 2000, 3000], peers: () => FOUR })
    await cluster.advance(3000)
    expect(lost.store.logs.get('g')?.endOffset).toBe(20)
  })

  it('goes on with what it holds alone, with the epochs that its records say', async () => {
    const { cluster, leader } = await groupOn([1000])
    leader.kill()
    await leader.start()
    await leader.open({ name: 'g', bootstrap: [1000] })
    await cluster.elect('g')
    await write(cluster, leader, numbers(20, 23))
    leader.kill()
    leader.machine.state.erase()
    await leader.start()
    await leader.open({ name: 'g', bootstrap: [1000] })
    await cluster.elect('g')
    const group = leader.group('g')
    expect(group.term).toBe(3)
    expect([group.epochAt(19), group.epochAt(20)]).toEqual([1, 2])
    await write(cluster, leader, numbers(23, 24))
    expect(await valuesOf(group.log)).toEqual(numbers(0, 24))
  })

  it('does not take a group for a new one until all it could have held were looked at', async () => {
    const cluster = await MemoryCluster.start([1000, 2000, 3000])
    const lost = cluster.shard(1000)
    await lost.open({ name: 'g', bootstrap: [1000, 2000, 3000] })
    lost.kill()
    lost.machine.state.erase()
    await lost.start()
    // Nothing of the group is left here, but it may have voted in it.
    await lost.open({ name: 'g', bootstrap: [1000, 2000, 3000] })
    expect(lost.group('g').membership.voters).toEqual([])
    await lost.host.settled()
    await lost.open({ name: 'new', bootstrap: [1000, 2000, 3000] })
    expect(lost.group('new').membership.voters).toEqual([1000, 2000, 3000])
  })
})

describe('a replica with damage', () => {
  it('that shows when it leads hands over, and gets everything back from the others', async () => {
    const { cluster, leader } = await groupOn([1000, 2000, 3000])
    // Long enough for the records to be in the segment and nowhere else.
    await cluster.advance(15_000)
    leader.kill('keep-all')
    const folder = '/store/logs/g'
    const [segment] = (await leader.machine.disk.list(folder)).filter(name => name.endsWith('.log'))
    leader.machine.disk.corrupt(`${folder}/${segment}`, 200, 8)
    await leader.start()
    await leader.open({ name: 'g', bootstrap: [1000, 2000, 3000], preferredLeader: 1000 })
    const interim = await cluster.elect('g')
    await cluster.until(() => leader.group('g').committedOffset === 20)
    void interim.group('g').transferLeadership(1000)
    await cluster.until(() => leader.group('g').leading)
    const term = leader.group('g').term
    await cluster.shard(4000).open({ name: 'g', bootstrap: [], peers: () => FOUR })
    void leader.group('g').changeReplicas([1000, 2000, 3000, 4000], [])
    await cluster.until(() => leader.group('g').term > term && cluster.leaderOf('g') !== undefined, 20_000)
    const next = await cluster.elect('g')
    expect(next.id).not.toBe(1000)
    await write(cluster, next, numbers(20, 22))
    await cluster.until(
      () => leader.group('g').log.endOffset === 22 && leader.store.status().damage.length === 0,
      20_000
    )
    expect(await valuesOf(leader.group('g').log)).toEqual(numbers(0, 22))
  })
})

describe('a leader with damage', () => {
  it('hands over as often as it is elected, and keeps what it holds until the others can do without it', async () => {
    const { cluster, leader } = await groupOn([1000, 2000, 3000])
    // Long enough for the records to be in the segment and nowhere else.
    await cluster.advance(15_000)
    const folder = '/store/logs/g'
    const [segment] = (await leader.machine.disk.list(folder)).filter(name => name.endsWith('.log'))
    leader.machine.disk.corrupt(`${folder}/${segment}`, 200, 8)
    const [second, third] = [cluster.shard(2000), cluster.shard(3000)]
    third.kill('keep-all')
    await cluster.until(() => !leader.group('g').inSync.includes(3000))
    leader.group('g').noteDamage()
    await cluster.until(() => second.group('g').leading)
    void second.group('g').transferLeadership(1000)
    await cluster.until(() => leader.group('g').leading)
    await cluster.until(() => second.group('g').leading)
    // Without it, what is committed would be on one disk.
    await cluster.advance(5000)
    expect(leader.group('g').log.endOffset).toBe(20)
    await third.start()
    await third.open({ name: 'g', bootstrap: [1000, 2000, 3000], preferredLeader: 1000 })
    await write(cluster, second, numbers(20, 22))
    await cluster.until(() => leader.store.status().damage.length === 0 && leader.group('g').committedOffset === 22)
    await cluster.until(() => second.group('g').inSync.length === 3)
    expect(await valuesOf(leader.group('g').log)).toEqual(numbers(0, 22))
  })
})

describe('a replica that is being let in anew', () => {
  it('becomes a voter also when leadership moves before it has caught up', async () => {
    const { cluster, leader } = await groupOn([1000, 2000, 3000])
    const [second, third] = [cluster.shard(2000), cluster.shard(3000)]
    leader.group('g').noteDamage()
    const interim = await cluster
      .until(() => cluster.leaderOf('g') !== leader && cluster.leaderOf('g') !== undefined)
      .then(() => cluster.leaderOf('g')!)
    await cluster.until(() => interim.group('g').membership.learners.includes(1000))
    expect(interim.group('g').inSync).not.toContain(1000)
    expect(await cluster.during(interim.group('g').transferLeadership(1000))).toBe(false)
    const next = interim === second ? third : second
    void interim.group('g').transferLeadership(next.id)
    await cluster.until(() => next.group('g').leading)
    expect(next.group('g').membership).toMatchObject({ voters: expect.arrayContaining([1000]), learners: [1000] })
    // As the one who keeps placements would ask for.
    expect(await cluster.during(next.group('g').changeReplicas([1000, 2000, 3000], []))).toBe(true)
    await write(cluster, next, numbers(20, 22))
    await cluster.until(() => leader.group('g').committedOffset === 22)
    await cluster.until(() => next.group('g').inSync.length === 3)
    expect(await valuesOf(leader.group('g').log)).toEqual(numbers(0, 22))
  })
})

describe('one of two replicas, with damage', () => {
  it('hands over and keeps the rest of what it holds: its vote is needed', async () => {
    const { cluster, leader } = await groupOn([1000, 2000])
    leader.group('g').noteDamage()
    await cluster.until(() => cluster.shard(2000).group('g').leading)
    await cluster.advance(10_000)
    expect(leader.group('g').log.endOffset).toBe(20)
    await write(cluster, cluster.shard(2000), numbers(20, 22))
    expect(await valuesOf(leader.group('g').log)).toEqual(numbers(0, 22))
  })
})

describe('a log whose beginning was dropped', () => {
  /** State of a group as the number of its records. */
  class Counter implements GroupSnapshots {
    installed: { text: string; offset: number } | undefined
    readonly #shard: MemoryShard
    constructor(shard: MemoryShard) {
      this.#shard = shard
    }
    take(): { bytes: Uint8Array; offset: number } {
      const offset = this.#shard.group('g').committedOffset
      return { bytes: Buffer.from(`state at ${offset}`), offset }
    }
    install(bytes: Uint8Array, offset: number): Promise<void> {
      this.installed = { text: Buffer.from(bytes).toString(), offset }
      return Promise.resolve()
    }
  }

  it('is still served to followers that are ahead of it, over restarts', async () => {
    const { cluster, leader } = await groupOn([1000, 2000, 3000])
    await cluster.during(leader.group('g').trim(15))
    expect(leader.group('g').log.startOffset).toBe(15)
    await write(cluster, leader, numbers(20, 25))
    leader.kill()
    await leader.start()
    await leader.open({ name: 'g', bootstrap: [1000, 2000, 3000], preferredLeader: 1000 })
    const next = await cluster.elect('g')
    await write(cluster, next, numbers(25, 27))
    await cluster.until(() => leader.group('g').committedOffset === 27)
    expect(await valuesOf(leader.group('g').log)).toEqual(numbers(15, 27))
    expect(await valuesOf(next.group('g').log, 27)).toEqual(numbers(0, 27))
  })

  it('reaches a follower that is behind it as a snapshot and what follows', async () => {
    const cluster = await MemoryCluster.start([1000, 2000, 3000])
    const counters = new Map(cluster.shards.map(shard => [shard.id, new Counter(shard)]))
    const openOn = (shard: MemoryShard): Promise<unknown> =>
      shard.open({
        name: 'g',
        bootstrap: [1000, 2000, 3000],
        preferredLeader: 1000,
        snapshot: counters.get(shard.id)!
      })
    for (const shard of cluster.shards) await openOn(shard)
    const leader = await cluster.elect('g')
    await write(cluster, leader, numbers(0, 5))
    const behind = cluster.shard(3000)
    behind.kill()
    await write(cluster, leader, numbers(5, 40))
    await cluster.during(leader.group('g').trim(30))
    await cluster.during(cluster.shard(2000).group('g').trim(30))
    await behind.start()
    await openOn(behind)
    await cluster.until(() => behind.group('g').committedOffset === 40)
    const { installed } = counters.get(3000)!
    expect(installed?.text).toBe(`state at ${installed?.offset}`)
    await write(cluster, leader, numbers(40, 42))
    await cluster.until(() => behind.group('g').committedOffset === 42)
    expect(await valuesOf(behind.group('g').log)).toEqual(numbers(installed!.offset, 42))
    // What it holds now counts: it can lead with it, after a power cut as well.
    behind.powerOff()
    await behind.start()
    await openOn(behind)
    leader.kill()
    const next = await cluster.elect('g')
    await write(cluster, next, numbers(42, 43))
    await cluster.until(() => behind.group('g').committedOffset === 43)
  })
})
