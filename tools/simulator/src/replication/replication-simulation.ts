/**
 * One run at the replication level: machines with a store and a replica host each, a few replicated logs, clients, faults of
 * processes, disks and network; then a phase in which everything works and must. All from one seed, all production code.
 */
import { batchFormat } from '@milena/broker/testing'
import type { MemoryPeerNetwork, PeerAddress } from '@milena/shard-scheduler'
import type { Disk, EntryFormat, LogStore, StateBackend } from '@milena/storage-engine'
import { bytesAtRest, type MemoryStateDevice } from '@milena/storage-engine/testing'
import { MachineFaults } from '../machine/machine-faults.ts'
import { Machine } from '../machine/machine.ts'
import { openPeerNetwork, plainPath } from '../machine/peer-links.ts'
import type { Random } from '../world/random.ts'
import type { RunReport } from '../world/run-report.ts'
import { runSimulation, type RunOptions, type Simulation } from '../world/simulation.ts'
import { Swarm } from '../world/swarm.ts'
import { World } from '../world/world.ts'
import { AcknowledgedIsKept } from './checkers/acknowledged-is-kept.ts'
import { DamageIsHealed } from './checkers/damage-is-healed.ts'
import { LogsAreWellFormed } from './checkers/logs-are-well-formed.ts'
import { OffsetsRise } from './checkers/offsets-rise.ts'
import { OneLeaderATerm } from './checkers/one-leader-a-term.ts'
import {
  bootReplicaProcess,
  brokerIdOf,
  sizesToDraw,
  STORE_DIRECTORY,
  type GroupPlan,
  type ReplicaProcess,
  type ReplicationSite,
  type ScrubbedGroups
} from './replica-process.ts'
import { ReplicationClients } from './replication-clients.ts'
import { ReplicationObserver, type LiveReplica } from './replication-observer.ts'

/** Time in which everything must work again after the last fault. */
const RECOVERY_MS = 10_000

/** Often, so that what rots last is found and healed in that time. */
const SCRUB_INTERVALS_MS = [1500, 3000]

/** Where a planted bug may enter. */
export interface ReplicationPlant {
  readonly wrapStore?: (store: LogStore) => LogStore
  readonly wrapDisk?: (disk: Disk) => Disk
  readonly format?: EntryFormat
  readonly scrubbed?: (groups: ScrubbedGroups) => ScrubbedGroups
  readonly openState?: (device: MemoryStateDevice) => Promise<StateBackend>
  /** A machine with a new disk is believed to be what it was. */
  readonly trustsNewDisks?: boolean
}

/** Runs a seed; a violation is in the report. */
export function runReplication(options: RunOptions<ReplicationPlant>): Promise<RunReport> {
  return runSimulation(new ReplicationSimulation(options))
}

class ReplicationSimulation implements Simulation {
  readonly world: World
  readonly swarm: Swarm
  readonly #random: Random
  readonly #faultMs: number
  readonly #machines: Machine<ReplicaProcess>[]
  readonly #plans: readonly GroupPlan[]
  readonly #observer: ReplicationObserver
  readonly #clients: ReplicationClients
  readonly #faults: MachineFaults<Machine<ReplicaProcess>>
  readonly #network: MemoryPeerNetwork
  readonly #newcomers = new Set<number>()

