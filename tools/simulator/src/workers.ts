/** Runs seeds in several processes at once; each takes the next one when it is done. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Task } from './levels.ts'
import type { RunReport } from './world/run-report.ts'

/**
 * Runs all tasks in `workerCount` processes and calls `done` for each as it ends. Stops early when `done` returns false. A
 * process that dies fails its task and the whole run.
 */
export async function runInWorkers(
  tasks: Iterable<Task>,
  workerCount: number,
  done: (task: Task, report: RunReport) => boolean
): Promise<void> {
  const queue = tasks[Symbol.iterator]()
  let stopped = false
  const next = (): Task | undefined => {
    const item = stopped ? undefined : queue.next()
    return item?.done === false ? item.value : undefined
  }
  const finished = (task: Task, report: RunReport): void => {
    if (!done(task, report)) stopped = true
  }
  await Promise.all(Array.from({ length: workerCount }, () => runWorker(next, finished)))
}

function runWorker(next: () => Task | undefined, done: (task: Task, report: RunReport) => void): Promise<void> {
  const child = fork(fileURLToPath(new URL('worker.ts', import.meta.url)), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc']
  })
  return new Promise((resolve, reject) => {
    let task = next()
    const feed = (): void => {
      if (task === undefined) {
        child.disconnect()
        resolve()
      } else child.send(task)
    }
    child.on('message', (report: RunReport) => {
      if (task !== undefined) done(task, report)
      task = next()
      feed()
    })
    child.on('exit', code => {
      if (task === undefined) return
      reject(new Error(`a worker ended with code ${code} in ${task.level} seed ${task.seed}`))
    })
    child.on('error', reject)
    feed()
  })
}
