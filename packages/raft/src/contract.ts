/**
 * A replica of a Raft group as a pure state machine: inputs come as calls, outputs are effects. It does no I/O, reads no
 * clock and has no randomness of its own; the same calls give the same effects. Not reentrant, no promises.
 *
 * The host owns log, disk, network and time. It opens a node with what its disk holds (`OpenRaftNode`), feeds ticks, messages,
 * proposals and reports of durability, and carries out effects (effects.ts says in which order and when to report).
 *
 *            step, tick, propose, ...                        Effect[]
 *     host ─────────────────────────────► RaftNode ─────────────────────────────► host
 *       ▲                                                                           │
 *       └──────── hardStateSaved, appended, snapshotInstalled, ... ◄────durable─────┘
 */
import type { Effect } from './effects.ts'
import type { EntryId, HardState, Index, IndexRange, RecoveredLog, Term } from './entries.ts'
import type { Membership, ReplicaId } from './membership.ts'
import type { Message } from './messages.ts'

/** What a replica is told once, when it is opened. */
export interface RaftConfig {
  /** This replica. */
  readonly id: ReplicaId
  /**
   * Ticks without word from a leader after which a follower stands for election: from this many to twice as many, drawn anew
   * each time. Well above the time of a durable write plus a round trip. Default 10.
   */
  readonly electionTicks: number
  /** Ticks between heartbeats of a leader. Below `electionTicks`. Default 1. */
  readonly heartbeatTicks: number
  /**
   * Ask before standing for election, so that a replica that was cut off does not unseat a leader when it returns (section
   * 9.6 of the dissertation). Default true; false only in tests that need disruption.
   */
  readonly preVote: boolean
  /** A leader that hears from no quorum for `electionTicks` steps down, and followers who hear a leader refuse votes. Default true. */
  readonly checkQuorum: boolean
  /**
   * Wish to lead: 0 never stands by itself (a transfer still works), 100 at once, below that after waiting longer, in
   * proportion (1: another `electionTicks`), so that the next one leads when the first cannot. Default 100. A wish only: it
   * never hinders an election. Read whenever a wait begins or ends, so the host may change it in a config object of its own.
   */
  readonly priority: number
  /**
   * Ticks with nothing under way after which a leader lets its group sleep; `Infinity` for never. Default 3. Only for hosts
   * that exchange heartbeats of their own and call `wake`.
   */
  readonly quiesceTicks: number
  /** Appends under way to one follower. Default 64. */
  readonly inflightCountMax: number
  /** Bytes under way to one follower. Default 8 MiB. */
  readonly inflightBytesMax: number
  /** Bytes of one append's entries, handed to the host as `sendEntries.bytesMax`; a larger entry travels alone. Default 1 MiB. */
  readonly appendBytesMax: number
  /** Bytes of proposals that are not committed; above, proposals are refused with `overloaded`. Default 64 MiB. */
  readonly uncommittedBytesMax: number
  /** Draws an integer in `[0, bound)`. The only source of chance. */
  readonly random: (bound: number) => number
}

/**
 * Opens a replica from what its disk holds. A new group's first replicas all start from the same bootstrap membership, as one
 * at index 0.
 */
export type OpenRaftNode = <Payload>(config: RaftConfig, hardState: HardState, log: RecoveredLog) => RaftNode<Payload>

/** How far a follower is, as its leader knows. */
export type Progress = ProgressCommon &
  (
    | {
        /** Where its log agrees is not known: one append at a time, until one matches. */
        readonly kind: 'probe'
        readonly nextIndex: Index
        /** An append is under way. */
        readonly waiting: boolean
      }
    | {
        /** It agrees: entries are sent ahead, within `inflightCountMax` and `inflightBytesMax`. */
        readonly kind: 'replicate'
        readonly nextIndex: Index
        readonly inflightCount: number
        readonly inflightBytes: number
      }
    | {
        /** It needs entries that are gone here: a snapshot is on its way. */
        readonly kind: 'snapshot'
        readonly snapshotIndex: Index
      }
  )

/** What a leader knows of any follower. */
export interface ProgressCommon {
  /** Highest entry that the follower is known to hold durably. */
  readonly matchIndex: Index
  /** Heard of since the last check of the quorum. */
  readonly active: boolean
}

/** What a replica is at the moment. */
export type Role =
  | { readonly kind: 'follower'; readonly leader: ReplicaId | undefined }
  | { readonly kind: 'preCandidate' }
  | { readonly kind: 'candidate' }
  | {
      readonly kind: 'leader'
      /** Of every other member, learners included. */
      readonly progress: ReadonlyMap<ReplicaId, Progress>
      /** Set while leadership is handed over; proposals are refused meanwhile. */
      readonly transferTarget: ReplicaId | undefined
    }

/** A replica as people and metrics see it. */
export interface RaftStatus {
  readonly id: ReplicaId
  readonly term: Term
  readonly role: Role
  readonly commitIndex: Index
  /** Last entry of the log, durable or not. */
  readonly last: EntryId
  /** Last entry that is durable here. */
  readonly durableIndex: Index
  readonly membership: Membership | undefined
  /** The group sleeps: ticks do nothing until `wake`, a message or a proposal. */
  readonly quiescent: boolean
  /** Indexes that wait to be repaired. While above 0 the replica does not stand for election. */
  readonly damagedCount: number
}

/** Something that only a leader can do, or why this replica does not. */
export type Outcome<Payload, Accepted> =
  | (Accepted & { readonly kind: 'accepted'; readonly effects: readonly Effect<Payload>[] })
  | { readonly kind: 'notLeader'; readonly leader: ReplicaId | undefined }
  | { readonly kind: 'transferring'; readonly target: ReplicaId }
  /** Too many bytes wait for commit. */
  | { readonly kind: 'overloaded' }
  /** A change of membership is under way, or this one would leave no voter. */
  | { readonly kind: 'conflict' }

