/**
 * A node as production runs it: a supervisor that claims the node's place in a cluster, then a process for each shard, a mesh
 * between them, an identity file. Each shard's disk and state store outlive its process; the identity file is written
 * synchronously in production, so here it is simply there.
 *
 *     start ──► no membership: claimNode (formation or joining) ──► member, written down ──► all shards start
 *                                                     └─ from then on: ──────────────────────────┘
 *
 * A shard that ends is started again by the supervisor. A node that is killed or loses power loses all its processes at once.
 */
import { claimNode, describeNode, planListeners, brokerIdOf } from '@milena/broker/testing'
import type { FolderIdentity, NodeDescription, NodeIdentity } from '@milena/broker/testing'
import { MemoryMeshNetwork, type PeerAddress } from '@milena/shard-scheduler'
import type { CrashPolicy, MemoryDisk } from '@milena/storage-engine/testing'
import type { FaultyMachine } from '../machine/machine-faults.ts'
import { Machine } from '../machine/machine.ts'
import { ProcessTime } from '../machine/process-time.ts'
import type { Random } from '../world/random.ts'
import { randomId } from './random-ids.ts'
import { bootShard, type ShardProcess } from './shard-process.ts'
import { loggerOf, RPC_PORT, type ClusterSite } from './cluster-site.ts'

/** Number in the network of a node that has none in the cluster yet. */
const DISCOVERY_NUMBER = 1_000_000_000

export class ClusterNode implements FaultyMachine {
  readonly number: number
  readonly name: string
  readonly site: ClusterSite
  readonly shards: readonly Machine<ShardProcess>[]
  meshes: MemoryMeshNetwork
  /** What its data folder says of it. */
  folder: FolderIdentity
  /** Runs; its end is the end of every process here. */
  #supervisor: ProcessTime | undefined
  #discovers = false
  /** Somebody asked for its decommission, some time. */
  mayLeave = false
  #isGone = false
  readonly #seeds: () => readonly PeerAddress[]
  #wallOffsetMs = 0
  #slowness = 1
  #suspect = false
  readonly #random: Random

