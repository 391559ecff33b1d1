/** Runs work in several processes at once; each takes the next piece when it is done. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { CanaryReport } from './canaries/all-canaries.ts'
import type { Work } from './worker.ts'
import type { RunReport } from './world/run-report.ts'

/** What comes back for a piece of work. */
export type ReportOf<Kind extends Work['kind']> = Kind extends 'run' ? RunReport : CanaryReport

/** A piece of work, and what its giver wants back with the report. */
export interface Piece<Kind extends Work['kind'], Context> {
  readonly payload: Extract<Work, { readonly kind: Kind }>
  readonly context: Context
}

/**
 * Takes pieces from `next` until it gives none, in `workerCount` processes, and calls `done` for each as it ends. A process that
 * dies fails the whole.
 */
export async function runTasks<Kind extends Work['kind'], Context>(
  next: () => Piece<Kind, Context> | undefined,
  workerCount: number,
  done: (context: Context, report: ReportOf<Kind>) => void
): Promise<void> {
  await Promise.all(Array.from({ length: workerCount }, () => runWorker(next, done)))
}

function runWorker<Kind extends Work['kind'], Context>(
  next: () => Piece<Kind, Context> | undefined,
  done: (context: Context, report: ReportOf<Kind>) => void
): Promise<void> {
  const child = fork(fileURLToPath(new URL('worker.ts', import.meta.url)), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc']
  })
  return new Promise((resolve, reject) => {
    let piece = next()
    const feed = (): void => {
      if (piece === undefined) {
        child.disconnect()
        resolve()
      } else child.send(piece.payload)
    }
    child.on('message', (report: ReportOf<Kind>) => {
      if (piece !== undefined) done(piece.context, report)
      piece = next()
      feed()
    })
    child.on('exit', code => {
      if (piece !== undefined) reject(new Error(`a worker ended with code ${code}: ${JSON.stringify(piece.payload)}`))
    })
    child.on('error', reject)
    feed()
  })
}
