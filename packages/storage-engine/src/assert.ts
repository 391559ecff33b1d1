/** Invariants, checked always: a broken one is a defect of this program, never bad input, and must not be survived. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`storage-engine invariant broken: ${message}`)
}
