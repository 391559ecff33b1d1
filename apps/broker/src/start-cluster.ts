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
import { createServer } from 'node:net'
import { MemoryPeerNetwork } from '@milena/shard-scheduler'
import type { Logger } from 'pino'
import type { OperationName } from './cluster/operations.ts'
import type { NodeDescription } from './controller/cluster-state.ts'
import { newUuid, type Membership } from './data-folder.ts'
import { memoryStorage, startEmbeddedNode, type EmbeddedNode, type MemoryStorage } from './embedded-node.ts'
import { createLogger } from './logging.ts'
import { describeNode, planListeners } from './node-plan.ts'
import type { ShardStatus } from './shard.ts'
import type { BrokerSettings } from './settings/broker-settings.ts'
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
  readonly network: MemoryPeerNetwork
  stop(): Promise<void>
}

const RPC_PORT = 33_145
/** Attempts to find ports that follow each other. */
const PORT_ATTEMPTS_MAX = 50

/** What a node is while it is stopped. */
interface Plan {
  readonly settings: BrokerSettings
  readonly node: NodeDescription
  readonly storage: readonly MemoryStorage[]
}

/** Starts a cluster; resolves when every node serves clients. */
export async function startCluster(options: StartClusterOptions = {}): Promise<EmbeddedCluster> {
  const shardCount = options.shardCount ?? 1
  const network = new MemoryPeerNetwork()
  const plans: Plan[] = []
  for (let nodeId = 0; nodeId < (options.nodes ?? 3); nodeId++) plans.push(await planNode(options, nodeId, shardCount))
  const founders = plans.map(({ node }) => node)
  const membership: Omit<Membership, 'nodeId'> = { clusterId: newUuid(), founders, nodes: founders }
  const log = options.log ?? createLogger(plans[0]?.settings['log.level'] ?? 'warn', {})
  const running = new Map<number, EmbeddedNode>()

  const startNode = async (nodeId: number): Promise<void> => {
    const plan = plans[nodeId]
    if (plan === undefined || running.has(nodeId)) return
    const { settings, node, storage } = plan
    const started = await startEmbeddedNode({
      settings,
      identity: { ...membership, nodeId, instance: node.instance, shardCount },
      node,
      listeners: planListeners(settings, shardCount),
      storage,
      openPeers: (self, shard) => network.open({ self, listen: { host: node.rpc.host, port: node.rpc.port + shard } }),
      clock: systemClock,
      log: log.child({ node: nodeId })
    })
    running.set(nodeId, started)
  }
  const stopNode = async (nodeId: number): Promise<void> => {
    const node = running.get(nodeId)
    running.delete(nodeId)
    await node?.stop()
  }
  await Promise.all(plans.map((_, nodeId) => startNode(nodeId)))
  const addresses = plans.map((_, nodeId) => running.get(nodeId)?.addresses ?? [])
  return {
    bootstrapServers: addresses.flat().join(','),
    clusterId: membership.clusterId,
    addressesOf: nodeId => addresses[nodeId] ?? [],
    status: nodeId => running.get(nodeId)?.status() ?? [],
    operate: (nodeId, name, request) => {
      const node = running.get(nodeId)
      return node === undefined
        ? Promise.reject(new Error(`node ${nodeId} does not run`))
        : node.operations.run(name, request)
    },
    startNode,
    stopNode,
    network,
    stop: async () => {
      await Promise.all([...running.keys()].map(stopNode))
    }
  }
}

async function planNode(options: StartClusterOptions, nodeId: number, shardCount: number): Promise<Plan> {
  const port = await freePorts(shardCount)
  const settings = embeddedSettings({
    ...options.settings,
    'broker.rack': options.racks?.[nodeId] ?? '',
    listeners: `PLAINTEXT://127.0.0.1:${port}`
  })
  const listeners = planListeners(settings, shardCount)
  const candidate = describeNode(settings, { instance: newUuid(), shardCount }, listeners, {
    host: '127.0.0.1',
    port: RPC_PORT + nodeId * 1000
  })
  return { settings, node: { ...candidate, nodeId }, storage: memoryStorage(shardCount) }
}

/** The first of `count` ports in a row that are free now. */
async function freePorts(count: number): Promise<number> {
  for (let attempt = 0; attempt < PORT_ATTEMPTS_MAX; attempt++) {
    const first = await listenOnce(0)
    if (first === undefined || first + count > 65_535) continue
    const others = await Promise.all(Array.from({ length: count - 1 }, (_, i) => listenOnce(first + 1 + i)))
    if (others.every(port => port !== undefined)) return first
  }
  throw new Error(`found no ${count} free ports in a row`)
}

function listenOnce(port: number): Promise<number | undefined> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen({ host: '127.0.0.1', port }, () => {
      const address = server.address()
      const bound = typeof address === 'object' && address !== null ? address.port : undefined
      server.close(() => resolve(bound))
    })
  })
}
