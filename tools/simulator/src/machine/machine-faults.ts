/**
 * Faults of machines and of the network between them, whatever runs on them.
 *
 * Fault atlas: one machine of a run, the victim, may lose or corrupt what is durable (bit rot, a lost state
 * store, a new disk); the others never do. So no entry is ever damaged on a majority of its replicas, which no
 * replicated log survives. Crashes, power cuts and failed flushes, which lose only what nobody was promised, strike everywhere.
 */
import type { MemoryPath, MemoryPeerNetwork } from '@milena/shard-scheduler'
import type { BytesAtRest, CrashPolicy, MemoryDisk } from '@milena/storage-engine/testing'
import type { Random } from '../world/random.ts'
import type { FaultKind } from '../world/swarm.ts'
import type { World } from '../world/world.ts'

/** A machine as faults see it: a disk for each of its processes, which start, end and stand still together. */
export interface FaultyMachine {
  readonly number: number
  readonly isUp: boolean
  /** Its processes run, none of them boots. */
  readonly hasStarted: boolean
  readonly disks: readonly MemoryDisk[]
  /** Factor on the latency of its disks. */
  slowness: number
  /** A fault of its disks may have ended the boot of a process. */
  diskIsSuspect: boolean
  start(): void
  /** The processes end here and now; the kernel writes what it was given, and tells the peers. */
  kill(): void
  /** What was not flushed may be lost, nobody is told. */
  powerOff(policy: CrashPolicy): void
  /** The processes stand still; the result lets them go on. */
  pause(): () => void
  jumpClock(jumpMs: number): void
  /** The processes end and their state stores are gone. */
  loseState(): void
  /** The disks are new ones. */
  wipe(): void
  /** Everything works, and the processes run. */
  recover(): void
}

/** The beginning of a file that may rot. */
export type RottingBytes = Pick<BytesAtRest, 'path' | 'byteCount'> & { readonly disk: MemoryDisk }

/** What the faults need from a level. */
export interface FaultSite<Faulty extends FaultyMachine> {
  readonly world: World
  readonly machines: readonly Faulty[]
  readonly network: MemoryPeerNetwork
  /** Number in the network of each shard of a machine. */
  readonly peersOf: (machine: Faulty) => readonly number[]
  /** The machine whose disk may lose what is durable; undefined in runs without. */
  readonly victim: Faulty | undefined
  /** All of its disk may be replaced by a new one. */
  readonly replacesDisks: boolean
  /** Bytes of its disks that may rot: those that no recovery can take for a torn write. Undefined: nothing rots. */
  readonly atRest: ((machine: Faulty) => readonly RottingBytes[]) | undefined
  /** Links may lose, repeat and reorder messages while they last, which TCP never does and only Raft stands. */
  readonly mayMisdeliver: boolean
  /** What the path between any two machines is like without faults. */
  readonly plainPath: Partial<MemoryPath>
  /** The disk of a machine is a new one now. */
  readonly replaced: (machine: Faulty) => void
}

/** Bits of a sector. */
const SECTOR_BITS = 512 * 8

export class MachineFaults<Faulty extends FaultyMachine> {
  readonly #site: FaultSite<Faulty>
  readonly #random: Random
  readonly #decayRandom: Random
  #healed = false

  constructor(site: FaultSite<Faulty>) {
    this.#site = site
    this.#random = site.world.random.of('machine faults')
    this.#decayRandom = site.world.random.of('decay')
  }

  get kinds(): readonly FaultKind[] {
    return [
      ...this.#processFaults(),
      ...this.#diskFaults(),
      ...this.#losses(),
      ...this.#networkFaults(),
      ...this.#decay()
    ]
  }

  /** Everything works again, for good. */
  heal(): void {
    this.#healed = true
    const { machines, network } = this.#site
    network.heal()
    network.resetPaths()
    for (const machine of machines) machine.recover()
  }

