/**
 * What replicas of a group say to each other. Transport, encoding and the group's id are the host's: it may batch messages of
 * many groups to the same peer, in particular `heartbeat` and `heartbeatResponse`, which are of fixed size for that reason.
 * Messages may be lost, repeated and reordered; only authenticity is assumed.
 *
 * A message with a term above the replica's own makes it a follower of that term first, except for `preVote` and for a
 * `preVoteResponse` that grants: these speak of a term that nobody has entered.
 */
import type { Entry, EntryId, Index, IndexRange, SnapshotMeta, Term } from './entries.ts'
import type { ReplicaId } from './membership.ts'

/** Fields of every message. */
export interface Envelope {
  readonly from: ReplicaId
  readonly to: ReplicaId
  /** The sender's term; for pre-votes the term that would be entered. */
  readonly term: Term
}

/** "Would you vote for me?" Changes nothing at the receiver (section 9.6 of the dissertation). */
export interface PreVote extends Envelope {
  readonly kind: 'preVote'
  /** The candidate's last entry: what its log is judged by. */
  readonly last: EntryId
}

/** Whether a vote would be given. */
export interface PreVoteResponse extends Envelope {
  readonly kind: 'preVoteResponse'
  readonly granted: boolean
}

/** "Vote for me." The candidate's own vote is durable before this leaves. */
export interface Vote extends Envelope {
  readonly kind: 'vote'
  readonly last: EntryId
  /** The leader of the former term asked for this election: followers need not wait until they miss that leader. */
  readonly transfer: boolean
}

/** A grant leaves only after the vote is durable. */
export interface VoteResponse extends Envelope {
  readonly kind: 'voteResponse'
  readonly granted: boolean
}

/** Entries, or a probe without any. `entries` follow `previous` without a gap. */
export interface Append<Payload> extends Envelope {
  readonly kind: 'append'
  readonly previous: EntryId
  readonly entries: readonly Entry<Payload>[]
  readonly commitIndex: Index
}

/** `matched` leaves only after all entries up to `matchIndex` are durable at the sender. */
export type AppendResponse = Envelope &
  (
    | { readonly kind: 'appendResponse'; readonly result: 'matched'; readonly matchIndex: Index }
    | {
        readonly kind: 'appendResponse'
        readonly result: 'rejected'
        /** `previous.index` of what was rejected: tells a late answer from a new one. */
        readonly rejectedIndex: Index
        /** Last entry at or before it that may agree: the leader goes on from here, skipping whole terms. */
        readonly hint: EntryId
      }
  )

/** "I lead." `commitIndex` never exceeds what the receiver is known to hold. */
export interface Heartbeat extends Envelope {
  readonly kind: 'heartbeat'
  readonly commitIndex: Index
  /** Highest read request that this round confirms; 0 for none. Comes back in the response. */
  readonly readSequence: number
  /** Nothing is under way: the follower stops counting ticks until it is woken, and does not answer. See `RaftNode.wake`. */
  readonly quiesce: boolean
}

/** The answer to a heartbeat; `readSequence` as in the heartbeat. */
export interface HeartbeatResponse extends Envelope {
  readonly kind: 'heartbeatResponse'
  readonly readSequence: number
}

/**
 * "This much is committed", to a follower that has everything and to whom nothing else is on its way. Not answered; when it is
 * lost, the next heartbeat says the same. `commitIndex` never exceeds what the receiver is known to hold.
 */
export interface Commit extends Envelope {
  readonly kind: 'commit'
  readonly commitIndex: Index
}

/** Sent by the host together with, or after, the snapshot's data: the receiver has that data when it steps this. */
export interface InstallSnapshot extends Envelope {
  readonly kind: 'installSnapshot'
  readonly snapshot: SnapshotMeta
}

/** "Stand for election now": ends a transfer of leadership. */
export interface TimeoutNow extends Envelope {
  readonly kind: 'timeoutNow'
}

/** A follower asks its leader for an index that is safe to read at. */
export interface ReadIndex extends Envelope {
  readonly kind: 'readIndex'
  /** The asking replica's number for it. */
  readonly request: number
}

/** The answer to a follower that wants to read. */
export type ReadIndexResponse = Envelope &
  (
    | { readonly kind: 'readIndexResponse'; readonly request: number; readonly result: 'ready'; readonly index: Index }
    | { readonly kind: 'readIndexResponse'; readonly request: number; readonly result: 'notLeader' }
  )

/** A replica with damaged entries asks any peer that may hold them. */
export interface RepairRequest extends Envelope {
  readonly kind: 'repairRequest'
  readonly range: IndexRange
  /** Term of the last entry in `range`, as the replica remembers it: what comes back must be the same entries. */
  readonly lastTerm: Term
}

/** The same entries, in order, a prefix of what was asked for; empty when the peer cannot help. */
export interface RepairResponse<Payload> extends Envelope {
  readonly kind: 'repairResponse'
  readonly range: IndexRange
  readonly entries: readonly Entry<Payload>[]
}

/** Everything that replicas of a group send each other. */
export type Message<Payload> =
  | PreVote
  | PreVoteResponse
  | Vote
  | VoteResponse
  | Append<Payload>
  | AppendResponse
  | Heartbeat
  | HeartbeatResponse
  | Commit
  | InstallSnapshot
  | TimeoutNow
  | ReadIndex
  | ReadIndexResponse
  | RepairRequest
  | RepairResponse<Payload>
