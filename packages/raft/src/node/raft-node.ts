/**
 * `openRaftNode`: the algorithm behind its contract (contract.ts). Every input runs to its end and returns the effects that it
 * had; the state is in replica.ts, what happens to it in the modules beside.
 */
import assert from 'node:assert'
import type { OpenRaftNode, Outcome, Progress, Proposal, RaftConfig, RaftNode, RaftStatus, Role } from '../contract.ts'
import type { Effect } from '../effects.ts'
import type { EntryId, HardState, Index, IndexRange, RecoveredLog, Term } from '../entries.ts'
import type { Membership, ReplicaId } from '../membership.ts'
import type { Message } from '../messages.ts'
import { campaign, onHardStateSaved } from './elections.ts'
import { onCompacted, onSnapshotInstalled, sendMatched } from './following.ts'
import { commitWhatIsHeld, propose, proposeMembership } from './leading.ts'
import { readIndex } from './reads.ts'
import { onDamageFound, onRepaired } from './repair.ts'
import { Replica } from './replica.ts'
import { onEntriesSent, onUnreachable, sendSnapshot } from './replication.ts'
import { becomeFollower } from './roles.ts'
import { step } from './stepping.ts'
import { tick, ticksUntilDue, wake } from './ticking.ts'
import { handOver, transferLeadership } from './transfer.ts'

/** The present state of a replica, read when asked. */
class Status implements RaftStatus {
  readonly #replica: Replica<unknown>

  constructor(replica: Replica<unknown>) {
    this.#replica = replica
  }

  get id(): ReplicaId {
    return this.#replica.id
  }

  get term(): Term {
    return this.#replica.term
  }

  get role(): Role {
    const { role, transfer } = this.#replica
    if (role.kind === 'follower') return { kind: 'follower', leader: role.leader }
    if (role.kind !== 'leader') return { kind: role.kind }
    const progress = new Map<ReplicaId, Progress>()
    for (const peer of role.peerList) progress.set(peer.id, peer.progress())
    return { kind: 'leader', progress, transferTarget: transfer?.target }
  }

  get commitIndex(): Index {
    return this.#replica.commitIndex
  }

  get last(): EntryId {
    const { lastIndex: index, lastTerm: term } = this.#replica.log
    return { index, term }
  }

  get durableIndex(): Index {
    return this.#replica.log.durableIndex
  }

  get membership(): Membership | undefined {
    return this.#replica.memberships.current
  }

  get quiescent(): boolean {
    return this.#replica.quiescent
  }

  get damagedCount(): number {
    return this.#replica.damage.count
  }
}

class Node<Payload> implements RaftNode<Payload> {
  readonly status: RaftStatus
  readonly #replica: Replica<Payload>

