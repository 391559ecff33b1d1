/**
 * Sending the log to a peer, as its leader: which part, when, and how much at once (progress is in peer.ts).
 *
 * A peer in `replicate` is sent entries ahead of its answers, until the window is full. Losses show in three ways: the peer
 * rejects what does not fit, the host reports a lost link, or heartbeats are answered while `matchIndex` stands still; then an
 * append without entries asks again. Bytes are counted when the host says what it sent (`entriesSent`).
 */
import type { EntryId, Index } from '../entries.ts'
import type { ReplicaId } from '../membership.ts'
import type { Leadership } from './leadership.ts'
import type { Peer } from './peer.ts'
import type { Replica } from './replica.ts'

/** Sends what the peer lacks and may be sent now. */
export function sendTo<Payload>(replica: Replica<Payload>, peer: Peer): void {
  const { state } = peer
  if (peer.readingFrom > 0 || peer.stalled || state.kind === 'snapshot') return
  if (state.kind === 'probe') {
    if (state.waiting) return
    if (!askForEntries(replica, peer, state.nextIndex, replica.config.appendBytesMax)) return
    state.waiting = true
    return
  }
  const { log, config } = replica
  if (state.nextIndex > log.lastIndex || state.inflight.count >= config.inflightCountMax) return
  const room = config.inflightBytesMax - state.inflight.bytes
  if (room > 0) askForEntries(replica, peer, state.nextIndex, Math.min(config.appendBytesMax, room))
}

export function sendToAll<Payload>(replica: Replica<Payload>, leadership: Leadership): void {
  for (const peer of leadership.peerList) sendTo(replica, peer)
}

/** False when the peer needs a snapshot instead. */
function askForEntries<Payload>(replica: Replica<Payload>, peer: Peer, nextIndex: Index, bytesMax: number): boolean {
  const { log } = replica
  const previousTerm = log.termAt(nextIndex - 1)
  if (previousTerm === undefined) {
    sendSnapshot(replica, peer, log.beforeIndex)
    return false
  }
  const previous = { index: nextIndex - 1, term: previousTerm }
  if (nextIndex > log.lastIndex) {
    sendProbe(replica, peer, previous)
    return true
  }
  peer.readingFrom = nextIndex
  peer.commitSent = replica.commitIndex
  replica.emit({
    kind: 'sendEntries',
    to: peer.id,
    term: replica.term,
    previous,
    range: { start: nextIndex, end: log.lastIndex + 1 },
    bytesMax,
    commitIndex: replica.commitIndex
  })
  return true
}

function sendProbe<Payload>(replica: Replica<Payload>, peer: Peer, previous: EntryId): void {
  const { id: from, term, commitIndex } = replica
  replica.send({ kind: 'append', from, to: peer.id, term, previous, entries: [], commitIndex })
}

/** Asks the host to send a snapshot that covers `atLeast`. */
export function sendSnapshot<Payload>(replica: Replica<Payload>, peer: Peer, atLeast: Index): void {
  peer.becomeSnapshot(atLeast)
  replica.emit({ kind: 'sendSnapshot', to: peer.id, term: replica.term, atLeast })
}

/** The host has sent entries up to `lastIndex`, or (undefined) could not. */
export function onEntriesSent<Payload>(
  replica: Replica<Payload>,
  to: ReplicaId,
  lastIndex: Index | undefined,
  bytes: number
): void {
  if (replica.role.kind !== 'leader') return
  const peer = replica.role.peers.get(to)
  if (peer === undefined || peer.readingFrom === 0) return
  peer.readingFrom = 0
  if (lastIndex === undefined) {
    peer.stalled = true
    return
  }
  noteSent(replica, peer, lastIndex, bytes)
  sendTo(replica, peer)
}

