/** The levels of simulation, by name, and one way to run a seed of any of them. */
import { runCluster } from './cluster/cluster-simulation.ts'
import { runRaft } from './raft/raft-simulation.ts'
import { runReplication } from './replication/replication-simulation.ts'
import type { RunReport } from './world/run-report.ts'

export const levels = ['raft', 'replication', 'cluster'] as const

/**
 * `raft`: replicas of one group over a simulated host. `replication`: stores and replica hosts, on simulated disks and networks.
 * `cluster`: nodes as production composes them, and clients that speak Kafka's protocol.
 */
export type Level = (typeof levels)[number]

/** What to run. Plain data: it crosses processes. */
export interface Task {
  readonly level: Level
  readonly seed: number
  /** Simulated seconds with faults. */
  readonly seconds: number
  /** Kinds of fault that are left out. */
  readonly without?: readonly string[]
}

/** Runs a seed once. Violations are in the report. */
export function runTask(
  { level, seed, seconds, without = [] }: Task,
  print?: (line: string) => void
): Promise<RunReport> {
  switch (level) {
    case 'raft':
      return runRaft({ seed, seconds, without, print })
    case 'replication':
      return runReplication({ seed, seconds, without, print })
    case 'cluster':
      return runCluster({ seed, seconds, without, print })
  }
}
