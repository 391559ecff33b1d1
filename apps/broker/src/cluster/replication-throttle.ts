/**
 * Kafka's replication quotas: which replicas an operator has throttled (topics' `leader.` and
 * `follower.replication.throttled.replicas`), and the rates of the brokers that they are on (KIP-73).
 *
 *     leader on broker 1, throttled: 1's leader rate ──┐
 *                                                      ├──► what 1 may send to 2, the lower of the two
 *     replica on broker 2, throttled: 2's follower rate, divided among those who send to 2 ──┘
 *
 * In Kafka followers fetch, so each side keeps its own rate. Here leaders send and keep both: each leader sees from the metadata
 * and from the table of leaders how many of them send to a broker, and takes its share of that broker's rate. Clients that know
 * nodes instead of shards give rates to nodes; the shards of one share them the same way.
 */
import {
  replicaHosts,
  shownBrokerId,
  type ClusterState,
  type TopicState
} from '../controller/metadata/cluster-state.ts'
import type { CatchUpLimit, CatchUpThrottle } from '../replication/catch-up-throttle.ts'
import { throttledRate } from '../settings/dynamic-settings.ts'
import type { LeaderTable } from './leadership/leader-table.ts'

/** How often shares follow the leaders, ms. */
const SHARES_MS = 1_000

export interface ReplicationThrottleOptions {
  readonly brokerId: number
  /** Clients know nodes, not shards. */
  readonly byNode: boolean
  readonly state: () => ClusterState
  readonly leaders: Pick<LeaderTable, 'leadershipOf' | 'revision'>
  /** Name of a partition's Raft group. */
  readonly groupName: (topic: TopicState, partition: number) => string
  /** Monotonic ms. */
  readonly monotonic: () => number
}

/** Replicas of one topic: `partition:broker`, or all. */
type Replicas = ReadonlySet<string> | 'all'

interface ThrottledPartition {
  readonly topic: TopicState
  readonly partition: number
  readonly asLeader: Replicas
  readonly asFollower: Replicas
}

const NONE: readonly CatchUpLimit[] = []

export class ReplicationThrottle implements CatchUpThrottle {
  readonly #options: ReplicationThrottleOptions
  /** Of the state that was seen last. */
  #partitions = new Map<string, ThrottledPartition>()
  #state: ClusterState | undefined
  /** Ways between shards on which throttled replicas are sent to, by the broker whose rate they share. */
  #fromLeaders = new Map<number, Set<string>>()
  #toFollowers = new Map<number, Set<string>>()
  #sharedAtMs = -Infinity
  #leadersRevision = -1

  constructor(options: ReplicationThrottleOptions) {
    this.#options = options
  }

  limitsOf(group: string, follower: number): readonly CatchUpLimit[] {
    this.#look()
    const throttled = this.#partitions.get(group)
    if (throttled === undefined) return NONE
    const { brokerId } = this.#options
    const limits: CatchUpLimit[] = []
    if (this.#includes(throttled.asLeader, throttled.partition, brokerId)) {
      this.#add(limits, 'leader', this.#shown(brokerId), this.#fromLeaders, '')
    }
    if (this.#includes(throttled.asFollower, throttled.partition, follower)) {
      this.#add(limits, 'follower', this.#shown(follower), this.#toFollowers, ` ${follower}`)
    }
    return limits
  }

  #add(
    limits: CatchUpLimit[],
    side: 'leader' | 'follower',
    broker: number,
    ways: ReadonlyMap<number, ReadonlySet<string>>,
    suffix: string
  ): void {
    const rate = throttledRate(this.#options.state(), broker, `${side}.replication.throttled.rate`)
    if (rate === undefined) return
    limits.push({ key: `${side}${suffix}`, bytesPerSecond: rate / Math.max(1, ways.get(broker)?.size ?? 0) })
  }

  /** Keeps what was worked out as new as the metadata and, every second, the table of leaders. */
  #look(): void {
    const { state, leaders, monotonic } = this.#options
    const now = state()
    const isNew = now !== this.#state
    if (isNew) this.#readState(now)
    if (this.#partitions.size === 0) return
    if (!isNew && (leaders.revision === this.#leadersRevision || monotonic() - this.#sharedAtMs < SHARES_MS)) return
    this.#sharedAtMs = monotonic()
    this.#leadersRevision = leaders.revision
    this.#share()
  }

  #readState(state: ClusterState): void {
    const before = this.#state
    this.#state = state
    if (before?.topics === state.topics) return
    this.#partitions = new Map()
    for (const topic of state.topics.values()) {
      const asLeader = replicasOf(topic.configs['leader.replication.throttled.replicas'])
      const asFollower = replicasOf(topic.configs['follower.replication.throttled.replicas'])
      if (asLeader === undefined && asFollower === undefined) continue
      for (const partition of topic.partitions.keys()) {
        const throttled = { topic, partition, asLeader: asLeader ?? NOBODY, asFollower: asFollower ?? NOBODY }
        this.#partitions.set(this.#options.groupName(topic, partition), throttled)
      }
    }
  }

  /** Counts who sends to whom. */
  #share(): void {
    this.#fromLeaders = new Map()
    this.#toFollowers = new Map()
    for (const [group, { topic, partition, asLeader, asFollower }] of this.#partitions) {
      const leadership = this.#options.leaders.leadershipOf(group)
      const placement = topic.partitions[partition]
      if (leadership === undefined || leadership.leader < 0 || placement === undefined) continue
      const { leader, inSync } = leadership
      const lagging = replicaHosts(placement).filter(id => id !== leader && !inSync.includes(id))
      if (lagging.length > 0 && this.#includes(asLeader, partition, leader)) {
        count(this.#fromLeaders, this.#shown(leader), String(leader))
      }
      for (const id of lagging) {
        if (this.#includes(asFollower, partition, id)) count(this.#toFollowers, this.#shown(id), `${leader} ${id}`)
      }
    }
  }

  #includes(replicas: Replicas, partition: number, brokerId: number): boolean {
    return replicas === 'all' || replicas.has(`${partition}:${this.#shown(brokerId)}`)
  }

  /** The id under which clients know a shard. */
  #shown(brokerId: number): number {
    return shownBrokerId(brokerId, this.#options.byNode)
  }
}

const NOBODY: ReadonlySet<string> = new Set()

function replicasOf(text: string | undefined): Replicas | undefined {
  if (text === undefined || text === '') return undefined
  return text === '*' ? 'all' : new Set(text.split(',').map(replica => replica.trim()))
}

function count(ways: Map<number, Set<string>>, broker: number, way: string): void {
  const known = ways.get(broker)
  if (known === undefined) ways.set(broker, new Set([way]))
  else known.add(way)
}