  #processFaults(): FaultKind[] {
    return [
      {
        name: 'process crash',
        intervalMs: [1000, 20_000],
        strike: () => this.#onRunning(machine => this.#crash(machine))
      },
      {
        name: 'power loss',
        intervalMs: [2000, 30_000],
        strike: () => this.#onRunning(machine => this.#cutPower(machine))
      },
      { name: 'power loss of all', intervalMs: [6000, 60_000], strike: () => this.#cutAllPower() },
      { name: 'crash while it starts', intervalMs: [2000, 20_000], strike: () => this.#crashStarting() },
      { name: 'restart storm', intervalMs: [5000, 60_000], strike: () => this.#storm() },
      { name: 'pause', intervalMs: [2000, 20_000], strike: () => this.#onRunning(machine => this.#pause(machine)) },
      { name: 'clock jump', intervalMs: [2000, 20_000], strike: () => this.#jumpClock() }
    ]
  }

  #diskFaults(): FaultKind[] {
    return [
      { name: 'slow disk', intervalMs: [2000, 20_000], strike: () => this.#slowDisk() },
      {
        name: 'failed flush',
        intervalMs: [3000, 30_000],
        strike: () => this.#onDisk(disk => disk.failSync({ times: 1 }))
      },
      {
        name: 'failed write',
        intervalMs: [3000, 30_000],
        strike: () => this.#onDisk(disk => disk.failWrites({ times: 1, after: this.#random.below(5) }))
      },
      { name: 'full disk', intervalMs: [4000, 40_000], strike: () => this.#fillDisk() },
      {
        name: 'failed rename or create',
        intervalMs: [5000, 40_000],
        strike: () => this.#onDisk(disk => disk.failMetadata({ times: 1 }))
      }
    ]
  }

  #losses(): FaultKind[] {
    if (this.#site.victim === undefined) return []
    const lostState = { name: 'lost state store', intervalMs: [6000, 60_000], strike: () => this.#loseState() } as const
    if (!this.#site.replacesDisks) return [lostState]
    return [lostState, { name: 'new disk', intervalMs: [10_000, 90_000], strike: () => this.#replaceDisk() }]
  }

  #decay(): FaultKind[] {
    if (this.#site.victim === undefined || this.#site.atRest === undefined) return []
    return [
      { name: 'bit rot', intervalMs: [1000, 20_000], strike: () => this.#rot(1) },
      { name: 'rotten sector', intervalMs: [4000, 40_000], strike: () => this.#rot(SECTOR_BITS) }
    ]
  }

  #networkFaults(): FaultKind[] {
    return [
      { name: 'partition', intervalMs: [2000, 20_000], strike: () => this.#partition(true) },
      { name: 'asymmetric partition', intervalMs: [2000, 20_000], strike: () => this.#partition(false) },
      { name: 'flapping link', intervalMs: [4000, 30_000], strike: () => this.#flap() },
      { name: 'connection reset', intervalMs: [500, 15_000], strike: () => this.#reset() },
      {
        name: 'slow network',
        intervalMs: [2000, 20_000],
        strike: () => this.#path({ latencyMs: this.#random.pick([5, 40, 300]), jitterMs: 50 })
      },
      {
        name: 'narrow network',
        intervalMs: [4000, 30_000],
        strike: () => this.#path({ bytesPerSecond: this.#random.pick([500_000, 2_000_000]) })
      },
      { name: 'hiccups', intervalMs: [2000, 20_000], strike: () => this.#path({ hiccup: 0.05, hiccupMs: 200 }) },
      ...(this.#site.mayMisdeliver ? [this.#misdelivery] : [])
    ]
  }

  get #misdelivery(): FaultKind {
    return {
      name: 'messages lost or repeated',
      intervalMs: [4000, 30_000],
      strike: () => this.#path({ lose: 0.02, repeat: 0.05, reorder: 0.05 })
    }
  }

  /** Undoes a fault later, unless everything was healed before. */
  #undoLater(meanMs: number, undo: () => void): void {
    this.#site.world.schedule(50 + this.#random.exponential(meanMs), () => {
      if (!this.#healed) undo()
    })
  }

  #onRunning(strike: (machine: Faulty) => void): boolean {
    const running = this.#site.machines.filter(machine => machine.isUp)
    if (running.length === 0) return false
    strike(this.#random.pick(running))
    return true
  }

  // ---- processes ----

  #crash(machine: Faulty): void {
    machine.kill()
    this.#undoLater(this.#random.pick([1, 300, 3000]), () => machine.start())
  }

  #cutPower(machine: Faulty): void {
    machine.powerOff(this.#random.pick(['random', 'random', 'drop-all', 'keep-all', 'tear-all']))
    this.#undoLater(this.#random.pick([1, 1000, 4000]), () => machine.start())
  }

  #cutAllPower(): boolean {
    for (const machine of this.#site.machines) if (machine.isUp) this.#cutPower(machine)
    return true
  }

  #crashStarting(): boolean {
    const machine = this.#random.pick(this.#site.machines)
    if (!machine.isUp) return false
    machine.powerOff('random')
    machine.start()
    this.#site.world.schedule(this.#random.exponential(15), () => {
      if (!this.#healed && !machine.hasStarted) machine.powerOff('random')
      if (!this.#healed) machine.start()
    })
    return true
  }

  #storm(): boolean {
    const machine = this.#random.pick(this.#site.machines)
    for (let time = 0; time < 6; time++) {
      this.#site.world.schedule(time * 80 + this.#random.exponential(60), () => {
        if (this.#healed) return
        if (machine.isUp) machine.powerOff('random')
        machine.start()
      })
    }
    return true
  }

  #pause(machine: Faulty): void {
    const goOn = machine.pause()
    this.#undoLater(this.#random.pick([30, 500, 5000]), goOn)
  }

  #jumpClock(): boolean {
    const machine = this.#random.pick(this.#site.machines)
    const jumpMs = this.#random.pick([-1000, 1000, -3_600_000, 3_600_000, -315_360_000_000, 315_360_000_000])
    machine.jumpClock(jumpMs)
    return true
  }

  // ---- disks ----

  #slowDisk(): boolean {
    const machine = this.#random.pick(this.#site.machines)
    machine.slowness = this.#random.pick([10, 50, 300])
    this.#undoLater(3000, () => (machine.slowness = 1))
    return true
  }

  #onDisk(strike: (disk: MemoryDisk) => void): boolean {
    const machine = this.#random.pick(this.#site.machines)
    if (!machine.isUp) return false
    machine.diskIsSuspect = true
    strike(this.#diskOf(machine))
    return true
  }

  #fillDisk(): boolean {
    const machine = this.#random.pick(this.#site.machines)
    machine.diskIsSuspect = true
    for (const disk of machine.disks) disk.capacityBytes = 1 << 20
    this.#undoLater(3000, () => {
      for (const disk of machine.disks) disk.capacityBytes = Infinity
    })
    return true
  }

  /** One of its disks; chance is not asked where there is no choice. */
  #diskOf({ disks }: Faulty): MemoryDisk {
    const [only] = disks
    return only !== undefined && disks.length === 1 ? only : this.#random.pick(disks)
  }

  // ---- the victim ----

  /** Changes bits of what the victim holds at rest. */
  #rot(bitCount: number): boolean {
    const { victim, atRest } = this.#site
    if (victim === undefined || atRest === undefined) return false
    const files = atRest(victim)
    if (files.length === 0) return false
    const { disk, path, byteCount } = this.#decayRandom.pick(files)
    const position = this.#decayRandom.below(byteCount)
    const bytesLeft = Math.min(byteCount, disk.contents(path)?.length ?? 0) - position
    if (bytesLeft <= 0) return false
    victim.diskIsSuspect = true
    disk.corrupt(path, position, Math.min(bitCount, bytesLeft * 8))
    const { trace } = this.#site.world
    if (trace.printing) trace.line('fault', 'rots', `${path} at ${position}`)
    return true
  }

  #loseState(): boolean {
    const { victim } = this.#site
    if (victim === undefined) return false
    victim.loseState()
    victim.start()
    return true
  }

