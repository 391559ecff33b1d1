import { describe, expect, it } from 'vitest'
import { parseBrokerSettings } from '../../settings/parse.ts'
import { apply } from '../metadata/apply.ts'
import { emptyState, type ClusterState } from '../metadata/cluster-state.ts'
import type { Command } from '../metadata/commands.ts'
import { planPartitions, type PartitionPlan } from './partition-plan.ts'

const settings = parseBrokerSettings(new Map([['partitions.per.shard.max', '6000']]))
const founders = [0, 1, 2].map(nodeId => ({
  nodeId,
  instance: `disk-${nodeId}`,
  shardCount: 2,
  rack: '',
  rpc: { host: 'h', port: 1 },
  listeners: []
}))
const on = (...replicas: number[]): { replicas: number[]; bootstrapReplicas: number[] } => {
  return { replicas, bootstrapReplicas: replicas }
}
const topics = [
  { name: 'narrow', topicId: 'id-n', partitions: [on(0), on(1)], configs: {} },
  { name: 'wide', topicId: 'id-w', partitions: [on(0, 1000)], configs: {} }
]
const commands: Command[] = [
  { type: 'form-cluster', version: 1, clusterId: 'c', founders, features: {} },
  { type: 'create-topics', version: 1, topics }
]
const state = commands.reduce<ClusterState>((s, command) => apply(s, command).state, emptyState)

type Asked = Parameters<typeof planPartitions>[1][number]
const ask = (name: string, count: number, assignments: Asked['assignments'] = null): Asked => {
  return { name, count, assignments }
}
const plan = (requests: Asked[], down: readonly number[] = []): PartitionPlan =>
  planPartitions(state, requests, { settings, isReachable: id => !down.includes(id) })

describe('planning more partitions', () => {
  it('adds what is missing, with as many replicas as the first one has, where there are fewest', () => {
    const { commands, results } = plan([ask('narrow', 4), ask('wide', 2)])
    expect(results).toEqual([
      { kind: 'done', name: 'narrow' },
      { kind: 'done', name: 'wide' }
    ])
    const [narrow, wide] = commands
    expect(narrow).toMatchObject({ topicId: 'id-n', from: 2 })
    expect(narrow?.partitions.map(({ replicas }) => replicas)).toEqual([[2000], [1001]])
    expect(wide?.partitions.map(({ replicas, bootstrapReplicas }) => [replicas.length, bootstrapReplicas])).toEqual([
      [2, wide?.partitions[0]?.replicas]
    ])
    const grown = commands.reduce<ClusterState>((s, command) => apply(s, command).state, state)
    expect(grown.topics.get('narrow')?.partitions).toHaveLength(4)
    expect(plan([ask('narrow', 4)]).results[0]?.kind).toBe('done')
  })

  it('takes a placement as it is', () => {
    const { commands } = plan([
      ask('wide', 3, [
        [2000, 1],
        [1001, 0]
      ])
    ])
    expect(commands[0]?.partitions.map(({ replicas }) => replicas)).toEqual([
      [2000, 1],
      [1001, 0]
    ])
  })

  it.each<[string, Asked, string, string | null]>([
    ['an unknown topic', ask('nope', 3), 'UNKNOWN_TOPIC_OR_PARTITION', null],
    ['as many as there are', ask('narrow', 2), 'INVALID_PARTITIONS', 'Topic already has 2 partition(s).'],
    [
      'fewer',
      ask('narrow', 1),
      'INVALID_PARTITIONS',
      'The topic narrow currently has 2 partition(s); 1 would not be an increase.'
    ],
    [
      'a negative number',
      ask('narrow', -3),
      'INVALID_PARTITIONS',
      'The topic narrow currently has 2 partition(s); -3 would not be an increase.'
    ],
    [
      'too many at once',
      ask('narrow', 2_147_483_647),
      'INVALID_PARTITIONS',
      'Excessively large number of partitions per request: at most 10000 can be added.'
    ],
    [
      'a placement of another number',
      ask('narrow', 4, [[0]]),
      'INVALID_REPLICA_ASSIGNMENT',
      'Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.'
    ],
    [
      'a partition without replicas',
      ask('narrow', 3, [[]]),
      'INVALID_REPLICA_ASSIGNMENT',
      'The manual partition assignment includes an empty replica list.'
    ],
    [
      'a broker twice',
      ask('wide', 2, [[0, 0]]),
      'INVALID_REPLICA_ASSIGNMENT',
      'The manual partition assignment includes the broker 0 more than once.'
    ],
    [
      'a broker that is not there',
      ask('wide', 2, [[0, 1002]]),
      'INVALID_REPLICA_ASSIGNMENT',
      'The manual partition assignment includes broker 1002, but no such broker is registered.'
    ],
    [
      'another number of replicas',
      ask('narrow', 3, [[0, 1000]]),
      'INVALID_REPLICA_ASSIGNMENT',
      'The manual partition assignment includes a partition with 2 replica(s), but this is not consistent with previous partitions, which have 1 replica(s).'
    ],
    [
      'brokers that are all down',
      ask('narrow', 3, [[2001]]),
      'INVALID_REPLICA_ASSIGNMENT',
      'All brokers specified in the manual partition assignment for partition 2 are fenced or in controlled shutdown.'
    ],
    [
      'two brokers of one node',
      ask('wide', 2, [[1000, 1001]]),
      'INVALID_REPLICA_ASSIGNMENT',
      'The manual partition assignment [1000, 1001] names two brokers of one node; each replica needs a node of its own.'
    ]
  ])('refuses %s', (_, asked, error, message) => {
    const { commands, results } = plan([asked], [2001])
    expect(commands).toEqual([])
    expect(results).toEqual([{ kind: 'refused', name: asked.name, error, message }])
  })

  it('counts the partitions of all topics of a request', () => {
    const { commands, results } = plan([ask('narrow', 6002), ask('wide', 6001)])
    expect(commands).toHaveLength(1)
    expect(results.map(({ kind }) => kind)).toEqual(['done', 'refused'])
  })

  it('puts no more on a broker than it takes', () => {
    const full = Array.from({ length: 6000 }, () => [0])
    expect(plan([ask('narrow', 6002, full)]).results).toMatchObject([
      {
        kind: 'refused',
        error: 'INVALID_PARTITIONS',
        message: expect.stringContaining('Broker 0 would have 6002 replicas') as string
      }
    ])
  })
})
