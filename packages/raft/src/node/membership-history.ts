/**
 * The memberships of a log, newest last. The newest is in force from the moment its entry is appended; a truncation brings back
 * the one before. Only the newest can be uncommitted (a leader begins no change before the last one is committed), so what
 * precedes the newest committed one is forgotten.
 */
import assert from 'node:assert'
import type { Index } from '../entries.ts'
import type { Membership, ReplicaId } from '../membership.ts'

export interface PlacedMembership {
  readonly index: Index
  readonly membership: Membership
}

export class MembershipHistory {
  /** The membership in force. */
  current: Membership | undefined
  /** Index of its entry; 0 for none. */
  index: Index = 0
  #placed: PlacedMembership[]

  constructor(placed: readonly PlacedMembership[]) {
    this.#placed = [...placed]
    this.#refresh()
  }

  append(index: Index, membership: Membership): void {
    assert(this.#placed.length === 0 || index > this.index, 'memberships follow each other')
    this.#placed.push({ index, membership })
    this.#refresh()
  }

  /** Forgets what stood at or after `index`. Returns whether the membership in force is another one now. */
  truncateFrom(index: Index): boolean {
    const length = this.#placed.length
    while (this.#placed.length > 0 && this.#placed.at(-1)!.index >= index) this.#placed.pop()
    this.#refresh()
    return this.#placed.length !== length
  }

  reset(index: Index, membership: Membership): void {
    this.#placed = [{ index, membership }]
    this.#refresh()
  }

  /** Those that `from < index <= to` covers, oldest first, then forgets what came before the last of them. */
  commit(from: Index, to: Index): readonly PlacedMembership[] {
    if (this.index <= from) return none
    const committed = this.#placed.filter(({ index }) => index > from && index <= to)
    const last = committed.at(-1)
    if (last !== undefined) this.#placed = this.#placed.slice(this.#placed.indexOf(last))
    return committed
  }

  /**
   * Whether `replica` may stand for election: as a voter, or as one that the newest membership leaves out while that is not
   * known to be committed. It may be the only one that can complete the change (section 4.2.2 of the dissertation); its own
   * vote does not count then.
   */
  mayLead(replica: ReplicaId, commitIndex: Index): boolean {
    if (this.isVoter(replica)) return true
    const former = this.index > commitIndex ? this.#placed.at(-2) : undefined
    return former !== undefined && isVoter(former.membership, replica)
  }

  isVoter(replica: ReplicaId): boolean {
    return this.current !== undefined && isVoter(this.current, replica)
  }

  isMember(replica: ReplicaId): boolean {
    const { current } = this
    return current !== undefined && (isVoter(current, replica) || current.learners.includes(replica))
  }

  #refresh(): void {
    const last = this.#placed.at(-1)
    this.current = last?.membership
    this.index = last?.index ?? 0
  }
}

const none: readonly PlacedMembership[] = []

export function isVoter(membership: Membership, replica: ReplicaId): boolean {
  if (membership.kind === 'simple') return membership.voters.includes(replica)
  return membership.incoming.includes(replica) || membership.outgoing.includes(replica)
}

/** Voters of both memberships, each once. */
export function votersOf(membership: Membership): readonly ReplicaId[] {
  if (membership.kind === 'simple') return membership.voters
  return [...new Set([...membership.incoming, ...membership.outgoing])]
}

/** Voters and learners, each once. */
export function membersOf(membership: Membership): readonly ReplicaId[] {
  return [...new Set([...votersOf(membership), ...membership.learners])]
}

/**
 * The membership to append on the way from `current` to the wanted one: joint when voters change, else simple at once. Undefined
 * when the wanted one has no voter, names a replica twice, or a change is under way.
 */
export function enterMembership(
  current: Membership,
  voters: readonly ReplicaId[],
  learners: readonly ReplicaId[]
): Membership | undefined {
  const wanted = [...voters, ...learners]
  if (current.kind === 'joint' || voters.length === 0 || new Set(wanted).size !== wanted.length) return undefined
  const same = voters.length === current.voters.length && voters.every(voter => current.voters.includes(voter))
  if (same) return { kind: 'simple', voters: [...voters], learners: [...learners] }
  return {
    kind: 'joint',
    incoming: [...voters],
    outgoing: current.voters,
    learners: learners.filter(learner => !current.voters.includes(learner)),
    learnersNext: learners.filter(learner => current.voters.includes(learner))
  }
}

/** What follows a joint membership. */
export function leaveMembership(joint: Membership & { readonly kind: 'joint' }): Membership {
  return { kind: 'simple', voters: joint.incoming, learners: [...joint.learners, ...joint.learnersNext] }
}
