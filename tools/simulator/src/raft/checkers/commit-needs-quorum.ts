/**
 * Commits are earned: the first to commit is a leader, the entry is of its own term (section 5.4.2: never by counting copies of
 * a former term's entry), and a majority of every set of voters has held it durably.
 */
import { majorityOf, voterSets, type Index, type ReplicaId } from '@milena/raft'
import type { Checker, Observer, ReplicaView } from '../observer.ts'

export class CommitNeedsQuorum implements Checker {
  readonly name = 'commit-needs-quorum'
  readonly #observer: Observer

  constructor(observer: Observer) {
    this.#observer = observer
  }

  committed(replica: ReplicaView, index: Index, isFirst: boolean): void {
    const status = replica.node
    if (!isFirst || status === undefined) return
    const isLeader = status.roleKind === 'leader' || this.#observer.ledTerm(replica.id) === status.term
    if (!isLeader) this.#fail(replica, `is the first to commit ${index} and does not lead`)
    const entry = replica.log.at(index)
    if (entry?.entry.term !== status.term) {
      this.#fail(replica, `commits ${index} of term ${entry?.entry.term} by counting in term ${status.term}`)
    }
    if (status.membership === undefined) this.#fail(replica, `commits ${index} without a membership`)
    for (const voters of voterSets(status.membership)) {
      const holders = voters.filter(voter => this.#holds(voter, index, entry.chain))
      if (holders.length < majorityOf(voters.length)) {
        this.#fail(
          replica,
          `commits ${index}, held durably by ${holders.join(', ') || 'nobody'} of ${voters.join(', ')}`
        )
      }
    }
  }

  #holds(voter: ReplicaId, index: Index, chain: number): boolean {
    const durable = this.#observer.replicas.get(voter)?.durable
    if (durable === undefined) return false
    return durable.before.index >= index || durable.chainAt(index) === chain
  }

  #fail(replica: ReplicaView, explanation: string): never {
    this.#observer.world.violated(this.name, `replica ${replica.id} ${explanation}`)
  }
}
