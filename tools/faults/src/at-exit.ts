/**
 * What must not outlive an interrupted run: mounts, loop devices, network namespaces. Scenarios end their own in `finally`; this
 * is for Ctrl-C and for a time limit, which end the process in between. Everything here is synchronous, as an exit demands.
 */
const undoings = new Set<() => void>()

/** Does `undo` when the process exits; the function returned calls that off. */
export function atExit(undo: () => void): () => void {
  undoings.add(undo)
  return () => void undoings.delete(undo)
}

/** Makes signals end the process by an exit. Call once, first. */
export function exitOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))
  process.once('exit', () => {
    for (const undo of [...undoings].reverse()) undo()
  })
}
