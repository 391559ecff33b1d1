/**
 * The faults that a test arms on the simulated disk. Each rule names the operations that it strikes and how often.
 */

/** What the disk is asked to do, as told to `onOperation` and to fault rules. */
export interface DiskOperation {
  /** 1 for the first operation of this disk; reads are not counted and carry the number of the last one. */
  readonly number: number
  readonly kind:
    | 'read'
    | 'write'
    | 'sync'
    | 'truncate'
    | 'allocate'
    | 'create'
    | 'makeDirectory'
    | 'link'
    | 'rename'
    | 'remove'
    | 'syncDirectory'
  readonly path: string
  /** Bytes; 0 where it means nothing. */
  readonly position: number
  readonly length: number
}

/** Which operations a fault strikes. */
export interface FaultTarget {
  /** Only this path; any when missing. */
  readonly path?: string
  /** Only for this many operations; default `Infinity`. */
  readonly times?: number
  /** Lets this many matching operations pass first; default 0. */
  readonly after?: number
}

/** What a fault does: `fail` answers EIO, `lose` acknowledges and keeps the old data, `misdirect` writes somewhere else. */
export type FaultEffect =
  | { readonly kind: 'fail' }
  | { readonly kind: 'lose' }
  | { readonly kind: 'misdirect'; readonly path: string; readonly position: number }

interface Rule {
  readonly operations: readonly DiskOperation['kind'][]
  readonly path: string | undefined
  readonly effect: FaultEffect
  passes: number
  strikes: number
}

export class Faults {
  #rules: Rule[] = []

  add(operations: readonly DiskOperation['kind'][], target: FaultTarget, effect: FaultEffect): void {
    const { path, times = Infinity, after = 0 } = target
    this.#rules.push({ operations, path, effect, passes: after, strikes: times })
  }

  clear(): void {
    this.#rules = []
  }

  /** The fault that strikes this operation, if any; counts it. */
  strike(operation: DiskOperation): FaultEffect | undefined {
    for (const rule of this.#rules) {
      if (rule.strikes <= 0 || !rule.operations.includes(operation.kind)) continue
      if (rule.path !== undefined && rule.path !== operation.path) continue
      if (rule.passes > 0) {
        rule.passes -= 1
        continue
      }
      rule.strikes -= 1
      return rule.effect
    }
    return undefined
  }
}
