/**
 * Replicated logs: Raft, the shard's store and the peer network put together. One replica of every group lives on one shard;
 * this room hosts all replicas of a shard.
 *
 *   Partition / controller          ReplicaHost                                             other shards' hosts
 *     propose(batch) ──────►  RaftNode ── append ──► Log (journal, group commit of all groups)
 *                                │  ▲ ── sendEntries ──► read tail cache or disk ──► one stream a pair ──►  step, append, ...
 *     committed(offset) ◄──── commit └── appended ◄── flushed                       ◄── matched (their disk) ──
 *
 * Words, for a replica:
 * - *offset*: Kafka's; what the log counts. *index*: Raft's; every record has one and so has every entry of Raft's own
 *   (election, membership). index = offset + 1 + marks before it. The *marks* (where Raft's own entries stand, their terms,
 *   memberships) are a short list in the state store: durable before anything after them is appended, removed after what
 *   follows them was truncated; at recovery a mark beyond the end of the log is dropped. They are also the epochs that
 *   OffsetForLeaderEpoch asks for, because every term begins with one.
 * - *flushed*: durable here (Kafka's acks=1). *committed*: durable at a majority (acks=all, high watermark).
 * - Term and vote are durable in the state store before any message that tells them leaves; puts of all groups of a turn share
 *   one transaction.
 *
 * Bounds: entries that arrive while the store has no room are dropped, Raft sends them again; reads for followers that lag
 * are limited to `catchUpBytesPerSecond`, so that they do not disturb the tail, and to what operators say
 * (catch-up-throttle.ts).
 */
import type { EntryId, Membership } from '@milena/raft'
import type { Log, LogFold, LogOffer, LogOptions } from '@milena/storage-engine'

/** A broker id: `nodeId * 1000 + shard`. Also the replica id in Raft's memberships. */
export type BrokerId = number

/** An unclean recovery: the group goes on from one replica that is left (docs/decisions/0008-unclean-recovery.md). */
export interface GroupRecovery {
  /** Counts the recoveries of a group, from 1. */
  readonly number: number
  /** Whose log the group goes on with; every other replica begins anew, with nothing. */
  readonly survivor: BrokerId
  /** Above all terms that were known when it was decided. */
  readonly term: number
}

/** What a replica says of itself when somebody asks what is left of a group. */
export interface ReplicaReport {
  readonly brokerId: BrokerId
  /** Id in Raft's memberships. */
  readonly replica: number
  /**
   * `sound`: all that its log holds is durable. `writing`: it will be in a moment. `void`: it waits to be added, and what it holds
   * is of an earlier life. `failed`: its store takes nothing.
   */
  readonly state: 'sound' | 'writing' | 'void' | 'failed'
  readonly role: 'leader' | 'follower' | 'candidate'
  /** Whom it follows, if that shard is linked. */
  readonly follows: BrokerId | undefined
  readonly term: number
  /** End of its log, durable. */
  readonly last: EntryId
  readonly commitIndex: number
  readonly membership: Membership | undefined
  /** The records that it holds, `[startOffset, endOffset)`, and up to where it knows them to be committed. */
  readonly startOffset: number
  readonly endOffset: number
  readonly committedOffset: number
  /** Some of them cannot be read. */
  readonly damaged: boolean
  /** Number of the last recovery that it is of; 0: none. */
  readonly recovery: number
}

export interface GroupRequest {
  /** Name of the group and of its log; the same on all replicas. */
  readonly name: string
  readonly options: LogOptions
  /** Told of every entry that is appended here as a follower (`replay`); on a leader its user keeps the state up to date. */
  readonly fold?: LogFold
  /**
   * Voters that the group began with, the same on all of them. A replica that is opened for the first time and is not one of
   * them waits to be added by the group's leader. Empty once the group's replicas were changed.
   */
  readonly bootstrap: readonly BrokerId[]
  /** The last unclean recovery of the group. A replica of before begins a new life with it, before anything else. */
  readonly recovery?: GroupRecovery
  /** Other brokers that have a replica, or shall have one: whom a replica that waits to be added turns to. Default: whoever is linked. */
  readonly peers?: () => readonly BrokerId[]
  /** Absent: a replica that is too far behind begins with what the leader's log still holds, and an empty state. */
  readonly snapshot?: GroupSnapshots
  /** Who should lead when it can (Kafka's preferred leader: the first replica); a wish. */
  readonly preferredLeader?: BrokerId
  readonly listener: GroupListener
}

