/**
 * One vote a term: a replica's durable hard states name at most one candidate a term and their terms never fall, across
 * restarts too. What it says about votes is durable before it says it: a grant, and its own candidacy. The same for terms: no
 * message speaks of a term that its sender may forget (pre-votes speak of a term that nobody entered).
 */
import type { HardState, Message, ReplicaId, Term } from '@milena/raft'
import type { Payload } from '../log-image.ts'
import type { Checker, Observer, ReplicaView } from '../observer.ts'

export class OneVoteATerm implements Checker {
  readonly name = 'one-vote-a-term'
  readonly #votes = new Map<string, ReplicaId>()
  readonly #terms = new Map<ReplicaId, Term>()
  readonly #observer: Observer

  constructor(observer: Observer) {
    this.#observer = observer
  }

  started(replica: ReplicaView): void {
    this.#termMoves(replica, replica.node?.term ?? 0)
  }

  hardStateDurable(replica: ReplicaView, { term, votedFor }: HardState): void {
    if (votedFor !== undefined) this.#votesFor(replica, term, votedFor)
    if (term < (this.#terms.get(replica.id) ?? 0)) this.#fail(replica, `durably falls back to term ${term}`)
    this.#terms.set(replica.id, term)
  }

  sent(replica: ReplicaView, message: Message<Payload>): void {
    if (message.from !== replica.id) this.#fail(replica, `sends ${message.kind} in the name of ${message.from}`)
    if (message.kind === 'voteResponse' && message.granted) this.#mustBeDurable(replica, message.term, message.to)
    if (message.kind === 'vote') this.#mustBeDurable(replica, message.term, replica.id)
    if (message.kind === 'preVote' || message.kind === 'preVoteResponse') return
    if (message.term > replica.durableHardState.term) {
      this.#fail(replica, `sends ${message.kind} of term ${message.term}, durable is ${replica.durableHardState.term}`)
    }
  }

  #mustBeDurable(replica: ReplicaView, term: Term, candidate: ReplicaId): void {
    const vote = this.#votes.get(`${replica.id}/${term}`)
    if (vote !== candidate) {
      this.#fail(replica, `tells its vote for ${candidate} in term ${term}, durable is ${vote ?? 'none'}`)
    }
  }

  #votesFor(replica: ReplicaView, term: Term, candidate: ReplicaId): void {
    const key = `${replica.id}/${term}`
    const before = this.#votes.get(key)
    if (before !== undefined && before !== candidate) {
      this.#fail(replica, `votes for ${before} and for ${candidate} in term ${term}`)
    }
    this.#votes.set(key, candidate)
  }

  #termMoves(replica: ReplicaView, term: Term): void {
    const before = this.#terms.get(replica.id) ?? 0
    if (term < before) this.#fail(replica, `starts in term ${term}, it was in ${before}`)
  }

  #fail(replica: ReplicaView, explanation: string): never {
    this.#observer.world.violated(this.name, `replica ${replica.id} ${explanation}`)
  }
}
