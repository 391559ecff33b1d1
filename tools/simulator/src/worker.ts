/** A process that does what its parent sends, one thing after the other, and answers with reports. */
import { seekCanary } from './canaries/all-canaries.ts'
import { runTask, type Task } from './levels.ts'

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

process.on('message', (work: Work) => {
  const done = work.kind === 'run' ? runTask(work.task) : seekCanary(work.name, work.seed, work.count, work.seconds)
  void done.then(report => process.send?.(report))
})
process.on('disconnect', () => process.exit())
