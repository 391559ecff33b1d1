import type { TopicRequest } from '@milena/gateway'
import { describe, expect, it } from 'vitest'
import { parseBrokerSettings } from '../../settings/parse.ts'
import { apply } from '../metadata/apply.ts'
import { emptyState, type ClusterState } from '../metadata/cluster-state.ts'
import { planTopics, topicNameProblem } from './topic-plan.ts'

const settings = parseBrokerSettings(
  new Map([
    ['num.partitions', '3'],
    ['partitions.per.shard.max', '50']
  ])
)
const oneNode = apply(emptyState, {
  type: 'register-node',
  version: 1,
  node: { nodeId: 0, instance: 'a', shardCount: 2, rack: '', rpc: { host: '', port: 0 }, listeners: [] }
}).state

const request = (over: Partial<TopicRequest>): TopicRequest => ({
  name: 't',
  partitionCount: -1,
  replicationFactor: -1,
  assignments: [],
  configs: [],
  ...over
})

let nextId = 0
const plan = (requests: TopicRequest[], state: ClusterState = oneNode): ReturnType<typeof planTopics> =>
  planTopics(
    state,
    requests.map(one => ({ ...one, topicId: `id-${nextId++}` })),
    settings
  )

function refusal(over: Partial<TopicRequest>, state?: ClusterState): unknown {
  const [result] = plan([request(over)], state).results
  return result?.kind === 'refused' ? result.error : result
}

