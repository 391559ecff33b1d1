/**
 * Messages: whose term counts, who may be ignored, which part handles what.
 *
 *     later term     follow it first; except pre-votes and their grants (nobody has entered that term), and votes that a
 *                    lease refuses
 *     former term    a leader or candidate of it is told the present one; the rest is dropped
 *     this term      handled
 */
import type { Message } from '../messages.ts'
import { isRefusedByLease, onVoteRequest, onVoteResponse } from './elections.ts'
import { onAppend, onCommitNotice, onHeartbeat, onInstallSnapshot, onTimeoutNow } from './following.ts'
import { wakeLeader } from './heartbeats.ts'
import { commitWhatIsHeld } from './leading.ts'
import type { Leadership } from './leadership.ts'
import type { Peer } from './peer.ts'
import { onReadConfirmed, onReadIndex, onReadIndexResponse } from './reads.ts'
import { onRepairRequest, onRepairResponse } from './repair.ts'
import type { Replica } from './replica.ts'
import { onHeartbeatAnswered, onMatched, onRejected, sendCommitNotice, sendTo } from './replication.ts'
import { becomeFollower } from './roles.ts'
import { advanceTransfer } from './transfer.ts'

type Received<Payload, Kind> = Extract<Message<Payload>, { readonly kind: Kind }>

export function step<Payload>(replica: Replica<Payload>, message: Message<Payload>): void {
  if (message.to !== replica.id || message.from === replica.id) return
  if (message.term > replica.term && !enterLaterTerm(replica, message)) return
  if (message.term < replica.term) onFormerTerm(replica, message)
  else handle(replica, message)
}

/** False when the message is to be ignored. */
function enterLaterTerm<Payload>(replica: Replica<Payload>, message: Message<Payload>): boolean {
  switch (message.kind) {
    case 'preVote':
      return true
    case 'preVoteResponse':
      if (!message.granted) becomeFollower(replica, message.term, undefined)
      return true
    case 'vote':
      if (isRefusedByLease(replica, message)) return false
      becomeFollower(replica, message.term, undefined)
      return true
    case 'append':
    case 'heartbeat':
    case 'commit':
    case 'installSnapshot':
      becomeFollower(replica, message.term, message.from)
      return true
    default:
      becomeFollower(replica, message.term, undefined)
      return true
  }
}

function onFormerTerm<Payload>(replica: Replica<Payload>, message: Message<Payload>): void {
  const { id: from, term } = replica
  const { from: to } = message
  switch (message.kind) {
    case 'append':
    case 'heartbeat':
    case 'commit':
    case 'installSnapshot':
      replica.send({ kind: 'heartbeatResponse', from, to, term, readSequence: 0 })
      break
    case 'preVote':
      replica.send({ kind: 'preVoteResponse', from, to, term, granted: false })
      break
    case 'vote':
      replica.send({ kind: 'voteResponse', from, to, term, granted: false })
      break
    case 'preVoteResponse':
      // A refusal by one whose term is lower: it counts, though its term does not.
      if (!message.granted) onVoteResponse(replica, message)
      break
    case 'repairRequest':
      onRepairRequest(replica, message)
      break
    case 'repairResponse':
      onRepairResponse(replica, message)
      break
    default:
  }
}

function handle<Payload>(replica: Replica<Payload>, message: Message<Payload>): void {
  switch (message.kind) {
    case 'append':
      onAppend(replica, message)
      break
    case 'appendResponse':
    case 'heartbeatResponse':
      onAnswer(replica, message)
      break
    case 'heartbeat':
      onHeartbeat(replica, message)
      break
    case 'commit':
      onCommitNotice(replica, message)
      break
    case 'preVote':
      if (!isRefusedByLease(replica, message)) onVoteRequest(replica, message)
      break
    case 'vote':
      onVoteRequest(replica, message)
      break
    case 'preVoteResponse':
    case 'voteResponse':
      onVoteResponse(replica, message)
      break
    case 'installSnapshot':
      onInstallSnapshot(replica, message)
      break
    case 'timeoutNow':
      onTimeoutNow(replica, message)
      break
    case 'readIndex':
      onReadIndex(replica, message)
      break
    case 'readIndexResponse':
      onReadIndexResponse(replica, message)
      break
    case 'repairRequest':
      onRepairRequest(replica, message)
      break
    case 'repairResponse':
      onRepairResponse(replica, message)
      break
  }
}

/** Answers of members to their leader; those of others, and to a former leadership, are dropped. */
function onAnswer<Payload>(
  replica: Replica<Payload>,
  message: Received<Payload, 'appendResponse' | 'heartbeatResponse'>
): void {
  const { role } = replica
  if (role.kind !== 'leader') return
  const peer = role.peers.get(message.from)
  if (peer === undefined) return
  peer.active = true
  peer.unreachable = false
  peer.stalled = false
  if (message.kind === 'heartbeatResponse') {
    onReadConfirmed(replica, role, peer.id, message.readSequence)
    onHeartbeatAnswered(replica, peer)
  } else if (message.result === 'rejected') {
    wakeLeader(replica, role)
    onRejected(replica, peer, message.rejectedIndex, message.hint)
  } else {
    onMatchedAnswer(replica, role, peer, message.matchIndex)
  }
}

function onMatchedAnswer<Payload>(
  replica: Replica<Payload>,
  leadership: Leadership,
  peer: Peer,
  matchIndex: number
): void {
  const advanced = onMatched(replica, peer, matchIndex)
  if (advanced && matchIndex > replica.commitIndex) commitWhatIsHeld(replica, leadership)
  if (replica.role !== leadership) return
  sendTo(replica, peer)
  sendCommitNotice(replica, peer)
  if (advanced) advanceTransfer(replica, peer)
}
