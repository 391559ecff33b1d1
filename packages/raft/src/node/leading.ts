/**
 * A leader's own work: taking office, appending, committing by counting, changing the membership.
 *
 *     becomeLeader ── noop of the term ──► propose ── append ──► [disks of a quorum] ──► commitWhatIsHeld
 *                                                                                            │ joint committed: leave it
 *                                                                                            │ left out of it: step down
 */
import assert from 'node:assert'
import type { Outcome, Proposal } from '../contract.ts'
import type { Entry, EntryId, Index } from '../entries.ts'
import type { Membership, ReplicaId } from '../membership.ts'
import { wakeLeader } from './heartbeats.ts'
import { Leadership } from './leadership.ts'
import { enterMembership, leaveMembership } from './membership-history.ts'
import { checkReads, startReads } from './reads.ts'
import type { Replica } from './replica.ts'
import { sendCommitNotice, sendToAll } from './replication.ts'
import { becomeFollower, endTransfer } from './roles.ts'
import { checkTransferTarget, handOver } from './transfer.ts'

export function becomeLeader<Payload>(replica: Replica<Payload>): void {
  assert(replica.role.kind === 'candidate' && replica.isSaved, 'a leader was a candidate whose vote is durable')
  const leadership = new Leadership(replica.id, replica.log)
  leadership.adopt(replica.memberships.current!)
  replica.role = leadership
  replica.electionElapsed = 0
  replica.emit({ kind: 'roleChanged' })
  endTransfer(replica, replica.id)
  appendOwn(replica, leadership, { kind: 'noop', index: replica.log.lastIndex + 1, term: replica.term })
}

export function propose<Payload>(
  replica: Replica<Payload>,
  proposals: readonly Proposal<Payload>[]
): Outcome<Payload, { readonly first: EntryId }> {
  const { role, term, log, config } = replica
  if (role.kind !== 'leader') return { kind: 'notLeader', leader: replica.leader }
  if (replica.transfer !== undefined) return { kind: 'transferring', target: replica.transfer.target }
  let bytesTotal = 0
  for (const { bytes } of proposals) bytesTotal += bytes
  // What is larger than the limit alone must still find its way: one such at a time.
  if (role.uncommitted.bytes > 0 && role.uncommitted.bytes + bytesTotal > config.uncommittedBytesMax) {
    return { kind: 'overloaded' }
  }
  const first = { index: log.lastIndex + 1, term }
  if (proposals.length > 0) {
    const entries: Entry<Payload>[] = []
    let index = first.index
    for (const { payload, width, bytes } of proposals) {
      assert(Number.isSafeInteger(width) && width >= 1 && bytes >= 0, 'an entry covers at least one index')
      entries.push({ kind: 'data', index, term, payload, width, bytes })
      index += width
    }
    role.uncommitted.add(index - 1, bytesTotal)
    append(replica, role, entries, index - 1)
  }
  return { kind: 'accepted', effects: replica.take(), first }
}

export function proposeMembership<Payload>(
  replica: Replica<Payload>,
  voters: readonly ReplicaId[],
  learners: readonly ReplicaId[]
): Outcome<Payload, { readonly entry: EntryId }> {
  const { role, term, log, memberships } = replica
  if (role.kind !== 'leader') return { kind: 'notLeader', leader: replica.leader }
  if (replica.transfer !== undefined) return { kind: 'transferring', target: replica.transfer.target }
  if (memberships.index > replica.commitIndex) return { kind: 'conflict' }
  const membership = enterMembership(memberships.current!, voters, learners)
  if (membership === undefined) return { kind: 'conflict' }
  const entry = { index: log.lastIndex + 1, term }
  appendOwn(replica, role, { kind: 'membership', ...entry, membership })
  return { kind: 'accepted', effects: replica.take(), entry }
}

/** Commits what a quorum holds by now, and does what that allows. */
export function commitWhatIsHeld<Payload>(replica: Replica<Payload>, leadership: Leadership): void {
  const membership = replica.memberships.current!
  const index = leadership.committableIndex(membership, replica.term)
  if (index <= replica.commitIndex) return
  replica.advanceCommit(index)
  leadership.uncommitted.freeTo(index)
  startReads(replica, leadership)
  if (replica.memberships.index <= index) onMembershipCommitted(replica, leadership, membership)
  if (replica.role !== leadership) return
  for (const peer of leadership.peerList) sendCommitNotice(replica, peer)
}

function onMembershipCommitted<Payload>(
  replica: Replica<Payload>,
  leadership: Leadership,
  membership: Membership
): void {
  if (membership.kind === 'joint') {
    const entry = { index: replica.log.lastIndex + 1, term: replica.term }
    appendOwn(replica, leadership, { kind: 'membership', ...entry, membership: leaveMembership(membership) })
  } else if (!membership.voters.includes(replica.id)) {
    for (const peer of leadership.peerList) sendCommitNotice(replica, peer)
    handOver(replica, leadership)
    becomeFollower(replica, replica.term, undefined)
  }
}

function appendOwn<Payload>(
  replica: Replica<Payload>,
  leadership: Leadership,
  entry: Entry<Payload> & { readonly kind: 'noop' | 'membership' }
): void {
  append(replica, leadership, [entry], entry.index)
}

function append<Payload>(
  replica: Replica<Payload>,
  leadership: Leadership,
  entries: readonly Entry<Payload>[],
  lastIndex: Index
): void {
  replica.log.append(replica.term, lastIndex)
  replica.agreedIndex = lastIndex
  wakeLeader(replica, leadership)
  replica.emit({ kind: 'append', truncateFrom: undefined, entries })
  const own = entries[0]!
  if (own.kind === 'membership') {
    replica.memberships.append(own.index, own.membership)
    leadership.adopt(own.membership)
    replica.emit({ kind: 'membership', index: own.index, membership: own.membership, committed: false })
    checkTransferTarget(replica)
  }
  sendToAll(replica, leadership)
  if (own.kind !== 'membership') return
  // Other majorities may agree already.
  commitWhatIsHeld(replica, leadership)
  checkReads(replica, leadership)
}
