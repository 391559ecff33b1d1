import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { wantedReplicas } from '../cluster-keeper.ts'
import { apply } from '../metadata/apply.ts'
import { brokersOf, emptyState, nodeOf, type ClusterState, type NodeDescription } from '../metadata/cluster-state.ts'
import type { Command } from '../metadata/commands.ts'
import { planBalance, planEvacuation, planWaits, replicaCountOf, type PlannedMove } from './balance-plan.ts'
import { chooseReplicas, countPlaced, loadOf, openNodes } from './placement.ts'

const node = (nodeId: number, shardCount = 2, rack = ''): NodeDescription => ({
  nodeId,
  instance: `disk-${nodeId}`,
  shardCount,
  rack,
  rpc: { host: 'h', port: 1 },
  listeners: []
})

const run = (state: ClusterState, ...commands: Command[]): ClusterState =>
  commands.reduce((s, command) => apply(s, command).state, state)

const cluster = (...founders: NodeDescription[]): ClusterState =>
  run(emptyState, { type: 'form-cluster', version: 1, clusterId: 'c', founders, features: {} })

/** A topic placed as CreateTopics places it. */
function withTopic(state: ClusterState, name: string, partitions: number, factor: number): ClusterState {
  const load = loadOf(state)
  const placed = Array.from({ length: partitions }, () => {
    const replicas = chooseReplicas(openNodes(state), load, factor)
    if (replicas === undefined) throw new Error('too few nodes')
    countPlaced(load, replicas)
    return { replicas, bootstrapReplicas: replicas }
  })
  const topics = [{ name, topicId: `id-${name}`, partitions: placed, configs: {} }]
  return run(state, { type: 'create-topics', version: 1, topics })
}

/** The state after all moves are done. */
function moved(state: ClusterState, moves: readonly PlannedMove[]): ClusterState {
  const plain = moves.map(({ topicId, partition, target }) => ({ topicId, partition, target }))
  return run(
    state,
    { type: 'start-reassignment', version: 1, moves: plain },
    { type: 'finish-reassignment', version: 1, moves: plain }
  )
}

const spread = (counts: ReadonlyMap<number, number>, state: ClusterState): number => {
  const all = openNodes(state)
    .flatMap(brokersOf)
    .map(id => counts.get(id) ?? 0)
  return Math.max(...all) - Math.min(...all)
}

const allReplicas = (state: ClusterState): (readonly number[])[] =>
  [...state.topics.values()].flatMap(topic => topic.partitions.map(p => p.replicas))

const anyCluster = fc
  .array(fc.record({ shards: fc.integer({ min: 1, max: 3 }), rack: fc.constantFrom('', 'a', 'b', 'c') }), {
    minLength: 1,
    maxLength: 6
  })
  .chain(nodes =>
    fc.tuple(
      fc.constant(nodes.map(({ shards, rack }, nodeId) => node(nodeId, shards, rack))),
      fc.integer({ min: 1, max: Math.min(3, nodes.length) }),
      fc.integer({ min: 1, max: 30 })
    )
  )

describe('placement', () => {
  it('takes distinct nodes, and no two of one rack while there are others', () => {
    fc.assert(
      fc.property(anyCluster, ([nodes, factor, partitions]) => {
        const state = withTopic(cluster(...nodes), 't', partitions, factor)
        const rackOf = (id: number): string => state.nodes.get(nodeOf(id))?.rack ?? ''
        const racks = new Set(nodes.map(({ rack }) => rack).filter(rack => rack !== ''))
        const unnamed = nodes.filter(({ rack }) => rack === '').length
        for (const replicas of allReplicas(state)) {
          expect(new Set(replicas.map(nodeOf)).size).toBe(factor)
          if (racks.size + unnamed < factor) continue
          const named = replicas.map(rackOf).filter(rack => rack !== '')
          expect(new Set(named).size).toBe(named.length)
        }
      })
    )
  })

  it('leaves leaders of like shards even to within one, replicas of like nodes to within one a shard', () => {
    const state = withTopic(cluster(node(0), node(1), node(2)), 't', 20, 2)
    expect(spread(state.preferredCounts, state)).toBeLessThanOrEqual(1)
    expect(spread(state.replicaCounts, state)).toBeLessThanOrEqual(1)
  })
})

describe('an evacuation', () => {
  it('leaves nothing on the node, or says what cannot leave and why', () => {
    fc.assert(
      fc.property(anyCluster, fc.nat(5), ([nodes, factor, partitions], leaving) => {
        const nodeId = leaving % nodes.length
        const state = withTopic(cluster(...nodes), 't', partitions, factor)
        const { moves, stuck } = planEvacuation(state, nodeId)
        const after = moved(state, moves)
        expect(replicaCountOf(after, nodeId)).toBe(stuck.length)
        if (nodes.length > factor) expect(stuck).toEqual([])
        for (const replicas of allReplicas(after)) expect(new Set(replicas.map(nodeOf)).size).toBe(factor)
      })
    )
  })

  it('replaces only what leaves, in its place', () => {
    const state = withTopic(cluster(node(0), node(1), node(2), node(3)), 't', 8, 3)
    for (const { replicas, target } of planEvacuation(state, 1).moves) {
      expect(target.map((id, i) => (id === replicas[i] ? 'same' : nodeOf(replicas[i] ?? -1)))).toEqual(
        replicas.map(id => (nodeOf(id) === 1 ? 1 : 'same'))
      )
    }
  })

  it('gives nothing to nodes in maintenance or leaving themselves', () => {
    const state = run(
      withTopic(cluster(node(0), node(1), node(2), node(3)), 't', 8, 2),
      { type: 'set-node-mode', version: 1, nodeId: 2, mode: 'maintenance' },
      { type: 'set-node-mode', version: 1, nodeId: 3, mode: 'decommissioning' }
    )
    for (const { replicas, target } of planEvacuation(state, 0).moves) {
      expect(target.filter(id => !replicas.includes(id)).map(nodeOf)).toEqual([1])
    }
  })
})

