/**
 * A process that does what its parent sends, one thing after the other, and answers with reports and what they cost. With the
 * argument `once` it runs seeds only once, whichever they are.
 */
import { seekCanary, type CanaryReport } from './canaries/all-canaries.ts'
import { runTask, type Task } from './levels.ts'
import { runChecked } from './repeat.ts'
import type { RunReport } from './world/run-report.ts'

/** What a worker can be asked for. */
export type Work =
  | { readonly kind: 'run'; readonly task: Task }
  | {
      readonly kind: 'canary'
      readonly name: string
      readonly seed: number
      readonly count: number
      readonly seconds: number
    }

/** What comes back for a piece of work. */
export type ReportOf<Kind extends Work['kind']> = Kind extends 'run' ? RunReport : CanaryReport

/** An answer of a worker. */
export interface Answer<Kind extends Work['kind']> {
  readonly report: ReportOf<Kind>
  /** Processor time since the last answer. */
  readonly cpuMs: number
}

let used = 0

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  const before = used
  used = (user + system) / 1000
  return used - before
}

const run = process.argv[2] === 'once' ? runTask : runChecked

process.on('message', (work: Work) => {
  const done = work.kind === 'run' ? run(work.task) : seekCanary(work.name, work.seed, work.count, work.seconds)
  void done.then(report => process.send?.({ report, cpuMs: cpuMs() }))
})
process.on('disconnect', () => process.exit())
