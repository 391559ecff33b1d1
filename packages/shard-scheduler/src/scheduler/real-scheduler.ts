/**
 * Real implementation of the `Scheduler` port: Node's event loop. `nextTurn` is `setImmediate`, which runs after the poll
 * phase, so that everything that sockets and completions caused in one turn is seen together (one batch to each peer).
 */
import type { Scheduler } from './scheduler.ts'

/** Node's event loop. */
export const realScheduler: Scheduler = {
  now: () => performance.now(),
  nextTurn: task => void setImmediate(task),
  after: (delayMs, task) => {
    const timer = setTimeout(task, delayMs)
    return () => clearTimeout(timer)
  }
}
