/**
 * What the passing of time does, when it next may do something, and sleep.
 *
 * A group in which nothing is under way falls asleep: the leader says so in its last heartbeat, then nobody counts ticks. The
 * host's own heartbeat, one for all groups that two hosts share, stands in for it, and `wake` ends the sleep.
 */
import type { ReplicaId } from '../membership.ts'
import { voteResult } from '../quorum.ts'
import { onElectionTimeout } from './elections.ts'
import { sendHeartbeats, wakeLeader } from './heartbeats.ts'
import type { Leadership } from './leadership.ts'
import { tickForwardedReads } from './reads.ts'
import { tickRepair } from './repair.ts'
import type { Replica } from './replica.ts'
import { becomeFollower } from './roles.ts'
import { advanceTransfer, tickTransfer } from './transfer.ts'

export function tick<Payload>(replica: Replica<Payload>, count: number): void {
  if (replica.quiescent) return
  replica.electionElapsed += count
  tickTransfer(replica, count)
  if (replica.forwardedReads.length > 0) tickForwardedReads(replica, count)
  if (replica.damage.any) tickRepair(replica, count)
  if (replica.role.kind === 'leader') tickLeader(replica, replica.role, count)
  else if (replica.electionElapsed >= replica.electionTimeout) onElectionTimeout(replica)
}

function tickLeader<Payload>(replica: Replica<Payload>, leadership: Leadership, count: number): void {
  const { config } = replica
  if (replica.electionElapsed >= config.electionTicks) {
    replica.electionElapsed = 0
    if (config.checkQuorum && !hearsQuorum(replica, leadership)) {
      becomeFollower(replica, replica.term, undefined)
      return
    }
  }
  leadership.idleTicks = isSettled(replica, leadership) ? leadership.idleTicks + count : 0
  leadership.heartbeatElapsed += count
  if (leadership.heartbeatElapsed < config.heartbeatTicks) return
  const sleep = leadership.idleTicks >= config.quiesceTicks
  sendHeartbeats(replica, leadership, sleep)
  if (sleep) replica.quiescent = true
  const target = replica.transfer === undefined ? undefined : leadership.peers.get(replica.transfer.target)
  if (target !== undefined) advanceTransfer(replica, target)
}

/** A leader that cannot reach a quorum leads nobody: it steps down, so that clients look elsewhere. */
function hearsQuorum<Payload>(replica: Replica<Payload>, leadership: Leadership): boolean {
  const result = voteResult(
    replica.memberships.current!,
    voter => voter === replica.id || leadership.peers.get(voter)!.active
  )
  for (const peer of leadership.peerList) peer.active = false
  return result === 'won'
}

/** Nothing is under way, and everyone has everything, except those whose link is gone, if a quorum remains. */
function isSettled<Payload>(replica: Replica<Payload>, leadership: Leadership): boolean {
  const { log, commitIndex, memberships } = replica
  const membership = memberships.current!
  if (log.lastIndex !== commitIndex || log.durableIndex !== commitIndex || membership.kind === 'joint') return false
  if (replica.transfer !== undefined || leadership.round !== undefined || leadership.waitingReads.length > 0)
    return false
  for (const peer of leadership.peerList) if (!peer.unreachable && !peer.isCaughtUp(log.lastIndex)) return false
  // Who sleeps does not notice any more that it leads nobody.
  return voteResult(membership, voter => voter === replica.id || leadership.peers.get(voter)!.active) === 'won'
}

export function ticksUntilDue<Payload>(replica: Replica<Payload>): number {
  if (replica.hasEffects) return 1
  if (replica.quiescent) return Infinity
  const { role, config, electionElapsed } = replica
  let due: number
  if (role.kind === 'leader') {
    due = Math.min(config.heartbeatTicks - role.heartbeatElapsed, config.electionTicks - electionElapsed)
  } else due = replica.electionTimeout - electionElapsed
  if (replica.transfer !== undefined) due = Math.min(due, replica.transfer.ticksLeft)
  if (replica.damage.any) due = Math.min(due, replica.repairTicksLeft)
  for (const read of replica.forwardedReads) due = Math.min(due, read.ticksLeft)
  return Math.max(1, due)
}

export function wake<Payload>(replica: Replica<Payload>, peer: ReplicaId | undefined): void {
  if (!replica.quiescent) return
  const { role } = replica
  if (role.kind === 'leader') {
    wakeLeader(replica, role)
    sendHeartbeats(replica, role, false)
    return
  }
  if (peer !== undefined && peer !== replica.leader) return
  // The host has waited for the leader already: what is left is the delay that keeps candidates apart.
  replica.restartElectionTimer()
  replica.electionElapsed = replica.config.electionTicks
  replica.quiescent = false
}
