/**
 * State machine safety (Raft, figure 3): nobody is told that something else is committed at an index. A replica's commit index
 * only rises while it runs, lies at the end of an entry and within its log.
 */
import type { Index, ReplicaId } from '@milena/raft'
import type { StoredEntry } from '../log-image.ts'
import type { Checker, Observer, ReplicaView } from '../observer.ts'

export class StateMachineSafety implements Checker {
  readonly name = 'state-machine-safety'
  readonly #commitIndexes = new Map<ReplicaId, Index>()
  readonly #observer: Observer

  constructor(observer: Observer) {
    this.#observer = observer
  }

  started(replica: ReplicaView): void {
    this.#commitIndexes.delete(replica.id)
  }

  committed(replica: ReplicaView, index: Index): void {
    const before = this.#commitIndexes.get(replica.id) ?? 0
    if (index <= before) this.#fail(replica, `its commit index goes from ${before} to ${index}`)
    this.#commitIndexes.set(replica.id, index)
    const { log } = replica
    if (index > log.lastIndex) this.#fail(replica, `commits ${index}, its log ends at ${log.lastIndex}`)
    const known = this.#observer.committedAt(index)
    if (known?.last !== index) this.#fail(replica, `commits ${index}, which is inside an entry`)
    const own = log.chainAt(index)
    if (own !== known.chain) this.#fail(replica, `has committed something else up to ${index}`)
  }

  /** What is committed is never cut. */
  appended(replica: ReplicaView, truncateFrom: Index | undefined, _added: readonly StoredEntry[]): void {
    if (truncateFrom === undefined) return
    const committed = this.#commitIndexes.get(replica.id) ?? 0
    if (truncateFrom <= committed) this.#fail(replica, `cuts at ${truncateFrom}, committed up to ${committed}`)
  }

  snapshotInstalled(replica: ReplicaView, index: Index, chain: number): void {
    const known = this.#observer.committedAt(index)
    if (known?.last !== index || known.chain !== chain)
      this.#fail(replica, `takes a snapshot up to ${index} that was never committed`)
  }

  #fail(replica: ReplicaView, explanation: string): never {
    this.#observer.world.violated(this.name, `replica ${replica.id} ${explanation}`)
  }
}
