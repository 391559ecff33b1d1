/**
 * The faults of the Raft level. Disks are lost or damaged only while that leaves every membership that anybody may act on a
 * majority of whole voters: more is not tolerated by any such protocol (the "fault atlas").
 */
import { voterSets, type Index, type Membership, type ReplicaId } from '@milena/raft'
import type { Random } from '../world/random.ts'
import type { FaultKind } from '../world/swarm.ts'
import type { World } from '../world/world.ts'
import { LogImage } from './log-image.ts'
import type { Observer } from './observer.ts'
import type { RaftMachine } from './raft-machine.ts'
import type { RaftNetwork } from './raft-network.ts'
import type { RaftWorkload } from './raft-workload.ts'

/** Plain latency of a flush, ms. */
const FLUSH_MS = 2

export class RaftFaults {
  readonly #world: World
  readonly #random: Random
  readonly #machines: readonly RaftMachine[]
  readonly #network: RaftNetwork
  readonly #observer: Observer
  readonly #workload: RaftWorkload
  /** Replicas whose disks are gone for ever. */
  readonly #lost = new Set<ReplicaId>()
  #nextId: ReplicaId
  readonly #keepsIdentity: boolean
  #healed = false

  constructor(
    world: World,
    machines: readonly RaftMachine[],
    network: RaftNetwork,
    observer: Observer,
    workload: RaftWorkload,
    { keepsIdentity }: { readonly keepsIdentity: boolean }
  ) {
    this.#keepsIdentity = keepsIdentity
    this.#world = world
    this.#random = world.random.of('faults')
    this.#machines = machines
    this.#network = network
    this.#observer = observer
    this.#workload = workload
    this.#nextId = machines.length + 1
  }

