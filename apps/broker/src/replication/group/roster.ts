/**
 * Who belongs to a group, as its leader sees it: the change that is under way, replicas that wait to be added, and letting in
 * those that come back under a new id.
 */
import type { Membership, RaftNode, ReplicaId } from '@milena/raft'
import type { BrokerId, ReplicatedLog } from '../contract.ts'
import { brokerOf } from '../kept/replica-ids.ts'
import { MembershipChange, type ChangingGroup, type ReplicaTargets } from './membership-change.ts'

/** What a roster needs of its group. */
export interface RosterGroup {
  readonly node: RaftNode<Uint8Array>
  readonly self: BrokerId
  readonly inSync: readonly BrokerId[]
  readonly membership: {
    readonly voters: readonly BrokerId[]
    readonly learners: readonly BrokerId[]
    readonly joint: boolean
  }
  sync(): void
  perform(effects: ReturnType<RaftNode<Uint8Array>['tick']>): void
  /** `advance` is to be called at every tick until it answers false. */
  watchChange(): void
  /** Asks a broker which replica it has. */
  invite(broker: BrokerId): void
}

/** Ticks between two questions to brokers that are wanted and have not said which replica is theirs. */
const INVITE_TICKS = 20

interface PendingChange {
  readonly change: MembershipChange
  /** It is given up with the leadership that it began under: the next one may be wanted for something else. */
  readonly term: number
  readonly resolve: (done: boolean) => void
}

export class Roster {
  readonly #group: RosterGroup
  /** Replicas that said that they wait to be added, by broker. */
  readonly #joined = new Map<BrokerId, ReplicaId>()
  #change: PendingChange | undefined
  /** The membership is committed. */
  membershipCertain = true

  constructor(group: RosterGroup) {
    this.#group = group
  }

  /** Resolves true when the targets are reached, false when that was given up. */
  change(targets: ReplicaTargets): Promise<boolean> {
    this.giveUp()
    return new Promise(resolve => {
      this.#change = { change: new MembershipChange(targets), term: this.#group.node.term, resolve }
      this.#group.watchChange()
    })
  }

  /** A replica that waits to be added says so. */
  noteJoin(replica: ReplicaId): void {
    const group = this.#group
    if (group.node.roleKind !== 'leader' || group.node.membership === undefined) return
    const broker = brokerOf(replica)
    const members = membersOf(group.node.membership)
    if (members.includes(replica)) return this.#wakeFor(replica)
    const isOneOfUs = members.some(id => brokerOf(id) === broker)
    if (isOneOfUs && !this.#canDoWithout(broker)) return
    this.#joined.set(broker, replica)
    // It has been one of us in a former life: let it in again.
    if (!isOneOfUs || this.#change !== undefined) return
    const { voters, learners, joint } = group.membership
    // A broker can be there twice: as a voter of one life, and as a learner of another that did not come to be a voter.
    const others = learners.filter(other => !voters.includes(other))
    if (!joint) void this.change({ voters, learners: others })
  }

  /**
   * A member finds no leader. The group may have gone to sleep without it while it was away, and what was to wake it may have
   * arrived before the member was opened.
   */
  #wakeFor(replica: ReplicaId): void {
    this.#group.sync()
    this.#group.perform(this.#group.node.wake(replica))
  }

  /** A majority is in sync even without this broker's replica. */
  #canDoWithout(broker: BrokerId): boolean {
    const { inSync, membership, self } = this.#group
    return broker !== self && inSync.filter(id => id !== broker).length > Math.floor(membership.voters.length / 2)
  }

  /** Does what the change waits for. False: none is under way. */
  advance(tick: number): boolean {
    const pending = this.#change
    if (pending === undefined) return false
    const { node } = this.#group
    const changing: ChangingGroup = {
      leads: node.roleKind === 'leader' && node.term === pending.term,
      membership: node.membership,
      membershipCertain: this.membershipCertain,
      commitIndex: node.commitIndex,
      tick,
      matchIndexOf: replica => node.matchIndexOf(replica),
      joinedOn: broker => this.#joined.get(broker),
      proposeMembership: (voters, learners) => this.#propose(voters, learners)
    }
    const done = pending.change.advance(changing)
    if (done === undefined) {
      // A replica that was removed while the group slept, and is wanted again, does not know that it has to say so.
      if (tick % INVITE_TICKS === 0) for (const broker of pending.change.unknown(changing)) this.#group.invite(broker)
      return true
    }
    this.#change = undefined
    pending.resolve(done)
    return false
  }

  #propose(voters: readonly ReplicaId[], learners: readonly ReplicaId[]): boolean {
    const group = this.#group
    group.sync()
    const outcome = group.node.proposeMembership({ voters, learners })
    if (outcome.kind !== 'accepted') return false
    group.perform(outcome.effects)
    return true
  }

  /** It leads no more: who waits turns to the next leader. */
  clear(): void {
    this.#joined.clear()
  }

  giveUp(): void {
    this.#change?.resolve(false)
    this.#change = undefined
  }
}

/** Voters as they are, or, while joint, as they are going to be. */
export function votersOf(membership: Membership): readonly ReplicaId[] {
  return membership.kind === 'simple' ? membership.voters : membership.incoming
}

/** The voter of a broker, if it has one; none while it is let in anew, since what voted is gone. */
export function voterOn(membership: Membership, broker: BrokerId): ReplicaId | undefined {
  if (membership.learners.some(id => brokerOf(id) === broker)) return undefined
  return votersOf(membership).find(voter => brokerOf(voter) === broker)
}

/** How many voters come before `self`, counted from the one that is gone, in an order that all of them know. */
export function rankAfter(gone: BrokerId, self: BrokerId, voters: readonly BrokerId[]): number {
  const distance = (voters.indexOf(self) - voters.indexOf(gone) + voters.length) % voters.length
  return Math.max(0, distance - 1)
}

/** Everybody, without repetition. */
export function membersOf(membership: Membership): ReplicaId[] {
  const voters = membership.kind === 'simple' ? membership.voters : [...membership.incoming, ...membership.outgoing]
  return [...new Set([...voters, ...membership.learners])]
}

/** A membership as brokers; while joint, the voters of both sides. */
export function brokersIn(membership: Membership | undefined): ReplicatedLog['membership'] {
  if (membership === undefined) return { voters: [], learners: [], joint: false }
  const joint = membership.kind === 'joint'
  const voters = joint ? [...new Set([...membership.incoming, ...membership.outgoing])] : membership.voters
  return { voters: voters.map(brokerOf), learners: membership.learners.map(brokerOf), joint }
}