describe('a node that is not empty although nothing is left to move', () => {
  const key = { topicId: 'id-t', partition: 0 }
  const state = withTopic(cluster(node(0), node(1), node(2), node(3)), 't', 1, 1)
  const [home = 0] = allReplicas(state)[0] ?? []
  const away = nodeOf(home) === 3 ? 2000 : 3000
  const moving = run(state, { type: 'start-reassignment', version: 1, moves: [{ ...key, target: [away] }] })
  const givenUp = run(moving, { type: 'cancel-reassignment', version: 1, partitions: [key] })

  it('waits for moves away from it', () => {
    const { moves, stuck } = planEvacuation(moving, nodeOf(home))
    expect([...moves, ...stuck]).toEqual([])
    const [wait] = planWaits(moving, nodeOf(home), () => true)
    expect(wait).toMatchObject({ topic: 't', partition: 0 })
    expect(wait?.reason).toBe(
      `it moves to ${away}; broker ${home} keeps its replica until the leader says that others have the votes`
    )
  })

  it('waits for leaders to take votes back after moves that were given up, and says so when there is none', () => {
    expect(planEvacuation(givenUp, nodeOf(away))).toEqual({ moves: [], stuck: [] })
    expect(replicaCountOf(givenUp, nodeOf(away))).toBe(1)
    const [led] = planWaits(givenUp, nodeOf(away), () => true)
    expect(led?.reason).toMatch(/a move to broker \d+ was given up.* until the leader says/)
    const [wait] = planWaits(givenUp, nodeOf(away), () => false)
    expect(wait?.reason).toMatch(/a move to broker \d+ was given up.*no leader can say who has the votes/)
  })

  it('waits for nothing where it has nothing, and not for what it is to keep', () => {
    for (const [nodeId, of] of [
      [away, state],
      [home, state],
      [away, moving],
      [home, givenUp]
    ] as const) {
      expect(planWaits(of, nodeOf(nodeId), () => true)).toEqual([])
    }
  })
})

describe('balancing', () => {
  it('moves nothing to a node that is down', () => {
    const state = withTopic(cluster(node(0), node(1), node(2)), 't', 6, 2)
    const grown = run(state, { type: 'register-node', version: 1, node: node(3) })
    const down = new Set([3])
    expect(planEvacuation(grown, 0).moves.some(({ target }) => target.some(id => nodeOf(id) === 3))).toBe(true)
    expect(planEvacuation(grown, 0, down).moves.some(({ target }) => target.some(id => nodeOf(id) === 3))).toBe(false)
    expect(planEvacuation(grown, 0, new Set([1, 3])).stuck.length).toBeGreaterThan(0)
    expect(planBalance(grown, 5).length).toBeGreaterThan(0)
    expect(planBalance(grown, 5, down)).toEqual([])
  })

  it('fills a node that joined, without ever putting two replicas on a node, and then stops', () => {
    fc.assert(
      fc.property(anyCluster, ([nodes, factor, partitions]) => {
        let state = withTopic(cluster(...nodes), 't', partitions, factor)
        state = run(state, { type: 'register-node', version: 1, node: node(9, 2) })
        let rounds = 0
        for (let moves = planBalance(state, 5); moves.length > 0; moves = planBalance(state, 5)) {
          if (++rounds > 200) throw new Error('it never stops')
          state = moved(state, moves)
        }
        for (const replicas of allReplicas(state)) expect(new Set(replicas.map(nodeOf)).size).toBe(factor)
        if (partitions * factor >= 30) expect(replicaCountOf(state, 9)).toBeGreaterThan(0)
      })
    )
  })

  it('ends with even shards when racks and nodes leave it free', () => {
    let state = withTopic(cluster(node(0), node(1), node(2)), 't', 60, 2)
    state = run(state, { type: 'register-node', version: 1, node: node(3) })
    for (let moves = planBalance(state, 20); moves.length > 0; moves = planBalance(state, 20))
      state = moved(state, moves)
    expect(spread(state.replicaCounts, state)).toBeLessThanOrEqual(1)
    expect(spread(state.preferredCounts, state)).toBeLessThanOrEqual(1)
  })

  it('does nothing to an even cluster', () => {
    expect(planBalance(withTopic(cluster(node(0), node(1), node(2)), 't', 12, 3), 20)).toEqual([])
  })
})

describe('replicas of the controller', () => {
  const nodes = Array.from({ length: 7 }, (_, i) => node(i))

  it('are five voters at most, the rest learners', () => {
    expect(wantedReplicas(cluster(...nodes), { voters: [0, 1000, 2000], learners: [] })).toEqual({
      voters: [0, 1000, 2000, 3000, 4000],
      learners: [5000, 6000]
    })
  })

  it('keep voting when others could as well, unless they leave', () => {
    const state = run(cluster(...nodes), { type: 'set-node-mode', version: 1, nodeId: 6, mode: 'decommissioning' })
    expect(wantedReplicas(state, { voters: [5000, 4000, 3000, 6000], learners: [] })).toEqual({
      voters: [3000, 4000, 5000, 0, 1000],
      learners: [2000, 6000]
    })
  })

  it('are not waited for on nodes that are down; those that are members stay', () => {
    const present = { voters: [0], learners: [6000] }
    expect(wantedReplicas(cluster(...nodes), present, new Set([1, 2, 6]))).toEqual({
      voters: [0, 3000, 4000, 5000, 6000],
      learners: []
    })
  })
})
