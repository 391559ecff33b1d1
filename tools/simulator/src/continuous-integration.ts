/**
 * `--ci`: what a commit must stand. Many seeds of every level with the fixed length, every kind of fault often enough, fast
 * enough; then every planted bug must be found. Each seed, kind of fault and planted bug is one that passed or failed; the last
 * line counts them. What the time does not suffice for has failed.
 */
import { execFileSync } from 'node:child_process'
import { runCanaries } from './canaries/run-canaries.ts'
import { Figures } from './figures.ts'
import type { Level, Task } from './levels.ts'
import { hashString } from './world/random.ts'
import { runTasks } from './workers.ts'

/** Seeds a level; the cluster level has a share of time instead. */
const SEED_COUNTS: Readonly<Record<Exclude<Level, 'cluster'>, number>> = { raft: 1500, replication: 500 }
const countedLevels = ['raft', 'replication'] as const

/** Simulated seconds with faults of a seed. */
const SECONDS = 60

/** Strikes that every kind of fault must have had, at every level that has it. */
const STRIKES_MIN = 100

/**
 * Simulated time by processor time of all workers, each of which has a core; at the cluster level, and at the others. Time that
 * passes would judge what else the machine does.
 */
const CLUSTER_SPEED_MIN = 10
const SPEED_MIN = 200

/** Seeds of the cluster level that it must get through, and strikes that every kind of its faults must have had. */
const CLUSTER_SEEDS_MIN = 10
const CLUSTER_STRIKES_MIN = 1
/** Time in which its seeds begin; when they are too few or lack a kind of fault, more begin. All ends before the second. */
const CLUSTER_BEGIN_MS = 70_000
const CLUSTER_LIMIT_MS = 6 * 60_000

/**
 * Everything ends within this time, and the seeds leave enough of it to the planted bugs. Two cores of 2026 that do nothing else
 * need 9 minutes, 6 of them for the seeds.
 */
const LIMIT_MS = 25 * 60_000
const SEEDS_LIMIT_MS = 17 * 60_000

/** How often progress is printed. */
const PROGRESS_MS = 10_000

class Totals {
  passed = 0
  failed = 0

  check(passes: boolean, explanation: string): void {
    if (passes) this.passed++
    else {
      this.failed++
      console.log(`FAILED  ${explanation}`)
    }
  }
}

/** Runs all of it; returns the exit code. `seed`: the first one; without, it follows from the commit. */
export async function runContinuousIntegration(seed: number | undefined, workerCount: number): Promise<number> {
  const startedMs = performance.now()
  const first = seed ?? seedOfCommit()
  console.log(`seed ${first}`)
  const totals = new Totals()
  await runSeeds(first, workerCount, totals)
  await runClusterSeeds(first, workerCount, totals)
  const limitMs = LIMIT_MS - (performance.now() - startedMs)
  const { found, missed } = await runCanaries({ first, seconds: SECONDS, workerCount, limitMs })
  totals.passed += found
  totals.failed += missed
  console.log(`${((performance.now() - startedMs) / 1000).toFixed(0)} s in all`)
  console.log(`${totals.passed} passed, ${totals.failed} failed`)
  return totals.failed === 0 ? 0 : 1
}

async function runSeeds(first: number, workerCount: number, totals: Totals): Promise<void> {
  const tasks = tasksFrom(first)
  const wanted = Object.values(SEED_COUNTS).reduce((sum, count) => sum + count)
  const figures = await runAll(workerCount, SEEDS_LIMIT_MS, totals, () => {
    const { done, value } = tasks.next()
    return done === true ? undefined : value
  })
  totals.check(figures.runCount === wanted, `${figures.runCount} of ${wanted} seeds were run in the time there is`)
  checkFigures(figures, STRIKES_MIN, SPEED_MIN, workerCount, totals)
}

/** As many seeds of the cluster level as its share of time allows, but enough of them. */
async function runClusterSeeds(first: number, workerCount: number, totals: Totals): Promise<void> {
  const startedMs = performance.now()
  let seed = first
  const figures = await runAll(workerCount, CLUSTER_LIMIT_MS, totals, soFar => {
    const isEnough = soFar.runCount >= CLUSTER_SEEDS_MIN && soFar.struck(CLUSTER_STRIKES_MIN)
    if (isEnough && performance.now() - startedMs >= CLUSTER_BEGIN_MS) return undefined
    return { level: 'cluster', seed: seed++, seconds: SECONDS }
  })
  const { runCount } = figures
  totals.check(runCount >= CLUSTER_SEEDS_MIN, `${runCount} seeds of whole clusters, ${CLUSTER_SEEDS_MIN} are wanted`)
  checkFigures(figures, CLUSTER_STRIKES_MIN, CLUSTER_SPEED_MIN, workerCount, totals)
}

/** Runs tasks, each chosen when it is known what those before it add up to, until there are none or the time is up. */
async function runAll(
  workerCount: number,
  limitMs: number,
  totals: Totals,
  next: (soFar: Figures) => Task | undefined
): Promise<Figures> {
  const figures = new Figures()
  const progress = setInterval(() => console.log(figures.line), PROGRESS_MS)
  try {
    await runTasks<'run', Task>({
      workerCount,
      limitMs,
      next: () => {
        const task = next(figures)
        return task && { payload: { kind: 'run', task }, context: task }
      },
      done: (task, report, cpuMs) => figures.add(task, report, cpuMs)
    })
  } catch (error) {
    totals.check(false, error instanceof Error ? error.message : String(error))
  } finally {
    clearInterval(progress)
  }
  for (const line of [...figures.faultLines, ...figures.levelLines, figures.line]) console.log(line)
  totals.passed += figures.runCount - figures.violationCount
  totals.failed += figures.violationCount
  return figures
}

function checkFigures(
  figures: Figures,
  strikesMin: number,
  speedMin: number,
  workerCount: number,
  totals: Totals
): void {
  for (const { level, kind, count } of figures.faults()) {
    totals.check(count >= strikesMin, `${level}: ${kind} struck ${count} times, ${strikesMin} are wanted`)
  }
  const speed = figures.speedOfCore * workerCount
  totals.check(speed >= speedMin, `${speed.toFixed(0)} x real time on ${workerCount} cores, ${speedMin} x are wanted`)
}

/** Levels take turns, the one with more seeds more often, so that both end together. */
function* tasksFrom(first: number): Generator<Task, undefined> {
  const most = Math.max(...Object.values(SEED_COUNTS))
  for (let at = 0; at < most; at++) {
    for (const level of countedLevels) {
      const index = Math.floor((at * SEED_COUNTS[level]) / most)
      const isNew = at === 0 || index !== Math.floor(((at - 1) * SEED_COUNTS[level]) / most)
      if (isNew) yield { level, seed: first + index, seconds: SECONDS }
    }
  }
}

/** Every commit tries seeds of its own, always the same ones. Any seed where there is no repository. */
function seedOfCommit(): number {
  try {
    return hashString(execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8', stdio: 'pipe' }).trim())[0]
  } catch {
    return Math.floor(Math.random() * 2 ** 31)
  }
}
