/**
 * Faults that a minority of three real nodes suffers, one after another under load: killed, standing still, cut off. Nothing
 * acknowledged may be lost, repeated or out of order, and every partition has a leader again within ten seconds.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterNode } from './cluster/node.ts'
import { missingForNetwork, NodeNetwork } from './cluster/network.ts'
import {
  audited,
  awaitAcks,
  calmThenMark,
  median,
  ms,
  NODES,
  onCluster,
  othersThan,
  someLeader,
  watchMachine,
  type Stage
} from './cluster/stage.ts'
import { demand, type Scenario } from './scenario.ts'

/** A leader that is killed: how long producers may be without an acknowledgement, ms. */
const GAP_MEDIAN_MS_MAX = 1000
const GAP_MS_MAX = 3000
/** Any other fault of a minority. */
const FAULT_GAP_MS_MAX = 10_000
/** Two of three nodes stand still for so long, ms, to prove that a silence is noticed and that one node acknowledges nothing alone. */
const MAJORITY_MS = 2000

/** Ends a round: every node knows leaders, replicas are in sync, the audit holds. Resolves with all that, in words. */
async function recovered(stage: Stage): Promise<string> {
  const leadersMs = await stage.cluster.awaitLeaders()
  const syncMs = await stage.cluster.awaitHealth()
  return `leaders after ${ms(leadersMs)}, in sync after ${ms(leadersMs + syncMs)}; ${await audited(stage)}`
}

export const clusterKill: Scenario = {
  name: 'cluster-kill',
  title: 'kill -9 of one of three nodes stops producers for less than a second, and loses nothing',
  rounds: 5,
  longRounds: 20,
  missing: ({ target }) => (target === 'kafka' ? 'it is about the time of our elections' : null),
  run: context => {
    const whyNotJudged = watchMachine()
    return onCluster(context, {}, async stage => {
      const { cluster, ledger } = stage
      const gaps: number[] = []
      const elections: number[] = []
      for (let round = 1; round <= context.rounds; round++) {
        await calmThenMark(stage)
        const victim = await someLeader(stage)
        const [observer = victim] = othersThan(stage, victim)
        const killed = victim.kill()
        elections.push(await cluster.awaitLeadersElsewhere(victim, observer))
        await killed
        const gap = await awaitAcks(ledger, `after ${victim.name} was killed`, context.random.between(500, 1500))
        gaps.push(gap.worst)
        const back = performance.now()
        await cluster.startAll()
        const startMs = performance.now() - back
        const words = await recovered(stage)
        context.say(
          `round ${round}: ${victim.name} killed, others elected after ${ms(elections.at(-1) ?? 0)}, producers without acknowledgement for ${ms(gap.worst)}; back after ${ms(startMs)}, ${words}`
        )
      }
      const words = `gap: median ${ms(median(gaps))}, worst ${ms(Math.max(...gaps))} over ${gaps.length} kills; elections: median ${ms(median(elections))}, worst ${ms(Math.max(...elections))}`
      const reason = whyNotJudged()
      if (reason !== null) return `${words}; ${reason}`
      demand(median(gaps) < GAP_MEDIAN_MS_MAX && Math.max(...gaps) < GAP_MS_MAX, words)
      return words
    })
  }
}

export const clusterPause: Scenario = {
  name: 'cluster-pause',
  title: 'a node that stands still for seconds and goes on loses nothing, and the others lead meanwhile',
  rounds: 3,
  longRounds: 20,
  missing: ({ target }) => (target === 'kafka' ? 'one Kafka node has no others' : null),
  run: context =>
    onCluster(context, {}, async stage => {
      const { cluster, ledger } = stage
      const gaps: number[] = []
      for (let round = 1; round <= context.rounds; round++) {
        await calmThenMark(stage)
        const victim = await someLeader(stage)
        // In turn shorter than an election takes and longer.
        const pauseMs = round % 3 === 0 ? context.random.between(100, 1500) : context.random.between(3000, 7000)
        victim.pause()
        const paused = performance.now()
        let led = ''
        if (pauseMs >= 3000) {
          const others = othersThan(stage, victim)
          const [observer = victim] = others
          led = `, others elected after ${ms(await cluster.awaitLeadersElsewhere(victim, observer))}`
          await cluster.awaitLeaders(others)
        }
        await sleep(Math.max(0, pauseMs - (performance.now() - paused)))
        victim.resume()
        const stoodMs = performance.now() - paused
        const gap = await awaitAcks(ledger, `after ${victim.name} goes on`, 1000)
        gaps.push(gap.worst)
        demand(
          gap.worst < FAULT_GAP_MS_MAX,
          `${ms(gap.worst)} without an acknowledgement while ${victim.name} stood still`
        )
        context.say(
          `round ${round}: ${victim.name} stood still for ${ms(stoodMs)}${led}, producers without acknowledgement for ${ms(gap.worst)}; ${await recovered(stage)}`
        )
      }
      await proveSilence(stage)
      return `gap: median ${ms(median(gaps))}, worst ${ms(Math.max(...gaps))} over ${gaps.length} pauses; ${await recovered(stage)}`
    })
}

