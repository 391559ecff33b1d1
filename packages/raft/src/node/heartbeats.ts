/**
 * "I lead": at most every `heartbeatTicks` to every member, and when a read wants confirmation. The last one before a group
 * falls asleep says so and is not answered.
 */
import type { Leadership } from './leadership.ts'
import type { Peer } from './peer.ts'
import type { Replica } from './replica.ts'

export function sendHeartbeat<Payload>(
  replica: Replica<Payload>,
  peer: Peer,
  readSequence: number,
  quiesce: boolean
): void {
  const { id: from, term } = replica
  const commitIndex = Math.min(replica.commitIndex, peer.matchIndex)
  peer.commitSent = Math.max(peer.commitSent, commitIndex)
  replica.send({ kind: 'heartbeat', from, to: peer.id, term, commitIndex, readSequence, quiesce })
}

export function sendHeartbeats<Payload>(replica: Replica<Payload>, leadership: Leadership, quiesce: boolean): void {
  leadership.heartbeatElapsed = 0
  const readSequence = leadership.round?.sequence ?? 0
  for (const peer of leadership.peerList) {
    sendHeartbeat(replica, peer, readSequence, quiesce && peer.isCaughtUp(replica.log.lastIndex))
  }
}

/** Something is under way, or was asked: ticks count again, and the quorum must be heard of anew. */
export function wakeLeader<Payload>(replica: Replica<Payload>, leadership: Leadership): void {
  leadership.idleTicks = 0
  if (!replica.quiescent) return
  replica.quiescent = false
  replica.electionElapsed = 0
  leadership.heartbeatElapsed = 0
  for (const peer of leadership.peerList) peer.active = false
}