  get kinds(): readonly FaultKind[] {
    return [...this.#processFaults(), ...this.#diskFaults(), ...this.#networkFaults(), ...this.#operatorFaults()]
  }

  #processFaults(): FaultKind[] {
    return [
      {
        name: 'process crash',
        intervalMs: [400, 20_000],
        strike: () => this.#onRunning(machine => this.#crash(machine))
      },
      { name: 'crash of all', intervalMs: [3000, 60_000], strike: () => this.#crashAll() },
      { name: 'crash of the leader', intervalMs: [1000, 20_000], strike: () => this.#crashLeader() },
      { name: 'pause', intervalMs: [1000, 20_000], strike: () => this.#onRunning(machine => this.#pause(machine)) },
      { name: 'clock drift', intervalMs: [2000, 30_000], strike: () => this.#drift() },
      { name: 'campaign', intervalMs: [500, 20_000], strike: () => this.#campaign() },
      { name: 'resignation', intervalMs: [1000, 30_000], strike: () => this.#resign() }
    ]
  }

  #diskFaults(): FaultKind[] {
    return [
      { name: 'slow disk', intervalMs: [1000, 20_000], strike: () => this.#slowDisk() },
      { name: 'hang of the leader', intervalMs: [2000, 20_000], strike: () => this.#hangLeader() },
      { name: 'failed flush', intervalMs: [2000, 30_000], strike: () => this.#failedFlush() },
      { name: 'lost disk', intervalMs: [3000, 40_000], strike: () => this.#loseDisk() },
      { name: 'bit rot', intervalMs: [1000, 20_000], strike: () => this.#rot() },
      { name: 'log compaction', intervalMs: [500, 10_000], strike: () => this.#compact() }
    ]
  }

  #networkFaults(): FaultKind[] {
    return [
      { name: 'partition', intervalMs: [1000, 15_000], strike: () => this.#partition(true) },
      { name: 'asymmetric partition', intervalMs: [1000, 15_000], strike: () => this.#partition(false) },
      { name: 'flapping link', intervalMs: [2000, 20_000], strike: () => this.#flap() },
      { name: 'loss', intervalMs: [1000, 15_000], strike: () => this.#loss() },
      { name: 'repetition', intervalMs: [1000, 15_000], strike: () => this.#repetition() },
      { name: 'delay', intervalMs: [1000, 15_000], strike: () => this.#delay() },
      { name: 'connection reset', intervalMs: [300, 10_000], strike: () => this.#reset() }
    ]
  }

  #operatorFaults(): FaultKind[] {
    return [
      { name: 'membership change', intervalMs: [1500, 20_000], strike: () => this.#workload.wishOthers() },
      { name: 'leadership transfer', intervalMs: [500, 15_000], strike: () => this.#workload.transfer() }
    ]
  }

  /** Everything works again: links, processes, speeds. What is lost stays lost. */
  heal(): void {
    this.#healed = true
    this.#network.heal()
    for (const machine of this.#machines) {
      machine.disk.latencyMs = FLUSH_MS
      machine.drift = 1
      if (machine.isHeldUp) machine.resume()
      if (machine.node === undefined) machine.start()
    }
  }

  /** Cuts a machine off in both directions, and brings it back. For the time after `heal`. */
  isolate(machine: RaftMachine, durationMs: number): void {
    for (const other of this.#machines) {
      if (other === machine) continue
      const links = [
        [machine, other],
        [other, machine]
      ] as const
      for (const [from, to] of links) {
        this.#network.cut(from.number, to.number)
        this.#world.schedule(500, () => from.lostTouchWith(to.id))
        this.#world.schedule(durationMs, () => {
          this.#network.mend(from.number, to.number)
          from.lostTouchWith(to.id)
        })
      }
    }
  }

  /** Undoes a fault later, unless everything was healed before. */
  #undoLater(meanMs: number, undo: () => void): void {
    this.#world.schedule(50 + this.#random.exponential(meanMs), () => {
      if (!this.#healed) undo()
    })
  }

  #onRunning(strike: (machine: RaftMachine) => void): boolean {
    const running = this.#machines.filter(({ node, isHeldUp }) => node !== undefined && !isHeldUp)
    if (running.length === 0) return false
    strike(this.#random.pick(running))
    return true
  }

  // ---- processes ----

  #crash(machine: RaftMachine): void {
    machine.crash()
    this.#tellOthers(machine)
    this.#undoLater(this.#random.pick([1, 300, 3000]), () => {
      if (machine.node === undefined) machine.start()
    })
  }

  #crashAll(): boolean {
    for (const machine of this.#machines) if (machine.node !== undefined) this.#crash(machine)
    return true
  }

  #crashLeader(): boolean {
    const { leader } = this.#workload
    if (leader !== undefined) this.#crash(leader)
    return leader !== undefined
  }

  #pause(machine: RaftMachine): void {
    machine.holdUp()
    this.#undoLater(this.#random.pick([20, 500, 5000]), () => machine.resume())
  }

  #drift(): boolean {
    const machine = this.#random.pick(this.#machines)
    machine.drift = this.#random.pick([0.3, 0.8, 1.25, 3])
    this.#undoLater(5000, () => (machine.drift = 1))
    return true
  }

  #campaign(): boolean {
    return this.#onRunning(machine => {
      machine.tellTicks()
      machine.input(machine.node?.campaign() ?? [])
    })
  }

  #resign(): boolean {
    const { leader } = this.#workload
    if (leader?.node === undefined) return false
    leader.tellTicks()
    leader.input(leader.node.resign())
    return true
  }

  // ---- disks ----

  #slowDisk(): boolean {
    const machine = this.#random.pick(this.#machines)
    machine.disk.latencyMs = this.#random.pick([20, 200, 1000])
    this.#undoLater(4000, () => (machine.disk.latencyMs = FLUSH_MS))
    return true
  }

  /** Disk and network stop together, the network returns first: others led meanwhile, and what it wrote is still on its way. */
  #hangLeader(): boolean {
    const { leader } = this.#workload
    if (leader === undefined) return false
    leader.disk.latencyMs = this.#random.pick([1000, 2000])
    this.isolate(leader, this.#random.between(500, 3000))
    this.#undoLater(4000, () => (leader.disk.latencyMs = FLUSH_MS))
    return true
  }

  /** A flush fails: the process ends at once and starts from what the disk holds. */
  #failedFlush(): boolean {
    return this.#onRunning(machine => this.#crash(machine))
  }

  #loseDisk(): boolean {
    const machine = this.#random.pick(this.#machines)
    if (!this.#mayLose(machine.id)) return false
    if (machine.node !== undefined) machine.crash()
    if (this.#keepsIdentity) return this.#forget(machine)
    const durable = new LogImage()
    durable.copyFrom(machine.durable)
    const { id, durableHardState } = machine
    this.#lost.add(id)
    this.#tellOthers(machine, id)
    machine.replace(this.#nextId++, { id, node: undefined, log: durable, durable, durableHardState, appliedIndex: 0 })
    machine.start()
    return true
  }

  #forget(machine: RaftMachine): boolean {
    machine.forget()
    this.#tellOthers(machine)
    machine.start()
    return true
  }

  #rot(): boolean {
    const machine = this.#random.pick(this.#machines)
    if (!this.#mayLose(machine.id) || machine.durable.entries.length === 0) return false
    if (this.#random.chance(0.5)) return this.#rotWhileRunning(machine)
    if (machine.node !== undefined) machine.crash()
    // The crash may have cut the only entries.
    const { entries, damaged } = machine.durable
    for (let count = this.#random.between(1, 4); count > 0 && entries.length > 0; count--) {
      damaged.add(this.#random.pick(entries).entry.index)
    }
    machine.disk.view.copyFrom(machine.durable)
    this.#tellOthers(machine)
    machine.start()
    return true
  }

  /** One durable entry turns out to be unreadable. */
  #rotWhileRunning(machine: RaftMachine): boolean {
    const { durable, log } = machine
    const { entry, last, chain } = this.#random.pick(durable.entries)
    if (machine.node === undefined || machine.isHeldUp || log.chainAt(last) !== chain) return false
    durable.damaged.add(entry.index)
    log.damaged.add(entry.index)
    machine.findDamage({ start: entry.index, end: last + 1 })
    return true
  }

  #compact(): boolean {
    return this.#random.pick(this.#machines).compact(this.#random.pick([0, 10, 100]))
  }

  /** Whether every membership that somebody may act on keeps a majority of whole voters without this replica. */
  #mayLose(id: ReplicaId): boolean {
    for (const membership of this.#knownMemberships()) {
      for (const voters of voterSets(membership)) {
        const whole = voters.filter(voter => voter !== id && this.#isWhole(voter))
        if (whole.length * 2 <= voters.length) return false
      }
    }
    return true
  }

  #isWhole(id: ReplicaId): boolean {
    const replica = this.#observer.replicas.get(id)
    return !this.#lost.has(id) && replica !== undefined && replica.durable.damaged.size === 0
  }

  *#knownMemberships(): Generator<Membership> {
    const committed = this.#observer.committedMembership(this.#observer.committedIndex)
    if (committed !== undefined) yield committed
    for (const { log, durable } of this.#machines) {
      for (const image of [log, durable]) {
        const oldest: Index = Math.min(this.#observer.committedIndex, image.lastIndex)
        for (const index of [image.lastIndex, oldest]) {
          const membership = image.membershipAt(index)
          if (membership !== undefined) yield membership.value
        }
      }
    }
  }

  // ---- network ----

  /** Others notice that a machine's connections are gone. */
  #tellOthers(machine: RaftMachine, id = machine.id): void {
    for (const other of this.#machines) {
      if (other === machine) continue
      this.#world.schedule(this.#random.exponential(5), () => other.lostTouchWith(id))
    }
  }

  #partition(symmetric: boolean): boolean {
    const order = this.#random.shuffled(this.#machines)
    const size = this.#random.between(1, Math.max(1, Math.floor(order.length / 2)))
    const [side, rest] = [order.slice(0, size), order.slice(size)]
    for (const left of side) {
      for (const right of rest) {
        this.#cut(left, right)
        if (symmetric) this.#cut(right, left)
      }
    }
    return rest.length > 0
  }

