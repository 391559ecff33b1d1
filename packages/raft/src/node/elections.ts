/**
 * Elections (section 5.2 and 5.4.1 of the paper; pre-vote and leases: section 9.6 of the dissertation).
 *
 *     follower ──timeout──► preCandidate ──quorum would──► candidate ──own vote durable, quorum voted──► leader
 *         ▲                     │ refused                     │ refused, or another leads
 *         └─────────────────────┴─────────────────────────────┘
 *
 * A pre-vote changes nothing anywhere. A vote is counted, and asked for, after the candidate's own is durable.
 */
import type { Message } from '../messages.ts'
import { voteResult } from '../quorum.ts'
import { sendHeartbeats, wakeLeader } from './heartbeats.ts'
import { becomeLeader } from './leading.ts'
import { votersOf } from './membership-history.ts'
import type { Replica, Standing } from './replica.ts'
import { becomeFollower, giveUpForwardedReads } from './roles.ts'

type Received<Payload, Kind> = Extract<Message<Payload>, { readonly kind: Kind }>

/** Stands for election, if it may. `transfer`: the leader asked for it, so nobody needs to be asked before. */
export function campaign<Payload>(replica: Replica<Payload>, transfer: boolean): void {
  if (replica.role.kind === 'leader' || !replica.isElectable) return
  replica.quiescent = false
  giveUpForwardedReads(replica)
  if (replica.config.preVote && !transfer) becomePreCandidate(replica)
  else becomeCandidate(replica, transfer)
}

function becomePreCandidate<Payload>(replica: Replica<Payload>): void {
  const role: Standing = { kind: 'preCandidate', votes: new Map([[replica.id, true]]) }
  replica.role = role
  replica.restartElectionTimer()
  replica.emit({ kind: 'roleChanged' })
  const { id: from, log } = replica
  const last = { index: log.lastIndex, term: log.lastTerm }
  for (const to of votersOf(replica.memberships.current!)) {
    if (to !== from) replica.send({ kind: 'preVote', from, to, term: replica.term + 1, last })
  }
  countVotes(replica, role)
}

function becomeCandidate<Payload>(replica: Replica<Payload>, transfer: boolean): void {
  replica.enterTerm(replica.term + 1, replica.id)
  replica.role = { kind: 'candidate', votes: new Map() }
  replica.restartElectionTimer()
  replica.emit({ kind: 'roleChanged' })
  const { id: from, log, term } = replica
  const last = { index: log.lastIndex, term: log.lastTerm }
  for (const to of votersOf(replica.memberships.current!)) {
    if (to !== from) replica.send({ kind: 'vote', from, to, term, last, transfer })
  }
}

function countVotes<Payload>(replica: Replica<Payload>, role: Standing): void {
  const result = voteResult(replica.memberships.current!, voter => role.votes.get(voter))
  if (result === 'lost') becomeFollower(replica, replica.term, undefined)
  if (result !== 'won') return
  if (role.kind === 'candidate') becomeLeader(replica)
  else becomeCandidate(replica, false)
}

/** A hard state is durable: what it held back leaves, and a candidate's own vote counts. */
export function onHardStateSaved<Payload>(replica: Replica<Payload>, revision: number): void {
  if (!replica.markSaved(revision)) return
  const { role } = replica
  if (role.kind !== 'candidate') return
  role.votes.set(replica.id, true)
  countVotes(replica, role)
}

export function onElectionTimeout<Payload>(replica: Replica<Payload>): void {
  // While the disk has not taken its own vote, another term would not help.
  const waits = replica.role.kind === 'candidate' && !replica.isSaved
  if (!waits && replica.isElectable && replica.config.priority > 0) {
    campaign(replica, false)
    return
  }
  replica.restartElectionTimer()
  if (!waits) becomeFollower(replica, replica.term, undefined)
}

/**
 * Whether a request for a vote is to be ignored because a leader was heard of lately. A leader that asks itself leads no more.
 * Whoever sleeps wakes: the leader to show that it is there, a follower to count from now on whether it is.
 */
export function isRefusedByLease<Payload>(
  replica: Replica<Payload>,
  message: Received<Payload, 'preVote' | 'vote'>
): boolean {
  const { role } = replica
  if (message.kind === 'vote' && (message.transfer || !replica.config.checkQuorum)) return false
  if (replica.quiescent) {
    // Whoever was left out and does not know it shall not keep the others awake.
    if (!replica.memberships.isMember(message.from)) return true
    if (role.kind === 'leader') {
      wakeLeader(replica, role)
      sendHeartbeats(replica, role, false)
    } else {
      replica.quiescent = false
      replica.electionElapsed = 0
    }
  }
  return message.from !== replica.leader && replica.isLeased
}

/** A request for a vote, or about one, of this term or (pre-votes) a later one. */
export function onVoteRequest<Payload>(
  replica: Replica<Payload>,
  message: Received<Payload, 'preVote' | 'vote'>
): void {
  const { id: from } = replica
  const { from: to, term } = message
  const free = replica.votedFor === undefined && (replica.leader === undefined || replica.leader === to)
  const mayVote = term > replica.term || replica.votedFor === to || free
  const granted = mayVote && replica.log.isBehindOrEqual(message.last)
  if (message.kind === 'preVote') {
    replica.send({ kind: 'preVoteResponse', from, to, term: granted ? term : replica.term, granted })
    return
  }
  if (granted) {
    if (replica.votedFor === undefined) replica.enterTerm(term, to)
    replica.electionElapsed = 0
  }
  replica.send({ kind: 'voteResponse', from, to, term, granted })
}

/** An answer about the term that this replica stands in, or would. */
export function onVoteResponse<Payload>(
  replica: Replica<Payload>,
  message: Received<Payload, 'preVoteResponse' | 'voteResponse'>
): void {
  const { role } = replica
  const asked = message.kind === 'voteResponse' ? 'candidate' : 'preCandidate'
  if (role.kind !== asked || role.votes.has(message.from)) return
  if (message.kind === 'preVoteResponse' && message.granted && message.term !== replica.term + 1) return
  role.votes.set(message.from, message.granted)
  countVotes(replica, role)
}
