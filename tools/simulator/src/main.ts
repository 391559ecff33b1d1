/**
 * `npm run test:simulation`: a whole cluster in one thread from one seed, many seeds, every safety property after every event.
 *
 *   --seed N        this seed (all levels unless --level says which)
 *   --seeds A..B    these seeds          --count N      so many, from a seed that is printed first (200)
 *   --level NAME    raft, replication or cluster
 *   --seconds N     simulated seconds with faults (60)
 *   --trace         print what happens   --workers N    processes (2)
 *   --without A,B   leave kinds of fault out, to find out which one matters
 *   --canaries      plant bugs and demand that each is found
 *   --keep-going    do not stop at the first seed that fails
 *   --ci            what a commit must stand: seeds of all levels, planted bugs; the last line counts what passed and failed
 *
 * Prints the seed first. A seed that fails prints how to repeat it. The last line has the figures. Exit code 0 when nothing
 * failed.
 */
import { parseArgs } from 'node:util'
import { runCanaries } from './canaries/run-canaries.ts'
import { runContinuousIntegration } from './continuous-integration.ts'
import { Figures } from './figures.ts'
import { levels, runTask, type Level, type Task } from './levels.ts'
import { runChecked } from './repeat.ts'
import { runTasks } from './workers.ts'

const { values: flags } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    count: { type: 'string', default: '200' },
    level: { type: 'string' },
    seconds: { type: 'string', default: '60' },
    workers: { type: 'string', default: '2' },
    without: { type: 'string' },
    trace: { type: 'boolean', default: false },
    canaries: { type: 'boolean', default: false },
    ci: { type: 'boolean', default: false },
    'keep-going': { type: 'boolean', default: false }
  }
})

function wantedLevels(): readonly Level[] {
  if (flags.level === undefined) return levels
  const level = levels.find(name => name === flags.level)
  if (level === undefined) throw new Error(`--level is one of ${levels.join(', ')}`)
  return [level]
}

/** First seed and how many. */
function wantedSeeds(): readonly [number, number] {
  if (flags.seed !== undefined) return [Number(flags.seed), 1]
  const range = flags.seeds?.match(/^(\d+)\.\.(\d+)$/)
  if (range) return [Number(range[1]), Number(range[2]) - Number(range[1]) + 1]
  if (flags.seeds !== undefined) throw new Error('--seeds is A..B')
  return [Math.floor(Math.random() * 2 ** 31), Number(flags.count)]
}

function* tasksOf(first: number, count: number): Generator<Task> {
  for (let at = 0; at < count; at++) {
    for (const level of wantedLevels())
      yield { level, seed: first + at, seconds: Number(flags.seconds), without: flags.without?.split(',') ?? [] }
  }
}

async function main(): Promise<number> {
  const workerCount = Number(flags.workers)
  if (flags.ci) return runContinuousIntegration(flags.seed === undefined ? undefined : Number(flags.seed), workerCount)
  const [first, count] = wantedSeeds()
  console.log(`seed ${first}${count > 1 && !flags.canaries ? `..${first + count - 1}` : ''}`)
  if (flags.canaries) {
    const { missed } = await runCanaries({ first, seconds: Number(flags.seconds), workerCount })
    return missed === 0 ? 0 : 1
  }
  const figures = new Figures()
  if (count === 1 || flags.trace) await runHere(tasksOf(first, count), figures)
  else await runInWorkers(tasksOf(first, count), figures, workerCount)
  for (const line of [...figures.faultLines, ...figures.levelLines, figures.line]) console.log(line)
  return figures.violationCount === 0 ? 0 : 1
}

async function runHere(tasks: Iterable<Task>, figures: Figures): Promise<void> {
  for (const task of tasks) {
    const before = process.cpuUsage()
    const report = flags.trace ? await runTask(task, line => console.log(line)) : await runChecked(task)
    const { user, system } = process.cpuUsage(before)
    figures.add(task, report, (user + system) / 1000)
  }
}

async function runInWorkers(tasks: Iterator<Task>, figures: Figures, workerCount: number): Promise<void> {
  const progress = setInterval(() => console.log(figures.line), 10_000)
  try {
    await runTasks<'run', Task>({
      workerCount,
      next: () => {
        if (figures.violationCount > 0 && !flags['keep-going']) return undefined
        const { done, value } = tasks.next()
        return done === true ? undefined : { payload: { kind: 'run', task: value as Task }, context: value as Task }
      },
      done: (task, report, cpuMs) => figures.add(task, report, cpuMs)
    })
  } finally {
    clearInterval(progress)
  }
}

process.exitCode = await main()
