/**
 * A cluster inside this process: several nodes that talk through a network in memory, each a broker (or several) on ports of its
 * own. For tests of applications that must survive the loss of a broker, and for tests of Milena itself.
 *
 *     const cluster = await startCluster({ nodes: 3 })
 *     // connect any Kafka client to cluster.bootstrapServers, create topics with three replicas
 *     await cluster.stopNode(1)
 *     await cluster.startNode(1)
 *     await cluster.stop()
 *
 * Nodes keep what they stored while they are stopped. `network` cuts, delays and loses what nodes tell each other.
 */
import { MemoryPeerNetwork } from '@milena/shard-scheduler'
import type { Logger } from 'pino'
import type { NodeCandidate } from './cluster/membership/discovery.ts'
import type { OperationName } from './cluster/operations.ts'
import type { NodeDescription } from './controller/metadata/cluster-state.ts'
import { freePorts } from './free-ports.ts'
import { createLogger } from './logging.ts'
import { claimNode } from './node/claim-node.ts'
import { newUuid, type Membership } from './node/data-folder.ts'
import { memoryStorage, startEmbeddedNode, type EmbeddedNode, type MemoryStorage } from './node/embedded-node.ts'
import { DEFAULT_RPC, describeNode, planListeners } from './node/node-plan.ts'
import type { BrokerSettings } from './settings/broker-settings.ts'
import type { ShardStatus } from './shard/contract.ts'
import { embeddedSettings, type StartBrokerOptions } from './start-broker.ts'
import { systemClock } from './system-clock.ts'

export interface StartClusterOptions {
  /** Nodes in the cluster. Default 3. */
  readonly nodes?: number
  /** Shards of each node. Default 1. */
  readonly shardCount?: number
  /** Settings of all nodes. `listeners` cannot be set: nodes take free ports on 127.0.0.1. */
  readonly settings?: StartBrokerOptions['settings']
  /** Rack of each node. Default none. */
  readonly racks?: readonly string[]
  readonly log?: Logger
}

export interface EmbeddedCluster {
  /** host:port of every shard of every node, comma separated. */
  readonly bootstrapServers: string
  readonly clusterId: string
  /** host:port of the shards of one node. */
  addressesOf(nodeId: number): readonly string[]
  /** Status of the shards of a node that runs. */
  status(nodeId: number): readonly ShardStatus[]
  /** What operators ask of the cluster, put to one node that runs. */
  operate(nodeId: number, name: OperationName, request: object): Promise<object>
  /** Stops a node in good order, as SIGTERM does. */
  stopNode(nodeId: number): Promise<void>
  /** Starts a node that was stopped, with all that it stored. */
  startNode(nodeId: number): Promise<void>
  /** A new node with an empty disk joins; resolves with the number that the cluster gives it. */
  addNode(): Promise<number>
  readonly network: MemoryPeerNetwork
  /** What the shards of a node keep, to be damaged while the node is stopped. Belongs to the cluster. */
  storageOf(nodeId: number): readonly MemoryStorage[]
  stop(): Promise<void>
}

/** Between the addresses of nodes in the network in memory. */
const RPC_PORT_STEP = 100
/** A number that no shard has, for a node that has none yet. */
const NOBODY = 2 ** 31 - 1

/** What a node is while it is stopped. */
interface Plan {
  readonly settings: BrokerSettings
  readonly node: NodeDescription
  readonly membership: Membership
  readonly storage: readonly MemoryStorage[]
}

/** Starts a cluster; resolves when every node serves clients. */
export async function startCluster(options: StartClusterOptions = {}): Promise<EmbeddedCluster> {
  const cluster = new MemoryCluster(options)
  await cluster.form(options.nodes ?? 3)
  return cluster
}

class MemoryCluster implements EmbeddedCluster {
  readonly network = new MemoryPeerNetwork()
  readonly #options: StartClusterOptions
  readonly #shardCount: number
  readonly #plans = new Map<number, Plan>()
  readonly #running = new Map<number, EmbeddedNode>()
  #log: Logger | undefined
  /** Nodes so far, for addresses of their own. */
  #count = 0

  constructor(options: StartClusterOptions) {
    this.#options = options
    this.#shardCount = options.shardCount ?? 1
    this.#log = options.log
  }

