/**
 * The gateway's view of the cluster, from this shard's copy of the metadata; changes go to the controller over the mesh.
 *
 * Addressing decides what clients see. Shard addressing: every shard is a broker with its own id and port. Node addressing:
 * the node is one broker (its id is that of shard 0) that leads everything.
 */
import type { BrokerView, ClusterPort, ClusterView, Dial, TopicRequest, TopicResult, TopicView } from '@milena/gateway'
import type { Mesh } from '@milena/shard-scheduler'
import { brokerIdOf, nodeOf, shardOf, type ClusterState, type TopicState } from '../controller/cluster-state.ts'
import { controllerServices, decodeMessage, encodeMessage } from '../controller/messages.ts'
import type { MetadataReplica } from '../controller/metadata-replica.ts'
import type { BrokerSettings } from '../settings/broker-settings.ts'
import { advertisedAddress, type Advertising } from './addresses.ts'

const CONTROLLER_SHARD = 0

export interface ShardClusterOptions {
  readonly clusterId: string
  readonly settings: BrokerSettings
  readonly replica: MetadataReplica
  readonly mesh: Mesh
  readonly advertising: Advertising
  /** Port of each shard on a listener, by listener name. */
  readonly ports: (listener: string) => readonly number[]
}

export class ShardCluster implements ClusterPort {
  readonly #options: ShardClusterOptions
  #view: { state: ClusterState; view: ClusterView } | undefined

  constructor(options: ShardClusterOptions) {
    this.#options = options
  }

  get autoCreateTopics(): boolean {
    return this.#options.settings['auto.create.topics.enable']
  }

  view(): ClusterView {
    const { state } = this.#options.replica
    if (this.#view?.state !== state) this.#view = { state, view: new StateView(state, this.#options) }
    return this.#view.view
  }

  async createTopics(
    requests: readonly TopicRequest[],
    options: { validateOnly: boolean; timeoutMs: number }
  ): Promise<readonly TopicResult[]> {
    const { validateOnly } = options
    return this.#ask(controllerServices.createTopics, { requests, validateOnly }, options.timeoutMs)
  }

  async deleteTopics(
    topics: readonly ({ name: string } | { topicId: string })[],
    options: { timeoutMs: number }
  ): Promise<readonly TopicResult[]> {
    if (!this.#options.settings['delete.topic.enable']) {
      return topics.map(topic => ({
        kind: 'refused',
        name: 'name' in topic ? topic.name : '',
        error: 'TOPIC_DELETION_DISABLED',
        message: null
      }))
    }
    return this.#ask(controllerServices.deleteTopics, { topics }, options.timeoutMs)
  }

  async #ask<T>(service: string, message: object, timeoutMs: number): Promise<T> {
    const deadlineMs = Math.max(1, Math.min(timeoutMs, MESH_DEADLINE_MS_MAX))
    return decodeMessage<T>(
      await this.#options.mesh.submitTo(CONTROLLER_SHARD, service, encodeMessage(message), { deadlineMs })
    )
  }
}

/** Longest that a client may make a shard wait for the controller. */
const MESH_DEADLINE_MS_MAX = 120_000

class StateView implements ClusterView {
  readonly revision: number
  readonly clusterId: string
  readonly controllerId: number
  readonly #state: ClusterState
  readonly #options: ShardClusterOptions
  readonly #byNode: boolean
  readonly #topics = new Map<string, TopicView>()

  constructor(state: ClusterState, options: ShardClusterOptions) {
    this.#state = state
    this.#options = options
    this.#byNode = options.settings.addressing === 'node'
    this.revision = state.revision
    this.clusterId = options.clusterId
    this.controllerId = brokerIdOf(options.settings['node.id'], CONTROLLER_SHARD)
  }

  topicByName(name: string): TopicView | undefined {
    return this.#show(this.#state.topics.get(name))
  }

  topicById(topicId: string): TopicView | undefined {
    return this.#show(this.#state.topicsById.get(topicId))
  }

  *topics(): Iterable<TopicView> {
    for (const topic of this.#state.topics.values()) {
      const view = this.#show(topic)
      if (view !== undefined) yield view
    }
  }

  brokers(dial: Dial): readonly BrokerView[] {
    const rack = this.#options.settings['broker.rack'] || null
    const ports = this.#options.ports(dial.listener)
    const base = ports[CONTROLLER_SHARD] ?? dial.localPort
    const address = advertisedAddress(this.#options.advertising, dial, base)
    const nodeId = this.#options.settings['node.id']
    const shards = this.#byNode ? [base] : ports
    return shards.map((port, shard) => ({
      id: brokerIdOf(nodeId, shard),
      host: address.host,
      port: address.port + (port - base),
      rack,
      fenced: false
    }))
  }

  #show(topic: TopicState | undefined): TopicView | undefined {
    if (topic === undefined) return undefined
    let view = this.#topics.get(topic.topicId)
    if (view === undefined) {
      view = {
        name: topic.name,
        topicId: topic.topicId,
        internal: false,
        partitions: topic.partitions.map((placement, partition) => ({
          partition,
          leader: this.#brokerId(placement.replicas[0] ?? -1),
          leaderEpoch: 0,
          replicas: placement.replicas.map(id => this.#brokerId(id)),
          inSyncReplicas: placement.replicas.map(id => this.#brokerId(id)),
          offlineReplicas: []
        }))
      }
      this.#topics.set(topic.topicId, view)
    }
    return view
  }

  /** The id that clients know a broker by. */
  #brokerId(brokerId: number): number {
    return this.#byNode ? brokerIdOf(nodeOf(brokerId), CONTROLLER_SHARD) : brokerId
  }
}

export { shardOf }