/** State that stands for the beginning of a group's log: needed once that beginning is dropped (`ReplicatedLog.trim`). */
export interface GroupSnapshots {
  /**
   * On a leader: the state as of `offset`, which lies between `startOffset` (where the log begins) and `committedOffset`, where an
   * entry begins; at most 8 MiB. Undefined: none is to be had now.
   */
  take(startOffset: number): { readonly bytes: Uint8Array; readonly offset: number } | undefined
  /**
   * On a follower, whose log was just emptied and goes on at `offset`: the state as of there. Durable when it resolves; called
   * again with the same after a crash. `bytes` are the callee's.
   */
  install(bytes: Uint8Array, offset: number): Promise<void>
}

/** Called synchronously from the host's loop; must not throw. At most once each for one flush or one message of a peer. */
export interface GroupListener {
  /** `flushedOffset` or `committedOffset` moved, or, on a leader, what followers hold. */
  advanced(): void
  /** Role, term or leader changed. Who waits for a commit on a former leader keeps waiting: a later `advanced` or `truncated` decides. */
  roleChanged(): void
  /** Everything from `offset` on was dropped: who waits there has lost. */
  truncated(offset: number): void
  /** `inSync` is another set now. */
  replicasChanged(): void
  /** The replica can do nothing any more (its store failed). */
  failed(): void
}

export type ProposeOutcome =
  | { readonly kind: 'proposed' }
  /** It does not lead; `leader` if known. */
  | { readonly kind: 'notLeader'; readonly leader: BrokerId | undefined }
  /** No room now; `whenWritable` tells when to try again. */
  | { readonly kind: 'full' }
  /** Too much waits for commit. */
  | { readonly kind: 'overloaded' }
  | { readonly kind: 'failed' }

export interface FollowerStatus {
  readonly brokerId: BrokerId
  readonly voter: boolean
  /** Offset up to which it holds everything durably, as the leader knows. */
  readonly matchOffset: number
  readonly state: 'probe' | 'replicate' | 'snapshot'
  /** Monotonic ms when it was last heard of, and when it last held all that was committed. */
  readonly lastFetchMs: number
  readonly lastCaughtUpMs: number
}

export interface ReplicatedLog {
  readonly name: string
  readonly log: Log
  readonly self: BrokerId
  /** Raft's term, Kafka's leader epoch. */
  readonly term: number
  /** Number of the last unclean recovery that this replica is of; 0: none. */
  readonly recovery: number
  readonly role: 'leader' | 'follower' | 'candidate'
  readonly leader: BrokerId | undefined
  /**
   * It leads and has committed an entry of its own term, so that everything committed before is known: reads and produce are
   * served from here on.
   */
  readonly leading: boolean
  /** Everything below is committed: the high watermark. Never goes back. */
  readonly committedOffset: number
  /** The lowest offset that at least `count` voters, this one included, hold durably; for min.insync.replicas. Leader only. */
  durableAt(count: number): number
  /** Voters and learners, this one included; empty for a replica that waits to be added. */
  readonly membership: {
    readonly voters: readonly BrokerId[]
    readonly learners: readonly BrokerId[]
    readonly joint: boolean
  }
  /** Of all others; leader only, else empty. */
  followers(): readonly FollowerStatus[]
  /**
   * Kafka's ISR: voters, this one included, that are linked and hold all that was committed `replica.lag.time.max.ms` ago or
   * later. Leader only, else empty. The same array until it changes.
   */
  readonly inSync: readonly BrokerId[]
  /**
   * Appends one batch at `log.endOffset`, whose base offset and leader epoch (`term`) are set already; the bytes are copied
   * before it returns.
   */
  propose(batch: Uint8Array): ProposeOutcome
  /** Resolves, in a later turn, when a batch of so many bytes may find room, or when asking again tells why not. */
  whenWritable(bytes: number): Promise<void>
  /**
   * Drops everything before `offset`, which must be committed, here only: each replica decides for itself (its user holds a
   * snapshot, or the records have expired). The entry that contains `offset` stays. Durable when it resolves.
   */
  trim(offset: number): Promise<void>
  /**
   * A read of `log` found damage (`CORRUPT`). A replica that leads hands over. One of three or more is let in anew by its group's
   * leader, once the group can do without it, and gets everything back. May be said again and again.
   */
  noteDamage(): void
  /** The last epoch at or below `epoch` and where it ends, as OffsetForLeaderEpoch wants it; undefined when unknown. */
  endOffsetOfEpoch(epoch: number): { readonly epoch: number; readonly endOffset: number } | undefined
  /** The epoch of the record at `offset`. */
  epochAt(offset: number): number | undefined
  /** Resolves once this leader is confirmed: what is committed now is all there was when it was called. Rejects with `NotLeaderError`. */
  confirmLeadership(): Promise<void>
  /** Resolves true when `target` leads, false when it did not come about. */
  transferLeadership(target: BrokerId): Promise<boolean>
  /** Changes voters (learners first, caught up, then joint membership); resolves true when committed, false when given up. */
  changeReplicas(voters: readonly BrokerId[], learners: readonly BrokerId[]): Promise<boolean>
}

