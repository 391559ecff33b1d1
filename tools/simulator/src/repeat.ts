/**
 * Whether a seed repeats itself (P44): every so many seeds, one runs twice and must leave the same trace. Each time in a process of
 * its own, as somebody who repeats a seed runs it.
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { runTask, type Task } from './levels.ts'
import type { Answer, Work } from './worker.ts'
import type { RunReport } from './world/run-report.ts'

const TWICE_EVERY = 25

/** Runs a seed, some seeds twice. Violations are in the report. */
export async function runChecked(task: Task): Promise<RunReport> {
  if (task.seed % TWICE_EVERY !== 0) return runTask(task)
  const report = await runAlone(task)
  if (report.violation !== undefined) return report
  const again = await runAlone(task)
  if (again.hash === report.hash) return report
  const message = `determinism: two runs left traces ${report.hash} and ${again.hash}`
  return { ...report, violation: { message, stack: message } }
}

/** Runs a seed once, in a process that has run nothing before. Rejects when that dies. */
function runAlone(task: Task): Promise<RunReport> {
  const child = fork(fileURLToPath(new URL('worker.ts', import.meta.url)), ['once'], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc']
  })
  return new Promise((resolve, reject) => {
    child.once('message', ({ report }: Answer<'run'>) => {
      child.disconnect()
      resolve(report)
    })
    child.once('error', reject)
    child.once('exit', code => reject(new Error(`a process ended with code ${code} while it ran seed ${task.seed}`)))
    child.send({ kind: 'run', task } satisfies Work)
  })
}
