/**
 * What a fault scenario is: a named program that breaks something around a running broker and says what it found. Scenarios are
 * listed in main.ts; each owns its brokers, disks and files, and leaves nothing behind when it ends.
 */
import type { Random } from './random.ts'

export interface ScenarioContext {
  readonly target: 'milena' | 'kafka'
  readonly shardCount: number
  /** How often to break something and audit: as asked on the command line, else the scenario's own number. */
  readonly rounds: number
  readonly random: Random
  /** Folder of this scenario; it exists and is empty. */
  readonly dir: string
  /** Path of the load generator. */
  readonly kload: string
  /** A line of progress. */
  say(text: string): void
}

export interface Scenario {
  readonly name: string
  /** A sentence: what holds. */
  readonly title: string
  /** Rounds when nothing else is asked for; 1 for a scenario that has no rounds. */
  readonly rounds: number
  /** Rounds of the long form (`--long`); absent: as many. */
  readonly longRounds?: number
  /** Why it cannot run here, in words; null when it can. */
  missing(context: Pick<ScenarioContext, 'target'>): string | null
  /** Resolves with a line for the summary; rejects when something does not hold. */
  run(context: ScenarioContext): Promise<string>
}

/** Fails the scenario unless `truth`. */
export function demand(truth: boolean, what: string): asserts truth {
  if (!truth) throw new Error(what)
}
