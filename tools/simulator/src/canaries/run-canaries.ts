/**
 * Plants every bug and looks for it, seed after seed. A bug that is not found within `CANARY_SEEDS_MAX` seeds fails the run: then
 * the simulator, not the system, is broken.
 */
import { runTasks } from '../workers.ts'
import { canaries } from './all-canaries.ts'
import { CANARY_SEEDS_MAX } from './canary.ts'

/** Seeds that a worker tries before it reports, so that all workers stay busy and a time limit finds little undone. */
const SEEDS_A_TASK = 10

interface Progress {
  readonly name: string
  readonly bug: string
  tried: number
}

export interface CanaryOptions {
  /** First seed of every bug. */
  readonly first: number
  /** Simulated seconds with faults. */
  readonly seconds: number
  readonly workerCount: number
  /** Milliseconds after which those that were not found yet count as missed. */
  readonly limitMs?: number
}

export interface CanaryTotals {
  readonly found: number
  readonly missed: number
}

/** Prints a line for every bug, found or missed, and then how many were found. */
export async function runCanaries({ first, seconds, ...limits }: CanaryOptions): Promise<CanaryTotals> {
  const waiting: Progress[] = canaries.map(({ name, bug }) => ({ name, bug, tried: 0 }))
  const missing = new Map(waiting.map(progress => [progress.name, progress]))
  await runTasks<'canary', Progress>({
    ...limits,
    next: () => {
      const progress = waiting.shift()
      return (
        progress && {
          payload: { kind: 'canary', name: progress.name, seed: first + progress.tried, count: SEEDS_A_TASK, seconds },
          context: progress
        }
      )
    },
    done: (progress, { tried, violation }) => {
      progress.tried += tried
      if (violation !== undefined) {
        missing.delete(progress.name)
        const seeds = String(progress.tried).padStart(3)
        console.log(`found   ${progress.name.padEnd(34)} after ${seeds} seeds  ${violation.message}`)
      } else if (progress.tried < CANARY_SEEDS_MAX) waiting.unshift(progress)
    }
  })
  for (const { name, bug, tried } of missing.values()) {
    console.log(`MISSED  ${name.padEnd(34)} in ${tried} seeds: ${bug}`)
  }
  const found = canaries.length - missing.size
  console.log(`${found} of ${canaries.length} planted bugs found within ${CANARY_SEEDS_MAX} seeds each`)
  return { found, missed: missing.size }
}
