/**
 * Replicas of three real nodes that are moved under load, by somebody who gives moves up as soon as they have begun, starts them
 * again, and gives them up again, while leaders of partitions and the controller's are killed. Nothing acknowledged may be lost,
 * and in the end nothing may be left of all that.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { RawClient } from '@milena/gateway/testing'
import { apis, errorName } from '@milena/wire-protocol'
import type { ClusterNode } from './cluster/node.ts'
import { audited, awaitAcks, calmThenMark, ms, onCluster, someLeader, type Stage } from './cluster/stage.ts'
import type { Random } from './random.ts'
import { demand, type Scenario } from './scenario.ts'

const TOPIC = 'ledger'
const PARTITIONS = 12
/** Moves that are started and given up again in a round, of one partition after the other. */
const WAVERINGS = 12
/** How long a move may go on before it is given up, and the partition rest after that, ms: shorter and longer than a move takes. */
const PATIENCE_MS_MAX = 700
/** Once nobody changes his mind any more, all moves have ended after this long, ms. */
const SETTLED_WITHIN_MS = 30_000
const REQUEST_MS = 5000

/** What GET /v1/reassignments says. */
interface Moves {
  readonly reassignments: readonly unknown[]
  readonly givenUp: readonly unknown[]
}

type Outcome = 'done' | 'refused' | 'not known'

/** Starts moves of a partition, or gives them up (null), through a node that is up. */
async function alter(node: ClusterNode, partition: number, replicas: readonly number[] | null): Promise<Outcome> {
  const { kafkaPort, host } = node.options
  const client = await RawClient.connect(kafkaPort, host).catch(() => undefined)
  if (client === undefined) return 'not known'
  const late = setTimeout(() => client.close(), REQUEST_MS)
  try {
    const partitions = [{ partitionIndex: partition, replicas: replicas && [...replicas] }]
    const request = { timeoutMs: REQUEST_MS, topics: [{ name: TOPIC, partitions }] }
    const answer = await client.request(apis.alterPartitionReassignments, 1, request)
    const error = errorName(answer.responses[0]?.partitions[0]?.errorCode ?? answer.errorCode)
    if (error === 'NONE') return 'done'
    if (error === 'NO_REASSIGNMENT_IN_PROGRESS') return 'refused'
    demand(error === 'REQUEST_TIMED_OUT', `a move of partition ${partition} is answered with ${error}`)
    return 'not known'
  } catch (error) {
    if (client.closed) return 'not known'
    throw error
  } finally {
    clearTimeout(late)
    client.close()
  }
}

/** Brokers on `count` different nodes. */
function anyReplicas(random: Random, { cluster, context }: Stage, count: number): number[] {
  const nodes = cluster.nodes.map(({ options }) => options.node)
  while (nodes.length > count) nodes.splice(random.between(0, nodes.length), 1)
  return nodes.map(node => node * 1000 + random.between(0, context.shardCount))
}

/** The same move, started and given up several times over, then perhaps left alone. Resolves with how many were given up. */
async function waver(stage: Stage, random: Random): Promise<number> {
  const partition = random.between(0, PARTITIONS)
  const replicas = anyReplicas(random, stage, random.between(1, 4))
  const patienceMs = random.between(1, PATIENCE_MS_MAX)
  let givenUp = 0
  for (let time = random.between(2, 5); time > 0; time--) {
    const running = stage.cluster.nodes.filter(node => node.running)
    const node = running[random.between(0, running.length)]
    if (node === undefined) return givenUp
    await alter(node, partition, replicas)
    await sleep(random.between(0, patienceMs))
    if ((await alter(node, partition, null)) === 'done') givenUp++
    await sleep(random.between(0, patienceMs))
  }
  return givenUp
}

/** Everybody's mind is made up: three replicas for each partition. Resolves when all nodes say that nothing moves, with the time. */
async function settle(stage: Stage): Promise<number> {
  const from = performance.now()
  const [first] = stage.cluster.nodes
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const replicas = anyReplicas(stage.context.random, stage, 3)
    while (first !== undefined && (await alter(first, partition, replicas)) !== 'done') {
      demand(performance.now() - from < SETTLED_WITHIN_MS, `the last move of partition ${partition} cannot be started`)
      await sleep(50)
    }
  }
  for (const node of stage.cluster.nodes) {
    for (let moves = await movesOf(node); !isSettled(moves); moves = await movesOf(node)) {
      const words = `${node.name} still says after ${SETTLED_WITHIN_MS} ms: ${JSON.stringify(moves)}`
      demand(performance.now() - from < SETTLED_WITHIN_MS, words)
      await sleep(50)
    }
  }
  return performance.now() - from
}

const isSettled = (moves: Moves | undefined): boolean =>
  moves !== undefined && moves.reassignments.length + moves.givenUp.length === 0

async function movesOf({ options: { host, adminPort } }: ClusterNode): Promise<Moves | undefined> {
  const signal = AbortSignal.timeout(REQUEST_MS)
  const answer = await fetch(`http://${host}:${adminPort}/v1/reassignments`, { signal }).catch(() => undefined)
  return answer?.ok === true ? ((await answer.json()) as Moves) : undefined
}

/** In turn: the node whose shard leads the controller, and one that leads partitions. */
async function victimOf(stage: Stage, round: number): Promise<[ClusterNode, string]> {
  if (round % 2 === 0) return [await someLeader(stage), 'a leader of partitions']
  const view = await stage.cluster.node(0).view()
  return [stage.cluster.node(Math.floor((view?.controller ?? 0) / 1000)), 'the leader of the controller']
}

export const clusterMoves: Scenario = {
  name: 'cluster-moves',
  title: 'moves that are started and given up again and again, with nodes killed in between, lose and leave nothing',
  rounds: 4,
  longRounds: 30,
  missing: ({ target }) => (target === 'kafka' ? 'one Kafka node has no others' : null),
  run: context =>
    onCluster(context, {}, async stage => {
      let total = 0
      for (let round = 1; round <= context.rounds; round++) {
        await calmThenMark(stage)
        const random = context.random.fork()
        let givenUp = 0
        const wavering = (async () => {
          for (let time = 0; time < WAVERINGS; time++) givenUp += await waver(stage, random)
        })()
        const [victim, what] = await victimOf(stage, round)
        await sleep(context.random.between(500, 4000))
        await victim.kill()
        await sleep(context.random.between(500, 2500))
        await stage.cluster.startAll()
        await wavering
        demand(givenUp > 0, 'no move was given up before it had ended: nothing was tried')
        total += givenUp
        const settledMs = await settle(stage)
        const gap = await awaitAcks(stage.ledger, 'after all moves had ended', 1000)
        const leadersMs = await stage.cluster.awaitLeaders()
        const syncMs = await stage.cluster.awaitHealth()
        context.say(
          `round ${round}: ${givenUp} moves given up, ${victim.name}, ${what}, killed; nothing moves ${ms(settledMs)} after the last was started, producers without acknowledgement for ${ms(gap.worst)}; leaders after ${ms(leadersMs)}, in sync after ${ms(syncMs)}; ${await audited(stage)}`
        )
      }
      return `${total} moves given up, ${context.rounds} nodes killed; ${await audited(stage)}`
    })
}
