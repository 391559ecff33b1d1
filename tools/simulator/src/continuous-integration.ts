/**
 * `--ci`: what a commit must stand. Many seeds of every level with the fixed length, every kind of fault often enough, fast
 * enough; then every planted bug must be found. Each seed, kind of fault and planted bug is one that passed or failed; the last
 * line counts them. What the time does not suffice for has failed.
 */
import { execFileSync } from 'node:child_process'
import { runCanaries } from './canaries/run-canaries.ts'
import { Figures } from './figures.ts'
import { levels, type Level, type Task } from './levels.ts'
import { hashString } from './world/random.ts'
import { runTasks } from './workers.ts'

/** Seeds a level. */
const SEED_COUNTS: Readonly<Record<Level, number>> = { raft: 1500, replication: 500, cluster: 0 }

/** Simulated seconds with faults of a seed. */
const SECONDS = 60

/** Strikes that every kind of fault must have had, at every level that has it. */
const STRIKES_MIN = 100

/** Simulated time by time that passes, over all workers. */
const SPEED_MIN = 200

/** Everything ends within this time, and the seeds leave enough of it to the planted bugs. */
const LIMIT_MS = 15 * 60_000
const SEEDS_LIMIT_MS = 11.5 * 60_000

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
  const limitMs = LIMIT_MS - (performance.now() - startedMs)
  const { found, missed } = await runCanaries({ first, seconds: SECONDS, workerCount, limitMs })
  totals.passed += found
  totals.failed += missed
  console.log(`${((performance.now() - startedMs) / 1000).toFixed(0)} s in all`)
  console.log(`${totals.passed} passed, ${totals.failed} failed`)
  return totals.failed === 0 ? 0 : 1
}

async function runSeeds(first: number, workerCount: number, totals: Totals): Promise<void> {
  const figures = new Figures()
  const tasks = tasksFrom(first)
  const wanted = Object.values(SEED_COUNTS).reduce((sum, count) => sum + count)
  const progress = setInterval(() => console.log(figures.line), PROGRESS_MS)
  try {
    await runTasks<'run', Task>({
      workerCount,
      limitMs: SEEDS_LIMIT_MS,
      next: () => {
        const { done, value } = tasks.next()
        return done === true ? undefined : { payload: { kind: 'run', task: value }, context: value }
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
  totals.check(figures.runCount === wanted, `${figures.runCount} of ${wanted} seeds were run in the time there is`)
  for (const { level, kind, count } of figures.faults()) {
    totals.check(count >= STRIKES_MIN, `${level}: ${kind} struck ${count} times, ${STRIKES_MIN} are wanted`)
  }
  const speed = figures.speed.toFixed(0)
  totals.check(figures.speed >= SPEED_MIN, `${speed} x real time, ${SPEED_MIN} x are wanted`)
}

/** Levels take turns, the one with more seeds more often, so that both end together. */
function* tasksFrom(first: number): Generator<Task, undefined> {
  const most = Math.max(...Object.values(SEED_COUNTS))
  for (let at = 0; at < most; at++) {
    for (const level of levels) {
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
