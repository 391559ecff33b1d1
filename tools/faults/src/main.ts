/**
 * `npm run test:faults`: breaks what surrounds a running broker, and the broker itself, and checks that nothing acknowledged was
 * lost or changed, nothing hangs and nobody else suffers.
 *
 *   --only NAMES     scenarios, comma separated       --rounds N    rounds, instead of each scenario's own number
 *   --seed N         seed of everything random        --shards N    shards of Milena (2)
 *   --target kafka   Apache Kafka instead; shows that the checks are right, where they apply
 *   --list           the scenarios                    --long        the long form: more rounds where a scenario has some
 *   --keep           leave folders of failed scenarios behind
 *
 * Scenarios that need what is not here (root, FUSE, a C compiler) are skipped, with the reason. Exit code 0 when nothing failed.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { buildKload, missingForGo, repositoryDir } from '@milena/bench'
import { exitOnSignals } from './at-exit.ts'
import { clusterDiskFull, clusterPowerLoss, clusterSlowDisk } from './cluster-disks.ts'
import { clusterCut, clusterKill, clusterPause } from './cluster-faults.ts'
import { clusterMoves } from './cluster-moves.ts'
import { diskFull } from './disk-full.ts'
import { hostileConnections, hostileInput } from './hostile/hostile.ts'
import { kill } from './kill.ts'
import { failedFlush, powerLoss } from './power-loss.ts'
import { Random } from './random.ts'
import type { Scenario } from './scenario.ts'

const scenarios: readonly Scenario[] = [
  ...[kill, powerLoss, failedFlush, diskFull, hostileInput, hostileConnections],
  ...[clusterKill, clusterPause, clusterCut, clusterMoves, clusterPowerLoss, clusterDiskFull, clusterSlowDisk]
]

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string' },
    seed: { type: 'string' },
    shards: { type: 'string', default: '2' },
    target: { type: 'string', default: 'milena' },
    long: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false }
  }
})

async function main(): Promise<number> {
  if (flags.list) {
    for (const { name, title } of scenarios) console.log(`${name.padEnd(20)} ${title}`)
    return 0
  }
  const names = flags.only?.split(',')
  const unknown = names?.filter(name => !scenarios.some(scenario => scenario.name === name)) ?? []
  if (unknown.length > 0) throw new Error(`unknown scenarios ${unknown.join(', ')}`)
  const seed = flags.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(flags.seed)
  console.log(`seed ${seed}`)
  const target = flags.target === 'kafka' ? 'kafka' : 'milena'
  const noGo = missingForGo()
  const kload = noGo === null ? buildKload() : ''
  const counts = { passed: 0, failed: 0, skipped: 0 }
  for (const scenario of scenarios) {
    if (names !== undefined && !names.includes(scenario.name)) continue
    const missing = noGo ?? scenario.missing({ target })
    if (missing !== null) {
      counts.skipped++
      console.log(`skip  ${scenario.name}: ${missing}`)
      continue
    }
    const dir = join(repositoryDir, 'tmp/faults', scenario.name)
    rmSync(dir, { recursive: true, force: true })
    mkdirSync(dir, { recursive: true })
    const from = performance.now()
    const seconds = (): string => `${((performance.now() - from) / 1000).toFixed(0)} s`
    console.log(`      ${scenario.name}: ${scenario.title}`)
    // Each scenario has its own stream of numbers, so that --only repeats what the whole run did.
    const random = new Random(seed ^ hash(scenario.name))
    const say = (text: string): void => console.log(`      ${scenario.name}: ${text}`)
    let failed = false
    try {
      const summary = await scenario.run({
        target,
        shardCount: Number(flags.shards),
        rounds: roundsOf(scenario),
        random,
        dir,
        kload,
        say
      })
      counts.passed++
      console.log(`pass  ${scenario.name}: ${summary} (${seconds()})`)
    } catch (error) {
      failed = true
      counts.failed++
      console.log(
        `FAIL  ${scenario.name}: ${error instanceof Error ? error.message : String(error)} (${seconds()}; --seed ${seed} --only ${scenario.name})`
      )
    }
    if (!failed || !flags.keep) rmSync(dir, { recursive: true, force: true })
  }
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
  return counts.failed > 0 ? 1 : 0
}

function roundsOf({ rounds, longRounds = rounds }: Scenario): number {
  if (flags.rounds !== undefined) return Number(flags.rounds)
  return flags.long ? longRounds : rounds
}

function hash(text: string): number {
  let value = 0
  for (const character of text) value = (Math.imul(value, 31) + (character.codePointAt(0) ?? 0)) >>> 0
  return value
}

exitOnSignals()
process.exitCode = await main()
