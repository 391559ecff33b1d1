/**
 * Log matching (Raft, figure 3): two logs that have an entry with the same index and term are the same up to it. Every entry
 * that any replica ever appended is compared by its hash, which stands for all before it. Logs have no gaps and their terms
 * never fall.
 */
import type { Index } from '@milena/raft'
import type { StoredEntry } from '../log-image.ts'
import type { Checker, Observer, ReplicaView } from '../observer.ts'

/** More terms than a run can have. */
const TERMS_MAX = 0x10_0000

export class LogMatching implements Checker {
  readonly name = 'log-matching'
  readonly #chains = new Map<number, number>()
  readonly #observer: Observer

  constructor(observer: Observer) {
    this.#observer = observer
  }

  appended(replica: ReplicaView, truncateFrom: Index | undefined, added: readonly StoredEntry[]): void {
    const { log } = replica
    if (truncateFrom !== undefined && added.length > 0 && added[0]?.entry.index !== truncateFrom) {
      this.#fail(replica, `it cuts at ${truncateFrom} and goes on at ${added[0]?.entry.index}`)
    }
    let previous = log.entries[log.entries.length - added.length - 1]
    for (const next of added) {
      const { index, term } = next.entry
      const expected = (previous?.last ?? log.before.index) + 1
      if (index !== expected) this.#fail(replica, `entry ${index} where ${expected} belongs`)
      if (term < (previous?.entry.term ?? log.before.term)) this.#fail(replica, `term ${term} falls at ${index}`)
      const key = index * TERMS_MAX + term
      const known = this.#chains.get(key)
      if (known === undefined) this.#chains.set(key, next.chain)
      else if (known !== next.chain)
        this.#fail(replica, `entry ${index} of term ${term} differs from another's, or what precedes it`)
      previous = next
    }
  }

  #fail(replica: ReplicaView, explanation: string): never {
    this.#observer.world.violated(this.name, `replica ${replica.id}: ${explanation}`)
  }
}
