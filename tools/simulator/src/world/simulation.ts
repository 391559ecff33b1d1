/**
 * The frame of a run, the same at every level: what is asked of it, how it ends, what it leaves. What happens in between is the
 * level's own: a `Simulation` that is made from the options and run once.
 */
import type { RunReport } from './run-report.ts'
import type { Swarm } from './swarm.ts'
import type { World } from './world.ts'

/** What is asked of a run. */
export interface RunOptions<Plant> {
  readonly seed: number
  /** Simulated seconds with faults. */
  readonly seconds: number
  /** Kinds of fault that are left out. */
  readonly without?: readonly string[]
  /** Prints a line of the trace. */
  readonly print?: ((line: string) => void) | undefined
  /** A planted bug: where it enters is between the simulation and what it tests, never in it. */
  readonly plant?: Plant | undefined
}

/** A run of one level, put together and not begun. */
export interface Simulation {
  readonly world: World
  readonly swarm: Swarm
  /** Entries or records that were committed so far. */
  readonly operationCount: number
  /** From the first event to the last check. Throws, or rejects with, the property that did not hold. */
  run(): void | Promise<void>
}

/** Runs a simulation to its end. Never rejects: a violation, or a rejection that nobody handled, is in the report. */
export async function runSimulation(simulation: Simulation): Promise<RunReport> {
  const { world } = simulation
  const unhandled = (error: unknown): void => world.fail(error)
  process.on('unhandledRejection', unhandled)
  try {
    await simulation.run()
    return reportOf(simulation, undefined)
  } catch (error) {
    return reportOf(simulation, error instanceof Error ? error : new Error(String(error)))
  } finally {
    process.off('unhandledRejection', unhandled)
  }
}

function reportOf({ world, swarm, operationCount }: Simulation, violation: Error | undefined): RunReport {
  return {
    seed: world.seed,
    simulatedMs: world.nowMs,
    eventCount: world.eventCount,
    operationCount,
    hash: world.trace.hash,
    faults: Object.fromEntries(swarm.counts),
    violation: violation && { message: violation.message, stack: violation.stack ?? '' }
  }
}
