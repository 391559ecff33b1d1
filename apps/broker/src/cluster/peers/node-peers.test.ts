import { MemoryMeshNetwork, type Mesh } from '@milena/shard-scheduler'
import { ManualScheduler } from '@milena/shard-scheduler/testing'
import { describe, expect, it } from 'vitest'
import { NodePeers } from './node-peers.ts'
import { peersAlone } from './peers-alone.ts'

/** Two shards of node 3 whose meshes are linked from the start; `open` is what a shard does once it has recovered. */
function world(): {
  scheduler: ManualScheduler
  cables: MemoryMeshNetwork
  open: (shard: number, mesh?: Mesh) => { peers: NodePeers; changes: string[]; heard: string[] }
} {
  const scheduler = new ManualScheduler()
  const cables = new MemoryMeshNetwork(2, { scheduler })
  return {
    scheduler,
    cables,
    open: (shard, mesh = cables.meshes[shard]!) => {
      const outside = peersAlone(3000 + shard)
      const peers = new NodePeers({ mesh, outside, after: (ms, callback) => scheduler.after(ms, callback) })
      const changes: string[] = []
      const heard: string[] = []
      peers.onPeerChange((peer, reachable) => changes.push(`${peer} ${reachable ? 'came' : 'went'}`))
      peers.receive('news', (from, message) => heard.push(`${from}: ${Buffer.from(message).toString()}`))
      return { peers, changes, heard }
    }
  }
}

describe('peers of a shard on its own node', () => {
  it('are there when both have opened, however long their mesh was linked before', async () => {
    const { scheduler, open } = world()
    const first = open(0)
    await scheduler.advance(5000)
    expect([...first.peers.reachable]).toEqual([])
    expect(first.peers.send(3001, 'news', [Buffer.from('lost')])).toBe(false)
    const second = open(1)
    await scheduler.advance(1)
    expect(first.changes).toEqual(['3001 came'])
    expect(second.changes).toEqual(['3000 came'])
    expect(first.peers.send(3001, 'news', [Buffer.from('he'), Buffer.from('llo')])).toBe(true)
    await scheduler.advance(1)
    expect(second.heard).toEqual(['3000: hello'])
  })

  it('go when their process dies, and come back with the next one once that has opened', async () => {
    const { scheduler, cables, open } = world()
    const first = open(0)
    open(1)
    await scheduler.advance(1)
    const mesh = await cables.restart(1)
    await scheduler.advance(5000)
    expect(first.changes).toEqual(['3001 came', '3001 went'])
    const next = open(1, mesh)
    await scheduler.advance(1)
    expect(first.changes).toEqual(['3001 came', '3001 went', '3001 came'])
    expect(next.changes).toEqual(['3000 came'])
  })

  it('come once more after a link that broke, even when a greeting was lost with it', async () => {
    const { scheduler, cables, open } = world()
    const first = open(0)
    const second = open(1)
    cables.disconnect(0, 1)
    await scheduler.advance(1000)
    expect([...first.peers.reachable]).toEqual([])
    cables.connect(0, 1)
    await scheduler.advance(1000)
    expect([...first.peers.reachable]).toEqual([3001])
    expect([...second.peers.reachable]).toEqual([3000])
    expect(first.changes.filter(change => change === '3001 came')).toHaveLength(1)
  })
})
