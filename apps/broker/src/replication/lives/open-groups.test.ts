import { describe, expect, it } from 'vitest'
import { decodeMarks, decodePromised, encodeMarks, marksKey, voteKey } from '../kept/group-state.ts'
import { MemoryCluster, propose, valuesOf } from '../testing/memory-cluster.ts'

const THREE = [1000, 2000, 3000]

describe('opening a group', () => {
  it('forgets, durably, marks that a crash left behind the end of the log', async () => {
    const cluster = await MemoryCluster.start([1000])
    await cluster.open('g', [1000])
    const shard = await cluster.elect('g')
    propose(shard.group('g'), ['a'])
    await cluster.advance(20)
    shard.kill()
    await shard.start()
    const { state } = shard.store
    const marks = decodeMarks(state.get(marksKey('g'))!)
    await state.put(marksKey('g'), encodeMarks(marks.with({ offset: 5, term: 1 })))
    await cluster.open('g', [1000])
    expect(decodeMarks(state.get(marksKey('g'))!).items.map(({ offset }) => offset)).not.toContain(5)
    await cluster.elect('g')
    for (let i = 0; i < 8; i++) propose(shard.group('g'), [`${i}`])
    await cluster.advance(20)
    shard.kill()
    await shard.start()
    await cluster.open('g', [1000])
    await cluster.elect('g')
    expect(await valuesOf(shard.group('g').log)).toEqual(['a', '0', '1', '2', '3', '4', '5', '6', '7'])
    expect(shard.group('g').committedOffset).toBe(9)
  })

  it('treats a damaged vote as a lost one: the replica waits to be added', async () => {
    const cluster = await MemoryCluster.start(THREE)
    await cluster.open('g', THREE)
    await cluster.elect('g')
    const shard = cluster.shard(2000)
    shard.kill()
    for (const copy of ['a', 'b']) shard.machine.state.corrupt(`${copy}/host/${voteKey('g')}`, 99)
    await shard.start()
    await shard.open({ name: 'g', bootstrap: THREE, peers: () => [] })
    await cluster.advance(1000)
    expect(shard.group('g').leader).toBeUndefined()
    expect(shard.group('g').membership.voters).toEqual([])
  })

  it('makes a thousand groups in few transactions', async () => {
    const cluster = await MemoryCluster.start([1000])
    const shard = cluster.shard(1000)
    let commits = 0
    shard.machine.state.faults.beforeCommit = () => void commits++
    const listener = {
      advanced: () => {},
      roleChanged: () => {},
      replicasChanged: () => {},
      truncated: () => {},
      failed: () => {}
    }
    const options = { segmentBytes: 1 << 20, indexIntervalBytes: 4096, segmentMs: 1e15 }
    const names = Array.from({ length: 1000 }, (_, i) => `g${i}`)
    const groups = await shard.host.open(names.map(name => ({ name, options, bootstrap: [1000], listener })))
    await cluster.until(() => groups.every(group => group.leading))
    expect(commits).toBeLessThan(12)
  })
})

describe('a vote', () => {
  it('is kept, with the term, by every replica that gave one', async () => {
    const cluster = await MemoryCluster.start(THREE)
    await cluster.open('g', THREE)
    const leader = await cluster.elect('g')
    await cluster.advance(200)
    const kept = cluster.shards.map(({ store }) => decodePromised(store.state.get(voteKey('g'))!))
    for (const { hardState } of kept) expect(hardState.term).toBe(leader.group('g').term)
    expect(kept.filter(({ hardState }) => hardState.votedFor === leader.id).length).toBeGreaterThan(1)
  })

  it('is told to nobody before it is durable', async () => {
    const cluster = await MemoryCluster.start(THREE)
    const held: (() => void)[] = []
    await cluster.open('g', THREE)
    for (const id of [1000, 2000, 3000]) {
      cluster.shard(id).machine.state.faults.delay = done => void held.push(done)
    }
    await cluster.advance(3000)
    expect(held.length).toBeGreaterThan(0)
    for (const shard of cluster.shards) {
      expect(shard.group('g').role).not.toBe('leader')
      expect(shard.group('g').leader).toBeUndefined()
    }
    for (const shard of cluster.shards) shard.machine.state.faults.delay = queueMicrotask
    for (const done of held.splice(0)) done()
    await cluster.elect('g')
  })
})