describe('planning topics', () => {
  it('takes the broker defaults for -1 and spreads leaders over the shards', () => {
    const { topics, results } = plan([request({})])
    expect(results[0]).toMatchObject({ kind: 'done', partitionCount: 3, replicationFactor: 1 })
    expect(topics[0]?.partitions.map(p => p.replicas[0])).toEqual([0, 1, 0])
  })

  it('puts new partitions where there are fewest', () => {
    const first = plan([request({ partitionCount: 1 }), request({ name: 'u', partitionCount: 1 })])
    expect(first.topics.map(topic => topic.partitions[0]?.replicas[0])).toEqual([0, 1])
  })

  it('leaves out nodes that are down, unless there are too few others; none of them is to lead', () => {
    const nodes = [0, 1, 2].map(nodeId => ({ nodeId, instance: `disk-${nodeId}`, shardCount: 1, rack: '' }))
    const state = nodes.reduce(
      (s, node) =>
        apply(s, {
          type: 'register-node',
          version: 1,
          node: { ...node, rpc: { host: '', port: 0 }, listeners: [] }
        }).state,
      emptyState
    )
    const place = (replicationFactor: number): (readonly number[])[] => {
      const asked = { ...request({ partitionCount: 4, replicationFactor }), topicId: `id-${nextId++}` }
      return planTopics(state, [asked], settings, id => id !== 0).topics[0]?.partitions.map(p => p.replicas) ?? []
    }
    expect(place(2).map(replicas => [...replicas].sort((a, b) => a - b))).toEqual(Array(4).fill([1000, 2000]))
    expect(place(3).map(replicas => [...replicas].sort((a, b) => a - b))).toEqual(Array(4).fill([0, 1000, 2000]))
    expect(place(3).map(([first]) => first)).toEqual([1000, 2000, 1000, 2000])
  })

  it.each([
    [{ name: '' }, 'INVALID_TOPIC_EXCEPTION'],
    [{ name: '..' }, 'INVALID_TOPIC_EXCEPTION'],
    [{ name: '../../etc' }, 'INVALID_TOPIC_EXCEPTION'],
    [{ name: 'a\0b' }, 'INVALID_TOPIC_EXCEPTION'],
    [{ name: 'x'.repeat(250) }, 'INVALID_TOPIC_EXCEPTION'],
    [{ partitionCount: 0 }, 'INVALID_PARTITIONS'],
    [{ partitionCount: -5 }, 'INVALID_PARTITIONS'],
    [{ partitionCount: 2_147_483_647 }, 'POLICY_VIOLATION'],
    [{ partitionCount: 101 }, 'INVALID_PARTITIONS'],
    [{ replicationFactor: 0 }, 'INVALID_REPLICATION_FACTOR'],
    [{ replicationFactor: 2 }, 'INVALID_REPLICATION_FACTOR'],
    [{ configs: [{ name: 'nope', value: '1' }] }, 'INVALID_CONFIG'],
    [{ configs: [{ name: '__proto__', value: '1' }] }, 'INVALID_CONFIG'],
    [{ configs: [{ name: 'retention.ms', value: 'abc' }] }, 'INVALID_CONFIG'],
    [{ configs: [{ name: 'retention.ms', value: null }] }, 'INVALID_CONFIG'],
    [{ configs: [{ name: 'unclean.leader.election.enable', value: 'TRUE' }] }, 'INVALID_CONFIG'],
    [{ assignments: [{ partition: 0, brokerIds: [9] }] }, 'INVALID_REPLICA_ASSIGNMENT'],
    [{ assignments: [{ partition: 0, brokerIds: [0, 1] }] }, 'INVALID_REPLICA_ASSIGNMENT'],
    [{ assignments: [{ partition: 1, brokerIds: [0] }] }, 'INVALID_REPLICA_ASSIGNMENT'],
    [{ assignments: [{ partition: 0, brokerIds: [] }] }, 'INVALID_REPLICA_ASSIGNMENT'],
    [{ partitionCount: 1, assignments: [{ partition: 0, brokerIds: [0] }] }, 'INVALID_REQUEST']
  ])('refuses %j with %s', (over, error) => {
    expect(refusal(over)).toBe(error)
  })

  it('accepts a manual placement', () => {
    const { topics } = plan([
      request({
        assignments: [
          { partition: 1, brokerIds: [0] },
          { partition: 0, brokerIds: [1] }
        ]
      })
    ])
    expect(topics[0]?.partitions.map(p => p.replicas[0])).toEqual([1, 0])
  })

  it('takes a placement with brokers that are down, unless a partition would have no other', () => {
    const on = (...brokerIds: number[][]): TopicRequest['assignments'] =>
      brokerIds.map((ids, partition) => ({ partition, brokerIds: ids }))
    const refusalOf = (assignments: TopicRequest['assignments']): unknown => {
      const asked = { ...request({ assignments }), topicId: `id-${nextId++}` }
      const [result] = planTopics(oneNode, [asked], settings, id => id !== 1).results
      return result?.kind === 'refused' ? [result.error, result.message] : result?.kind
    }
    expect(refusalOf(on([0], [0]))).toBe('done')
    expect(refusalOf(on([0], [1]))).toEqual([
      'INVALID_REPLICA_ASSIGNMENT',
      'All brokers specified in the manual partition assignment for partition 1 are fenced or in controlled shutdown.'
    ])
    expect(refusalOf(on([9]))).toEqual([
      'INVALID_REPLICA_ASSIGNMENT',
      'The manual partition assignment includes broker 9, but no such broker is registered.'
    ])
  })

  it('refuses a topic that exists, and one that differs from another only in . and _', () => {
    const { topics } = plan([request({ name: 'a.b' })])
    const state = apply(oneNode, { type: 'create-topics', version: 1, topics }).state
    expect(refusal({ name: 'a.b' }, state)).toBe('TOPIC_ALREADY_EXISTS')
    expect(refusal({ name: 'a_b' }, state)).toBe('INVALID_TOPIC_EXCEPTION')
  })

  it('gives names of inherited properties no special meaning', () => {
    for (const name of ['__proto__', 'constructor', 'toString']) {
      expect(topicNameProblem(name)).toBeUndefined()
      expect(plan([request({ name })]).results[0]?.kind).toBe('done')
    }
  })
})
