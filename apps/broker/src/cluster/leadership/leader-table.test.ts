import { memoryMeshes, MemoryPeerNetwork } from '@milena/shard-scheduler'
import { ManualScheduler } from '@milena/shard-scheduler/testing'
import { describe, expect, it } from 'vitest'
import { NodePeers } from '../peers/node-peers.ts'
import { LeaderTable } from './leader-table.ts'

/** Two nodes with two shards each; tables by broker id. */
function world(): {
  scheduler: ManualScheduler
  network: MemoryPeerNetwork
  tables: Map<number, LeaderTable>
  changes: Map<number, string[]>
} {
  const scheduler = new ManualScheduler()
  const network = new MemoryPeerNetwork({ scheduler })
  const tables = new Map<number, LeaderTable>()
  const changes = new Map<number, string[]>()
  const addressOf = (id: number): { host: string; port: number } => ({ host: `broker-${id}`, port: 1 })
  for (const nodeId of [0, 1]) {
    for (const [shard, mesh] of memoryMeshes(2, { scheduler }).entries()) {
      const brokerId = nodeId * 1000 + shard
      const outside = network.open({ self: brokerId, listen: addressOf(brokerId) })
      const peers = new NodePeers({ mesh, outside, after: (ms, callback) => scheduler.after(ms, callback) })
      const table = new LeaderTable({
        brokerId,
        peers,
        soon: task => scheduler.nextTurn(task),
        after: (ms, task) => scheduler.after(ms, task)
      })
      const seen: string[] = []
      table.onChange(groups => seen.push(...groups))
      changes.set(brokerId, seen)
      tables.set(brokerId, table)
      peers.joinCluster('cluster')
      const others = nodeId === 0 ? [1000, 1001] : [0, 1]
      peers.setPeers(new Map(others.map(id => [id, addressOf(id)])))
    }
  }
  return { scheduler, network, tables, changes }
}

describe('the table of leaders', () => {
  it('tells every shard of every node who leads, once a turn, and only what is new', async () => {
    const { scheduler, tables, changes } = world()
    await scheduler.advance(100)
    tables.get(1001)?.announce('a', 3, [1001, 0])
    tables.get(1001)?.announce('b', 1, [1001])
    tables.get(1001)?.announce('a', 3, [0, 1001])
    await scheduler.advance(100)
    for (const table of tables.values()) {
      expect(table.leadershipOf('a')).toMatchObject({ leader: 1001, term: 3, inSync: [0, 1001] })
    }
    for (const seen of changes.values()) expect(seen).toEqual(['a', 'b'])
  })

  it('tells all that it leads to a shard that comes later', async () => {
    const { scheduler, network, tables } = world()
    network.cut(0, 1000)
    tables.get(0)?.announce('a', 1, [0])
    await scheduler.advance(10_000)
    expect(tables.get(1000)?.leadershipOf('a')).toBeUndefined()
    expect(tables.get(1001)?.leadershipOf('a')?.leader).toBe(0)
    network.heal()
    await scheduler.advance(10_000)
    expect(tables.get(1000)?.leadershipOf('a')?.leader).toBe(0)
  })

  it('believes the newest term, whatever arrives last', async () => {
    const { scheduler, network, tables } = world()
    await scheduler.advance(100)
    tables.get(0)?.announce('a', 1, [0])
    await scheduler.advance(100)
    network.cut(0, 1000)
    network.cut(0, 1001)
    await scheduler.advance(10_000)
    tables.get(1000)?.announce('a', 2, [1000])
    tables.get(0)?.announce('a', 1, [0, 1000])
    await scheduler.advance(100)
    expect(tables.get(0)?.leadershipOf('a')).toMatchObject({ leader: 0, term: 1 })
    network.heal()
    await scheduler.advance(10_000)
    for (const table of tables.values()) expect(table.leadershipOf('a')).toMatchObject({ leader: 1000, term: 2 })
  })

  it('shows no leader after one stepped down, until there is another', async () => {
    const { scheduler, tables } = world()
    tables.get(0)?.announce('a', 1, [0, 1000])
    await scheduler.advance(100)
    tables.get(0)?.resign('a', 1)
    tables.get(1)?.resign('a', 1)
    await scheduler.advance(100)
    expect(tables.get(1001)?.leadershipOf('a')).toMatchObject({ leader: -1, term: 1 })
    tables.get(1000)?.announce('a', 2, [1000])
    tables.get(0)?.resign('a', 1)
    await scheduler.advance(100)
    for (const table of tables.values()) expect(table.leadershipOf('a')).toMatchObject({ leader: 1000, term: 2 })
  })

  it('forgets groups that are gone, and does not tell of them again', async () => {
    const { scheduler, network, tables } = world()
    await scheduler.advance(100)
    tables.get(0)?.announce('a', 1, [0])
    await scheduler.advance(100)
    for (const table of tables.values()) table.forget('a')
    network.disconnect(0, 1000)
    await scheduler.advance(1_000)
    for (const table of tables.values()) expect(table.leadershipOf('a')).toBeUndefined()
  })

  it('tells ten thousand groups to a shard that comes up', async () => {
    const { scheduler, network, tables } = world()
    network.cut(0, 1001)
    await scheduler.advance(10_000)
    for (let i = 0; i < 10_000; i++) tables.get(0)?.announce(`topic-${i}.0123456789012345678901`, 1, [0, 1000, 2000])
    network.heal()
    await scheduler.advance(10_000)
    const far = tables.get(1001)
    expect(
      Array.from({ length: 10_000 }, (_, i) => far?.leadershipOf(`topic-${i}.0123456789012345678901`)?.leader)
    ).toEqual(new Array(10_000).fill(0))
  })
})
