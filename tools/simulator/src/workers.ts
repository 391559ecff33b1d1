/** Runs work in several processes at once; each takes the next piece when it is done. */
import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Answer, ReportOf, Work } from './worker.ts'

/** A piece of work, and what its giver wants back with the report. */
export interface Piece<Kind extends Work['kind'], Context> {
  readonly payload: Extract<Work, { readonly kind: Kind }>
  readonly context: Context
}

/** Where pieces come from, and where reports go. */
export interface Assignment<Kind extends Work['kind'], Context> {
  /** The next piece; undefined when there is none (any more). */
  next(): Piece<Kind, Context> | undefined
  /** A piece is done; `cpuMs`: processor time that it took. */
  done(context: Context, report: ReportOf<Kind>, cpuMs: number): void
  readonly workerCount: number
  /** Milliseconds after which everything is ended, done or not. Default: no limit. */
  readonly limitMs?: number
}

/**
 * Hands out pieces until there are none. Resolves with false when the time was up before; rejects when a process dies. All
 * processes have ended, or were told to, by then.
 */
export async function runTasks<Kind extends Work['kind'], Context>(
  assignment: Assignment<Kind, Context>
): Promise<boolean> {
  const children = new Set<ChildProcess>()
  let timer: NodeJS.Timeout | undefined
  const timeUp = new Promise<boolean>(resolve => {
    if (assignment.limitMs !== undefined) timer = setTimeout(() => resolve(false), Math.max(0, assignment.limitMs))
  })
  const workers = Array.from({ length: assignment.workerCount }, () => runWorker(assignment, children))
  try {
    return await Promise.race([Promise.all(workers).then(() => true), timeUp])
  } finally {
    clearTimeout(timer)
    for (const child of children) child.kill('SIGKILL')
  }
}

function runWorker<Kind extends Work['kind'], Context>(
  { next, done }: Assignment<Kind, Context>,
  children: Set<ChildProcess>
): Promise<void> {
  let piece = next()
  if (piece === undefined) return Promise.resolve()
  const child = fork(fileURLToPath(new URL('worker.ts', import.meta.url)), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc']
  })
  children.add(child)
  return new Promise((resolve, reject) => {
    const feed = (): void => {
      if (piece !== undefined) return void child.send(piece.payload)
      children.delete(child)
      child.disconnect()
      resolve()
    }
    child.on('message', ({ report, cpuMs }: Answer<Kind>) => {
      if (piece !== undefined) done(piece.context, report, cpuMs)
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