/** Data for one entry. */
export interface Proposal<Payload> {
  readonly payload: Payload
  /** Indexes that the entry covers, at least 1. */
  readonly width: number
  readonly bytes: number
}

/** One replica of a group. Every input returns the effects that its host must carry out, in order. */
export interface RaftNode<Payload> {
  /** A view that always shows the present; reading `role` of a leader builds objects, the rest does not. */
  readonly status: RaftStatus

  // The same, one by one, for hot paths: nothing is built.

  readonly term: Term
  readonly roleKind: Role['kind']
  /** Who leads in `term`, as far as known; itself when it leads. */
  readonly leader: ReplicaId | undefined
  readonly commitIndex: Index
  /** Last index of the log, durable or not. */
  readonly lastIndex: Index
  readonly durableIndex: Index
  readonly membership: Membership | undefined
  /** Up to where `replica` is known to hold the log durably: for a leader of any member, else only of itself; 0 when unknown. */
  matchIndexOf(replica: ReplicaId): Index
  /** The term at an index of this log, from the one before its first entry to its last; otherwise undefined. */
  termAt(index: Index): Term | undefined

  // Time and network.

  /** `count` ticks passed (default 1). Doing nothing is the common case. */
  tick(count?: number): readonly Effect<Payload>[]
  /**
   * Ticks until `tick` may do something; `Infinity` while quiescent. A host with many groups ticks only those that are due. It
   * tells the ticks that it left out (`tick(missed)`) before any other input, else timers that this input starts run early.
   */
  readonly ticksUntilDue: number
  /** A message arrived. Of others' groups, of non-members and of former terms included: it knows what to ignore. */
  step(message: Message<Payload>): readonly Effect<Payload>[]
  /** The link to a replica is gone: sends to it start over with a probe. */
  peerUnreachable(peer: ReplicaId): readonly Effect<Payload>[]
  /**
   * Wakes a quiescent group. The host calls it for every group that it shares with a peer whose host-wide heartbeat stays
   * away, whose process or link is a new one, or who is back; that is what allows idle groups to send and count nothing. With
   * `peer` given, a follower of somebody else sleeps on. A follower that wakes regards its leader as lost: it grants votes, and
   * stands for election itself after less than `electionTicks` (the host has waited already).
   */
  wake(peer?: ReplicaId): readonly Effect<Payload>[]

  // What a leader is asked for.

  /** Appends proposals as consecutive entries. They are decided when `commit` covers them, or lost when an `append` truncates them. */
  propose(proposals: readonly Proposal<Payload>[]): Outcome<Payload, { readonly first: EntryId }>
  /**
   * Changes voters and learners by way of a joint membership, left by itself once both majorities have it. New voters should
   * have caught up as learners first.
   */
  proposeMembership(next: {
    readonly voters: readonly ReplicaId[]
    readonly learners: readonly ReplicaId[]
  }): Outcome<Payload, { readonly entry: EntryId }>
  /** Hands leadership to a voter once it has caught up; given up after `electionTicks`. Ends with `transferEnded`. */
  transferLeadership(target: ReplicaId): Outcome<Payload, object>
  /**
   * A linearizable read (section 6.4 of the dissertation): ends with `readReady` after a quorum has confirmed the leader, or
   * with `readGivenUp`. Any replica may ask; a follower asks its leader. `request` is the host's number for it.
   */
  readIndex(request: number): readonly Effect<Payload>[]
  /** Steps down, for instance because the disk fails. Harmless when it does not lead. */
  resign(): readonly Effect<Payload>[]
  /** Stands for election now, without waiting. */
  campaign(): readonly Effect<Payload>[]

  // Reports of the host.

  /** The hard state of `revision`, or a later one, is durable. */
  hardStateSaved(revision: number): readonly Effect<Payload>[]
  /**
   * The log as it is now is durable up to `last` (index: the last one covered). Reports of entries that were truncated since
   * are ignored.
   */
  appended(last: EntryId): readonly Effect<Payload>[]
  /**
   * Ends a `sendEntries` to `to`: one `append` left, with `bytes` of entries, covering everything up to and with `lastIndex`;
   * or undefined: none did (no link, no room, unreadable, an outdated term), it is asked for again later. The next
   * `sendEntries` to this replica is not asked for before, so a host keeps one read a follower and messages stay in order;
   * many may be under way on the network nevertheless.
   */
  entriesSent(to: ReplicaId, lastIndex: Index | undefined, bytes: number): readonly Effect<Payload>[]
  /** The snapshot is durable and stands for the log up to `last`. */
  snapshotInstalled(last: EntryId): readonly Effect<Payload>[]
  /** A snapshot for `to` was handed over whole (`covered` = its last entry), or not (undefined). */
  snapshotSent(to: ReplicaId, covered: EntryId | undefined): readonly Effect<Payload>[]
  /** Entries that `to` needs are no longer held: it gets a snapshot. */
  entriesGone(to: ReplicaId): readonly Effect<Payload>[]
  /**
   * Entries that were durable cannot be read any more: as `RecoveredLog.damaged`, found later. A leader steps down. Of what is
   * not durable yet, damage is a failed write: see `resign`.
   */
  damageFound(range: IndexRange): readonly Effect<Payload>[]
  /** The entries of a `repair`, which cover `range`, are in place again, durably. */
  repaired(range: IndexRange): readonly Effect<Payload>[]
  /** Entries up to `before` were dropped here (retention, snapshot). Never above `commitIndex` nor `durableIndex`. */
  compacted(before: EntryId): void
}
