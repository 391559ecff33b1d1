import { MemoryPeerNetwork, type PeerNetwork } from '@milena/shard-scheduler'
import { ManualScheduler } from '@milena/shard-scheduler/testing'
import { describe, expect, it } from 'vitest'
import {
  brokerIdOf,
  emptyState,
  type ClusterState,
  type NodeDescription
} from '../../controller/metadata/cluster-state.ts'
import { serveDiscovery } from './discovery.ts'
import { NodeMember } from './node-member.ts'

const CLUSTER = 'cluster'

/** Nodes of one shard that answer discovery as running brokers do. */
class World {
  readonly scheduler = new ManualScheduler()
  readonly network = new MemoryPeerNetwork({ scheduler: this.scheduler })
  /** Members as each node has written them down. */
  readonly written = new Map<number, number[]>()
  readonly warnings: string[] = []

  /** A node that knows `known` and is asked by whoever starts. */
  start(nodeId: number, known: readonly number[], clusterId = CLUSTER): { member: NodeMember; peers: PeerNetwork } {
    const node = nodeOf(nodeId)
    const peers = this.network.open({ self: brokerIdOf(nodeId, 0), listen: node.rpc })
    let nodes = known.map(nodeOf)
    serveDiscovery(peers, () => ({ node, nodeId, seeds: [], membership: { clusterId, founders: [], nodes } }))
    const member = new NodeMember({
      node,
      clusterId,
      known: nodes,
      peers,
      remember: learned => {
        nodes = [...learned]
        this.written.set(nodeId, idsOf(learned))
      },
      clock: { after: (delayMs, callback) => this.scheduler.after(delayMs, callback) },
      log: { warn: (_, message) => void this.warnings.push(message) }
    })
    return { member, peers }
  }
}

const nodeOf = (nodeId: number): NodeDescription => ({
  nodeId,
  instance: `instance ${nodeId}`,
  shardCount: 1,
  rack: '',
  rpc: { host: `node-${nodeId}`, port: 33_145 },
  listeners: []
})

const idsOf = (nodes: readonly NodeDescription[]): number[] => nodes.map(({ nodeId }) => nodeId).sort((a, b) => a - b)

const stateWith = (...nodeIds: readonly number[]): ClusterState => ({
  ...emptyState,
  clusterId: CLUSTER,
  nodes: new Map(nodeIds.map(nodeId => [nodeId, { ...nodeOf(nodeId), mode: 'active' }]))
})

describe('a node among the others', () => {
  it('finds a member that came while it was down through any that it knows', async () => {
    const world = new World()
    const late = world.start(2, [0, 1, 2])
    world.start(0, [0, 1, 2, 3])
    const newcomer = world.start(3, [0, 1, 2, 3])
    await world.scheduler.advance(100)
    expect([...late.peers.reachable]).toEqual([0])
    late.member.seekLeader(() => false)
    await world.scheduler.advance(100)
    expect([...late.peers.reachable].sort()).toEqual([0, brokerIdOf(3, 0)])
    expect([...newcomer.peers.reachable].sort()).toEqual([0, brokerIdOf(2, 0)])
    expect(world.written.get(2)).toEqual([0, 1, 2, 3])
  })

  it('finds one that came while it was cut off, when it hears of a leader no more, and asks nobody while it does', async () => {
    const world = new World()
    const { member, peers } = world.start(2, [0, 1, 2])
    world.start(0, [0, 1, 2, 3])
    world.start(3, [0, 1, 2, 3])
    member.becomeCurrent(stateWith(0, 1, 2))
    let isLed = true
    member.seekLeader(() => isLed)
    await world.scheduler.advance(5000)
    expect([...peers.reachable]).toEqual([0])
    isLed = false
    await world.scheduler.advance(5000)
    expect([...peers.reachable].sort()).toEqual([0, brokerIdOf(3, 0)])
  })

  it('does not believe a node of another cluster', async () => {
    const world = new World()
    const { member } = world.start(2, [0, 1, 2])
    world.start(0, [0, 7], 'another')
    member.seekLeader(() => false)
    await world.scheduler.advance(100)
    expect(world.written.get(2)).toBeUndefined()
  })

  it('forgets no member by metadata that may be older than its start', () => {
    const world = new World()
    const { member } = world.start(2, [1, 2, 3])
    member.follow(stateWith(0, 1, 2))
    expect(world.written.get(2)).toEqual([0, 1, 2, 3])
    member.becomeCurrent(stateWith(1, 2, 3, 4))
    expect(world.written.get(2)).toEqual([1, 2, 3, 4])
  })

  it('says that it was removed only by metadata that is as new as its start', () => {
    const world = new World()
    const { member } = world.start(3, [0, 1, 2, 3])
    member.follow(stateWith(0, 1, 2))
    expect(world.warnings).toEqual([])
    member.becomeCurrent(stateWith(0, 1, 2, 3))
    expect(world.warnings).toEqual([])
    member.follow(stateWith(0, 1, 2))
    expect(world.warnings).toEqual(['this node was removed from its cluster and can be stopped'])
  })
})
