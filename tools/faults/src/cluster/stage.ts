/**
 * What every scenario of a cluster does: three nodes, a ledger that writes to them all the while, a fault, and then three
 * questions. How long was each partition without an acknowledgement? Does every node know a leader of every partition soon after
 * the fault ended? Is all that was ever acknowledged still there, once and in order?
 */
import { availableParallelism, loadavg } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Ledger } from '../ledger.ts'
import { demand, type ScenarioContext } from '../scenario.ts'
import { LocalCluster, type LocalClusterOptions } from './local-cluster.ts'
import type { ClusterNode } from './node.ts'

export const NODES = 3
/** Time for writers to be acknowledged by whoever leads after a fault, ms. */
const ACKED_WITHIN_MS = 15_000
/** A partition counts as silent after so long without an acknowledgement, ms; each gets one every 6 ms on average. */
const SILENT_MS = 250
/** How long producers write before a fault, ms, at random in this range. */
const CALM_MS = [500, 1500] as const
const AUDIT_WITHIN_MS = 60_000

export interface Stage {
  readonly context: ScenarioContext
  readonly cluster: LocalCluster
  readonly ledger: Ledger
}

/** Times without an acknowledgement around one fault, ms. */
export interface Gaps {
  /** Of the partition that suffered most. */
  readonly worst: number
  /** Of all partitions, ascending. */
  readonly all: readonly number[]
}

/** Runs a scenario on a cluster of its own, and ends that whatever happens. */
export async function onCluster(
  context: ScenarioContext,
  options: LocalClusterOptions,
  body: (stage: Stage) => Promise<string>
): Promise<string> {
  const cluster = await LocalCluster.start(context, { nodes: NODES, ...options })
  let ledger: Ledger | undefined
  try {
    ledger = await cluster.openLedger()
    await cluster.awaitHealth()
    const words = await body({ context, cluster, ledger })
    await ledger.proveSensitivity()
    return words
  } catch (error) {
    context.say(`the nodes now:\n${await cluster.describe()}\nends of their logs:\n${cluster.logEnds()}`)
    throw error
  } finally {
    ledger?.close()
    await cluster.close()
  }
}

/** Lets producers write for a while, then starts to measure the time without acknowledgements. */
export async function calmThenMark({ context, ledger }: Stage): Promise<void> {
  await ledger.ask('resume')
  await sleep(context.random.between(...CALM_MS))
  await awaitAcks(ledger, 'before the fault')
  await ledger.ask('mark')
}

/**
 * Resolves, `settleMs` after the fault at the earliest, when every partition is acknowledged again, with the times without an
 * acknowledgement since the mark.
 */
export async function awaitAcks(ledger: Ledger, when: string, settleMs = 0): Promise<Gaps> {
  await sleep(settleMs)
  for (const from = performance.now(); ; await sleep(20)) {
    const { gaps = [], silent = [] } = await ledger.ask('gaps')
    const waiting = silent.flatMap((ms, partition) => (ms > SILENT_MS ? [partition] : []))
    if (waiting.length === 0 && gaps.length > 0)
      return { worst: Math.max(...gaps), all: gaps.toSorted((a, b) => a - b) }
    const waitedMs = settleMs + performance.now() - from
    demand(
      waitedMs < ACKED_WITHIN_MS,
      `partitions ${waiting.join(', ')} acknowledge nothing for ${waitedMs.toFixed(0)} ms ${when}`
    )
  }
}

/** Pauses the producers and audits. Resolves with what there is, in words. */
export async function audited({ ledger }: Stage): Promise<string> {
  const audit = await ledger.verify(AUDIT_WITHIN_MS)
  demand((audit.acked ?? 0) > 0, 'nothing was ever acknowledged')
  return `${audit.acked} acknowledged, ${audit.read} read`
}

/** A node that leads partitions: whoever leads one picked at random. */
export async function someLeader({ context, cluster }: Stage): Promise<ClusterNode> {
  const view = await cluster.node(context.random.between(0, cluster.nodes.length)).view()
  const leading = (view?.nodes ?? []).flatMap(({ nodeId, shards }) => {
    return Array.from({ length: shards.reduce((sum, { leads }) => sum + leads, 0) }, () => nodeId)
  })
  const nodeId = leading[context.random.between(0, leading.length)]
  demand(nodeId !== undefined, 'no node leads anything before anything happened to it')
  return cluster.node(nodeId)
}

/** The others than `node`. */
export function othersThan({ cluster }: Stage, node: ClusterNode): readonly ClusterNode[] {
  return cluster.nodes.filter(other => other !== node)
}

/** Tasks a core that wait or run, over the last minute, above which times say more about the machine than about the broker. */
const LOAD_PER_CORE_MAX = 3
/** The same for the longest time that this process, which has hardly anything to do, was not given a core, ms. */
const STALL_MS_MAX = 250

/**
 * Watches the machine from now on. What it returns tells why times are not judged, in words: others use this machine, even before
 * the scenario began, or it stood still meanwhile, as one does whose host has other guests. Null when they are.
 */
export function watchMachine(): () => string | null {
  const [load = 0] = loadavg()
  const delays = monitorEventLoopDelay({ resolution: 10 })
  delays.enable()
  return () => {
    const stallMs = delays.max / 1e6
    if (load > LOAD_PER_CORE_MAX * availableParallelism())
      return `the machine is busy with something else (load average ${load.toFixed(1)}), times are not judged`
    if (stallMs > STALL_MS_MAX) return `the machine stood still for ${ms(stallMs)}, times are not judged`
    return null
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

export const ms = (value: number): string => `${value.toFixed(0)} ms`
