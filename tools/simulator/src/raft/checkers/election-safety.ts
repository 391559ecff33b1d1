/** Election safety (Raft, figure 3): at most one leader in a term. Whoever leads is a voter of the membership that it knows. */
import { voterSets, type ReplicaId, type Term } from '@milena/raft'
import type { Checker, Observer, ReplicaView } from '../observer.ts'

export class ElectionSafety implements Checker {
  readonly name = 'election-safety'
  readonly #leaders = new Map<Term, ReplicaId>()
  readonly #observer: Observer

  constructor(observer: Observer) {
    this.#observer = observer
  }

  becameLeader(replica: ReplicaView, term: Term): void {
    const other = this.#leaders.get(term)
    if (other !== undefined && other !== replica.id) {
      this.#observer.world.violated(this.name, `${other} and ${replica.id} lead in term ${term}`)
    }
    this.#leaders.set(term, replica.id)
    const membership = replica.node?.membership
    if (membership === undefined || !voterSets(membership).some(voters => voters.includes(replica.id))) {
      this.#observer.world.violated(this.name, `${replica.id} leads in term ${term} and is no voter`)
    }
  }
}
