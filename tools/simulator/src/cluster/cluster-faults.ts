/** Faults that only a whole cluster has: of one shard of a node, of the links between them, of what clients reach, of operators. */
import type { Random } from '../world/random.ts'
import type { FaultKind } from '../world/swarm.ts'
import type { World } from '../world/world.ts'
import type { ClientNetwork } from './client-network.ts'
import type { ClusterNode } from './cluster-node.ts'

const DRAIN_MS = 2000

export class ClusterFaults {
  readonly #world: World
  readonly #nodes: readonly ClusterNode[]
  readonly #clients: ClientNetwork
  readonly #random: Random

  constructor(world: World, nodes: readonly ClusterNode[], clients: ClientNetwork) {
    this.#world = world
    this.#nodes = nodes
    this.#clients = clients
    this.#random = world.random.of('cluster faults')
  }

  get kinds(): readonly FaultKind[] {
    return [
      { name: 'shard crash', intervalMs: [1000, 20_000], strike: () => this.#crashShard() },
      { name: 'shard pause', intervalMs: [2000, 20_000], strike: () => this.#pauseShard() },
      { name: 'mesh reset', intervalMs: [2000, 20_000], strike: () => this.#resetMesh() },
      { name: 'orderly restart', intervalMs: [4000, 40_000], strike: () => this.#restart() },
      { name: 'clients cut off', intervalMs: [3000, 30_000], strike: () => this.#cutClients() }
    ]
  }

  /** Everything works again, for good. */
  heal(): void {
    this.#clients.cut.clear()
  }

  #crashShard(): boolean {
    const node = this.#random.pick(this.#nodes)
    const shard = this.#random.pick(node.shards)
    if (!shard.isUp) return false
    shard.exit('it crashed')
    return true
  }

  #pauseShard(): boolean {
    const shard = this.#random.pick(this.#random.pick(this.#nodes).shards)
    if (!shard.isUp) return false
    const goOn = shard.pause()
    this.#later(this.#random.pick([30, 500, 5000]), goOn)
    return true
  }

  #resetMesh(): boolean {
    const node = this.#random.pick(this.#nodes)
    if (node.shards.length < 2 || !node.shards.every(({ isUp }) => isUp)) return false
    const [left, right] = this.#random.shuffled(node.shards.map((_, shard) => shard))
    if (left === undefined || right === undefined) return false
    const { meshes } = node
    meshes.disconnect(left, right)
    this.#world.schedule(this.#random.pick([1, 20, 300]), () => {
      if (node.meshes === meshes && node.shards.every(({ isUp }) => isUp)) meshes.connect(left, right)
    })
    return true
  }

  #restart(): boolean {
    const node = this.#random.pick(this.#nodes)
    if (!node.hasStarted) return false
    void node.stop(DRAIN_MS).then(() => this.#world.schedule(this.#random.pick([10, 1000]), () => node.start()))
    return true
  }

  #cutClients(): boolean {
    const node = this.#random.pick(this.#nodes)
    this.#clients.cut.add(node)
    this.#later(3000, () => this.#clients.cut.delete(node))
    return true
  }

  #later(meanMs: number, undo: () => void): void {
    this.#world.schedule(20 + this.#random.exponential(meanMs), undo)
  }
}
