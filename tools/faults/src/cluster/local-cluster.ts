/**
 * A cluster of real nodes on this machine: on the loopback address, or each in a network namespace of its own (network.ts) when
 * links are to be cut.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts, runProgram } from '@milena/bench'
import { Ledger } from '../ledger.ts'
import type { ScenarioContext } from '../scenario.ts'
import { ClusterNode, type ClusterView } from './node.ts'
import type { NodeNetwork } from './network.ts'

export interface LocalClusterOptions {
  readonly nodes?: number
  /** Namespaces of the nodes; absent: all on 127.0.0.1. */
  readonly network?: NodeNetwork
  /** Folder of a node's data. Default: one inside the scenario's folder. */
  readonly dataDir?: (node: number) => string
}

/** Partitions of the ledger's topic: more than there are shards, so that every shard leads some. */
const PARTITIONS = 12
const REPLICAS = 3
const RECORDS_PER_SECOND = 2000
/** Partitions must have leaders this long after a fault at the latest. */
const LEADERS_WITHIN_MS = 10_000
/** Replicas must have caught up this long after a fault at the latest. */
const IN_SYNC_WITHIN_MS = 20_000

const knowsLeaders = ({ health }: ClusterView): boolean => health.partitions > 0 && health.leaderlessCount === 0

export class LocalCluster {
  readonly nodes: readonly ClusterNode[]
  readonly #context: ScenarioContext

  private constructor(context: ScenarioContext, nodes: readonly ClusterNode[]) {
    this.#context = context
    this.nodes = nodes
  }

  /** Starts all nodes at once and resolves when they serve. */
  static async start(context: ScenarioContext, options: LocalClusterOptions = {}): Promise<LocalCluster> {
    const { nodes: count = 3, network } = options
    const { shardCount, dir } = context
    const perNode = 2 * shardCount + 1
    const first = await freePorts(network === undefined ? perNode * count : perNode)
    const portsOf = (node: number): number => first + (network === undefined ? node * perNode : 0)
    const hostOf = (node: number): string => network?.address(node) ?? '127.0.0.1'
    const all = Array.from({ length: count }, (_, node) => node)
    const seeds = all.map(node => `${hostOf(node)}:${portsOf(node) + shardCount}`).join(',')
    mkdirSync(dir, { recursive: true })
    const nodes = all.map(
      node =>
        new ClusterNode({
          node,
          dir,
          shardCount,
          seeds,
          dataDir: options.dataDir?.(node) ?? join(dir, `data-${node}`),
          host: hostOf(node),
          kafkaPort: portsOf(node),
          rpcPort: portsOf(node) + shardCount,
          adminPort: portsOf(node) + 2 * shardCount,
          under: network?.under(node) ?? [],
          settings: {}
        })
    )
    const cluster = new LocalCluster(context, nodes)
    try {
      await cluster.startAll()
      return cluster
    } catch (error) {
      await cluster.close()
      throw error
    }
  }

  get bootstrap(): string {
    return this.nodes.map(node => node.bootstrap).join(',')
  }

  node(index: number): ClusterNode {
    const node = this.nodes[index]
    if (node === undefined) throw new Error(`there is no node ${index}`)
    return node
  }

  /** Starts the nodes that are down and resolves when they serve. */
  async startAll(): Promise<void> {
    const down = this.nodes.filter(node => !node.running)
    for (const node of down) node.spawn()
    await Promise.all(down.map(node => node.awaitReady()))
  }

  async killAll(): Promise<void> {
    await Promise.all(this.nodes.map(node => node.kill()))
  }

  /**
   * A ledger over a topic of three replicas. min.insync.replicas stays 1: what is acknowledged is on a majority's disks whatever
   * is asked for, and asking for 2 would hide a leader that commits alone.
   */
  async openLedger(): Promise<Ledger> {
    const { kload, random } = this.#context
    return Ledger.open({
      kload,
      bootstrap: this.bootstrap,
      topic: 'ledger',
      partitions: PARTITIONS,
      writers: 4,
      rate: RECORDS_PER_SECOND,
      seed: random.between(1, 2 ** 31),
      replicas: REPLICAS,
      configs: ['min.insync.replicas=1']
    })
  }

  /**
   * Demands that every partition of the ledger has a leader that answers, and that each of `nodes` knows a leader of each
   * partition, within ten seconds. Resolves with the time that it took, ms.
   */
  async awaitLeaders(nodes: readonly ClusterNode[] = this.nodes): Promise<number> {
    const from = performance.now()
    const bootstrap = nodes.map(node => node.bootstrap).join(',')
    const args = ['ready', '-b', bootstrap, '-t', 'ledger', '-within', `${LEADERS_WITHIN_MS}ms`]
    const client = runProgram(this.#context.kload, args, { timeoutMs: 2 * LEADERS_WITHIN_MS })
    const views = Promise.all(nodes.map(node => this.#until(node, from, LEADERS_WITHIN_MS, knowsLeaders)))
    const [{ code, stderr }] = await Promise.all([client, views])
    if (code !== 0)
      throw new Error(`not all partitions have leaders ${LEADERS_WITHIN_MS} ms after the fault: ${stderr.trim()}`)
    return performance.now() - from
  }

  /** Waits until leaders are elsewhere than on a node, as another one sees it. Resolves with the time, ms. */
  async awaitLeadersElsewhere(
    victim: ClusterNode,
    observer: ClusterNode,
    withinMs = LEADERS_WITHIN_MS
  ): Promise<number> {
    const from = performance.now()
    await this.#until(observer, from, withinMs, view => {
      const shards = view.nodes.find(({ nodeId }) => nodeId === victim.options.node)?.shards ?? []
      return knowsLeaders(view) && shards.every(({ leads }) => leads === 0)
    })
    return performance.now() - from
  }

  /** Waits until every node sees all partitions led and all replicas in sync. Resolves with the time, ms. */
  async awaitHealth(): Promise<number> {
    const from = performance.now()
    const isHealthy = (view: ClusterView): boolean => knowsLeaders(view) && view.health.underReplicatedCount === 0
    await Promise.all(this.nodes.map(node => this.#until(node, from, IN_SYNC_WITHIN_MS, isHealthy)))
    return performance.now() - from
  }

  async #until(
    node: ClusterNode,
    from: number,
    withinMs: number,
    holds: (view: ClusterView) => boolean
  ): Promise<void> {
    for (let last: ClusterView | undefined; ; await sleep(10)) {
      const view = await node.view()
      last = view ?? last
      if (view !== undefined && holds(view)) return
      if (performance.now() - from < withinMs) continue
      throw new Error(
        `after ${withinMs} ms ${node.name} still says: ${JSON.stringify((view ?? last)?.health ?? 'nothing')}`
      )
    }
  }

  /** What each node says about the cluster, for a failure's report. */
  async describe(): Promise<string> {
    const views = await Promise.all(this.nodes.map(node => node.view()))
    return this.nodes.map((node, index) => `${node.name}: ${JSON.stringify(views[index] ?? 'no answer')}`).join('\n')
  }

  /** Ends all nodes at once. */
  async close(): Promise<void> {
    for (const node of this.nodes) node.resume()
    await this.killAll()
  }

  /** The ends of all logs, for a failure's report. */
  logEnds(): string {
    return this.nodes.map(node => `${node.name}:\n${node.logEnd()}`).join('\n')
  }
}
