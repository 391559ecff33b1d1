/**
 * One run at the cluster level: nodes with shards that form a cluster, clients that use it through Kafka's protocol, an
 * administrator, faults of processes, disks and network; then a phase in which everything works and must. All from one seed,
 * all production code above the ports.
 */
import { MachineFaults } from '../machine/machine-faults.ts'
import { openPeerNetwork, plainPath } from '../machine/peer-links.ts'
import type { Random } from '../world/random.ts'
import type { RunReport } from '../world/run-report.ts'
import { runSimulation, type RunOptions, type Simulation } from '../world/simulation.ts'
import { Swarm } from '../world/swarm.ts'
import { World } from '../world/world.ts'
import { Admin } from './admin.ts'
import { AcknowledgedIsKept } from './checkers/acknowledged-is-kept.ts'
import { FormedOnce } from './checkers/formed-once.ts'
import { MetadataIsOne } from './checkers/metadata-is-one.ts'
import { NodesLeaveEmpty } from './checkers/nodes-leave-empty.ts'
import { OneLeaderAnEpoch } from './checkers/one-leader-an-epoch.ts'
import { OneRecordAnOffset } from './checkers/one-record-an-offset.ts'
import { ReadsAreInOrder } from './checkers/reads-are-in-order.ts'
import { ReplicasAgree } from './checkers/replicas-agree.ts'
import { ToldEpochsRise } from './checkers/told-epochs-rise.ts'
import { TopicsAreKept } from './checkers/topics-are-kept.ts'
import { WatermarksRise } from './checkers/watermarks-rise.ts'
import { ClientNetwork } from './client-network.ts'
import type { ClientSite } from './client.ts'
import { ClusterFaults } from './cluster-faults.ts'
import { ClusterNode } from './cluster-node.ts'
import { clusterSettings, RPC_PORT, type ClusterPlant, type ClusterSite } from './cluster-site.ts'
import { Consumer } from './consumer.ts'
import { Fleet } from './fleet.ts'
import { ClusterHistory } from './history.ts'
import { Producer } from './producer.ts'
import { Recovery } from './recovery.ts'

/** How often every shard is looked at, ms. */
const LOOK_MS = 10
/** Before faults begin: a cluster forms and a topic is made, ms. */
const QUIET_MS = 2000

/** What nodes are like, and what they are asked to hold; a run draws one of them. */
const shapes = [
  { nodes: 3, shards: 1, sizes: { memoryBytes: 2 << 20, journalBytes: 512 << 10, segmentBytes: 64 << 10 } },
  { nodes: 3, shards: 2, sizes: { memoryBytes: 2 << 20, journalBytes: 512 << 10, segmentBytes: 64 << 10 } },
  { nodes: 3, shards: 2, sizes: { memoryBytes: 2 << 20, journalBytes: 1 << 20, segmentBytes: 256 << 10 } }
]
const valueSizes = [
  [20, 200, 200],
  [200, 200, 1000, 4000],
  [20, 200, 2000, 20_000]
]

/** Runs a seed; a violation is in the report. */
export function runCluster(options: RunOptions<ClusterPlant>): Promise<RunReport> {
  return runSimulation(new ClusterSimulation(options))
}

class ClusterSimulation implements Simulation {
  readonly world: World
  readonly swarm: Swarm
  readonly #random: Random
  readonly #faultMs: number
  readonly #nodes: ClusterNode[]
  readonly #history: ClusterHistory
  readonly #clients: ClientSite
  readonly #admin: Admin
  readonly #faults: MachineFaults<ClusterNode>
  readonly #clusterFaults: ClusterFaults
  readonly #fleet: Fleet
  readonly #valueBytes: readonly number[]

