/**
 * The supervisor: one pinned process per shard, started together, restarted one by one when they crash (the others keep
 * serving and their meshes reconnect), drained together. It holds no data and serves no client; when it dies, its shards
 * notice and exit by themselves. Its own thread stays unpinned.
 *
 * It imports nothing but Node, and is an entry of the package for that reason: a process that only supervises need not carry the
 * mesh (`@milena/shard-scheduler/supervisor`).
 */
import assert from 'node:assert'
import { randomBytes } from 'node:crypto'
import { ShardStartError, SupervisorError } from './errors.ts'
import { realScheduler } from './scheduler/real-scheduler.ts'
import type { Scheduler } from './scheduler/scheduler.ts'
import { allowedCpus, pinMethod } from './supervisor/affinity.ts'
import type { FromShard, ShardStatus } from './supervisor/control-channel.ts'
import { defaultRestartSettings, type RestartSettings } from './supervisor/restart-backoff.ts'
import { spawnShardProcess, type ShardSpawner } from './supervisor/shard-child.ts'
import { recommendedShardEnvironment, recommendedShardExecArgv } from './supervisor/shard-environment.ts'
import { createSocketFolder, removeSocketFolder } from './supervisor/socket-folder.ts'
import { describeExit, SupervisedShard, type ShardReport } from './supervisor/supervised-shard.ts'

export { recommendedShardEnvironment, recommendedShardExecArgv } from './supervisor/shard-environment.ts'
export type { ShardReport, ShardState } from './supervisor/supervised-shard.ts'
export type { ShardStatus } from './supervisor/control-channel.ts'

/** Where the supervisor and shards log: pino's shape. */
export interface SchedulerLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** Which shards are to run, and how. */
export interface ShardsOptions {
  /** Processes to run, at least 1. */
  readonly shardCount: number
  /** Module that calls `runShard`; a `file:` URL. */
  readonly entry: URL
  /** Given to every shard's main as `context.config`. Structured-cloned. */
  readonly config?: unknown
  /**
   * Folder for the mesh's sockets, made when absent; belongs to this broker alone (default: none, sockets go to a private folder
   * in the system's temporary folder). Each start makes a private folder inside.
   */
  readonly socketFolder?: string
  /** Flags for node (default `recommendedShardExecArgv()`). */
  readonly execArgv?: readonly string[]
  /** The shards' whole environment (default this process's); `recommendedShardEnvironment` is merged over it. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /**
   * Folder of node's compile cache (`NODE_COMPILE_CACHE`), shared by the shards and kept between starts; it must be writable
   * by this user only, for it holds code. None by default. Halves the time that a shard needs to load its modules.
   */
  readonly compileCacheFolder?: string
  /** Pin shard i to the i-th CPU that this process may use; round robin when there are fewer. Default true. */
  readonly pin?: boolean
  /** A process that is not ready by then is killed and counts as crashed, milliseconds. Default 60,000. */
  readonly readyTimeoutMs?: number
  /** Time for a shard to drain before SIGTERM, milliseconds. Default 10,000. */
  readonly drainDeadlineMs?: number
  /** Time between SIGTERM and SIGKILL, milliseconds. Default 2,000. */
  readonly killDelayMs?: number
  /** Back-off of restarts (defaults `defaultRestartSettings`). */
  readonly restart?: Partial<RestartSettings>
  readonly log?: SchedulerLog
  readonly scheduler?: Scheduler
  /** Starts processes (default real ones). */
  readonly spawner?: ShardSpawner
}

