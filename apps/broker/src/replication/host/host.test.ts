import { describe, expect, it } from 'vitest'
import { MemoryCluster, propose, valuesOf } from '../testing/memory-cluster.ts'

const THREE = [1000, 2000, 3000]

describe('a group of one', () => {
  it('leads as soon as it is open, and commits what is durable', async () => {
    const cluster = await MemoryCluster.start([1000])
    await cluster.open('solo', [1000])
    const shard = await cluster.elect('solo')
    const group = shard.group('solo')
    expect(propose(group, ['a', 'b', 'c'])).toEqual({ kind: 'proposed' })
    expect(group.committedOffset).toBe(0)
    await cluster.advance(10)
    expect(group.committedOffset).toBe(3)
    expect(group.term).toBe(1)
  })

  it('keeps everything committed over a power cut, under a new term', async () => {
    const cluster = await MemoryCluster.start([1000])
    await cluster.open('solo', [1000])
    const shard = await cluster.elect('solo')
    propose(shard.group('solo'), ['a', 'b'])
    await cluster.advance(10)
    shard.powerOff()
    await shard.start()
    await cluster.open('solo', [1000])
    await cluster.elect('solo')
    const group = shard.group('solo')
    expect(group.committedOffset).toBe(2)
    expect(group.term).toBe(2)
    propose(group, ['c'])
    await cluster.advance(10)
    expect(await valuesOf(group.log)).toEqual(['a', 'b', 'c'])
    expect(group.endOffsetOfEpoch(1)).toEqual({ epoch: 1, endOffset: 2 })
    expect(group.endOffsetOfEpoch(2)).toEqual({ epoch: 2, endOffset: 3 })
    expect([group.epochAt(1), group.epochAt(2)]).toEqual([1, 2])
  })
})

describe('a group of three', () => {
  it('elects its preferred leader at once and replicates', async () => {
    const cluster = await MemoryCluster.start(THREE)
    await cluster.open('g', THREE, { preferredLeader: 2000 })
    const leader = await cluster.elect('g')
    expect(leader.id).toBe(2000)
    for (let i = 0; i < 10; i++) propose(leader.group('g'), [`${i}`])
    await cluster.advance(200)
    for (const { id } of cluster.shards) {
      const group = cluster.shard(id).group('g')
      expect(group.committedOffset).toBe(10)
      expect(await valuesOf(group.log)).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
      expect(group.leader).toBe(2000)
    }
    expect(leader.group('g').inSync).toEqual(THREE)
    expect(leader.group('g').durableAt(3)).toBe(10)
  })

  it('elects another within a second when the leader dies, and loses nothing that was committed', async () => {
    const cluster = await MemoryCluster.start(THREE)
    await cluster.open('g', THREE, { preferredLeader: 1000 })
    const first = await cluster.elect('g')
    propose(first.group('g'), ['a', 'b'])
    await cluster.until(() => first.group('g').committedOffset === 2)
    first.kill()
    const tookMs = await cluster.until(() => cluster.leaderOf('g') !== undefined)
    expect(tookMs).toBeLessThan(1500)
    const second = cluster.leaderOf('g')!
    expect(second.group('g').committedOffset).toBe(2)
    propose(second.group('g'), ['c'])
    await cluster.advance(200)
    await first.start()
    await first.open({ name: 'g', bootstrap: THREE, preferredLeader: 1000 })
    await cluster.advance(1000)
    expect(await valuesOf(first.group('g').log)).toEqual(['a', 'b', 'c'])
    expect(first.group('g').committedOffset).toBe(3)
  })

  it('takes back what a cut-off leader appended alone', async () => {
    const cluster = await MemoryCluster.start(THREE)
    await cluster.open('g', THREE, { preferredLeader: 1000 })
    const first = await cluster.elect('g')
    propose(first.group('g'), ['a'])
    await cluster.advance(100)
    cluster.network.isolate(1000)
    propose(first.group('g'), ['lost 1', 'lost 2'])
    await cluster.until(() => cluster.shards.some(shard => shard.id !== 1000 && shard.group('g').leading))
    const second = cluster.shards.find(shard => shard.id !== 1000 && shard.group('g').leading)!
    propose(second.group('g'), ['b'])
    await cluster.advance(100)
    expect(first.group('g').log.flushedOffset).toBe(3)
    cluster.network.heal(1000)
    await cluster.until(() => first.group('g').committedOffset === 2)
    expect(await valuesOf(first.group('g').log)).toEqual(['a', 'b'])
    expect(first.listeners.get('g')!.truncatedTo).toEqual([1])
  })

  it('sleeps when nothing happens, and wakes for a proposal', async () => {
    const cluster = await MemoryCluster.start(THREE)
    await cluster.open('g', THREE, { preferredLeader: 1000 })
    const leader = await cluster.elect('g')
    propose(leader.group('g'), ['a'])
    await cluster.advance(3000)
    const term = leader.group('g').term
    await cluster.advance(5000)
    expect(leader.group('g').term).toBe(term)
    propose(leader.group('g'), ['b'])
    await cluster.advance(100)
    for (const shard of cluster.shards) expect(shard.group('g').log.endOffset).toBe(2)
  })
})
