/**
 * Time and turns: the port through which this package waits. The mesh counts deadlines by it and delivers in a later turn;
 * the supervisor backs off by it. `realScheduler` is Node's own loop; `ManualScheduler` of `@milena/shard-scheduler/testing`
 * moves only when a test moves it, which makes every run of an in-memory mesh the same.
 */
export interface Scheduler {
  /** Milliseconds on a clock that never goes back. Only differences mean anything. */
  now(): number
  /** Runs `task` in a later turn of the loop, after what was queued before it. */
  nextTurn(task: () => void): void
  /** Runs `task` once after `delayMs`. Returns a function that calls it off; calling that twice is harmless. */
  after(delayMs: number, task: () => void): () => void
}