/** Running shards. */
export interface Shards {
  /** Ends when every shard was ready once; rejects with `ShardStartError` when one cannot start (then all were stopped). */
  readonly ready: Promise<void>
  /** State of each shard now, by number. */
  readonly reports: readonly ShardReport[]
  /** Called at each change of a shard's state. Returns a function that unsubscribes. */
  onState(listener: (report: ShardReport) => void): () => void
  /** Called for each message that a shard's application sent. Returns a function that unsubscribes. */
  onMessage(listener: (shard: number, payload: unknown) => void): () => void
  /** Sends to a shard's application. False when the shard has no process now; true does not promise that it arrives. */
  send(shard: number, payload: unknown): boolean
  /** Asks a shard about itself. Rejects with `SupervisorError`: `NOT_RUNNING`, or `NO_ANSWER` within `timeoutMs` (default 2,000). */
  status(shard: number, timeoutMs?: number): Promise<ShardStatus>
  /** Drains all shards and ends when their processes are gone. Nothing is restarted afterwards. */
  drain(): Promise<void>
}

const silentLog: SchedulerLog = { info() {}, warn() {}, error() {} }

/** Starts `shardCount` processes, each running `entry`. Returns at once; see `Shards.ready`. */
export function startShards(options: ShardsOptions): Shards {
  return new Supervisor(options)
}

interface StatusRequest {
  readonly shard: number
  readonly resolve: (status: ShardStatus) => void
}

class Supervisor implements Shards {
  readonly ready: Promise<void>
  readonly #log: SchedulerLog
  readonly #scheduler: Scheduler
  readonly #shards: readonly SupervisedShard[]
  readonly #socketFolder: string
  readonly #stateListeners = new Set<(report: ShardReport) => void>()
  readonly #messageListeners = new Set<(shard: number, payload: unknown) => void>()
  readonly #statusRequests = new Map<number, StatusRequest>()
  readonly #everReady = new Set<number>()
  readonly #becomeReady: () => void
  readonly #becomeFailed: (error: ShardStartError) => void
  #nextRequest = 0
  #draining: Promise<void> | undefined

  constructor(options: ShardsOptions) {
    const { shardCount } = options
    assert(Number.isInteger(shardCount) && shardCount > 0, 'shardCount is a positive integer')
    this.#log = options.log ?? silentLog
    this.#scheduler = options.scheduler ?? realScheduler
    const ready = Promise.withResolvers<void>()
    this.ready = ready.promise
    this.ready.catch(() => {}) // whoever waits sees it; nobody has to wait
    this.#becomeReady = ready.resolve
    this.#becomeFailed = ready.reject
    this.#socketFolder = shardCount === 1 ? '' : createSocketFolder(options.socketFolder)
    const plan = planProcesses(options, this.#log)
    const token = randomBytes(32).toString('base64url')
    this.#shards = Array.from({ length: shardCount }, (_, shard) => this.#supervise(shard, options, plan, token))
    for (const shard of this.#shards) shard.start()
  }

  get reports(): readonly ShardReport[] {
    return this.#shards.map(shard => shard.report)
  }

  onState(listener: (report: ShardReport) => void): () => void {
    this.#stateListeners.add(listener)
    return () => void this.#stateListeners.delete(listener)
  }

  onMessage(listener: (shard: number, payload: unknown) => void): () => void {
    this.#messageListeners.add(listener)
    return () => void this.#messageListeners.delete(listener)
  }

  send(shard: number, payload: unknown): boolean {
    return this.#shardAt(shard).send({ type: 'app', payload })
  }

  status(shard: number, timeoutMs = 2_000): Promise<ShardStatus> {
    const request = this.#nextRequest++
    if (!this.#shardAt(shard).send({ type: 'status', request })) {
      return Promise.reject(new SupervisorError('NOT_RUNNING', `shard ${shard} has no process`))
    }
    return new Promise((resolve, reject) => {
      const cancel = this.#scheduler.after(timeoutMs, () => {
        this.#statusRequests.delete(request)
        reject(new SupervisorError('NO_ANSWER', `shard ${shard} said nothing about itself for ${timeoutMs} ms`))
      })
      const settle = (status: ShardStatus): void => {
        cancel()
        resolve(status)
      }
      this.#statusRequests.set(request, { shard, resolve: settle })
    })
  }

  drain(): Promise<void> {
    this.#draining ??= this.#drain()
    return this.#draining
  }