  /** `seeds`: what it is given when it starts without a membership. */
  constructor(site: ClusterSite, number: number, shardCount: number, seeds: () => readonly PeerAddress[]) {
    this.site = site
    this.number = number
    this.#seeds = seeds
    this.name = `n${number}`
    this.#random = site.world.random.of(`node ${number}`)
    this.folder = { instance: randomId(this.#random), shardCount, membership: undefined }
    this.shards = Array.from({ length: shardCount }, (_, shard) => this.#shardMachine(shard))
    this.meshes = new MemoryMeshNetwork(shardCount, { started: false })
  }

  get isUp(): boolean {
    return this.#supervisor !== undefined
  }

  /** It was switched off for good. */
  get isGone(): boolean {
    return this.#isGone
  }

  get hasStarted(): boolean {
    return this.shards.every(shard => shard.running !== undefined)
  }

  /** It answers clients on all shards. */
  get serves(): boolean {
    return this.shards.every(shard => shard.running?.serves === true)
  }

  get disks(): readonly MemoryDisk[] {
    return this.shards.map(({ disk }) => disk)
  }

  /** Its number in the cluster; undefined before it has one. */
  get nodeId(): number | undefined {
    return this.folder.membership?.nodeId
  }

  /** Its numbers in the network. */
  get peerNumbers(): readonly number[] {
    const { nodeId } = this
    const discovery = DISCOVERY_NUMBER + this.number
    return nodeId === undefined ? [discovery] : this.shards.map((_, shard) => brokerIdOf(nodeId, shard))
  }

  get identity(): NodeIdentity {
    const { instance, shardCount, membership } = this.folder
    if (membership === undefined) throw new Error(`${this.name} is in no cluster`)
    return { instance, shardCount, ...membership }
  }

  /** What it tells of itself. */
  get description(): NodeDescription {
    return { ...this.#candidate, nodeId: this.identity.nodeId }
  }

  get slowness(): number {
    return this.#slowness
  }

  set slowness(factor: number) {
    this.#slowness = factor
    for (const shard of this.shards) shard.slowness = factor
  }

  get diskIsSuspect(): boolean {
    return this.#suspect
  }

  set diskIsSuspect(suspect: boolean) {
    this.#suspect = suspect
    for (const shard of this.shards) shard.diskIsSuspect = suspect
  }

  /** Makes the members of the cluster durable. */
  remember(nodes: readonly NodeDescription[]): void {
    const { membership } = this.folder
    if (membership !== undefined) this.folder = { ...this.folder, membership: { ...membership, nodes } }
  }

  start(): void {
    if (this.isUp || this.#isGone) return
    const time = new ProcessTime(this.site.world, this.#random.below(1e6))
    time.wallOffsetMs = this.#wallOffsetMs
    this.#supervisor = time
    if (this.folder.membership !== undefined) return this.#startShards()
    this.#claim(time).then(
      () => {
        if (time.hasEnded) return
        this.#discovers = false
        this.site.claimed(this)
        this.#startShards()
      },
      (error: unknown) => {
        if (!time.hasEnded) this.site.refused(this, error)
      }
    )
  }

  kill(): void {
    this.#end(shard => shard.kill(), true)
  }

  powerOff(policy: CrashPolicy): void {
    this.#end(shard => shard.powerOff(policy), false)
  }

  pause(): () => void {
    const goOn = this.shards.map(shard => shard.pause())
    const supervisor = this.#supervisor
    supervisor?.holdUp()
    return () => {
      supervisor?.resume()
      for (const resume of goOn) resume()
    }
  }

  jumpClock(jumpMs: number): void {
    this.#setClock(this.#wallOffsetMs + jumpMs)
    for (const shard of this.shards) shard.jumpClock(jumpMs)
  }

  /** One of its shards loses its state store. */
  loseState(): void {
    this.#random.pick(this.shards).loseState()
  }

  wipe(): void {
    this.kill()
    for (const shard of this.shards) shard.wipe()
    this.folder = { instance: randomId(this.#random), shardCount: this.shards.length, membership: undefined }
  }

  /** Switched off for good, with all that it holds. */
  scrap(): void {
    this.#isGone = true
    this.powerOff('drop-all')
    for (const shard of this.shards) shard.wipe()
  }

  recover(): void {
    this.#setClock(0)
    this.#slowness = 1
    for (const shard of this.shards) shard.repair()
    this.#supervisor?.resume()
    this.start()
    // One that ended by itself a moment ago need not wait for its supervisor.
    if (this.folder.membership !== undefined) for (const shard of this.shards) shard.start()
  }

  /** Stops in good order, as SIGTERM does; resolves when all processes have ended, or did before by themselves. */
  async stop(drainMs: number): Promise<void> {
    const supervisor = this.#supervisor
    await Promise.all(this.shards.flatMap(({ running }) => (running === undefined ? [] : [running.stop(drainMs)])))
    if (supervisor === this.#supervisor) this.kill()
  }

  get #candidate(): Omit<NodeDescription, 'nodeId'> {
    const { settings } = this.site
    const listeners = planListeners({ ...settings, listeners: [`PLAINTEXT://${this.name}:9092`] }, this.shards.length)
    return describeNode(settings, this.folder, listeners, { host: this.name, port: RPC_PORT })
  }

  async #claim(time: ProcessTime): Promise<void> {
    const { site } = this
    const listen = { host: this.name, port: RPC_PORT }
    await claimNode({
      folder: this.folder,
      node: this.#candidate,
      nodeId: undefined,
      rpc: { listen, advertised: listen, seeds: this.#seeds() },
      openPeers: address => {
        this.#discovers = true
        const self = DISCOVERY_NUMBER + this.number
        return Promise.resolve(site.network.open({ self, listen: address, scheduler: time }))
      },
      save: membership => {
        if (!time.hasEnded) this.folder = { ...this.folder, membership }
      },
      newClusterId: () => randomId(this.#random),
      clock: time.clock,
      log: loggerOf(site.world, this.name)
    })
  }

  #startShards(): void {
    this.meshes = new MemoryMeshNetwork(this.shards.length, { started: false })
    for (const shard of this.shards) shard.start()
  }

  #shardMachine(shard: number): Machine<ShardProcess> {
    const { site } = this
    const machine: Machine<ShardProcess> = new Machine<ShardProcess>({
      world: site.world,
      number: this.number * 10 + shard,
      name: `${this.name}/${shard}`,
      boot: parts => bootShard(this, machine, shard, parts),
      ended: (_, told) => {
        this.meshes.crash(shard)
        const brokerId = brokerIdOf(this.identity.nodeId, shard)
        if (told) site.network.crash(brokerId)
        else site.network.powerOff(brokerId)
        site.processEnded(machine, told)
      },
      bootFailed: (_, error) => {
        if (!machine.diskIsSuspect) site.failed(error)
      },
      isSupervised: () => this.isUp && this.folder.membership !== undefined
    })
    return machine
  }

  #end(end: (shard: Machine<ShardProcess>) => void, told: boolean): void {
    if (this.#supervisor === undefined) return
    this.#supervisor.end()
    this.#supervisor = undefined
    if (this.#discovers) {
      this.#discovers = false
      const self = DISCOVERY_NUMBER + this.number
      if (told) this.site.network.crash(self)
      else this.site.network.powerOff(self)
    }
    for (const shard of this.shards) if (shard.isUp) end(shard)
    if (this.site.plant.forgetsMembership === true) this.folder = { ...this.folder, membership: undefined }
  }

  #setClock(offsetMs: number): void {
    this.#wallOffsetMs = offsetMs
    if (this.#supervisor !== undefined) this.#supervisor.wallOffsetMs = offsetMs
  }
}
