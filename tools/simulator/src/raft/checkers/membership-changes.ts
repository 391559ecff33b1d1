/**
 * Changes of membership (section 6): a leader appends one only when the one before is committed, and voters change only by way
 * of a joint membership, so that consecutive memberships always share a quorum.
 */
import { voterSets, type Index, type Membership } from '@milena/raft'
import type { StoredEntry } from '../log-image.ts'
import type { Checker, Observer, ReplicaView } from '../observer.ts'

export class MembershipChanges implements Checker {
  readonly name = 'membership-changes'
  readonly #observer: Observer

  constructor(observer: Observer) {
    this.#observer = observer
  }

  appended(replica: ReplicaView, _truncateFrom: Index | undefined, added: readonly StoredEntry[]): void {
    for (const { entry } of added) {
      if (entry.kind !== 'membership') continue
      const before = replica.log.membershipAt(entry.index - 1)
      if (before !== undefined) this.#follows(replica, before, entry.index, entry.membership)
    }
  }

  #follows(
    replica: ReplicaView,
    before: { readonly index: Index; readonly value: Membership },
    index: Index,
    next: Membership
  ): void {
    const status = replica.node
    if (status?.roleKind === 'leader' && status.commitIndex < before.index) {
      this.#fail(replica, index, `the one at ${before.index} is not committed`)
    }
    const previous = before.value
    if (next.kind === 'joint') {
      if (previous.kind === 'joint') this.#fail(replica, index, 'joint follows joint')
      if (!sameMembers(next.outgoing, previous.voters)) this.#fail(replica, index, 'it leaves voters who were not')
    } else if (previous.kind === 'joint') {
      if (!sameMembers(next.voters, previous.incoming))
        this.#fail(replica, index, 'it enters others than the joint one')
    } else if (!sameMembers(next.voters, previous.voters))
      this.#fail(replica, index, 'voters change without a joint one')
    for (const voters of voterSets(next)) if (voters.length === 0) this.#fail(replica, index, 'it has no voters')
  }

  #fail(replica: ReplicaView, index: Index, explanation: string): never {
    this.#observer.world.violated(this.name, `replica ${replica.id}, membership at ${index}: ${explanation}`)
  }
}

function sameMembers(left: readonly number[], right: readonly number[]): boolean {
  return left.length === right.length && left.every(id => right.includes(id))
}
