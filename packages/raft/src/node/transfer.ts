/**
 * Handing leadership over (section 3.10 of the dissertation): no proposals any more, the target catches up, then it is told to
 * stand for election at once. Given up after `electionTicks`; then this leader goes on.
 */
import type { Outcome } from '../contract.ts'
import type { ReplicaId } from '../membership.ts'
import { wakeLeader } from './heartbeats.ts'
import type { Leadership } from './leadership.ts'
import type { Peer } from './peer.ts'
import type { Replica } from './replica.ts'
import { sendTo } from './replication.ts'

export function transferLeadership<Payload>(replica: Replica<Payload>, target: ReplicaId): Outcome<Payload, object> {
  const { role } = replica
  if (role.kind !== 'leader') return { kind: 'notLeader', leader: replica.leader }
  if (replica.transfer !== undefined) return { kind: 'transferring', target: replica.transfer.target }
  if (!replica.memberships.isVoter(target)) return { kind: 'conflict' }
  if (target === replica.id) {
    replica.emit({ kind: 'transferEnded', target, reason: undefined })
    return { kind: 'accepted', effects: replica.take() }
  }
  replica.transfer = { target, ticksLeft: replica.config.electionTicks }
  wakeLeader(replica, role)
  const peer = role.peers.get(target)!
  sendTo(replica, peer)
  advanceTransfer(replica, peer)
  return { kind: 'accepted', effects: replica.take() }
}

/** Tells the target to stand, once it has everything. Repeated with heartbeats, because it may be lost. */
export function advanceTransfer<Payload>(replica: Replica<Payload>, peer: Peer): void {
  if (replica.transfer?.target !== peer.id || peer.matchIndex !== replica.log.lastIndex) return
  replica.send({ kind: 'timeoutNow', from: replica.id, to: peer.id, term: replica.term })
}

/** A target that is no voter any more cannot lead. */
export function checkTransferTarget<Payload>(replica: Replica<Payload>): void {
  const { transfer } = replica
  if (transfer === undefined || replica.memberships.isVoter(transfer.target)) return
  replica.transfer = undefined
  replica.emit({ kind: 'transferEnded', target: transfer.target, reason: 'targetLost' })
}

export function tickTransfer<Payload>(replica: Replica<Payload>, count: number): void {
  const { transfer } = replica
  if (transfer === undefined) return
  transfer.ticksLeft -= count
  if (transfer.ticksLeft > 0) return
  replica.transfer = undefined
  replica.emit({ kind: 'transferEnded', target: transfer.target, reason: 'timedOut' })
}

/** A leader that steps down by itself asks the voter that has most to follow at once, so that nobody waits for a timeout. */
export function handOver<Payload>(replica: Replica<Payload>, leadership: Leadership): void {
  let best: Peer | undefined
  for (const peer of leadership.peerList) {
    if (!replica.memberships.isVoter(peer.id) || peer.unreachable) continue
    if (best === undefined || peer.matchIndex > best.matchIndex) best = peer
  }
  if (best === undefined) return
  replica.send({ kind: 'timeoutNow', from: replica.id, to: best.id, term: replica.term })
}
