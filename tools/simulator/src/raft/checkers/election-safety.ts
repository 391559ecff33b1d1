/**
 * Election safety (Raft, figure 3): at most one leader in a term. Whoever leads is a voter of the membership that it knows, and a
 * majority of every set of voters has voted for it, durably.
 */
import { majorityOf, voterSets, type HardState, type ReplicaId, type Term } from '@milena/raft'
import type { Checker, Observer, ReplicaView } from '../observer.ts'

export class ElectionSafety implements Checker {
  readonly name = 'election-safety'
  readonly #leaders = new Map<Term, ReplicaId>()
  readonly #votes = new Map<Term, Map<ReplicaId, ReplicaId>>()
  readonly #observer: Observer

  constructor(observer: Observer) {
    this.#observer = observer
  }

  hardStateDurable(replica: ReplicaView, { term, votedFor }: HardState): void {
    if (votedFor === undefined) return
    let votes = this.#votes.get(term)
    if (votes === undefined) this.#votes.set(term, (votes = new Map()))
    votes.set(replica.id, votedFor)
  }

  becameLeader(replica: ReplicaView, term: Term): void {
    const other = this.#leaders.get(term)
    if (other !== undefined && other !== replica.id) {
      this.#observer.world.violated(this.name, `${other} and ${replica.id} lead in term ${term}`)
    }
    this.#leaders.set(term, replica.id)
    const newest = replica.log.membershipAt(replica.log.lastIndex)
    const former = newest && replica.log.membershipAt(newest.index - 1)
    const isVoter = [newest, former].some(
      placed => placed !== undefined && voterSets(placed.value).some(voters => voters.includes(replica.id))
    )
    // A voter whom an uncommitted membership leaves out may have to complete it (section 4.2.2 of the dissertation).
    if (!isVoter) {
      this.#observer.world.violated(this.name, `${replica.id} leads in term ${term} and is no voter`)
    }
    this.#checkVotes(replica, term)
  }

  #checkVotes(replica: ReplicaView, term: Term): void {
    const membership = replica.node?.membership
    const votes = this.#votes.get(term)
    if (membership === undefined) return
    for (const voters of voterSets(membership)) {
      const count = voters.filter(voter => votes?.get(voter) === replica.id).length
      if (count < majorityOf(voters.length)) {
        this.#observer.world.violated(
          this.name,
          `${replica.id} leads in term ${term} by ${count} votes of ${voters.join(', ')}`
        )
      }
    }
  }
}
