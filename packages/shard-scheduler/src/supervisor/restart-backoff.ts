/** How long a crashed shard stays down before it is started again. Pure. */

export interface RestartSettings {
  /** Wait after the first crash, milliseconds. Default 100. */
  readonly initialDelayMs: number
  /** Longest wait, milliseconds. Default 10,000. */
  readonly maxDelayMs: number
  /** Each further crash waits this many times longer. Default 2. */
  readonly factor: number
  /** A shard that was ready for this long starts anew with the first wait, milliseconds. Default 30,000. */
  readonly resetAfterMs: number
  /** Crashes before a shard was ever ready after which the start as a whole is given up. Default 5. */
  readonly startAttemptsMax: number
}

export const defaultRestartSettings: RestartSettings = {
  initialDelayMs: 100,
  maxDelayMs: 10_000,
  factor: 2,
  resetAfterMs: 30_000,
  startAttemptsMax: 5
}

/** Wait before the next start. `crashCount` = crashes in a row, this one included, from 1. */
export function restartDelayMs(crashCount: number, settings: RestartSettings): number {
  return Math.min(settings.initialDelayMs * settings.factor ** (crashCount - 1), settings.maxDelayMs)
}
