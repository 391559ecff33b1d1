/** What a run leaves: figures, the hash of its trace, and the property that did not hold, if any. Plain data: it crosses processes. */
export interface RunReport {
  readonly seed: number
  readonly simulatedMs: number
  readonly eventCount: number
  /** Entries or records that were committed. */
  readonly operationCount: number
  readonly hash: string
  /** How often each kind of fault struck. */
  readonly faults: Readonly<Record<string, number>>
  readonly violation: { readonly message: string; readonly stack: string } | undefined
}