  get bootstrapServers(): string {
    return [...this.#plans.values()].flatMap(({ node }) => addressesOf(node)).join(',')
  }

  get clusterId(): string {
    return this.#plans.values().next().value?.membership.clusterId ?? ''
  }

  addressesOf(nodeId: number): readonly string[] {
    const plan = this.#plans.get(nodeId)
    return plan === undefined ? [] : addressesOf(plan.node)
  }

  storageOf(nodeId: number): readonly MemoryStorage[] {
    return this.#plans.get(nodeId)?.storage ?? []
  }

  status(nodeId: number): readonly ShardStatus[] {
    return this.#running.get(nodeId)?.status() ?? []
  }

  operate(nodeId: number, name: OperationName, request: object): Promise<object> {
    const node = this.#running.get(nodeId)
    if (node === undefined) return Promise.reject(new Error(`node ${nodeId} does not run`))
    return node.operations.run(name, request)
  }

  /** The nodes of a new cluster, all at once. */
  async form(count: number): Promise<void> {
    const parts: { settings: BrokerSettings; node: NodeDescription }[] = []
    for (let nodeId = 0; nodeId < count; nodeId++) {
      const { settings, candidate } = await this.#newNode()
      parts.push({ settings, node: { ...candidate, nodeId } })
    }
    const founders = parts.map(({ node }) => node)
    const common = { clusterId: newUuid(), founders, nodes: founders }
    for (const { settings, node } of parts) {
      const membership = { ...common, nodeId: node.nodeId }
      this.#plans.set(node.nodeId, { settings, node, membership, storage: memoryStorage(this.#shardCount) })
    }
    await Promise.all(founders.map(({ nodeId }) => this.startNode(nodeId)))
  }

  async addNode(): Promise<number> {
    const { settings, candidate } = await this.#newNode()
    const identity = await claimNode({
      folder: { instance: candidate.instance, shardCount: this.#shardCount, membership: undefined },
      node: candidate,
      nodeId: undefined,
      rpc: {
        listen: candidate.rpc,
        advertised: candidate.rpc,
        seeds: [...this.#plans.values()].map(({ node }) => node.rpc)
      },
      openPeers: listen => Promise.resolve(this.network.open({ self: NOBODY, listen })),
      save: () => undefined,
      newClusterId: newUuid,
      clock: systemClock,
      log: this.#logger(settings)
    })
    const node = { ...candidate, nodeId: identity.nodeId }
    this.#plans.set(node.nodeId, { settings, node, membership: identity, storage: memoryStorage(this.#shardCount) })
    await this.startNode(node.nodeId)
    return node.nodeId
  }

  async startNode(nodeId: number): Promise<void> {
    const plan = this.#plans.get(nodeId)
    if (plan === undefined || this.#running.has(nodeId)) return
    const { settings, node, storage, membership } = plan
    const started = await startEmbeddedNode({
      settings,
      identity: { ...membership, instance: node.instance, shardCount: this.#shardCount },
      node,
      listeners: planListeners(settings, this.#shardCount),
      storage,
      openPeers: (self, shard) =>
        this.network.open({ self, listen: { host: node.rpc.host, port: node.rpc.port + shard } }),
      clock: systemClock,
      log: this.#logger(settings).child({ node: nodeId })
    })
    this.#running.set(nodeId, started)
  }

  async stopNode(nodeId: number): Promise<void> {
    const node = this.#running.get(nodeId)
    this.#running.delete(nodeId)
    await node?.stop()
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#running.keys()].map(nodeId => this.stopNode(nodeId)))
  }

  async #newNode(): Promise<{ settings: BrokerSettings; candidate: NodeCandidate }> {
    const place = this.#count++
    const settings = embeddedSettings({
      ...this.#options.settings,
      'broker.rack': this.#options.racks?.[place] ?? '',
      listeners: `PLAINTEXT://127.0.0.1:${await freePorts(this.#shardCount)}`
    })
    const rpc = { host: '127.0.0.1', port: DEFAULT_RPC.port + place * RPC_PORT_STEP }
    const identity = { instance: newUuid(), shardCount: this.#shardCount }
    return { settings, candidate: describeNode(settings, identity, planListeners(settings, this.#shardCount), rpc) }
  }

  #logger(settings: BrokerSettings): Logger {
    return (this.#log ??= createLogger(settings['log.level'], {}))
  }
}

/** host:port of every shard. */
function addressesOf({ listeners, shardCount }: NodeDescription): string[] {
  const [first] = listeners
  if (first === undefined) return []
  return Array.from(
    { length: shardCount },
    (_, shard) => `${first.host}:${first.port + (first.portPerShard ? shard : 0)}`
  )
}