/** Two of three nodes stand still: the third must acknowledge nothing, and the measuring of gaps must notice. */
async function proveSilence(stage: Stage): Promise<void> {
  const { cluster, ledger, context } = stage
  await calmThenMark(stage)
  const alone = cluster.node(context.random.between(0, NODES))
  const stopped = othersThan(stage, alone)
  for (const node of stopped) node.pause()
  await sleep(200) // for what was on its way
  const before = await ledger.ask('stats')
  await sleep(MAJORITY_MS)
  const after = await ledger.ask('stats')
  for (const node of stopped) node.resume()
  demand(before.acked === after.acked, `${alone.name} acknowledges records alone while both others stand still`)
  const { all } = await awaitAcks(ledger, 'after two of three nodes stood still', 500)
  demand(
    (all[0] ?? 0) >= MAJORITY_MS,
    `two nodes stood still for ${MAJORITY_MS} ms, which the gaps do not show: ${all.join(', ')}`
  )
  context.say(
    `two nodes stood still for ${MAJORITY_MS} ms: nothing was acknowledged; gaps ${ms(all[0] ?? 0)} to ${ms(all.at(-1) ?? 0)}`
  )
}

/** Which directions of a node's links to the others are cut. */
const cuts = ['all', 'what it sends', 'what it receives', 'one link', 'what it sends to one'] as const

async function cutOff(
  stage: Stage,
  network: NodeNetwork,
  node: ClusterNode,
  kind: (typeof cuts)[number]
): Promise<void> {
  const victim = node.options.node
  const others = othersThan(stage, node).map(other => other.options.node)
  const affected = kind === 'one link' || kind === 'what it sends to one' ? others.slice(0, 1) : others
  for (const other of affected) {
    if (kind !== 'what it receives') await network.cut(victim, other)
    if (kind === 'all' || kind === 'one link' || kind === 'what it receives') await network.cut(other, victim)
  }
}

export const clusterCut: Scenario = {
  name: 'cluster-cut',
  title: 'a node that is cut off, in both directions or in one, acknowledges nothing that is lost when it is back',
  rounds: cuts.length,
  longRounds: 4 * cuts.length,
  missing: ({ target }) => (target === 'kafka' ? 'one Kafka node has no others' : missingForNetwork()),
  run: async context => {
    const network = await NodeNetwork.open(NODES)
    try {
      return await onCluster(context, { network }, async stage => {
        const gaps: number[] = []
        for (let round = 1; round <= context.rounds; round++) {
          await calmThenMark(stage)
          const victim = await someLeader(stage)
          const kind = cuts[(round - 1) % cuts.length] ?? 'all'
          await cutOff(stage, network, victim, kind)
          // Whoever lost a link may say that it knows no leader beyond it; that others do shows in the acknowledgements.
          await awaitAcks(stage.ledger, `while cut off: ${kind}`, context.random.between(1500, 5000))
          const dropped = await network.heal()
          demand(dropped > 0, 'the cut dropped no packet: it cuts nothing')
          const gap = await awaitAcks(stage.ledger, 'after the links were healed', 1000)
          gaps.push(gap.worst)
          demand(gap.worst < FAULT_GAP_MS_MAX, `${ms(gap.worst)} without an acknowledgement, cut: ${kind}`)
          const words = await recovered(stage)
          context.say(
            `round ${round}: ${victim.name}, cut: ${kind}, ${dropped} packets dropped, producers without acknowledgement for ${ms(gap.worst)}; healed: ${words}`
          )
        }
        return `gap: median ${ms(median(gaps))}, worst ${ms(Math.max(...gaps))} over ${gaps.length} cuts`
      })
    } finally {
      network.close()
    }
  }
}
