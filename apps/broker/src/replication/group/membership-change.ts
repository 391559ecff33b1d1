/**
 * A change of a group's replicas, carried out by its leader in Raft's steps:
 *
 *     new ones become learners ──► they catch up ──► joint membership ──► the target (Raft leaves the joint one by itself)
 *
 * A group that only grows does not wait for all of the new ones: whoever is there becomes a voter, the rest as they come, and so
 * do learners. A group that was recovered from one replica is safe again as soon as a second one is back.
 *
 * Targets are brokers; which replica a broker's is, is known from the membership or from the broker itself (a replica that waits
 * to be added says its id again and again, and whoever is wanted is asked). One that came back under a new id takes the place of its former life the same way.
 */
import type { Membership, ReplicaId } from '@milena/raft'
import type { BrokerId } from '../contract.ts'
import { brokerOf } from '../kept/replica-ids.ts'

export interface ReplicaTargets {
  readonly voters: readonly BrokerId[]
  readonly learners: readonly BrokerId[]
}

/** What the change sees of the group. */
export interface ChangingGroup {
  readonly leads: boolean
  readonly membership: Membership | undefined
  /** The membership is committed. */
  readonly membershipCertain: boolean
  readonly commitIndex: number
  readonly tick: number
  matchIndexOf(replica: ReplicaId): number
  /** The replica of a broker that is not in the membership under that id, if it said so. */
  joinedOn(broker: BrokerId): ReplicaId | undefined
  /** False when it cannot be proposed now. */
  proposeMembership(voters: readonly ReplicaId[], learners: readonly ReplicaId[]): boolean
}

/** Ticks that a new replica may take for what was committed when they began, to count as caught up. */
const ROUND_TICKS = 20

export class MembershipChange {
  readonly targets: ReplicaTargets
  #roundStartedAt = 0
  #roundIndex = Infinity

  constructor(targets: ReplicaTargets) {
    this.targets = targets
  }

  /** Does what can be done now. True: done, false: given up, undefined: not yet. */
  advance(group: ChangingGroup): boolean | undefined {
    const { membership } = group
    if (membership === undefined) return false
    if (membership.kind === 'simple' && group.membershipCertain && this.#isReached(group, membership)) return true
    if (!group.leads) return false
    if (membership.kind === 'joint' || !group.membershipCertain) return undefined
    const voters = idsOf(group, membership, this.#votersNow(group, membership))
    const learners = idsOf(group, membership, present(group, membership, this.targets.learners))
    if (voters === undefined || learners === undefined) return undefined
    if (sameMembers(voters, membership.voters) && sameMembers(learners, membership.learners)) return undefined
    const members = [...membership.voters, ...membership.learners]
    const unknown = [...new Set([...voters, ...learners])].filter(id => !members.includes(id))
    if (unknown.length > 0) {
      this.#roundIndex = Infinity
      // A learner that stands for a former life of a replica makes room for the present one.
      const kept = membership.learners.filter(id => !unknown.some(other => brokerOf(other) === brokerOf(id)))
      group.proposeMembership(membership.voters, [...kept, ...unknown])
      return undefined
    }
    const added = voters.filter(id => !membership.voters.includes(id))
    if (added.length === 0 || this.#areCaughtUp(group, added)) group.proposeMembership(voters, learners)
    return undefined
  }

  /** Brokers that are wanted and of which no replica is known. */
  unknown(group: ChangingGroup): BrokerId[] {
    const { membership } = group
    if (membership?.kind !== 'simple') return []
    const { voters, learners } = this.targets
    return [...voters, ...learners].filter(broker => idOf(group, membership, broker) === undefined)
  }

  /** All targets; of a group that only grows, those that are there. */
  #votersNow(group: ChangingGroup, membership: Extract<Membership, { kind: 'simple' }>): readonly BrokerId[] {
    const { voters } = this.targets
    const grows = membership.voters.every(voter => voters.includes(brokerOf(voter)))
    return grows ? present(group, membership, voters) : voters
  }

  #isReached(group: ChangingGroup, membership: Extract<Membership, { kind: 'simple' }>): boolean {
    const voters = idsOf(group, membership, this.targets.voters)
    const learners = idsOf(group, membership, this.targets.learners)
    return sameMembers(voters, membership.voters) && sameMembers(learners, membership.learners)
  }

  /** In rounds (section 4.2.1 of the dissertation): each must fetch what was committed at its start, soon enough. */
  #areCaughtUp(group: ChangingGroup, added: readonly ReplicaId[]): boolean {
    const reached = added.every(id => group.matchIndexOf(id) >= this.#roundIndex)
    if (reached && group.tick - this.#roundStartedAt <= ROUND_TICKS) return true
    if (reached || this.#roundIndex === Infinity) {
      this.#roundIndex = group.commitIndex
      this.#roundStartedAt = group.tick
    }
    return added.every(id => group.matchIndexOf(id) >= group.commitIndex)
  }
}

function idsOf(
  group: ChangingGroup,
  membership: Extract<Membership, { kind: 'simple' }>,
  brokers: readonly BrokerId[]
): ReplicaId[] | undefined {
  const ids: ReplicaId[] = []
  for (const broker of brokers) {
    const id = idOf(group, membership, broker)
    if (id === undefined) return undefined
    ids.push(id)
  }
  return ids
}

/** Those of whom a replica is known. */
function present(
  group: ChangingGroup,
  membership: Extract<Membership, { kind: 'simple' }>,
  brokers: readonly BrokerId[]
): readonly BrokerId[] {
  return brokers.filter(broker => idOf(group, membership, broker) !== undefined)
}

function idOf(
  group: ChangingGroup,
  membership: Extract<Membership, { kind: 'simple' }>,
  broker: BrokerId
): ReplicaId | undefined {
  // Of a broker that is there twice, the learner is the present life: a leader before this one began to let it in.
  const members = [...membership.learners, ...membership.voters]
  return group.joinedOn(broker) ?? members.find(member => brokerOf(member) === broker)
}

function sameMembers(wanted: readonly ReplicaId[] | undefined, present: readonly ReplicaId[]): boolean {
  return wanted?.length === present.length && wanted.every(id => present.includes(id))
}
