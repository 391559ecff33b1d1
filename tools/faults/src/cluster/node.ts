/**
 * One node of a cluster under test: `milena start --seeds ...` as a child process, with ways to hurt it. Everything of a node
 * (supervisor and shards) is hurt together: SIGKILL, SIGSTOP and SIGCONT go to all of its processes.
 */
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { answers, awaitReady, endProcesses, logEnd, processTree, repositoryDir, spawnLogged } from '@milena/bench'

export interface NodeOptions {
  readonly node: number
  readonly dir: string
  readonly dataDir: string
  readonly shardCount: number
  /** Address of the node; its own one in a network of namespaces. */
  readonly host: string
  /** Of shard 0; shard i has the i-th after it. */
  readonly kafkaPort: number
  readonly rpcPort: number
  readonly adminPort: number
  /** rpc addresses of all founders. */
  readonly seeds: string
  /** Command that the node runs under, e.g. in a network namespace. */
  readonly under: readonly string[]
  readonly settings: Readonly<Record<string, string>>
}

/** The part of GET /v1/cluster that scenarios look at. */
export interface ClusterView {
  readonly controller: number | null
  readonly health: {
    readonly partitions: number
    readonly leaderlessCount: number
    readonly underReplicatedCount: number
    readonly leaderless: readonly string[]
    readonly underReplicated: readonly string[]
  }
  readonly nodes: readonly {
    readonly nodeId: number
    readonly shards: readonly { readonly brokerId: number; readonly reachable: boolean; readonly leads: number }[]
  }[]
}

const START_TIMEOUT_MS = 60_000
const VIEW_TIMEOUT_MS = 1000

export class ClusterNode {
  readonly options: NodeOptions
  readonly logFile: string
  #child: ChildProcess | undefined
  #stopped: number[] = []

  constructor(options: NodeOptions) {
    this.options = options
    this.logFile = join(options.dir, `node-${options.node}.log`)
  }

  get name(): string {
    return `node ${this.options.node}`
  }

  get bootstrap(): string {
    return `${this.options.host}:${this.options.kafkaPort}`
  }

  get running(): boolean {
    return this.#child !== undefined
  }

  /** Starts the processes without waiting. */
  spawn(): void {
    const { dataDir, host, kafkaPort, rpcPort, adminPort, shardCount, seeds, under, settings } = this.options
    const flags = { 'data-dir': dataDir, host, 'kafka-port': kafkaPort, 'rpc-port': rpcPort, 'admin-port': adminPort }
    const [command = '', ...args] = [
      ...under,
      process.execPath,
      '--conditions=@milena/source',
      join(repositoryDir, 'apps/broker/bin/milena.js'),
      'start',
      ...Object.entries({ ...flags, shards: shardCount, seeds }).flatMap(([name, value]) => [`--${name}`, `${value}`]),
      ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
    ]
    this.#child = spawnLogged(command, args, { logFile: this.logFile, cwd: repositoryDir })
  }

  /** Resolves when the node serves clients; rejects when it ends or does not in time. */
  async awaitReady(): Promise<void> {
    if (this.#child === undefined) throw new Error(`${this.name} is not running`)
    const { host, adminPort, kafkaPort } = this.options
    const ready = async (): Promise<boolean> =>
      (await isReady(`http://${host}:${adminPort}/v1/status/ready`)) && (await answers(kafkaPort, 1000, host))
    await awaitReady(this.#child, ready, { timeoutMs: START_TIMEOUT_MS, logFile: this.logFile, what: this.name })
  }

  /** The cluster as this node sees it; undefined when it does not say. */
  async view(): Promise<ClusterView | undefined> {
    const { host, adminPort } = this.options
    try {
      const signal = AbortSignal.timeout(VIEW_TIMEOUT_MS)
      const answer = await fetch(`http://${host}:${adminPort}/v1/cluster`, { signal })
      return answer.ok ? ((await answer.json()) as ClusterView) : undefined
    } catch {
      return undefined
    }
  }

  async kill(): Promise<void> {
    if (this.#child !== undefined) await endProcesses(this.#child, 'SIGKILL')
    this.#child = undefined
  }

  /** SIGTERM, and waits for the end. */
  async stop(): Promise<void> {
    if (this.#child !== undefined) await endProcesses(this.#child, 'SIGTERM')
    this.#child = undefined
  }

  /** Stands still, sockets open. The supervisor first, so that it does not see its shards stop. */
  pause(): void {
    this.#stopped = processTree(this.#child?.pid ?? 0)
    for (const pid of this.#stopped) process.kill(pid, 'SIGSTOP')
  }

  resume(): void {
    for (const pid of this.#stopped.splice(0)) process.kill(pid, 'SIGCONT')
  }

  /** The last lines of its log, without the stalls that a machine shared by three nodes brings. */
  logEnd(): string {
    const lines = logEnd(this.logFile, 400).split('\n')
    return lines
      .filter(line => !line.includes('event loop stalled'))
      .slice(-15)
      .join('\n')
  }
}

async function isReady(url: string): Promise<boolean> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(1000) }).catch(() => undefined)
  await answer?.body?.cancel()
  return answer?.ok === true
}
