/**
 * Faults of a cluster of three real nodes that a minority of them suffers, one after another under load: killed, standing still, cut
 * off. Nothing acknowledged may be lost, repeated or out of order, and every partition has a leader again within ten seconds.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { LocalCluster } from './cluster/local-cluster.ts'
import type { ClusterNode } from './cluster/node.ts'
import { missingForNetwork, NodeNetwork } from './cluster/network.ts'
import type { Ledger } from './ledger.ts'
import type { Random } from './random.ts'
import { demand, type Scenario, type ScenarioContext } from './scenario.ts'

/** A leader that is killed: how long producers may be without an acknowledgement, ms. */
const GAP_MEDIAN_MS_MAX = 1000
const GAP_MS_MAX = 3000
/** Time for writers to be acknowledged by whoever leads after a fault, ms. */
const ACKED_WITHIN_MS = 15_000
const NODES = 3

interface Stage {
  readonly cluster: LocalCluster
  readonly ledger: Ledger
}

async function onCluster(
  context: ScenarioContext,
  network: NodeNetwork | undefined,
  body: (stage: Stage) => Promise<string>
): Promise<string> {
  const cluster = await LocalCluster.start(context, { nodes: NODES, ...(network === undefined ? {} : { network }) })
  let ledger: Ledger | undefined
  try {
    ledger = await cluster.openLedger()
    return await body({ cluster, ledger })
  } catch (error) {
    context.say(`ends of the nodes' logs:\n${cluster.logEnds()}`)
    throw error
  } finally {
    ledger?.close()
    await cluster.close()
  }
}

/** Milena's broker ids: shard s of node n is n * 1000 + s. */
const SHARDS_PER_NODE_MAX = 1000

/** A node that leads partitions: whoever leads one picked at random. */
async function someLeader({ cluster, ledger }: Stage, random: Random): Promise<ClusterNode> {
  const { leaders = [] } = await ledger.ask('leaders')
  const leader = leaders[random.between(0, leaders.length)] ?? -1
  demand(leader >= 0, 'a partition has no leader before anything happened to it')
  return cluster.node(Math.floor(leader / SHARDS_PER_NODE_MAX))
}