function noteSent<Payload>(replica: Replica<Payload>, peer: Peer, lastIndex: Index, bytes: number): void {
  const { state } = peer
  if (state.kind !== 'replicate' || lastIndex < state.nextIndex || lastIndex > replica.log.lastIndex) return
  state.nextIndex = lastIndex + 1
  if (lastIndex > peer.matchIndex) state.inflight.add(lastIndex, bytes)
}

/** The peer's log agrees up to `matchIndex`, durably. Returns whether that is news. */
export function onMatched<Payload>(replica: Replica<Payload>, peer: Peer, matchIndex: Index): boolean {
  if (matchIndex > replica.log.lastIndex) return false
  const advanced = matchIndex > peer.matchIndex
  if (advanced) peer.matchIndex = matchIndex
  // An answer to what was read: it left, even if the host has not come to say so.
  if (peer.readingFrom > 0 && peer.readingFrom <= peer.matchIndex) peer.readingFrom = 0
  const { state } = peer
  switch (state.kind) {
    case 'probe':
      peer.becomeReplicate()
      break
    case 'snapshot':
      if (replica.log.termAt(peer.matchIndex) !== undefined && peer.matchIndex >= state.snapshotIndex) {
        peer.becomeReplicate()
      }
      break
    case 'replicate':
      state.inflight.freeTo(peer.matchIndex)
      if (state.nextIndex <= peer.matchIndex) state.nextIndex = peer.matchIndex + 1
  }
  return advanced
}

/** The peer's log does not agree at `rejectedIndex`; `hint` is where it might. */
export function onRejected<Payload>(replica: Replica<Payload>, peer: Peer, rejectedIndex: Index, hint: EntryId): void {
  const { state } = peer
  // Late answers: about what is known to match, or about more than was sent last.
  if (state.kind === 'snapshot' || rejectedIndex <= peer.matchIndex || rejectedIndex >= state.nextIndex) return
  const agreeing = replica.log.lastNotAbove(Math.min(hint.index, rejectedIndex - 1), hint.term)
  peer.readingFrom = 0
  peer.becomeProbe(agreeing.index + 1, false)
  sendTo(replica, peer)
}

/** A heartbeat was answered: the link works, so whatever waits may be tried again. */
export function onHeartbeatAnswered<Payload>(replica: Replica<Payload>, peer: Peer): void {
  const { state } = peer
  if (state.kind === 'probe') state.waiting = false
  const stands = peer.matchAtHeartbeat === peer.matchIndex
  peer.matchAtHeartbeat = peer.matchIndex
  if (peer.matchIndex === replica.log.lastIndex) return
  sendTo(replica, peer)
  if (state.kind !== 'replicate' || peer.state !== state || peer.readingFrom > 0) return
  if (!stands || state.nextIndex - 1 <= peer.matchIndex) return
  const term = replica.log.termAt(state.nextIndex - 1)
  if (term !== undefined) {
    sendProbe(replica, peer, { index: state.nextIndex - 1, term })
    return
  }
  // What was sent ahead is dropped here meanwhile.
  peer.becomeProbe(peer.matchIndex + 1, false)
  sendTo(replica, peer)
}

/** The link to the peer is gone: what was under way is lost. A snapshot is the host's, who reports what became of it. */
export function onUnreachable(peer: Peer): void {
  peer.unreachable = true
  peer.readingFrom = 0
  if (peer.state.kind === 'replicate') peer.becomeProbe(peer.matchIndex + 1, true)
  else if (peer.state.kind === 'probe') peer.state.waiting = true
}

/** Tells a peer that has everything, and is not sent anything, what is committed by now. */
export function sendCommitNotice<Payload>(replica: Replica<Payload>, peer: Peer): void {
  const { state } = peer
  const commitIndex = Math.min(replica.commitIndex, peer.matchIndex)
  if (state.kind !== 'replicate' || peer.readingFrom > 0 || state.inflight.count > 0 || commitIndex <= peer.commitSent)
    return
  peer.commitSent = commitIndex
  replica.send({ kind: 'commit', from: replica.id, to: peer.id, term: replica.term, commitIndex })
}