  constructor({ seed, seconds, without, print, plant }: RunOptions<ReplicationPlant>) {
    const world = new World({ seed, print })
    this.world = world
    this.#random = world.random.of('shape')
    this.#faultMs = seconds * 1000
    this.#network = openPeerNetwork(world)
    const machineCount = this.#random.pick([1, 3, 3, 3, 3, 5])
    const numbers = Array.from({ length: machineCount }, (_, at) => at + 1)
    this.#plans = this.#planGroups(numbers)
    const sizes = this.#random.pick(sizesToDraw)
    const addresses = new Map<number, PeerAddress>(
      numbers.map(number => [brokerIdOf({ number }), { host: `n${number}`, port: 9 }])
    )
    const site: ReplicationSite = {
      world,
      network: this.#network,
      plans: this.#plans,
      sizes,
      addresses,
      newcomers: this.#newcomers,
      listenerOf: (machine, name) => this.#observer.listenerOf(machine, name, () => machine.running?.groups.get(name)),
      wrapStore: plant?.wrapStore ?? (store => store),
      wrapDisk: plant?.wrapDisk ?? (disk => disk),
      format: plant?.format ?? batchFormat,
      scrubbed: plant?.scrubbed ?? (groups => groups),
      scrubIntervalMs: world.random.of('scrub').pick(SCRUB_INTERVALS_MS),
      openState: plant?.openState ?? (device => device.open())
    }
    this.#machines = numbers.map(number => this.#machine(number, site))
    const victim = machineCount > 1 && this.#random.chance(0.6) ? this.#random.pick(this.#machines) : undefined
    this.#observer = new ReplicationObserver(
      world,
      this.#plans.map(({ name }) => name),
      victim
    )
    this.#observer.add(
      new OneLeaderATerm(this.#observer),
      new OffsetsRise(this.#observer),
      new AcknowledgedIsKept(this.#observer),
      new LogsAreWellFormed(this.#observer),
      new DamageIsHealed(this.#observer)
    )
    this.#clients = new ReplicationClients(world, this.#machines, this.#observer, sizes.valueBytes)
    this.#faults = new MachineFaults({
      world,
      machines: this.#machines,
      network: this.#network,
      peersOf: machine => [brokerIdOf(machine)],
      victim,
      replacesDisks: true,
      atRest: ({ disk, state }) => bytesAtRest(state, STORE_DIRECTORY).map(bytes => ({ ...bytes, disk })),
      mayMisdeliver: true,
      plainPath,
      replaced: machine => {
        if (plant?.trustsNewDisks !== true) this.#newcomers.add(machine.number)
      }
    })
    this.swarm = new Swarm(world, this.#faults.kinds, without)
  }

  async run(): Promise<void> {
    const world = this.world
    for (const machine of this.#machines) machine.start()
    this.#clients.start()
    await world.runWithPromises(2000)
    this.swarm.start()
    await world.runWithPromises(this.#faultMs)
    this.swarm.stop()
    this.#faults.heal()
    await world.runWithPromises(this.#faultMs + RECOVERY_MS)
    await this.#checkRecovered()
    await this.#finish()
  }

  get operationCount(): number {
    return this.#clients.acknowledgedCount
  }

  #planGroups(numbers: readonly number[]): GroupPlan[] {
    return Array.from({ length: this.#random.pick([1, 2, 4]) }, (_, at) => {
      const replicas = this.#random
        .shuffled(numbers)
        .slice(0, this.#random.pick([3, 3, 5]))
        .map(number => brokerIdOf({ number }))
      return { name: `log-${at}.simulated`, replicas }
    })
  }

  #machine(number: number, site: ReplicationSite): Machine<ReplicaProcess> {
    const machine: Machine<ReplicaProcess> = new Machine<ReplicaProcess>({
      world: this.world,
      number,
      boot: parts => bootReplicaProcess(site, machine, parts),
      ended: (_, told) => {
        const brokerId = brokerIdOf({ number })
        if (told) this.#network.crash(brokerId)
        else this.#network.powerOff(brokerId)
      },
      bootFailed: (_, error) => {
        if (!machine.diskIsSuspect) this.world.fail(error)
      }
    })
    return machine
  }

  /** Faults are over: every log has a leader that takes writes, and every replica has everything. */
  async #checkRecovered(): Promise<void> {
    const world: World = this.world
    const before = new Map<string, number>()
    for (const { name } of this.#plans) {
      const history = this.#observer.history(name)
      before.set(name, history.acknowledgedEnd)
      if (!this.#clients.write(name)) world.violated('liveness', `${name} has no leader after 10 s without faults`)
    }
    await world.runWithPromises(world.nowMs + 3000)
    this.#traceGroups()
    for (const { name, replicas } of this.#plans) {
      const history = this.#observer.history(name)
      const end = before.get(name) ?? 0
      if (history.acknowledgedEnd <= end) world.violated('liveness', `${name}: nothing is acknowledged after ${end}`)
      for (const machine of this.#machines) {
        if (!replicas.includes(brokerIdOf(machine))) continue
        const committed = machine.running?.groups.get(name)?.committedOffset
        if (committed === undefined) world.violated('liveness', `${machine.name} does not run`)
        if (committed < end)
          world.violated('liveness', `${name} on ${machine.name} is at ${committed}, acknowledged is ${end}`)
      }
    }
  }

  #traceGroups(): void {
    const { trace } = this.world
    if (!trace.printing) return
    for (const machine of this.#machines) {
      trace.line(machine.name, 'links', [...(machine.running?.network.reachable ?? [])].join(', '))
      for (const [name, group] of machine.running?.groups ?? []) {
        const { role, term, leader, committedOffset, membership, log } = group
        const state = {
          role,
          term,
          leader,
          committedOffset,
          flushed: log.flushedOffset,
          end: log.endOffset,
          membership
        }
        trace.line(machine.name, 'group', `${name} ${JSON.stringify(state)} ${JSON.stringify(group.followers())}`)
      }
    }
  }

  async #finish(): Promise<void> {
    const replicas: LiveReplica[] = []
    for (const machine of this.#machines) {
      const { time } = machine
      for (const [name, group] of machine.running?.groups ?? []) {
        if (time === undefined) continue
        replicas.push({ machine, time, group, history: this.#observer.history(name), by: machine.name })
      }
    }
    let isDone = false
    const done = this.#observer.finished(replicas).then(
      () => (isDone = true),
      (error: unknown) => this.world.fail(error)
    )
    while (!isDone) await this.world.runWithPromises(this.world.nowMs + 100)
    await done
  }
}
