/**
 * Leader completeness (Raft, figure 3): what is committed is in the logs of the leaders of all later terms, whether they are
 * elected after the commit or led already when an older leader learned of it.
 */
import type { Index, ReplicaId, Term } from '@milena/raft'
import type { Checker, Observer, ReplicaView } from '../observer.ts'

export class LeaderCompleteness implements Checker {
  readonly name = 'leader-completeness'
  readonly #leaders = new Map<ReplicaId, Term>()
  readonly #observer: Observer
  /** Highest term of those who found something committed. */
  #committedTerm: Term = 0

  constructor(observer: Observer) {
    this.#observer = observer
  }

  started(replica: ReplicaView): void {
    this.#leaders.delete(replica.id)
  }

  stepped(replica: ReplicaView): void {
    if (replica.node?.roleKind !== 'leader') this.#leaders.delete(replica.id)
  }

  becameLeader(replica: ReplicaView, term: Term): void {
    this.#leaders.set(replica.id, term)
    // Its votes may have been under way while a later term began and committed: who leads a former term owes that nothing.
    if (term >= this.#committedTerm) this.#check(replica, term)
  }

  committed(by: ReplicaView, _index: Index, isFirst: boolean): void {
    if (!isFirst) return
    const term = by.node?.term ?? 0
    this.#committedTerm = Math.max(this.#committedTerm, term)
    for (const [id, leaderTerm] of this.#leaders) {
      const leader = this.#observer.replicas.get(id)
      if (leader !== undefined && leaderTerm > term) this.#check(leader, leaderTerm)
    }
  }

  #check({ id, log }: ReplicaView, term: Term): void {
    const last = this.#observer.committed.at(-1)
    if (last === undefined || last.last <= log.before.index) return
    if (log.chainAt(last.last) !== last.chain) {
      this.#observer.world.violated(
        this.name,
        `leader ${id} of term ${term} lacks what is committed up to ${last.last} (term ${last.entry.term})`
      )
    }
  }
}
