/**
 * Nodes that come and go while the cluster runs: new ones join, others are decommissioned, some are asked to stay after all, some
 * are replaced. A node that the cluster says has left is switched off and its disks are thrown away, often in the same moment:
 * whoever is told that a node has left may do so.
 */
import type { Random } from '../world/random.ts'
import type { FaultKind } from '../world/swarm.ts'
import type { World } from '../world/world.ts'
import type { Admin } from './admin.ts'
import { ClusterNode } from './cluster-node.ts'
import { RPC_PORT, type ClusterSite } from './cluster-site.ts'
import type { ClusterHistory } from './history.ts'
import type { ShardProcess } from './shard-process.ts'

/** Nodes at a time, those that leave included. */
const NODES_MAX = 5
/** Members that stay: as many as a partition has replicas. */
const STAYING_MIN = 3
/** Attempts to have a node decommissioned, and the time between two, ms. */
const ATTEMPTS_MAX = 20
const RETRY_MS = 500
/** A question to be let in, repeated, may be answered so late: until then a node that has left could become a member again. */
const JOINING_MS = 12_000

export interface FleetOptions {
  readonly site: ClusterSite
  /** The nodes that there are; the fleet adds and removes. */
  readonly nodes: ClusterNode[]
  readonly admin: Admin
  readonly history: ClusterHistory
}

export class Fleet {
  readonly #options: FleetOptions
  readonly #world: World
  readonly #nodes: ClusterNode[]
  readonly #random: Random
  /** Asked to leave, not known to stay. */
  readonly #leaving = new Set<ClusterNode>()
  /** Of them, those whose decommission was confirmed. */
  readonly #confirmed = new Set<ClusterNode>()
  /** Have left, and are switched off in a moment. */
  readonly #removedOnes = new Set<ClusterNode>()
  /** Members, as of the newest metadata that any shard had. */
  #members: ReadonlySet<number> = new Set()
  #revision = -1
  /** When nodes became members, ms. */
  readonly #since = new Map<ClusterNode, number>()
  #lastNumber: number
  #healed = false

  constructor(options: FleetOptions) {
    this.#options = options
    this.#world = options.site.world
    this.#nodes = options.nodes
    this.#random = this.#world.random.of('fleet')
    this.#lastNumber = options.nodes.length
  }

  get kinds(): readonly FaultKind[] {
    return [
      { name: 'node joins', intervalMs: [4000, 40_000], strike: () => this.#join() !== undefined },
      { name: 'node decommissioned', intervalMs: [3000, 30_000], strike: () => this.#decommission() },
      { name: 'node replaced', intervalMs: [5000, 50_000], strike: () => this.#replace() },
      { name: 'node recommissioned', intervalMs: [1000, 20_000], strike: () => this.#recommission() }
    ]
  }

  /** Nobody is asked to leave any more; who was asked must be able to. */
  heal(): void {
    this.#healed = true
  }

  /** The node is a member. */
  claimed(node: ClusterNode): void {
    this.#since.set(node, this.#world.nowMs)
  }

  /** Told to leave, confirmed, or even removed, and still there. */
  get overdue(): ClusterNode | undefined {
    const [first] = [...this.#confirmed, ...this.#removedOnes]
    return first
  }

  /** A shard, looked at every few milliseconds: the newest metadata says who has left. */
  observed(process: ShardProcess): void {
    const { revision, nodes } = process.open.metadata
    if (revision <= this.#revision) return
    this.#revision = revision
    const before = this.#members
    this.#members = new Set(nodes.keys())
    for (const nodeId of before) if (!nodes.has(nodeId)) this.#removed(nodeId, process)
  }

  /** A node that starts was told that it is no member. */
  dismissed(node: ClusterNode, error: unknown): void {
    if (!node.mayLeave) this.#options.site.failed(error)
    else this.#scrap(node)
  }

  #removed(nodeId: number, by: ShardProcess): void {
    const node = this.#nodes.find(other => other.nodeId === nodeId)
    if (node === undefined) return
    this.#options.history.removed(node, by)
    this.#removedOnes.add(node)
    this.#world.schedule(this.#random.pick([0, 0, this.#random.exponential(1000)]), () => this.#scrap(node))
  }

  #scrap(node: ClusterNode): void {
    const place = this.#nodes.indexOf(node)
    if (place < 0) return
    this.#trace(node, 'is switched off for good')
    this.#nodes.splice(place, 1)
    this.#leaving.delete(node)
    this.#confirmed.delete(node)
    this.#removedOnes.delete(node)
    node.scrap()
  }

  #join(): ClusterNode | undefined {
    if (this.#nodes.length >= NODES_MAX) return undefined
    const { site } = this.#options
    const seeds = (): { host: string; port: number }[] =>
      this.#nodes
        .filter(({ nodeId, mayLeave }) => nodeId !== undefined && !mayLeave)
        .map(({ name }) => ({ host: name, port: RPC_PORT }))
    const node = new ClusterNode(site, ++this.#lastNumber, this.#random.pick([1, 2]), seeds)
    this.#nodes.push(node)
    this.#trace(node, 'joins')
    node.start()
    return node
  }

  #decommission(): boolean {
    const staying = this.#staying
    const { nowMs } = this.#world
    const mayGo = staying.filter(node => nowMs - (this.#since.get(node) ?? nowMs) >= JOINING_MS)
    if (staying.length <= STAYING_MIN || mayGo.length === 0) return false
    void this.#seeOff(this.#random.pick(mayGo))
    return true
  }

  /** A new node comes; once it is a member another one leaves. */
  #replace(): boolean {
    const node = this.#join()
    if (node === undefined) return false
    const look = (): void => {
      if (this.#healed || node.isGone) return
      if (node.nodeId === undefined || !this.#decommission()) this.#world.schedule(RETRY_MS, look)
    }
    look()
    return true
  }

  #recommission(): boolean {
    const [node] = this.#random.shuffled([...this.#confirmed])
    if (node === undefined) return false
    this.#confirmed.delete(node)
    void this.#options.admin.ask('recommission', { nodeId: node.nodeId }).then(({ kind }) => {
      if (kind === 'done') this.#leaving.delete(node)
    })
    return true
  }

  /** Members that nobody asked to leave. */
  get #staying(): readonly ClusterNode[] {
    return this.#nodes.filter(node => node.nodeId !== undefined && !this.#leaving.has(node))
  }

  async #seeOff(node: ClusterNode): Promise<void> {
    const { admin } = this.#options
    this.#leaving.add(node)
    node.mayLeave = true
    this.#trace(node, 'is to leave')
    for (let attempt = 0; attempt < ATTEMPTS_MAX && !this.#healed; attempt++) {
      const { kind } = await admin.ask('decommission', { nodeId: node.nodeId, dryRun: false })
      // The answer may come when it has left already.
      if (kind === 'done') return void (this.#nodes.includes(node) && this.#confirmed.add(node))
      await admin.sleep(RETRY_MS)
    }
  }

  #trace(node: ClusterNode, what: string): void {
    const { trace } = this.#world
    trace.note(what, node.number)
    if (trace.printing) trace.line('fleet', what, `${node.name} node ${node.nodeId ?? 'without a number'}`)
  }
}
