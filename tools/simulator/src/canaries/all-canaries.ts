/** All planted bugs, of all levels, and a way to look for one of them in a few seeds. */
import { runTask, type Level } from '../levels.ts'
import type { RunReport } from '../world/run-report.ts'
import type { Canary } from './canary.ts'
import { clusterCanaries } from './cluster-canaries.ts'
import { raftCanaries } from './raft-canaries.ts'
import { replicationCanaries } from './replication-canaries.ts'

export const canaries: readonly Canary[] = [...raftCanaries, ...replicationCanaries, ...clusterCanaries]

/** What a search found. */
export interface CanaryReport {
  /** Seeds that were tried, the one that found it included. */
  readonly tried: number
  readonly violation: RunReport['violation']
}

async function isClean(level: Level, seed: number, seconds: number): Promise<boolean> {
  return (await runTask({ level, seed, seconds })).violation === undefined
}

/** Tries `count` seeds from `seed` on, until the planted bug is found. */
export async function seekCanary(name: string, seed: number, count: number, seconds: number): Promise<CanaryReport> {
  const canary = canaries.find(other => other.name === name)
  if (canary === undefined) throw new Error(`no planted bug ${name}`)
  for (let tried = 1; tried <= count; tried++) {
    const at = seed + tried - 1
    const { violation } = await canary.run(at, seconds)
    // What is found without the bug as well says nothing about the bug.
    if (violation !== undefined && (await isClean(canary.level, at, seconds))) return { tried, violation }
  }
  return { tried: count, violation: undefined }
}
