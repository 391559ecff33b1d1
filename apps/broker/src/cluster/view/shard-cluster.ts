/**
 * The gateway's cluster port: views of what this shard knows, and changes, which go to the controller wherever it is.
 */
import type {
  ClusterPort,
  ClusterView,
  MorePartitionsRequest,
  MorePartitionsResult,
  TopicRequest,
  TopicResult
} from '@milena/gateway'
import type { PeerNetwork } from '@milena/shard-scheduler'
import { ControllerUnavailableError, type ControllerClient } from '../../controller/controller-client.ts'
import { CONTROLLER_LOG_NAME } from '../../controller/log/command-log.ts'
import type { ClusterState, TopicState } from '../../controller/metadata/cluster-state.ts'
import type { MetadataReplica } from '../../controller/metadata/metadata-replica.ts'
import type { BrokerSettings } from '../../settings/broker-settings.ts'
import type { LeaderTable, Leadership } from '../leadership/leader-table.ts'
import type { Advertising } from './addresses.ts'
import { StateView } from './cluster-view.ts'

/** Longest that CreateTopics and CreatePartitions wait for the leaders of new partitions to be known, ms: a courtesy, clients would ask again. */
const LEADERS_WAIT_MS_MAX = 2_000
const LEADERS_POLL_MS = 5

export interface ShardClusterOptions {
  readonly clusterId: string
  readonly nodeId: number
  readonly brokerId: number
  readonly settings: BrokerSettings
  readonly replica: MetadataReplica
  readonly leaders: LeaderTable
  readonly controller: ControllerClient
  readonly peers: PeerNetwork
  readonly advertising: Advertising
  /** Port of each shard of this node on a listener, by listener name. */
  readonly ports: (listener: string) => readonly number[]
  /** Name of a partition's Raft group. */
  readonly groupName: (topic: TopicState, partition: number) => string
  /** Unpredictable bytes, for topic ids. */
  readonly randomBytes: (count: number) => Uint8Array
  readonly clock: { monotonic(): number; after(delayMs: number, callback: () => void): () => void }
}

export class ShardCluster implements ClusterPort {
  readonly #options: ShardClusterOptions
  /** Moves when a shard can be reached or not any more. */
  #reachability = 0
  #view: { readonly state: ClusterState; readonly revision: number; readonly view: ClusterView } | undefined

