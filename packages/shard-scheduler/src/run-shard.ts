/**
 * The shard's side of supervision: what a shard's entry module calls. It learns from the supervisor which shard it is, opens
 * the mesh, runs the application's main, says that it is ready, watches for stalls, and drains when told to, on SIGTERM and
 * SIGINT, or when the supervisor is gone.
 *
 *     await runShard<Config>(async ({ shard, config, mesh }) => {
 *       const broker = await startBrokerShard(shard, config, mesh)
 *       return { drain: () => broker.stop() }
 *     })
 *
 * A shard that outlives its supervisor would hold ports and locks that the next one needs: it gets `ORPHAN_DRAIN_MS` and
 * exits. A crash at that point loses nothing: what was acknowledged is durable.
 */
import { SupervisorError } from './errors.ts'
import type { MeshCore } from './mesh/mesh-core.ts'
import { openSocketMesh } from './mesh/socket-mesh.ts'
import { realScheduler } from './scheduler/real-scheduler.ts'
import { StallDetector } from './scheduler/stall-detector.ts'
import type { FromShard, ShardStatus, StartMessage, ToShard } from './supervisor/control-channel.ts'

/** How long a shard drains when its supervisor is gone, milliseconds. */
export const ORPHAN_DRAIN_MS = 1_000

/** What a shard's main is given. */
export interface ShardContext<Config> {
  readonly shard: number
  readonly shardCount: number
  /** `ShardsOptions.config`. */
  readonly config: Config
  /** The CPU that this process is pinned to, or -1. */
  readonly cpu: number
  /** Open; peers come as they start. Register services before the first await: peers may call as soon as they are linked. */
  readonly mesh: MeshCore
  /** Watches already; `watch` sets threshold and listener. */
  readonly stallDetector: StallDetector
  /** Sends to the supervisor's `onMessage`. */
  send(payload: unknown): void
  /** Called for each `Shards.send`. One listener. */
  onMessage(listener: (payload: unknown) => void): void
}

/** What main leaves running. */
export interface ShardService {
  /** Stops accepting, lets work in flight end, closes. The process exits after it, or after `deadlineMs`. */
  drain(deadlineMs: number): Promise<void>
  /** Whatever the application wants to tell about itself; structured-cloned. */
  status?(): unknown
}

/** An application's part of a shard: resolves when it serves, rejects when it cannot. */
export type ShardMain<Config> = (context: ShardContext<Config>) => Promise<ShardService>

/**
 * Runs `main` as a shard of the supervisor that started this process. Ends when the shard serves; the process exits by itself
 * after a drain. When `main` rejects, the supervisor is told why and the process exits with 1. Throws `SupervisorError`
 * (`NOT_SUPERVISED`) in a process that no supervisor started.
 */
export async function runShard<Config>(main: ShardMain<Config>): Promise<void> {
  if (process.send === undefined) throw new SupervisorError('NOT_SUPERVISED', 'startShards starts shards')
  const shard = new RunningShard(main)
  await shard.run()
}

class RunningShard<Config> {
  readonly #main: ShardMain<Config>
  readonly #stallDetector = new StallDetector(realScheduler, () => performance.eventLoopUtilization().idle)
  #start: StartMessage | undefined
  #mesh: MeshCore | undefined
  #service: ShardService | undefined
  #appListener: (payload: unknown) => void = () => {}
  #draining = false

  constructor(main: ShardMain<Config>) {
    this.#main = main
  }

  async run(): Promise<void> {
    const start = await this.#awaitStart()
    this.#start = start
    try {
      this.#stallDetector.watch()
      const mesh = await openSocketMesh({ ...start, scheduler: realScheduler })
      this.#mesh = mesh
      this.#service = await this.#main(this.#context(start, mesh))
    } catch (error) {
      // A drain that was asked for while main ran takes the ground from under it: no failure of its own.
      if (!this.#draining) await this.#fail(error)
      return
    }
    if (this.#draining) await this.#finishDrain(start.drainDeadlineMs)
    else say({ type: 'ready' })
  }

  #awaitStart(): Promise<StartMessage> {
    const started = Promise.withResolvers<StartMessage>()
    process.on('message', message => {
      const control = message as ToShard
      if (control.type === 'start') started.resolve(control)
      else this.#receive(control)
    })
    process.on('disconnect', () => void this.#drain(ORPHAN_DRAIN_MS))
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => void this.#drain(this.#start?.drainDeadlineMs ?? 0))
    }
    return started.promise
  }

  #receive(message: Exclude<ToShard, StartMessage>): void {
    if (message.type === 'drain') void this.#drain(message.deadlineMs)
    else if (message.type === 'app') this.#appListener(message.payload)
    else say({ type: 'status', request: message.request, status: this.#status() })
  }

  #context(start: StartMessage, mesh: MeshCore): ShardContext<Config> {
    const { shard, shardCount, cpu } = start
    return {
      shard,
      shardCount,
      cpu,
      mesh,
      config: start.config as Config,
      stallDetector: this.#stallDetector,
      send: payload => say({ type: 'app', payload }),
      onMessage: listener => (this.#appListener = listener)
    }
  }

  #status(): ShardStatus {
    const { stallCount, longestMs } = this.#stallDetector.counters
    const { user, system } = process.cpuUsage()
    return {
      residentBytes: process.memoryUsage.rss(),
      cpuMicros: user + system,
      stallCount,
      longestStallMs: longestMs,
      reachable: [...(this.#mesh?.reachable ?? [])],
      app: this.#service?.status?.()
    }
  }

  async #drain(deadlineMs: number): Promise<void> {
    if (this.#draining) return
    this.#draining = true
    realScheduler.after(deadlineMs, () => process.exit(1))
    // Without a service main still runs: `run` finishes the drain when main is through.
    if (this.#service !== undefined || this.#start === undefined) await this.#finishDrain(deadlineMs)
  }

  async #finishDrain(deadlineMs: number): Promise<void> {
    try {
      await this.#service?.drain(deadlineMs)
      await this.#mesh?.close()
      process.exit(0)
    } catch (error) {
      process.stderr.write(`shard ${this.#start?.shard} could not drain: ${describe(error)}\n`)
      process.exit(1)
    }
  }

  async #fail(error: unknown): Promise<void> {
    await new Promise<void>(resolve => say({ type: 'failed', reason: describe(error) }, resolve))
    process.exit(1)
  }
}

function say(message: FromShard, sent: () => void = () => {}): void {
  if (process.connected !== true || process.send === undefined) sent()
  else process.send(message, undefined, {}, () => sent())
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
