/**
 * A planted bug that the simulator must find. A checker that has never caught anything proves nothing; these show, one by one,
 * that the properties, the faults and the workload together can.
 */
import type { Level } from '../levels.ts'
import type { RunReport } from '../world/run-report.ts'

export interface Canary {
  readonly name: string
  /** The bug, in a sentence. */
  readonly bug: string
  readonly level: Level
  /** Runs a seed with the bug planted. */
  run(seed: number, seconds: number): Promise<RunReport>
}

/** Seeds within which every planted bug must be found. */
export const CANARY_SEEDS_MAX = 500
