/**
 * A machine: a disk and a state store that outlive processes, and at most one process. What runs in the process is the
 * level's business (`Boot`); a supervisor starts it again when it ends by itself.
 *
 *     start ──► [booting] ──► [running] ── crash, power loss, exit ──► [down] ── restart ──► ...
 */
import { MemoryDisk, MemoryStateDevice, type CrashPolicy, type DiskOperation } from '@milena/storage-engine/testing'
import type { Random } from '../world/random.ts'
import type { World } from '../world/world.ts'
import type { FaultyMachine } from './machine-faults.ts'
import { ProcessTime } from './process-time.ts'

/** What a booting process gets from its machine. */
export interface MachineParts {
  readonly time: ProcessTime
  readonly disk: MemoryDisk
  readonly state: MemoryStateDevice
  /** Of this machine; processes that follow each other share it. */
  readonly random: Random
}

/** Starts a process; resolves with what runs. Rejects when it cannot start, as a process that exits. */
export type Boot<Running> = (parts: MachineParts) => Promise<Running>

/** Milliseconds until a supervisor starts a process again that ended by itself. */
const RESTART_MS = 300

export interface MachineOptions<Running> {
  readonly world: World
  readonly number: number
  /** In the trace; default n and the number. */
  readonly name?: string
  readonly boot: Boot<Running>
  /** The process ended; `told`: its kernel tells its peers. */
  readonly ended: (machine: Machine<Running>, told: boolean) => void
  /** A process could not start for a reason that no fault explains. */
  readonly bootFailed: (machine: Machine<Running>, error: unknown) => void
  /** There is a supervisor to start a process again that ended by itself. Default: always. */
  readonly isSupervised?: () => boolean
}

export class Machine<Running> implements FaultyMachine {
  readonly number: number
  readonly name: string
  readonly random: Random
  disk: MemoryDisk
  state = new MemoryStateDevice()
  /** What runs; undefined while the machine is down or its process boots. */
  running: Running | undefined
  time: ProcessTime | undefined
  /** Factor on the latency of its disk. */
  slowness = 1
  wallOffsetMs = 0
  /** How often a process was started. */
  startCount = 0
  /** A fault of its disk may have ended the boot of its process. */
  diskIsSuspect = false
  readonly #options: MachineOptions<Running>
  #restartPlanned = false

  constructor(options: MachineOptions<Running>) {
    this.#options = options
    this.number = options.number
    this.name = options.name ?? `n${options.number}`
    this.random = options.world.random.of(`machine ${options.number}`)
    this.disk = new MemoryDisk({ seed: this.random.uint32(), strictBuffers: false, ...this.#diskOptions() })
    this.#useState()
  }

  get isUp(): boolean {
    return this.time !== undefined
  }

  get hasStarted(): boolean {
    return this.running !== undefined
  }

  get disks(): readonly MemoryDisk[] {
    return [this.disk]
  }

  get isHeldUp(): boolean {
    return this.time?.isHeldUp === true
  }

  start(): void {
    if (this.isUp) return
    const { world, boot } = this.#options
    const time = new ProcessTime(world, this.random.below(1e6))
    time.wallOffsetMs = this.wallOffsetMs
    this.time = time
    this.startCount++
    world.trace.note('start', this.number, this.startCount)
    if (world.trace.printing) world.trace.line(this.name, 'start', `process ${this.startCount}`)
    boot({ time, disk: this.disk, state: this.state, random: this.random }).then(
      running => {
        if (this.time !== time) return
        this.running = running
        world.trace.note('started', this.number)
        if (world.trace.printing) world.trace.line(this.name, 'started', '')
      },
      (error: unknown) => {
        if (this.time === time) this.#bootFailed(error)
      }
    )
  }

  /** The process ends here and now. Its kernel writes what it was given, and tells the peers. */
  kill(): void {
    this.#stop('keep-all', true)
  }

  /** The machine loses power: what was not flushed may be lost, nobody is told. */
  powerOff(policy: CrashPolicy = 'random'): void {
    this.#stop(policy, false)
  }

  /** The process ends by itself; its supervisor starts it again. */
  exit(reason: string): void {
    if (!this.isUp) return
    const { world } = this.#options
    if (world.trace.printing) world.trace.line(this.name, 'exit', reason)
    this.kill()
    this.#restartLater()
  }

  /** The disk and the state store are new. */
  wipe(): void {
    if (this.isUp) this.kill()
    this.disk = new MemoryDisk({ seed: this.random.uint32(), strictBuffers: false, ...this.#diskOptions() })
    this.state = new MemoryStateDevice()
    this.#useState()
  }

  pause(): () => void {
    const { time } = this
    time?.holdUp()
    return () => time?.resume()
  }

  jumpClock(jumpMs: number): void {
    this.wallOffsetMs += jumpMs
    if (this.time !== undefined) this.time.wallOffsetMs += jumpMs
  }

  loseState(): void {
    if (this.isUp) this.kill()
    this.state.erase()
    this.diskIsSuspect = true
  }

  recover(): void {
    this.repair()
    this.start()
  }

  /** Faults run down: none is armed, nothing is full, late or held up. What they did stays. */
  repair(): void {
    this.disk.clearFaults()
    this.disk.capacityBytes = Infinity
    this.slowness = 1
    this.wallOffsetMs = 0
    if (this.time !== undefined) this.time.wallOffsetMs = 0
    this.time?.resume()
  }

  #stop(policy: CrashPolicy, told: boolean): void {
    const { time } = this
    if (time === undefined) return
    const { world, ended } = this.#options
    world.trace.note('stop', this.number)
    if (world.trace.printing) world.trace.line(this.name, told ? 'process ends' : 'power off', '')
    time.end()
    this.time = undefined
    this.running = undefined
    this.disk = this.disk.crash({ policy, next: { strictBuffers: false, ...this.#diskOptions() } })
    this.state.crash(() => this.random.fraction())
    ended(this, told)
  }

  #bootFailed(error: unknown): void {
    this.#options.bootFailed(this, error)
    this.exit(`it does not start: ${error instanceof Error ? error.message : String(error)}`)
  }

  #restartLater(): void {
    if (this.#restartPlanned) return
    this.#restartPlanned = true
    this.#options.world.schedule(RESTART_MS, () => {
      this.#restartPlanned = false
      if (this.#options.isSupervised?.() !== false) this.start()
    })
  }

  /** Disk operations complete in the time of whatever process runs then. */
  #diskOptions() {
    return {
      scheduler: { schedule: (delayMs: number, task: () => void) => this.#complete(delayMs, task) },
      latencyMs: (operation: DiskOperation, fraction: number) => this.#latencyMs(operation, fraction)
    }
  }

  #complete(delayMs: number, task: () => void): void {
    if (this.time === undefined) this.#options.world.schedule(delayMs, task)
    else this.time.completions.schedule(delayMs, task)
  }

  #latencyMs({ kind, length }: DiskOperation, fraction: number): number {
    const base = kind === 'read' ? 0.1 : kind === 'write' ? 0.2 + length / 1e6 : 0.4
    return base * (0.5 - 1.5 * Math.log(1 - fraction)) * this.slowness
  }

  #useState(): void {
    this.state.faults.delay = done => this.#complete((0.4 + this.random.exponential(0.6)) * this.slowness, done)
  }
}
