/**
 * Milena as a peer: `milena start` from the sources of this repository, with a data folder and ports of its own. Ready means what
 * the admin API says: GET /v1/status/ready answers 200 once every shard serves.
 */
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { answers, awaitReady, endProcesses, freePorts, spawnLogged, type Peer, type PeerOptions } from './peer.ts'

/** Root of the repository. */
export const repositoryDir = join(import.meta.dirname, '../../..')

const startTimeoutMs = 60_000

export interface MilenaOptions extends PeerOptions {
  readonly shardCount: number
  /** Use this folder for data instead of one inside `dir`; `remove` then leaves it alone. */
  readonly dataDir?: string
  /** Makes it a node of a cluster. */
  readonly cluster?: {
    /** The port that its shards listen on for other nodes; shard i is i above. */
    readonly rpcPort: number
    /** host:port of the nodes that form the cluster. */
    readonly seeds: readonly string[]
  }
}

/** A shard as `GET /v1/status` tells it. */
export interface ShardStatus {
  readonly shard: number
  readonly pid: number
  /** Of its first listener. */
  readonly port: number
}

export class MilenaPeer implements Peer {
  readonly name = 'milena'
  readonly port: number
  readonly adminPort: number
  readonly dataDir: string
  readonly logFile: string
  readonly #options: MilenaOptions
  #child: ChildProcess | undefined
  #startMs = 0

  /** `port` .. `port + shardCount - 1` are the shards' ports; the admin API has the next one. */
  constructor(options: MilenaOptions, port: number) {
    this.#options = options
    this.port = port
    this.adminPort = port + options.shardCount
    this.dataDir = options.dataDir ?? join(options.dir, 'data')
    this.logFile = join(options.dir, 'milena.log')
    rmSync(options.dir, { recursive: true, force: true })
    mkdirSync(options.dir, { recursive: true })
  }

  get bootstrap(): string {
    return `127.0.0.1:${this.port}`
  }

  get shardCount(): number {
    return this.#options.shardCount
  }

  get startMs(): number {
    return this.#startMs
  }

  get rootPid(): number {
    return this.#child?.pid ?? 0
  }

  get rootPids(): readonly number[] {
    return this.#child?.pid === undefined ? [] : [this.#child.pid]
  }

  async start(): Promise<void> {
    const from = performance.now()
    this.spawn()
    try {
      await this.awaitReady()
    } catch (error) {
      await this.kill()
      throw error
    }
    this.#startMs = performance.now() - from
  }

  /** Starts the processes without waiting. */
  spawn(): void {
    const { cluster, settings = {} } = this.#options
    const flags = {
      '--data-dir': this.dataDir,
      '--kafka-port': this.port,
      '--admin-port': this.adminPort,
      '--shards': this.shardCount,
      ...(cluster === undefined ? {} : { '--rpc-port': cluster.rpcPort, '--seeds': cluster.seeds.join(',') })
    }
    const args = [
      ...['--conditions=@milena/source', join(repositoryDir, 'apps/broker/bin/milena.js'), 'start'],
      ...Object.entries(flags).flatMap(([name, value]) => [name, `${value}`]),
      ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
    ]
    const { logFile } = this
    this.#child = spawnLogged(process.execPath, args, { logFile, cwd: repositoryDir, env: this.#options.env })
  }

  /** Resolves when every shard serves; rejects when the supervisor ends or `timeoutMs` pass. */
  async awaitReady(timeoutMs = startTimeoutMs): Promise<void> {
    if (this.#child === undefined) throw new Error('Milena is not running')
    const ready = async (): Promise<boolean> => (await this.isReady()) && (await answers(this.port))
    await awaitReady(this.#child, ready, { timeoutMs, logFile: this.logFile, what: 'Milena' })
  }

  /** What the readiness probe says at the moment. */
  isReady(): Promise<boolean> {
    return new Promise(resolve => {
      const url = `http://127.0.0.1:${this.adminPort}/v1/status/ready`
      const request = get(url, { agent: false, timeout: 1000 }, response => {
        response.resume()
        resolve(response.statusCode === 200)
      })
      request.once('timeout', () => request.destroy())
      request.once('error', () => resolve(false))
    })
  }

  /** Process and port of each shard. */
  async shards(): Promise<ShardStatus[]> {
    const response = await fetch(`http://127.0.0.1:${this.adminPort}/v1/status`, {
      signal: AbortSignal.timeout(10_000)
    })
    const status = (await response.json()) as {
      shards: { shard: number; pid: number; listeners: { port: number }[] }[]
    }
    return status.shards.map(({ shard, pid, listeners }) => ({
      shard,
      pid,
      port: listeners[0]?.port ?? this.port + shard
    }))
  }

  async stop(): Promise<void> {
    if (this.#child !== undefined) await endProcesses(this.#child, 'SIGTERM')
    this.#child = undefined
  }

  async kill(): Promise<void> {
    if (this.#child !== undefined) await endProcesses(this.#child, 'SIGKILL')
    this.#child = undefined
  }

  async remove(): Promise<void> {
    await this.kill()
    rmSync(this.#options.dir, { recursive: true, force: true })
  }
}

/** Starts Milena on free ports. */
export async function startMilena(options: MilenaOptions): Promise<MilenaPeer> {
  const peer = new MilenaPeer(options, await freePorts(options.shardCount + 1))
  await peer.start()
  return peer
}
