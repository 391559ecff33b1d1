import { describe, expect, it } from 'vitest'
import { apply } from '../controller/metadata/apply.ts'
import { emptyState, type ClusterState, type TopicState } from '../controller/metadata/cluster-state.ts'
import type { ConfigChange } from '../controller/metadata/commands.ts'
import type { Leadership } from './leadership/leader-table.ts'
import { ReplicationThrottle } from './replication-throttle.ts'

const LEADER_RATE = 'leader.replication.throttled.rate'
const FOLLOWER_RATE = 'follower.replication.throttled.rate'
const LEADER_REPLICAS = 'leader.replication.throttled.replicas'
const FOLLOWER_REPLICAS = 'follower.replication.throttled.replicas'

const groupName = (topic: TopicState, partition: number): string => `${topic.name}-${partition}`

/** Topic t with partitions on brokers 0, 1000 and, as a reassignment adds it, 2000. */
function topicWith(configs: Record<string, string>, partitionCount = 2): TopicState {
  const placement = { replicas: [0, 1000], bootstrapReplicas: [], target: [0, 1000, 2000] }
  return { name: 't', topicId: 'id-t', partitions: Array(partitionCount).fill(placement), configs }
}

function stateWith(topic: TopicState, rates: Record<number, Record<string, string>>, cluster = {}): ClusterState {
  const changes: ConfigChange[] = [{ resource: { type: 'cluster' }, set: cluster, unset: [] }]
  for (const [id, set] of Object.entries(rates)) {
    changes.push({ resource: { type: 'broker', brokerId: Number(id) }, set, unset: [] })
  }
  const created = apply(emptyState, { type: 'create-topics', version: 1, topics: [topic] }).state
  return apply(created, { type: 'set-configs', version: 2, changes }).state
}

/** The throttle of broker 0, with what it sees. */
function throttleOf(
  state: ClusterState,
  leaders: Record<string, Leadership>,
  { byNode = false, brokerId = 0 } = {}
): { throttle: ReplicationThrottle; world: { state: ClusterState; nowMs: number; revision: number } } {
  const world = { state, nowMs: 0, revision: 1 }
  const throttle = new ReplicationThrottle({
    brokerId,
    byNode,
    state: () => world.state,
    leaders: {
      leadershipOf: group => leaders[group],
      get revision() {
        return world.revision
      }
    },
    groupName,
    monotonic: () => world.nowMs
  })
  return { throttle, world }
}

const ledBy = (leader: number): Leadership => ({ leader, term: 1, inSync: [0, 1000] })

describe('the rate of what a leader sends to a replica', () => {
  const bothSides = topicWith({ [LEADER_REPLICAS]: '0:0,0:1000', [FOLLOWER_REPLICAS]: '0:2000' })
  const rates = { 0: { [LEADER_RATE]: '700' }, 2000: { [FOLLOWER_RATE]: '500' } }

  it('is that of the leader and that of the follower, where their replicas are named', () => {
    const { throttle } = throttleOf(stateWith(bothSides, rates), { 't-0': ledBy(0) })
    expect(throttle.limitsOf('t-0', 2000)).toEqual([
      { key: 'leader', bytesPerSecond: 700 },
      { key: 'follower 2000', bytesPerSecond: 500 }
    ])
    expect(throttle.limitsOf('t-0', 1000)).toEqual([{ key: 'leader', bytesPerSecond: 700 }])
    expect(throttle.limitsOf('t-1', 2000)).toEqual([])
    expect(throttle.limitsOf('other-0', 2000)).toEqual([])
  })

  it('is none without replicas that are throttled, or without a rate', () => {
    const unnamed = throttleOf(stateWith(topicWith({}), rates), { 't-0': ledBy(0) }).throttle
    expect(unnamed.limitsOf('t-0', 2000)).toEqual([])
    const empty = topicWith({ [LEADER_REPLICAS]: '', [FOLLOWER_REPLICAS]: '' })
    expect(throttleOf(stateWith(empty, rates), { 't-0': ledBy(0) }).throttle.limitsOf('t-0', 2000)).toEqual([])
    expect(throttleOf(stateWith(bothSides, {}), { 't-0': ledBy(0) }).throttle.limitsOf('t-0', 2000)).toEqual([])
  })

  it('may be that of all brokers, for all replicas', () => {
    const all = topicWith({ [LEADER_REPLICAS]: '*' })
    const { throttle } = throttleOf(stateWith(all, {}, { [LEADER_RATE]: '300' }), { 't-1': ledBy(0) })
    expect(throttle.limitsOf('t-1', 1000)).toEqual([{ key: 'leader', bytesPerSecond: 300 }])
  })

  it('of a follower is divided among the leaders that send to it, and follows them', () => {
    const all = topicWith({ [FOLLOWER_REPLICAS]: '*' }, 3)
    const leaders: Record<string, Leadership> = { 't-0': ledBy(0), 't-1': ledBy(1000), 't-2': ledBy(1000) }
    const { throttle, world } = throttleOf(stateWith(all, { 2000: { [FOLLOWER_RATE]: '600' } }), leaders)
    const share = (): number | undefined => throttle.limitsOf('t-0', 2000)[0]?.bytesPerSecond
    expect(share()).toBe(300)
    // The other leader's replicas have caught up.
    for (const group of ['t-1', 't-2']) leaders[group] = { leader: 1000, term: 1, inSync: [0, 1000, 2000] }
    world.revision++
    expect(share()).toBe(300)
    world.nowMs += 1_000
    expect(share()).toBe(600)
  })

  it('changes with the metadata at once', () => {
    const { throttle, world } = throttleOf(stateWith(bothSides, rates), { 't-0': ledBy(0) })
    expect(throttle.limitsOf('t-0', 2000)).toHaveLength(2)
    world.state = stateWith(bothSides, { 0: { [LEADER_RATE]: '900' } })
    expect(throttle.limitsOf('t-0', 2000)).toEqual([{ key: 'leader', bytesPerSecond: 900 }])
    world.state = stateWith(topicWith({}), { 0: { [LEADER_RATE]: '900' } })
    expect(throttle.limitsOf('t-0', 2000)).toEqual([])
  })

  it('of a node is shared by its shards, when clients know nodes', () => {
    const placement = { replicas: [1, 1000], bootstrapReplicas: [], target: [1, 1000, 2001] }
    const other = { replicas: [0, 1000], bootstrapReplicas: [], target: [0, 1000, 2000] }
    const configs = { [LEADER_REPLICAS]: '0:0,1:0', [FOLLOWER_REPLICAS]: '0:2000' }
    const topic = { ...topicWith(configs), partitions: [placement, other] }
    const state = stateWith(topic, rates)
    const leaders = { 't-0': { ...ledBy(1), inSync: [1, 1000] }, 't-1': ledBy(0) }
    const { throttle } = throttleOf(state, leaders, { byNode: true, brokerId: 1 })
    expect(throttle.limitsOf('t-0', 2001)).toEqual([
      { key: 'leader', bytesPerSecond: 350 },
      { key: 'follower 2001', bytesPerSecond: 500 }
    ])
  })
})