  constructor(config: RaftConfig, hardState: HardState, log: RecoveredLog) {
    this.#replica = new Replica<Payload>(config, hardState, log)
    this.status = new Status(this.#replica as Replica<unknown>)
  }

  get term(): Term {
    return this.#replica.term
  }

  get roleKind(): Role['kind'] {
    return this.#replica.role.kind
  }

  get leader(): ReplicaId | undefined {
    return this.#replica.leader
  }

  get commitIndex(): Index {
    return this.#replica.commitIndex
  }

  get lastIndex(): Index {
    return this.#replica.log.lastIndex
  }

  get durableIndex(): Index {
    return this.#replica.log.durableIndex
  }

  get membership(): Membership | undefined {
    return this.#replica.memberships.current
  }

  get ticksUntilDue(): number {
    return ticksUntilDue(this.#replica)
  }

  matchIndexOf(id: ReplicaId): Index {
    const { role, log } = this.#replica
    if (id === this.#replica.id) return log.durableIndex
    return role.kind === 'leader' ? (role.peers.get(id)?.matchIndex ?? 0) : 0
  }

  termAt(index: Index): Term | undefined {
    return this.#replica.log.termAt(index)
  }

  tick(count = 1): readonly Effect<Payload>[] {
    tick(this.#replica, count)
    return this.#replica.take()
  }

  step(message: Message<Payload>): readonly Effect<Payload>[] {
    step(this.#replica, message)
    return this.#replica.take()
  }

  peerUnreachable(id: ReplicaId): readonly Effect<Payload>[] {
    const { role } = this.#replica
    const peer = role.kind === 'leader' ? role.peers.get(id) : undefined
    if (peer !== undefined) onUnreachable(peer)
    return this.#replica.take()
  }

  wake(peer?: ReplicaId): readonly Effect<Payload>[] {
    wake(this.#replica, peer)
    return this.#replica.take()
  }

  propose(proposals: readonly Proposal<Payload>[]): Outcome<Payload, { readonly first: EntryId }> {
    return propose(this.#replica, proposals)
  }

  proposeMembership(next: {
    readonly voters: readonly ReplicaId[]
    readonly learners: readonly ReplicaId[]
  }): Outcome<Payload, { readonly entry: EntryId }> {
    return proposeMembership(this.#replica, next.voters, next.learners)
  }

  transferLeadership(target: ReplicaId): Outcome<Payload, object> {
    return transferLeadership(this.#replica, target)
  }

  readIndex(request: number): readonly Effect<Payload>[] {
    readIndex(this.#replica, request)
    return this.#replica.take()
  }

  resign(): readonly Effect<Payload>[] {
    const { role, term } = this.#replica
    if (role.kind === 'leader') {
      handOver(this.#replica, role)
      becomeFollower(this.#replica, term, undefined)
    }
    return this.#replica.take()
  }

  campaign(): readonly Effect<Payload>[] {
    campaign(this.#replica, false)
    return this.#replica.take()
  }

  hardStateSaved(revision: number): readonly Effect<Payload>[] {
    onHardStateSaved(this.#replica, revision)
    return this.#replica.take()
  }

  appended(last: EntryId): readonly Effect<Payload>[] {
    const { log, role } = this.#replica
    if (last.index <= log.durableIndex || !log.holds(last.index, last.term)) return this.#replica.take()
    log.durableIndex = last.index
    if (role.kind === 'leader') commitWhatIsHeld(this.#replica, role)
    else sendMatched(this.#replica)
    return this.#replica.take()
  }

  entriesSent(to: ReplicaId, lastIndex: Index | undefined, bytes: number): readonly Effect<Payload>[] {
    onEntriesSent(this.#replica, to, lastIndex, bytes)
    return this.#replica.take()
  }

  snapshotInstalled(last: EntryId): readonly Effect<Payload>[] {
    onSnapshotInstalled(this.#replica, last)
    return this.#replica.take()
  }

  snapshotSent(to: ReplicaId, covered: EntryId | undefined): readonly Effect<Payload>[] {
    const { role } = this.#replica
    const peer = role.kind === 'leader' ? role.peers.get(to) : undefined
    if (peer?.state.kind === 'snapshot') {
      // The answer to it, or to the next heartbeat, shows where to go on.
      peer.becomeProbe(covered === undefined ? peer.matchIndex + 1 : covered.index + 1, true)
    }
    return this.#replica.take()
  }

  entriesGone(to: ReplicaId): readonly Effect<Payload>[] {
    const replica = this.#replica
    const peer = replica.role.kind === 'leader' ? replica.role.peers.get(to) : undefined
    if (peer !== undefined && peer.readingFrom > 0) {
      sendSnapshot(replica, peer, Math.max(replica.log.beforeIndex, peer.readingFrom))
    }
    return replica.take()
  }

  damageFound(range: IndexRange): readonly Effect<Payload>[] {
    onDamageFound(this.#replica, range)
    return this.#replica.take()
  }

  repaired(range: IndexRange): readonly Effect<Payload>[] {
    onRepaired(this.#replica, range)
    return this.#replica.take()
  }

  compacted(before: EntryId): void {
    const { commitIndex, log } = this.#replica
    assert(before.index <= Math.min(commitIndex, log.durableIndex), 'only what is committed and durable is dropped')
    onCompacted(this.#replica, before)
  }
}

/** See `OpenRaftNode` in contract.ts. */
export const openRaftNode: OpenRaftNode = <Payload>(config: RaftConfig, hardState: HardState, log: RecoveredLog) =>
  new Node<Payload>(config, hardState, log)
