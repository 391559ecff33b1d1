/**
 * The cluster as the gateway shows it to clients: metadata, who leads, who can be reached, and the addresses at which this
 * client should find each broker. Immutable; a new one whenever any of these moves.
 *
 * Addressing decides what clients see. Shard addressing: every shard is a broker with its own id and port. Node addressing: a
 * node is one broker (its id is that of shard 0) that leads all that its shards lead.
 */
import type { BrokerView, ClusterView, Dial, PartitionView, TopicView } from '@milena/gateway'
import {
  brokerIdOf,
  brokersOf,
  preferredLeader,
  replicaHosts,
  shardOf,
  shownBrokerId,
  shownBrokerIds,
  type ClusterState,
  type NodeState,
  type TopicState
} from '../../controller/metadata/cluster-state.ts'
import type { Leadership } from '../leadership/leader-table.ts'
import { advertisedAddress, comesThrough, type Advertising } from './addresses.ts'

/** What a view is made of. */
export interface ViewSource {
  readonly revision: number
  readonly clusterId: string
  readonly nodeId: number
  /** Every node is one broker to clients. */
  readonly byNode: boolean
  readonly state: ClusterState
  /** Broker that leads the controller, -1 when unknown. */
  readonly controllerId: number
  readonly leadershipOf: (topic: TopicState, partition: number) => Leadership | undefined
  /** Shards that can be reached from here now, this one included. */
  readonly reachable: (brokerId: number) => boolean
  readonly advertising: Advertising
  /** Ports of this node's shards on a listener. */
  readonly ports: (listener: string) => readonly number[]
}

/** Names of topics that belong to the broker itself. */
const INTERNAL_TOPICS: ReadonlySet<string> = new Set([
  '__consumer_offsets',
  '__transaction_state',
  '__share_group_state'
])

export class StateView implements ClusterView {
  readonly revision: number
  readonly clusterId: string
  readonly controllerId: number
  readonly #source: ViewSource
  readonly #topics = new Map<string, TopicView>()

  constructor(source: ViewSource) {
    this.#source = source
    this.revision = source.revision
    this.clusterId = source.clusterId
    this.controllerId = source.controllerId < 0 ? -1 : this.#shown(source.controllerId)
  }

  topicByName(name: string): TopicView | undefined {
    return this.#show(this.#source.state.topics.get(name))
  }

  topicById(topicId: string): TopicView | undefined {
    return this.#show(this.#source.state.topicsById.get(topicId))
  }

  *topics(): Iterable<TopicView> {
    for (const topic of this.#source.state.topics.values()) {
      const view = this.#show(topic)
      if (view !== undefined) yield view
    }
  }

  brokers(dial: Dial): readonly BrokerView[] {
    const { state, nodeId } = this.#source
    const nodes = [...state.nodes.values()].sort((a, b) => a.nodeId - b.nodeId)
    return nodes.flatMap(node => (node.nodeId === nodeId ? this.#ownBrokers(node, dial) : this.#others(node, dial)))
  }

  #ownBrokers(node: NodeState, dial: Dial): BrokerView[] {
    const ports = this.#source.ports(dial.listener)
    const base = ports[0] ?? dial.localPort
    const address = advertisedAddress(this.#source.advertising, dial, base)
    const shards = this.#source.byNode ? [base] : ports
    return shards.map((port, shard) => this.#broker(node, shard, address.host, address.port + (port - base)))
  }

  #others(node: NodeState, dial: Dial): BrokerView[] {
    const listener = node.listeners.find(({ name }) => name === dial.listener)
    if (listener === undefined) return []
    const { advertised, gateway } = this.#source.advertising
    // A client behind the gateway reaches published ports only, those of the other nodes, too.
    const behind = !advertised.has(dial.listener) && comesThrough(gateway, dial)
    const host = behind ? gateway.host : listener.host
    const shards = this.#source.byNode ? [0] : brokersOf(node).map(shardOf)
    return shards.map(shard => this.#broker(node, shard, host, listener.port + (listener.portPerShard ? shard : 0)))
  }

  #broker(node: NodeState, shard: number, host: string, port: number): BrokerView {
    const id = brokerIdOf(node.nodeId, shard)
    return { id, host, port, rack: node.rack === '' ? null : node.rack, fenced: !this.#source.reachable(id) }
  }

  #show(topic: TopicState | undefined): TopicView | undefined {
    if (topic === undefined) return undefined
    let view = this.#topics.get(topic.topicId)
    if (view === undefined) {
      const partitions = topic.partitions.map((_, partition) => this.#showPartition(topic, partition))
      view = { name: topic.name, topicId: topic.topicId, internal: INTERNAL_TOPICS.has(topic.name), partitions }
      this.#topics.set(topic.topicId, view)
    }
    return view
  }

  #showPartition(topic: TopicState, partition: number): PartitionView {
    const placement = topic.partitions[partition]
    const hosts = placement === undefined ? [] : replicaHosts(placement)
    const preferred = placement === undefined ? -1 : preferredLeader(placement)
    const replicas = [...hosts.filter(id => id === preferred), ...hosts.filter(id => id !== preferred)]
    const leadership = this.#source.leadershipOf(topic, partition)
    const inSync = leadership?.inSync.filter(id => hosts.includes(id)) ?? []
    return {
      partition,
      leader: leadership === undefined || leadership.leader < 0 ? -1 : this.#shown(leadership.leader),
      leaderEpoch: leadership?.term ?? -1,
      replicas: this.#distinct(replicas),
      inSyncReplicas: this.#distinct(inSync),
      offlineReplicas: this.#distinct(replicas.filter(id => !this.#source.reachable(id)))
    }
  }

  /** The id that clients know a broker by. */
  #shown(brokerId: number): number {
    return shownBrokerId(brokerId, this.#source.byNode)
  }

  #distinct(brokerIds: readonly number[]): readonly number[] {
    return shownBrokerIds(brokerIds, this.#source.byNode)
  }
}