  constructor(options: ShardClusterOptions) {
    this.#options = options
    options.peers.onPeerChange(() => void this.#reachability++)
  }

  get autoCreateTopics(): boolean {
    return this.#options.settings['auto.create.topics.enable']
  }

  view(): ClusterView {
    const { replica, leaders } = this.#options
    const { state } = replica
    const revision = state.revision + leaders.revision + this.#reachability
    if (this.#view?.state !== state || this.#view.revision !== revision) {
      this.#view = { state, revision, view: this.#newView(state, revision) }
    }
    return this.#view.view
  }

  /** Whether a shard can be reached from here now. */
  isReachable(brokerId: number): boolean {
    return brokerId === this.#options.brokerId || this.#options.peers.reachable.has(brokerId)
  }

  /** Name of a partition's Raft group. */
  groupOf(topic: TopicState, partition: number): string {
    return this.#options.groupName(topic, partition)
  }

  leadershipOf(topic: TopicState, partition: number): Leadership | undefined {
    return this.#options.leaders.leadershipOf(this.groupOf(topic, partition))
  }

  async createTopics(
    requests: readonly TopicRequest[],
    { validateOnly, timeoutMs }: { validateOnly: boolean; timeoutMs: number }
  ): Promise<readonly TopicResult[]> {
    const identified = requests.map(request => ({ ...request, topicId: this.#newTopicId() }))
    const startedMs = this.#options.clock.monotonic()
    try {
      const results = await this.#options.controller.ask(
        'createTopics',
        { requests: identified, validateOnly },
        timeoutMs
      )
      const leftMs = timeoutMs - (this.#options.clock.monotonic() - startedMs)
      if (!validateOnly) await this.#until(() => results.every(result => this.#isLed(result)), leftMs)
      return results
    } catch (error) {
      return requests.map(({ name }) => timedOut(name, error))
    }
  }

  async createPartitions(
    requests: readonly MorePartitionsRequest[],
    { validateOnly, timeoutMs }: { validateOnly: boolean; timeoutMs: number }
  ): Promise<readonly MorePartitionsResult[]> {
    const startedMs = this.#options.clock.monotonic()
    try {
      const results = await this.#options.controller.ask('createPartitions', { requests, validateOnly }, timeoutMs)
      const leftMs = timeoutMs - (this.#options.clock.monotonic() - startedMs)
      const grown = requests.filter((_, i) => results[i]?.kind === 'done')
      if (!validateOnly) await this.#until(() => grown.every(one => this.#hasGrown(one)), leftMs)
      return results
    } catch (error) {
      return requests.map(({ name }) => timedOut(name, error))
    }
  }

  async deleteTopics(
    topics: readonly ({ name: string } | { topicId: string })[],
    { timeoutMs }: { timeoutMs: number }
  ): Promise<readonly TopicResult[]> {
    const nameOf = (topic: { name: string } | { topicId: string }): string => ('name' in topic ? topic.name : '')
    if (!this.#options.settings['delete.topic.enable']) {
      const error = 'TOPIC_DELETION_DISABLED'
      return topics.map(topic => ({ kind: 'refused', name: nameOf(topic), error, message: null }))
    }
    try {
      return await this.#options.controller.ask('deleteTopics', { topics }, timeoutMs)
    } catch (error) {
      return topics.map(topic => timedOut(nameOf(topic), error))
    }
  }

  #newView(state: ClusterState, revision: number): ClusterView {
    const { clusterId, nodeId, settings, leaders, advertising, ports } = this.#options
    return new StateView({
      revision,
      clusterId,
      nodeId,
      byNode: settings.addressing === 'node',
      state,
      controllerId: leaders.leadershipOf(CONTROLLER_LOG_NAME)?.leader ?? -1,
      leadershipOf: (topic, partition) => this.leadershipOf(topic, partition),
      reachable: id => this.isReachable(id),
      advertising,
      ports
    })
  }

  /** Whether the leaders of a new topic are known here. */
  #isLed(result: TopicResult): boolean {
    if (result.kind !== 'done') return true
    // The controller may be ahead of this shard.
    const topic = this.#options.replica.state.topicsById.get(result.topicId)
    return topic !== undefined && topic.partitions.every((_, partition) => this.#hasLeader(topic, partition))
  }

  #hasGrown({ name, count }: MorePartitionsRequest): boolean {
    const topic = this.#options.replica.state.topics.get(name)
    // Gone again meanwhile, or never waited for.
    if (topic === undefined) return true
    if (topic.partitions.length < count) return false
    return topic.partitions.every((_, partition) => this.#hasLeader(topic, partition))
  }

  #hasLeader(topic: TopicState, partition: number): boolean {
    return (this.leadershipOf(topic, partition)?.leader ?? -1) >= 0
  }

  /** Waits until leaders are known here, so that who created topics or partitions can use them at once. */
  async #until(isReady: () => boolean, leftMs: number): Promise<void> {
    const { clock } = this.#options
    const endMs = clock.monotonic() + Math.min(leftMs, LEADERS_WAIT_MS_MAX)
    while (!isReady() && clock.monotonic() < endMs) {
      await new Promise<void>(resolve => void clock.after(LEADERS_POLL_MS, resolve))
    }
  }

  /** A random topic id in Kafka's text form; never one that starts with '-', which tools would take for an option. */
  #newTopicId(): string {
    for (;;) {
      const id = Buffer.from(this.#options.randomBytes(16)).toString('base64url')
      if (!id.startsWith('-')) return id
    }
  }
}

function timedOut(name: string, error: unknown): TopicResult & { readonly kind: 'refused' } {
  if (!(error instanceof ControllerUnavailableError)) throw error
  return { kind: 'refused', name, error: 'REQUEST_TIMED_OUT', message: 'The controller could not be reached in time.' }
}
