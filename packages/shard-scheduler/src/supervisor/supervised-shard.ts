/**
 * One shard under supervision: its process, its state, its restarts. All effects go through ports (`ShardSpawner`,
 * `Scheduler`), so each transition is tested without a process.
 *
 *                    ready
 *       starting ─────────────► ready ──────────┐
 *        ▲  │ exit, or not        │ exit        │ drain()
 *        │  │ ready in time       ▼             ▼          exit
 *        │  └─────────────────► crashed ───► (any) ─► draining ─────► stopped
 *        └── back-off over ───────┘ drain(): stopped at once
 *
 * While draining: the drain message first, SIGTERM after `drainDeadlineMs`, SIGKILL `killDelayMs` later.
 */
import type { Scheduler } from '../scheduler/scheduler.ts'
import type { FromShard, StartMessage, ToShard } from './control-channel.ts'
import { restartDelayMs, type RestartSettings } from './restart-backoff.ts'
import type { ShardChild, ShardExit } from './shard-child.ts'

/** State of a shard's process, as the supervisor sees it. */
export type ShardState =
  | { readonly kind: 'starting' }
  /** Serves; `startupMs` after its process was started. */
  | { readonly kind: 'ready'; readonly startupMs: number }
  | { readonly kind: 'draining' }
  /** Down; started again after `restartDelayMs`. */
  | { readonly kind: 'crashed'; readonly exit: ShardExit; readonly restartDelayMs: number }
  /** Down and not started again: drained, or its start was given up. */
  | { readonly kind: 'stopped'; readonly exit: ShardExit | undefined }

/** A shard as the supervisor reports it. */
export interface ShardReport {
  readonly shard: number
  readonly state: ShardState
  /** Its present process, undefined while it has none. */
  readonly pid: number | undefined
  /** Processes that were started after the first one. */
  readonly restartCount: number
}

export interface SupervisedShardOptions {
  readonly shard: number
  readonly scheduler: Scheduler
  readonly spawn: () => ShardChild
  readonly start: StartMessage
  readonly readyTimeoutMs: number
  readonly drainDeadlineMs: number
  readonly killDelayMs: number
  readonly restart: RestartSettings
  readonly onState: (report: ShardReport) => void
  readonly onMessage: (message: FromShard) => void
  /** Something for the log. */
  readonly onNote: (text: string) => void
  /** The shard was never ready and will not be. */
  readonly onStartFailure: (reason: string) => void
}

export class SupervisedShard {
  readonly #options: SupervisedShardOptions
  #state: ShardState = { kind: 'stopped', exit: undefined }
  #child: ShardChild | undefined
  #restartCount = -1
  /** Crashes in a row. */
  #crashCount = 0
  #wasReady = false
  #failure: string | undefined
  #startedMs = 0
  #cancelTimer: () => void = () => {}
  #drained: Promise<void> | undefined
  #stopped: () => void = () => {}

  constructor(options: SupervisedShardOptions) {
    this.#options = options
  }

  get report(): ShardReport {
    return {
      shard: this.#options.shard,
      state: this.#state,
      pid: this.#child?.pid,
      restartCount: Math.max(this.#restartCount, 0)
    }
  }

  /** Starts the process. Once. */
  start(): void {
    const { scheduler, start, readyTimeoutMs } = this.#options
    this.#startedMs = scheduler.now()
    this.#restartCount++
    const child = this.#options.spawn()
    this.#child = child
    child.onMessage(message => this.#receive(child, message))
    child.onExit(exit => this.#becomeDown(child, exit))
    child.send(start)
    this.#cancelTimer = scheduler.after(readyTimeoutMs, () => {
      this.#options.onNote(`not ready within ${readyTimeoutMs} ms: killed`)
      child.kill('SIGKILL')
    })
    this.#become({ kind: 'starting' })
  }

  /** Sends to the present process. False when there is none. */
  send(message: ToShard): boolean {
    this.#child?.send(message)
    return this.#child !== undefined
  }

  /** Ends the shard for good. Resolves when its process is gone. May be called again: same promise. */
  drain(): Promise<void> {
    this.#drained ??= new Promise(resolve => {
      this.#stopped = resolve
      this.#cancelTimer()
      const child = this.#child
      if (child === undefined) this.#becomeStopped(undefined)
      else this.#beginDrain(child)
    })
    return this.#drained
  }

  #beginDrain(child: ShardChild): void {
    const { scheduler, drainDeadlineMs, killDelayMs } = this.#options
    child.send({ type: 'drain', deadlineMs: drainDeadlineMs })
    this.#cancelTimer = scheduler.after(drainDeadlineMs, () => {
      child.kill('SIGTERM')
      this.#cancelTimer = scheduler.after(killDelayMs, () => child.kill('SIGKILL'))
    })
    this.#become({ kind: 'draining' })
  }

  #receive(child: ShardChild, message: FromShard): void {
    if (this.#child !== child) return
    if (message.type === 'ready' && this.#state.kind === 'starting') this.#becomeReady()
    else if (message.type === 'failed') this.#noteFailure(message.reason)
    else this.#options.onMessage(message)
  }

  #noteFailure(reason: string): void {
    this.#failure = reason
    this.#options.onNote(reason)
  }

  #becomeReady(): void {
    const { scheduler, restart } = this.#options
    this.#cancelTimer()
    this.#wasReady = true
    this.#cancelTimer = scheduler.after(restart.resetAfterMs, () => (this.#crashCount = 0))
    this.#become({ kind: 'ready', startupMs: scheduler.now() - this.#startedMs })
  }

  #becomeDown(child: ShardChild, exit: ShardExit): void {
    if (this.#child !== child) return
    this.#child = undefined
    this.#cancelTimer()
    if (this.#drained !== undefined) return this.#becomeStopped(exit)
    const reason = this.#startFailure(exit)
    if (reason !== undefined) {
      this.#become({ kind: 'stopped', exit })
      this.#options.onStartFailure(reason)
      return
    }
    this.#failure = undefined
    const delayMs = restartDelayMs(++this.#crashCount, this.#options.restart)
    this.#cancelTimer = this.#options.scheduler.after(delayMs, () => this.start())
    this.#become({ kind: 'crashed', exit, restartDelayMs: delayMs })
  }

  /** Why the start is to be given up, if it is: only before the shard was ever ready. */
  #startFailure(exit: ShardExit): string | undefined {
    if (this.#wasReady) return undefined
    if (this.#failure !== undefined) return this.#failure
    if (this.#crashCount + 1 < this.#options.restart.startAttemptsMax) return undefined
    return `${this.#crashCount + 1} processes ended before they were ready, the last one with ${describeExit(exit)}`
  }

  #becomeStopped(exit: ShardExit | undefined): void {
    this.#become({ kind: 'stopped', exit })
    this.#stopped()
  }

  #become(state: ShardState): void {
    this.#state = state
    this.#options.onState(this.report)
  }
}

/** `exit code 1` or `SIGKILL`. */
export function describeExit(exit: ShardExit): string {
  return exit.signal ?? `exit code ${exit.exitCode}`
}
