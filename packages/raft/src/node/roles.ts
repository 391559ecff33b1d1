/**
 * Becoming a follower, from whatever the replica was, and what ends with a leadership.
 */
import type { Term } from '../entries.ts'
import type { ReplicaId } from '../membership.ts'
import type { Leadership } from './leadership.ts'
import type { Replica } from './replica.ts'

/** Follows `leader` (undefined: whoever it will be) in `term`, which is not below the present one. */
export function becomeFollower<Payload>(replica: Replica<Payload>, term: Term, leader: ReplicaId | undefined): void {
  const { role } = replica
  const changed = role.kind !== 'follower' || role.leader !== leader || replica.term !== term
  if (role.kind === 'leader') endLeadership(replica, role)
  else if (role.kind === 'follower' && role.leader !== leader) giveUpForwardedReads(replica)
  if (term > replica.term) replica.enterTerm(term, undefined)
  replica.role = { kind: 'follower', leader }
  replica.quiescent = false
  // Someone else's failed attempt does not put off its own: else the only one that can win might never stand.
  if (leader !== undefined || role.kind === 'leader') replica.restartElectionTimer()
  if (!changed) return
  replica.emit({ kind: 'roleChanged' })
  if (leader !== undefined) endTransfer(replica, leader)
}

/** Knows who leads now: the end of a transfer that this replica began. */
export function endTransfer<Payload>(replica: Replica<Payload>, leader: ReplicaId): void {
  const { transfer } = replica
  if (transfer === undefined) return
  replica.transfer = undefined
  const reason = transfer.target === leader ? undefined : 'targetLost'
  replica.emit({ kind: 'transferEnded', target: transfer.target, reason })
}

function endLeadership<Payload>(replica: Replica<Payload>, leadership: Leadership): void {
  for (const read of [...(leadership.round?.reads ?? []), ...leadership.waitingReads]) {
    if (read.from !== replica.id) continue
    replica.emit({ kind: 'readGivenUp', request: read.request, reason: 'notLeader' })
  }
}

/** Whoever was asked does not lead any more, as far as this replica knows. */
export function giveUpForwardedReads<Payload>(replica: Replica<Payload>): void {
  for (const { request } of replica.forwardedReads.splice(0)) {
    replica.emit({ kind: 'readGivenUp', request, reason: 'notLeader' })
  }
}