  #cut(from: RaftMachine, to: RaftMachine, meanMs = 3000): void {
    this.#network.cut(from.number, to.number)
    // Each link heals by itself, so that they heal in any order.
    this.#undoLater(meanMs, () => {
      this.#network.mend(from.number, to.number)
      from.lostTouchWith(to.id)
      to.lostTouchWith(from.id)
    })
    this.#world.schedule(500 + this.#random.exponential(500), () => {
      if (this.#network.passes(from.number, to.number)) return
      from.lostTouchWith(to.id)
      to.lostTouchWith(from.id)
    })
  }

  #flap(): boolean {
    const [from, to] = this.#random.shuffled(this.#machines)
    if (from === undefined || to === undefined) return false
    for (let time = 0; time < 10; time++) {
      this.#world.schedule(time * 400, () => {
        if (!this.#healed) this.#cut(from, to, 100)
      })
    }
    return true
  }

  #loss(): boolean {
    this.#network.lossRate = this.#random.pick([0.01, 0.1, 0.3])
    this.#undoLater(5000, () => (this.#network.lossRate = 0))
    return true
  }

  #repetition(): boolean {
    this.#network.repeatRate = this.#random.pick([0.05, 0.3])
    this.#undoLater(5000, () => (this.#network.repeatRate = 0))
    return true
  }

  #delay(): boolean {
    this.#network.jitterMs = this.#random.pick([5, 50, 300])
    this.#undoLater(4000, () => (this.#network.jitterMs = 0.4))
    return true
  }

  #reset(): boolean {
    const [left, right] = this.#random.shuffled(this.#machines)
    if (left === undefined || right === undefined) return false
    left.lostTouchWith(right.id)
    right.lostTouchWith(left.id)
    return true
  }
}
