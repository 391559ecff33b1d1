import { describe, expect, it } from 'vitest'
import { apply } from '../metadata/apply.ts'
import { emptyState, type ClusterState } from '../metadata/cluster-state.ts'
import type { Command } from '../metadata/commands.ts'
import { planReassignments } from './reassignment-plan.ts'

const founders = [0, 1, 2, 3].map(nodeId => ({
  nodeId,
  instance: `disk-${nodeId}`,
  shardCount: 2,
  rack: '',
  rpc: { host: 'h', port: 1 },
  listeners: []
}))
const partitions = [{ replicas: [0, 1000], bootstrapReplicas: [0, 1000] }]
const commands: Command[] = [
  { type: 'form-cluster', version: 1, clusterId: 'c', founders, features: {} },
  { type: 'create-topics', version: 1, topics: [{ name: 't', topicId: 'id', partitions, configs: {} }] },
  { type: 'set-node-mode', version: 1, nodeId: 3, mode: 'decommissioning' }
]
const state = commands.reduce<ClusterState>((s, command) => apply(s, command).state, emptyState)
const moving = apply(state, {
  type: 'start-reassignment',
  version: 1,
  moves: [{ topicId: 'id', partition: 0, target: [0, 2000] }]
}).state

const plan = (
  replicas: readonly number[] | null,
  over: { topic?: string; partition?: number; allow?: boolean; byNode?: boolean; on?: ClusterState } = {}
): ReturnType<typeof planReassignments> =>
  planReassignments(over.on ?? state, [{ topic: over.topic ?? 't', partition: over.partition ?? 0, replicas }], {
    allowReplicationFactorChange: over.allow ?? true,
    byNode: over.byNode ?? false
  })

describe('planning reassignments', () => {
  it('starts what can be, as it was asked', () => {
    const { starts, cancels, results } = plan([2001, 1000])
    expect(starts).toEqual([{ topicId: 'id', partition: 0, target: [2001, 1000] }])
    expect(cancels).toEqual([])
    expect(results).toEqual([{ topic: 't', partition: 0, error: 'NONE', message: null }])
  })

  it('moves between cores of one node', () => {
    expect(plan([1, 1000]).starts).toHaveLength(1)
  })

  it('keeps a replica on its core, and takes the least loaded one of a new node, when clients know nodes only', () => {
    const crowded = apply(state, {
      type: 'create-topics',
      version: 1,
      topics: [
        { name: 'u', topicId: 'id-u', partitions: [{ replicas: [2000], bootstrapReplicas: [2000] }], configs: {} }
      ]
    }).state
    const moved = apply(crowded, {
      type: 'start-reassignment',
      version: 1,
      moves: [{ topicId: 'id', partition: 0, target: [0, 1001] }]
    }).state
    const { starts } = plan([1000, 2000], { byNode: true, on: moved })
    expect(starts[0]?.target).toEqual([1000, 2001])
    expect(plan([0, 9000], { byNode: true }).results[0]?.error).toBe('INVALID_REPLICA_ASSIGNMENT')
  })

  it('cancels what moves, and only that', () => {
    expect(plan(null, { on: moving }).cancels).toEqual([{ topicId: 'id', partition: 0 }])
    expect(plan(null).results[0]?.error).toBe('NO_REASSIGNMENT_IN_PROGRESS')
  })

  it.each([
    ['an unknown topic', [0], { topic: 'x' }, 'UNKNOWN_TOPIC_OR_PARTITION'],
    ['an unknown partition', [0], { partition: 1 }, 'UNKNOWN_TOPIC_OR_PARTITION'],
    ['no replicas', [], {}, 'INVALID_REPLICA_ASSIGNMENT'],
    ['a broker twice', [0, 0], {}, 'INVALID_REPLICA_ASSIGNMENT'],
    ['two brokers of one node', [0, 1], {}, 'INVALID_REPLICA_ASSIGNMENT'],
    ['a node that is not there', [0, 9000], {}, 'INVALID_REPLICA_ASSIGNMENT'],
    ['a shard that is not there', [0, 1002], {}, 'INVALID_REPLICA_ASSIGNMENT'],
    ['a negative id', [-1], {}, 'INVALID_REPLICA_ASSIGNMENT'],
    ['a node that is leaving', [0, 3000], {}, 'INVALID_REPLICA_ASSIGNMENT'],
    ['another factor where that is not wanted', [0, 1000, 2000], { allow: false }, 'INVALID_REPLICATION_FACTOR']
  ])('refuses %s', (_, replicas, over, error) => {
    const { starts, results } = plan(replicas, over)
    expect(starts).toEqual([])
    expect(results[0]?.error).toBe(error)
  })
})
