/**
 * Three nodes of one system as a peer: everything that is done to a broker is done to all of its nodes at once. Clients start from
 * all of them.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { installKafka, KafkaPeer } from './kafka-peer.ts'
import { MilenaPeer } from './milena-peer.ts'
import { freePorts, type Peer } from './peer.ts'

/** Heap of a Kafka node, MiB: what Kafka's own start script gives it. */
const KAFKA_HEAP_MIB = 1024
/** Of every internal topic of Kafka that needs replicas, as `config/server.properties` has it for a cluster. */
const KAFKA_REPLICAS = 3

class ClusterPeer implements Peer {
  readonly name: Peer['name']
  readonly #nodes: readonly Peer[]
  readonly #dir: string
  #startMs = 0

  constructor(name: Peer['name'], dir: string, nodes: readonly Peer[]) {
    this.name = name
    this.#dir = dir
    this.#nodes = nodes
  }

  get #first(): Peer {
    const node = this.#nodes[0]
    if (node === undefined) throw new Error('a cluster has nodes')
    return node
  }

  get bootstrap(): string {
    return this.#nodes.map(node => node.bootstrap).join(',')
  }

  get port(): number {
    return this.#first.port
  }

  get dataDir(): string {
    return this.#first.dataDir
  }

  get logFile(): string {
    return this.#first.logFile
  }

  get startMs(): number {
    return this.#startMs
  }

  get rootPid(): number {
    return this.#first.rootPid
  }

  get rootPids(): readonly number[] {
    return this.#nodes.flatMap(node => node.rootPids)
  }

  async start(): Promise<void> {
    const from = performance.now()
    const started = await Promise.allSettled(this.#nodes.map(node => node.start()))
    for (const outcome of started) {
      if (outcome.status === 'fulfilled') continue
      await this.kill()
      throw outcome.reason
    }
    this.#startMs = performance.now() - from
  }

  async stop(): Promise<void> {
    await Promise.all(this.#nodes.map(node => node.stop()))
  }

  async kill(): Promise<void> {
    await Promise.all(this.#nodes.map(node => node.kill()))
  }

  async remove(): Promise<void> {
    await Promise.all(this.#nodes.map(node => node.remove()))
    rmSync(this.#dir, { recursive: true, force: true })
  }
}

/** Starts a cluster of Milena on free ports; every node is ready. */
export async function startMilenaCluster(dir: string, nodeCount: number, shardCount: number): Promise<Peer> {
  const portsPerNode = 2 * shardCount + 1
  const first = await freePorts(portsPerNode * nodeCount)
  const portOf = (node: number): number => first + node * portsPerNode
  const rpcPortOf = (node: number): number => portOf(node) + shardCount + 1
  const seeds = Array.from({ length: nodeCount }, (_, node) => `127.0.0.1:${rpcPortOf(node)}`)
  const nodes = seeds.map((_, node) => {
    const cluster = { rpcPort: rpcPortOf(node), seeds }
    return new MilenaPeer({ dir: join(dir, `node-${node}`), shardCount, cluster }, portOf(node))
  })
  return startAll(new ClusterPeer('milena', dir, nodes))
}

/** Starts a cluster of Kafka, every node broker and controller, on free ports; every node answers. */
export async function startKafkaCluster(dir: string, nodeCount: number): Promise<Peer> {
  installKafka()
  const first = await freePorts(2 * nodeCount)
  const ids = Array.from({ length: nodeCount }, (_, node) => node + 1)
  const voters = ids.map((id, node) => `${id}@127.0.0.1:${first + 2 * node + 1}`).join(',')
  const nodes = ids.map((id, node) => {
    const settings = {
      'node.id': `${id}`,
      'controller.quorum.voters': voters,
      'offsets.topic.replication.factor': `${KAFKA_REPLICAS}`,
      'transaction.state.log.replication.factor': `${KAFKA_REPLICAS}`,
      'transaction.state.log.min.isr': '2',
      'share.coordinator.state.topic.replication.factor': `${KAFKA_REPLICAS}`,
      'share.coordinator.state.topic.min.isr': '2'
    }
    return new KafkaPeer({ dir: join(dir, `node-${id}`), settings, heapMib: KAFKA_HEAP_MIB }, first + 2 * node)
  })
  return startAll(new ClusterPeer('kafka', dir, nodes))
}

async function startAll(cluster: ClusterPeer): Promise<Peer> {
  await cluster.start()
  return cluster
}
