/**
 * kill -9 at any time: of one shard, which the supervisor brings back while the other shards serve; of all processes at once; of a
 * broker that is still recovering from the kill before. Producers keep writing all the while. After every round everything that
 * was ever acknowledged must be where it was said to be.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { answers, logEnd, MilenaPeer, startKafka, startMilena, type Peer } from '@milena/bench'
import { Ledger } from './ledger.ts'
import type { Random } from './random.ts'
import { demand, type Scenario, type ScenarioContext } from './scenario.ts'

async function start(context: ScenarioContext): Promise<Peer> {
  const dir = `${context.dir}/broker`
  return context.target === 'kafka' ? startKafka({ dir }) : startMilena({ dir, shardCount: context.shardCount })
}

/** Kills one shard and resolves when its supervisor has it back. Resolves with what happened, in words. */
async function killShard(peer: MilenaPeer, random: Random): Promise<string> {
  const shards = await peer.shards()
  const victim = shards[random.between(0, shards.length)]
  demand(victim !== undefined, 'the admin API names no shards')
  process.kill(victim.pid, 'SIGKILL')
  for (const other of shards.filter(shard => shard !== victim))
    demand(
      await answers(other.port, 10_000),
      `shard ${other.shard} does not answer while shard ${victim.shard} is down`
    )
  const from = performance.now()
  for (;;) {
    const now = (await peer.shards().catch(() => [])).find(shard => shard.shard === victim.shard)
    if (now !== undefined && now.pid !== victim.pid && (await peer.isReady()) && (await answers(now.port))) break
    demand(performance.now() - from < 30_000, `shard ${victim.shard} is not back after 30 s`)
    await sleep(10)
  }
  return `shard ${victim.shard}, back after ${(performance.now() - from).toFixed(0)} ms`
}

/** Kills everything and starts again; one time in four kills the recovery too. */
async function killAll(peer: Peer, random: Random): Promise<string> {
  await peer.kill()
  let words = 'all processes'
  if (peer instanceof MilenaPeer && random.chance(0.25)) {
    peer.spawn()
    await sleep(random.between(0, 600))
    await peer.kill()
    words += ', and again while they started'
  }
  await peer.start()
  return `${words}, back after ${peer.startMs.toFixed(0)} ms`
}

async function run(context: ScenarioContext): Promise<string> {
  const { random } = context
  const peer = await start(context)
  let ledger: Ledger | undefined
  try {
    const shape = { topic: 'ledger', partitions: 8, writers: 4, rate: 3000, seed: random.between(1, 2 ** 31) }
    ledger = await Ledger.open({ kload: context.kload, bootstrap: peer.bootstrap, ...shape })
    let acked = 0
    for (let round = 1; round <= context.rounds; round++) {
      await ledger.ask('resume')
      await sleep(random.between(20, 700))
      const one = peer instanceof MilenaPeer && random.chance(0.5)
      const what = one ? await killShard(peer, random) : await killAll(peer, random)
      await sleep(random.between(0, 200))
      const audit = await ledger.verify(60_000)
      acked = audit.acked ?? 0
      context.say(`round ${round}: ${what}; ${acked} acknowledged, ${audit.read} read`)
    }
    demand(acked > 0, 'nothing was ever acknowledged')
    await ledger.proveSensitivity()
    return `${context.rounds} rounds, ${acked} acknowledged records all in place`
  } catch (error) {
    context.say(`end of the broker's log:\n${logEnd(peer.logFile)}`)
    throw error
  } finally {
    ledger?.close()
    await peer.remove()
  }
}

export const kill: Scenario = {
  name: 'kill',
  title: 'kill -9 of a shard or of all processes loses and changes nothing that was acknowledged',
  rounds: 50,
  missing: () => null,
  run
}