/** What a replica hands to another shard of its node. Plain data, fit for JSON. */
export interface ReplicaOffer {
  /** All of it is committed. */
  readonly files: LogOffer
  /** The marks among it, in base 64. */
  readonly marks: string
  /** Number of the last unclean recovery that it is of; 0: none. */
  readonly recovery: number
}

export type OfferOutcome =
  | { readonly kind: 'offer'; readonly offer: ReplicaOffer }
  /** The group is not open, or what of it is committed is not known yet. */
  | { readonly kind: 'later' }
  /** There is nothing to hand over, or no way to. */
  | { readonly kind: 'nothing' }

export interface ReplicaHost {
  readonly groups: ReadonlyMap<string, ReplicatedLog>
  /**
   * Opens groups, creating logs that are missing; recovered ones keep what they hold. `bind` is given each group, with the
   * number of its request, before its listener is called for the first time.
   */
  open(
    requests: readonly GroupRequest[],
    bind?: (group: ReplicatedLog, number: number) => void
  ): Promise<ReplicatedLog[]>
  /**
   * Brings a replica that is open in line with an unclean recovery: as the survivor it goes on alone with all that it holds,
   * otherwise it begins anew. Nothing when it is of that recovery, or a later one, already. `isPart`: it is known to have been
   * added since; that is only noted. Resolves when that is durable; never when the store fails.
   */
  recover(name: string, recovery: GroupRecovery, isPart?: boolean): Promise<void>
  /**
   * Offers what the replica of a group here holds and knows to be committed to another shard of this node; the replica goes on as
   * it is. To be withdrawn (`LogStore.withdrawOffer`).
   */
  offer(name: string): Promise<OfferOutcome>
  /**
   * Takes over what another shard of this node offers of a group of which nothing is here: durably, all or nothing. True: `open`
   * goes on with it. False: it is not possible, and nothing has changed.
   */
  takeOver(request: GroupRequest, offer: ReplicaOffer): Promise<boolean>
  /** What is left of these groups here; those that are not open are left out. */
  report(names: readonly string[]): ReadonlyMap<string, ReplicaReport>
  /** Forgets groups and all they hold, durably; unknown names are passed over. */
  remove(names: readonly string[]): Promise<void>
  /**
   * All groups that this shard could have held when it was last down are open. Until then a group without a trace here may be
   * one whose votes were lost with the state store (`StoreStatus.stateLost`); from then on it is a new one.
   */
  settled(): Promise<void>
  /** The store's `onFlushed`: these logs have more that is durable. */
  flushed(logs: readonly Log[]): void
  /** The store's `onFailed`: nothing will become durable any more. */
  storeFailed(): void
  /** Gives up all leadership to whoever can take it, then resolves (at most `deadlineMs`): before a stop, or for maintenance. */
  drainLeadership(deadlineMs: number): Promise<void>
  /** While true this shard stands for no election: maintenance, or a store without room. */
  abstaining: boolean
  /** The store takes nothing now: it failed, or its disk is full (`LogStore.refusesAppends`). */
  readonly refusesAppends: boolean
  close(): Promise<void>
}