/** Waits until every partition has had an acknowledgement since the mark. Resolves with the longest time without one, ms. */
async function longestGap(ledger: Ledger): Promise<number> {
  for (const from = performance.now(); ; await sleep(50)) {
    const { gaps = [] } = await ledger.ask('gaps')
    if (gaps.length > 0 && gaps.every(gap => gap >= 0)) return Math.max(...gaps)
    const waiting = gaps.flatMap((gap, partition) => (gap < 0 ? [partition] : []))
    demand(
      performance.now() - from < ACKED_WITHIN_MS,
      `partitions ${waiting.join(', ')} acknowledge nothing ${ACKED_WITHIN_MS} ms after the fault`
    )
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

async function audited(ledger: Ledger): Promise<string> {
  const audit = await ledger.verify(60_000)
  demand((audit.acked ?? 0) > 0, 'nothing was ever acknowledged')
  return `${audit.acked} acknowledged, ${audit.read} read`
}

export const clusterKill: Scenario = {
  name: 'cluster-kill',
  title: 'kill -9 of one of three nodes stops producers for less than a second, and loses nothing',
  rounds: 20,
  missing: ({ target }) => (target === 'kafka' ? 'it is about the time of our elections' : null),
  run: context =>
    onCluster(context, undefined, async ({ cluster, ledger }) => {
      const gaps: number[] = []
      let acked = ''
      for (let round = 1; round <= context.rounds; round++) {
        await ledger.ask('resume')
        await sleep(context.random.between(500, 1500))
        const victim = await someLeader({ cluster, ledger }, context.random)
        await ledger.ask('mark')
        await victim.kill()
        await sleep(context.random.between(1000, 2000))
        const gap = await longestGap(ledger)
        gaps.push(gap)
        await cluster.startAll()
        const leadersMs = await cluster.awaitLeaders()
        acked = await audited(ledger)
        context.say(
          `round ${round}: ${victim.name} killed, ${gap.toFixed(0)} ms without acknowledgement; back, leaders after ${leadersMs.toFixed(0)} ms; ${acked}`
        )
      }
      await ledger.proveSensitivity()
      const words = `gap: median ${median(gaps).toFixed(0)} ms, worst ${Math.max(...gaps).toFixed(0)} ms over ${gaps.length} kills`
      demand(median(gaps) < GAP_MEDIAN_MS_MAX && Math.max(...gaps) < GAP_MS_MAX, words)
      return `${words}; ${acked}`
    })
}

export const clusterPause: Scenario = {
  name: 'cluster-pause',
  title: 'a node that stands still for seconds and goes on loses nothing, and the others lead meanwhile',
  rounds: 5,
  missing: ({ target }) => (target === 'kafka' ? 'one Kafka node has no others' : null),
  run: context =>
    onCluster(context, undefined, async ({ cluster, ledger }) => {
      let acked = ''
      for (let round = 1; round <= context.rounds; round++) {
        await ledger.ask('resume')
        await sleep(context.random.between(500, 1500))
        const victim = await someLeader({ cluster, ledger }, context.random)
        const pauseMs = context.random.between(200, 12_000)
        victim.pause()
        const paused = performance.now()
        const others = cluster.nodes.filter(node => node !== victim)
        const leadersMs = pauseMs < 2000 ? 0 : await cluster.awaitLeaders(others)
        await sleep(Math.max(0, pauseMs - (performance.now() - paused)))
        victim.resume()
        const stoodMs = performance.now() - paused
        await cluster.awaitLeaders()
        await sleep(500)
        acked = await audited(ledger)
        context.say(
          `round ${round}: ${victim.name} stood still for ${stoodMs.toFixed(0)} ms, the others led after ${leadersMs.toFixed(0)} ms; ${acked}`
        )
      }
      await ledger.proveSensitivity()
      return acked
    })
}

/** Which directions of a node's links to the others are cut. */
const cuts = ['all', 'what it sends', 'what it receives', 'one link', 'what it sends to one'] as const

async function cutOff(network: NodeNetwork, victim: number, kind: (typeof cuts)[number]): Promise<void> {
  const others = Array.from({ length: NODES }, (_, node) => node).filter(node => node !== victim)
  const affected = kind === 'one link' || kind === 'what it sends to one' ? others.slice(0, 1) : others
  for (const other of affected) {
    if (kind !== 'what it receives') await network.cut(victim, other)
    if (kind === 'all' || kind === 'one link' || kind === 'what it receives') await network.cut(other, victim)
  }
}

export const clusterCut: Scenario = {
  name: 'cluster-cut',
  title: 'a node that is cut off, in both directions or in one, acknowledges nothing that is lost when it is back',
  rounds: 10,
  missing: ({ target }) => (target === 'kafka' ? 'one Kafka node has no others' : missingForNetwork()),
  run: async context => {
    const network = await NodeNetwork.open(NODES)
    try {
      return await onCluster(context, network, async ({ cluster, ledger }) => {
        let acked = ''
        for (let round = 1; round <= context.rounds; round++) {
          await ledger.ask('resume')
          await sleep(context.random.between(500, 1500))
          const victim = (await someLeader({ cluster, ledger }, context.random)).options.node
          const kind = cuts[(round - 1) % cuts.length] ?? 'all'
          await cutOff(network, victim, kind)
          await sleep(context.random.between(1000, 6000))
          const cutMs = await cluster.awaitLeaders(cluster.nodes.filter(node => node.options.node !== victim))
          await network.heal()
          const leadersMs = await cluster.awaitLeaders()
          await sleep(500)
          acked = await audited(ledger)
          context.say(
            `round ${round}: node ${victim}, cut: ${kind}; leaders after ${cutMs.toFixed(0)} ms meanwhile, ${leadersMs.toFixed(0)} ms when healed; ${acked}`
          )
        }
        await ledger.proveSensitivity()
        return acked
      })
    } finally {
      network.close()
    }
  }
}
