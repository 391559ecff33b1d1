/**
 * One broker, or cluster, under load: starts it with an empty folder, runs the load generator against it while its processes are measured, and
 * removes it. Rows (rows.ts) are written against this, not against a broker.
 */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startKafkaCluster, startMilenaCluster } from './cluster-peer.ts'
import { startKafka } from './kafka-peer.ts'
import { startMilena } from './milena-peer.ts'
import type { Peer } from './peer.ts'
import { UsageMeter, type Usage } from './process-usage.ts'
import { runProgram } from './program.ts'

export type System = 'kafka' | 'milena'

/** What a line of the table compares: Milena, Kafka as it comes, Kafka told to flush before it answers. */
export type Variant = 'milena' | 'kafka' | 'kafkaFlush'

export const variantTitles: Readonly<Record<Variant, string>> = {
  milena: 'Milena',
  kafka: 'Kafka, defaults',
  kafkaFlush: 'Kafka, flush.messages=1'
}

export const systemOf = (variant: Variant): System => (variant === 'milena' ? 'milena' : 'kafka')

/** What one run of a row found: metrics by name (units in rows.ts), and what went wrong, in words. */
export interface Sample {
  readonly metrics: Readonly<Record<string, number>>
  readonly problems: readonly string[]
}

/** What kload prints; fields by verb, see its sources. */
export interface KloadReport {
  readonly ok: boolean
  readonly error?: string
  readonly seconds: number
  readonly bytes: number
  readonly mb_s: number
  readonly records_s: number
  readonly failed?: number
  readonly missing?: number
  readonly changed?: number
  readonly duplicates?: number
  readonly unordered?: number
  readonly unanswered?: number
  readonly sent_s: number
  readonly held?: boolean
  readonly ack: Quantiles
  readonly e2e: Quantiles
  readonly lag: Quantiles
}

export interface Quantiles {
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

export interface StageOptions {
  readonly kload: string
  readonly dir: string
  readonly shardCount: number
  /** Command lines as they were run, for the report. */
  readonly commands: Set<string>
}

export class Stage {
  readonly peer: Peer
  readonly nodeCount: number
  readonly #options: StageOptions

  private constructor(peer: Peer, nodeCount: number, options: StageOptions) {
    this.peer = peer
    this.nodeCount = nodeCount
    this.#options = options
  }

  /** Of `nodeCount` nodes. */
  static async open(system: System, nodeCount: number, options: StageOptions): Promise<Stage> {
    const { shardCount } = options
    const dir = join(options.dir, system)
    const peer =
      nodeCount > 1
        ? await (system === 'kafka'
            ? startKafkaCluster(dir, nodeCount)
            : startMilenaCluster(dir, nodeCount, shardCount))
        : await (system === 'kafka' ? startKafka({ dir }) : startMilena({ dir, shardCount }))
    return new Stage(peer, nodeCount, options)
  }

  /** Runs the load generator to its end and measures the broker meanwhile. */
  async load(
    verb: string,
    args: readonly string[],
    timeoutMs = 300_000
  ): Promise<{ report: KloadReport; usage: Usage; problems: string[] }> {
    this.#options.commands.add(
      `kload ${verb} -b ${this.peer.name} ${args.filter((_, i) => args[i] !== '-t' && args[i - 1] !== '-t').join(' ')}`
    )
    spawnSync('sync')
    const meter = new UsageMeter(this.peer.rootPids)
    const result = await runProgram(this.#options.kload, [verb, '-b', this.peer.bootstrap, ...args], { timeoutMs })
    const usage = meter.stop()
    if (result.stdout === '') throw new Error(`kload ${verb} against ${this.peer.name}: ${result.stderr.slice(-1000)}`)
    const report = JSON.parse(result.stdout) as KloadReport
    return { report, usage, problems: problemsOf(verb, report) }
  }

  /** Brings the broker to where nothing it stored is in memory. False when that needs more rights than we have. */
  async coolDown(): Promise<boolean> {
    if (this.peer.name === 'milena') await this.peer.stop()
    spawnSync('sync')
    let dropped = true
    try {
      writeFileSync('/proc/sys/vm/drop_caches', '3')
    } catch {
      dropped = false
    }
    if (this.peer.name === 'milena') await this.peer.start()
    return dropped || this.peer.name === 'milena'
  }

  close(): Promise<void> {
    return this.peer.remove()
  }
}

function problemsOf(verb: string, report: KloadReport): string[] {
  if (report.ok) return []
  const counts = (['failed', 'unanswered', 'missing', 'changed', 'duplicates', 'unordered'] as const).flatMap(name =>
    (report[name] ?? 0) === 0 ? [] : [`${report[name]} ${name}`]
  )
  return [`${verb}: ${counts.join(', ')}${report.error === undefined ? '' : ` (${report.error})`}`]
}

/** Metrics that every row has: what the broker's processes cost. */
export function costs(usage: Usage, bytes: number): Record<string, number> {
  return {
    cpu_s_per_gb: usage.cpuSeconds / (bytes / 1e9),
    cpu_s: usage.cpuSeconds,
    rss_mb: usage.rssPeakBytes / 1e6,
    pss_mb: usage.pssBytes / 1e6,
    steal_s: usage.stealSeconds,
    load: usage.load
  }
}