  async #drain(): Promise<void> {
    await Promise.all(this.#shards.map(shard => shard.drain()))
    if (this.#socketFolder !== '') removeSocketFolder(this.#socketFolder)
  }

  #supervise(shard: number, options: ShardsOptions, plan: ProcessPlan, token: string): SupervisedShard {
    const cpu = plan.cpus.length === 0 ? -1 : plan.cpus[shard % plan.cpus.length]!
    const drainDeadlineMs = options.drainDeadlineMs ?? 10_000
    const spawner = options.spawner ?? spawnShardProcess
    return new SupervisedShard({
      shard,
      scheduler: this.#scheduler,
      spawn: () => spawner({ ...plan, shard, entry: options.entry, cpu }),
      start: {
        type: 'start',
        shard,
        shardCount: options.shardCount,
        socketFolder: this.#socketFolder,
        token,
        cpu,
        drainDeadlineMs,
        config: options.config
      },
      readyTimeoutMs: options.readyTimeoutMs ?? 60_000,
      drainDeadlineMs,
      killDelayMs: options.killDelayMs ?? 2_000,
      restart: { ...defaultRestartSettings, ...options.restart },
      onState: report => this.#noteState(report),
      onMessage: message => this.#receive(shard, message),
      onNote: text => this.#log.warn({ shard }, text),
      onStartFailure: reason => void this.#giveUp(new ShardStartError(shard, reason))
    })
  }

  #noteState(report: ShardReport): void {
    const { shard, state } = report
    if (state.kind === 'crashed') {
      const fields = { shard, exit: describeExit(state.exit), restartDelayMs: state.restartDelayMs }
      this.#log.error(fields, 'shard crashed; it will be started again')
    } else this.#log.info({ shard, pid: report.pid, ...state }, `shard is ${state.kind}`)
    for (const listener of [...this.#stateListeners]) listener(report)
    if (state.kind !== 'ready') return
    this.#everReady.add(shard)
    if (this.#everReady.size === this.#shards.length) this.#becomeReady()
  }

  async #giveUp(error: ShardStartError): Promise<void> {
    this.#log.error({ shard: error.shard }, error.message)
    await this.drain()
    this.#becomeFailed(error)
  }

  #receive(shard: number, message: FromShard): void {
    if (message.type === 'app') for (const listener of [...this.#messageListeners]) listener(shard, message.payload)
    if (message.type !== 'status') return
    const request = this.#statusRequests.get(message.request)
    if (request?.shard !== shard) return
    this.#statusRequests.delete(message.request)
    request.resolve(message.status)
  }

  #shardAt(shard: number): SupervisedShard {
    const supervised = this.#shards[shard]
    assert(supervised !== undefined, `shard ${shard} is in [0, ${this.#shards.length})`)
    return supervised
  }
}

interface ProcessPlan {
  readonly execArgv: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly cpus: readonly number[]
  readonly pinMethod: ReturnType<typeof pinMethod>
}

function planProcesses(options: ShardsOptions, log: SchedulerLog): ProcessPlan {
  const environment = options.environment ?? process.env
  const compileCache =
    options.compileCacheFolder === undefined ? {} : { NODE_COMPILE_CACHE: options.compileCacheFolder }
  const method = (options.pin ?? true) ? pinMethod() : 'none'
  const cpus = method === 'none' ? [] : allowedCpus()
  if ((options.pin ?? true) && method === 'none')
    log.warn({}, 'shards run unpinned: neither node:ffi nor taskset can pin them')
  if (cpus.length > 0 && cpus.length < options.shardCount) {
    log.warn(
      { cpuCount: cpus.length, shardCount: options.shardCount },
      'shards share CPUs: there are more shards than CPUs'
    )
  }
  return {
    execArgv: options.execArgv ?? recommendedShardExecArgv(),
    environment: { ...environment, ...recommendedShardEnvironment(environment), ...compileCache },
    cpus,
    pinMethod: method
  }
}