  #replaceDisk(): boolean {
    const { victim } = this.#site
    if (victim === undefined) return false
    victim.wipe()
    this.#site.replaced(victim)
    victim.start()
    return true
  }

  // ---- network ----

  #pairs(left: readonly Faulty[], right: readonly Faulty[]): (readonly [number, number])[] {
    const { peersOf } = this.#site
    const rights = right.flatMap(peersOf)
    return left.flatMap(peersOf).flatMap(from => rights.map(to => [from, to] as const))
  }

  #partition(symmetric: boolean): boolean {
    const { machines, network } = this.#site
    const order = this.#random.shuffled(machines)
    const size = this.#random.between(1, Math.max(1, Math.floor(order.length / 2)))
    const pairs = this.#pairs(order.slice(0, size), order.slice(size))
    for (const [from, to] of pairs) {
      if (symmetric) network.cut(from, to)
      else network.cutOneWay(from, to)
      // Links heal one by one, in any order.
      this.#undoLater(3000, () => network.heal(from, to))
    }
    return pairs.length > 0
  }

  #flap(): boolean {
    const { machines, network, world } = this.#site
    const [left, right] = this.#random.shuffled(machines)
    if (left === undefined || right === undefined) return false
    for (const [from, to] of this.#pairs([left], [right])) {
      for (let time = 0; time < 10; time++) {
        world.schedule(time * 400, () => {
          if (this.#healed) return
          network.cut(from, to)
          this.#undoLater(100, () => network.heal(from, to))
        })
      }
    }
    return true
  }

  #reset(): boolean {
    const [left, right] = this.#random.shuffled(this.#site.machines)
    if (left === undefined || right === undefined) return false
    for (const [from, to] of this.#pairs([left], [right])) this.#site.network.disconnect(from, to)
    return true
  }

  #path(path: Partial<MemoryPath>): boolean {
    const { network, plainPath, machines } = this.#site
    const everywhere = this.#random.chance(0.5)
    const [left, right] = this.#random.shuffled(machines)
    if (left === undefined || right === undefined) return false
    const pairs = everywhere ? [[undefined, undefined] as const] : this.#pairs([left], [right])
    for (const [from, to] of pairs) {
      network.setPath(path, from, to)
      const plain = Object.fromEntries(Object.keys(path).map(name => [name, plainValue(plainPath, name)]))
      this.#undoLater(4000, () => network.setPath(plain, from, to))
    }
    return true
  }
}

const perfect: Readonly<Record<string, number>> = { bytesPerSecond: Infinity, hiccupMs: 200 }

function plainValue(plain: Partial<MemoryPath>, name: string): number {
  return (plain as Readonly<Record<string, number>>)[name] ?? perfect[name] ?? 0
}
