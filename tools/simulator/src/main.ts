/**
 * `npm run test:simulation`: a whole cluster in one thread from one seed, many seeds, every safety property after every event.
 *
 *   --seed N        this seed (both levels unless --level says which)
 *   --seeds A..B    these seeds          --count N      so many, from a seed that is printed first (200)
 *   --level NAME    raft or cluster      --seconds N    simulated seconds with faults (60)
 *   --trace         print what happens   --workers N    processes (2)
 *   --without A,B   leave kinds of fault out, to find out which one matters
 *   --canaries      plant bugs and demand that each is found
 *   --keep-going    do not stop at the first seed that fails
 *
 * Prints the seed first. A seed that fails prints how to repeat it. The last line has the figures. Exit code 0 when nothing
 * failed.
 */
import { parseArgs } from 'node:util'
import { runCanaries } from './canaries/run-canaries.ts'
import { Figures } from './figures.ts'
import { levels, runTask, type Level, type Task } from './levels.ts'
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
  if (flags.canaries) {
    const first = flags.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(flags.seed)
    return runCanaries(first, Number(flags.seconds), Number(flags.workers))
  }
  const [first, count] = wantedSeeds()
  console.log(`seed ${first}${count > 1 ? `..${first + count - 1}` : ''}`)
  const figures = new Figures()
  if (count === 1 || flags.trace) {
    for (const task of tasksOf(first, count)) {
      figures.add(task, await runTask(task, flags.trace ? line => console.log(line) : undefined))
    }
  } else {
    const progress = setInterval(() => console.log(figures.line), 10_000)
    try {
      const tasks = tasksOf(first, count)
      const next = () => {
        if (figures.violationCount > 0 && !flags['keep-going']) return undefined
        const item = tasks.next()
        return item.done === true
          ? undefined
          : { payload: { kind: 'run', task: item.value } as const, context: item.value }
      }
      await runTasks(next, Number(flags.workers), (task, report) => figures.add(task, report))
    } finally {
      clearInterval(progress)
    }
  }
  console.log(figures.faults)
  console.log(figures.line)
  return figures.violationCount === 0 ? 0 : 1
}

process.exitCode = await main()
