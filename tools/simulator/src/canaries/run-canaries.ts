/**
 * Plants every bug and looks for it, seed after seed. A bug that is not found within `CANARY_SEEDS_MAX` seeds fails the run: then
 * the simulator, not the system, is broken.
 */
import { runTasks } from '../workers.ts'
import { canaries } from './all-canaries.ts'
import { CANARY_SEEDS_MAX } from './canary.ts'

/** Seeds that a worker tries before it reports, so that both processes stay busy with many bugs. */
const SEEDS_A_TASK = 20

interface Progress {
  readonly name: string
  readonly bug: string
  readonly first: number
  tried: number
}

/** Returns the exit code: 0 when all were found. Prints a table. */
export async function runCanaries(first: number, seconds: number, workerCount: number): Promise<number> {
  console.log(`seed ${first}`)
  const open: Progress[] = canaries.map(({ name, bug }) => ({ name, bug, first, tried: 0 }))
  let missed = 0
  await runTasks(
    () => {
      const progress = open.shift()
      return (
        progress && {
          payload: { kind: 'canary', name: progress.name, seed: first + progress.tried, count: SEEDS_A_TASK, seconds },
          context: progress
        }
      )
    },
    workerCount,
    (progress, report) => {
      progress.tried += report.tried
      if (report.violation !== undefined) {
        console.log(
          `found   ${progress.name.padEnd(34)} after ${String(progress.tried).padStart(3)} seeds  ${report.violation.message}`
        )
      } else if (progress.tried < CANARY_SEEDS_MAX) open.unshift(progress)
      else {
        missed++
        console.log(`MISSED  ${progress.name.padEnd(34)} in ${progress.tried} seeds: ${progress.bug}`)
      }
    }
  )
  console.log(`${canaries.length - missed} of ${canaries.length} planted bugs found within ${CANARY_SEEDS_MAX} seeds`)
  return missed === 0 ? 0 : 1
}