  constructor({ seed, seconds, without, print, plant }: RunOptions<ClusterPlant>) {
    const world = new World({ seed, print })
    this.world = world
    this.#random = world.random.of('shape')
    this.#faultMs = seconds * 1000
    this.#history = new ClusterHistory(world)
    const shape = this.#random.pick(shapes)
    this.#valueBytes = this.#random.pick(valueSizes)
    const numbers = Array.from({ length: shape.nodes }, (_, at) => at + 1)
    const site: ClusterSite = {
      world,
      network: openPeerNetwork(world),
      settings: clusterSettings(shape.sizes),
      claimed: node => {
        this.#history.claimed(node)
        this.#fleet.claimed(node)
      },
      refused: (_, error) => this.world.fail(error),
      dismissed: (node, error) => this.#fleet.dismissed(node, error),
      processEnded: (machine, told) => {
        for (const ended of [...(machine.running?.clients ?? [])]) ended(told)
      },
      failed: error => this.world.fail(error),
      plant: plant ?? {}
    }
    const seeds = numbers.map(number => ({ host: `n${number}`, port: RPC_PORT }))
    this.#nodes = numbers.map(number => new ClusterNode(site, number, shape.shards, () => seeds))
    this.#history.add(
      new OneRecordAnOffset(this.#history),
      new AcknowledgedIsKept(this.#history),
      new ReadsAreInOrder(this.#history),
      new WatermarksRise(this.#history),
      new OneLeaderAnEpoch(this.#history),
      new ToldEpochsRise(this.#history),
      new MetadataIsOne(this.#history),
      new FormedOnce(this.#history),
      new NodesLeaveEmpty(this.#history),
      new TopicsAreKept(this.#history),
      new ReplicasAgree(this.#history)
    )
    this.#clients = {
      world,
      network: new ClientNetwork(world, this.#nodes),
      history: this.#history,
      stopped: false,
      busyCount: 0
    }
    const victim = this.#random.chance(0.4) ? this.#random.pick(this.#nodes) : undefined
    // What one of two replicas forgets cannot be voted for any more.
    this.#admin = new Admin(this.#clients, this.#nodes, victim === undefined ? [1, 2, 3, 3] : [3])
    this.#faults = new MachineFaults({
      world,
      machines: this.#nodes,
      network: site.network,
      peersOf: node => node.peerNumbers,
      get victim() {
        return victim?.isGone === true ? undefined : victim
      },
      // Its node would be another one, and the old one would have to be decommissioned.
      replacesDisks: false,
      atRest: undefined,
      mayMisdeliver: false,
      plainPath,
      replaced: () => undefined
    })
    this.#clusterFaults = new ClusterFaults(world, this.#nodes, this.#clients.network)
    this.#fleet = new Fleet({ site, nodes: this.#nodes, admin: this.#admin, history: this.#history })
    const kinds = [...this.#faults.kinds, ...this.#clusterFaults.kinds, ...this.#fleet.kinds]
    this.swarm = new Swarm(world, kinds, without)
  }

  async run(): Promise<void> {
    const world = this.world
    for (const node of this.#nodes) world.schedule(this.#random.exponential(100), () => node.start())
    this.#look()
    this.#admin.start(() => this.#administer())
    for (let number = 1; number <= 4; number++)
      new Producer(this.#clients, `producer ${number}`, this.#valueBytes).run()
    for (let number = 1; number <= 2; number++) new Consumer(this.#clients, `consumer ${number}`).run()
    await world.runWithPromises(QUIET_MS)
    this.swarm.start()
    await world.runWithPromises(this.#faultMs)
    this.swarm.stop()
    this.#faults.heal()
    this.#clusterFaults.heal()
    this.#fleet.heal()
    await new Recovery(this.#clients, this.#nodes, this.#admin, this.#fleet).run()
  }

  get operationCount(): number {
    return this.#history.acknowledgedCount
  }

  /** Hands every shard that runs to the checkers, again and again. */
  #look(): void {
    this.world.schedule(LOOK_MS, () => {
      this.#look()
      for (const { shards } of this.#nodes) {
        for (const { running } of shards) {
          if (running === undefined) continue
          this.#history.observed(running)
          this.#fleet.observed(running)
        }
      }
    })
  }

  /** Nothing happens without a topic: as long as there is none, one is made. */
  async #administer(): Promise<void> {
    if (this.#history.living.length > 0) return this.#admin.act()
    await this.#admin.sleep(200)
    const name = firstTopics.find(first => !this.#admin.doubtful.has(first))
    if (name !== undefined && this.#nodes.some(({ serves }) => serves)) await this.#admin.createTopic(name)
  }
}

const firstTopics = ['first', 'second', 'third', 'fourth', 'fifth']
