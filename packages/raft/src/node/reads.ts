/**
 * Linearizable reads without clocks (section 6.4 of the dissertation). A leader notes its commit index, lets a quorum confirm by
 * heartbeat that it still leads, and then that index is safe to read at. Reads that come while a round is under way share the
 * next one. Before the leader has committed an entry of its term it does not know what is committed, so reads wait.
 */
import type { ReplicaId } from '../membership.ts'
import { voteResult } from '../quorum.ts'
import type { Message } from '../messages.ts'
import { sendHeartbeat, wakeLeader } from './heartbeats.ts'
import type { Leadership, PendingRead } from './leadership.ts'
import type { Replica } from './replica.ts'

type Received<Payload, Kind> = Extract<Message<Payload>, { readonly kind: Kind }>

/** A read asked for here. */
export function readIndex<Payload>(replica: Replica<Payload>, request: number): void {
  const { role, id: from, term } = replica
  if (role.kind === 'leader') {
    addRead(replica, role, { from, request })
    return
  }
  const { leader } = replica
  if (leader === undefined) {
    replica.emit({ kind: 'readGivenUp', request, reason: 'notLeader' })
    return
  }
  replica.forwardedReads.push({ request, ticksLeft: replica.config.electionTicks })
  replica.send({ kind: 'readIndex', from, to: leader, term, request })
}

/** A read that a follower passed on. */
export function onReadIndex<Payload>(replica: Replica<Payload>, message: Received<Payload, 'readIndex'>): void {
  const { from: to, request } = message
  const { role, id: from, term } = replica
  if (role.kind === 'leader') addRead(replica, role, { from: to, request })
  else replica.send({ kind: 'readIndexResponse', from, to, term, request, result: 'notLeader' })
}

export function onReadIndexResponse<Payload>(
  replica: Replica<Payload>,
  message: Received<Payload, 'readIndexResponse'>
): void {
  const { request } = message
  const at = replica.forwardedReads.findIndex(read => read.request === request)
  if (at < 0) return
  replica.forwardedReads.splice(at, 1)
  if (message.result === 'ready') replica.emit({ kind: 'readReady', request, index: message.index })
  else replica.emit({ kind: 'readGivenUp', request, reason: 'notLeader' })
}

function addRead<Payload>(replica: Replica<Payload>, leadership: Leadership, read: PendingRead): void {
  wakeLeader(replica, leadership)
  leadership.waitingReads.push(read)
  startReads(replica, leadership)
}

/** A change of membership can end a round without another answer. */
export function checkReads<Payload>(replica: Replica<Payload>, leadership: Leadership): void {
  if (endRound(replica, leadership)) startReads(replica, leadership)
}

/** Begins a round with all reads that wait, if none is under way and the leader knows what is committed. */
export function startReads<Payload>(replica: Replica<Payload>, leadership: Leadership): void {
  if (leadership.round !== undefined || leadership.waitingReads.length === 0) return
  if (replica.log.termAt(replica.commitIndex) !== replica.term) return
  const reads = leadership.waitingReads.splice(0)
  leadership.round = { sequence: ++leadership.readSequence, index: replica.commitIndex, reads }
  if (endRound(replica, leadership)) return
  for (const peer of leadership.peerList) sendHeartbeat(replica, peer, leadership.readSequence, false)
}

/** A peer confirmed rounds up to `sequence`. */
export function onReadConfirmed<Payload>(
  replica: Replica<Payload>,
  leadership: Leadership,
  from: ReplicaId,
  sequence: number
): void {
  const peer = leadership.peers.get(from)
  if (peer === undefined || sequence <= peer.readSequence) return
  peer.readSequence = sequence
  if (endRound(replica, leadership)) startReads(replica, leadership)
}

/** Answers the reads of the round if a quorum has confirmed it. */
function endRound<Payload>(replica: Replica<Payload>, leadership: Leadership): boolean {
  const { round } = leadership
  if (round === undefined) return false
  const confirmed = voteResult(replica.memberships.current!, voter =>
    voter === replica.id || leadership.peers.get(voter)!.readSequence >= round.sequence ? true : undefined
  )
  if (confirmed !== 'won') return false
  leadership.round = undefined
  const { id: from, term } = replica
  for (const { from: to, request } of round.reads) {
    if (to === from) replica.emit({ kind: 'readReady', request, index: round.index })
    else {
      replica.send({ kind: 'readIndexResponse', from, to, term, request, result: 'ready', index: round.index })
    }
  }
  return true
}

export function tickForwardedReads<Payload>(replica: Replica<Payload>, count: number): void {
  const { forwardedReads } = replica
  for (let at = forwardedReads.length - 1; at >= 0; at--) {
    const read = forwardedReads[at]!
    read.ticksLeft -= count
    if (read.ticksLeft > 0) continue
    forwardedReads.splice(at, 1)
    replica.emit({ kind: 'readGivenUp', request: read.request, reason: 'timedOut' })
  }
}
