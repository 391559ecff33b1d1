/**
 * Entries of a group's log. Raft orders them and never looks inside: a payload is whatever the host says it is, and Raft does
 * not keep it. Entries that are not the host's data (elections, membership) are Raft's own and carry no payload.
 *
 * An entry may cover several indexes, its `width`: a host whose entries are batches of records lets every record have one, so
 * that index and record number differ only by the few entries of Raft's own before it, and the host needs no table from one
 * to the other.
 *
 *     index    1      2  3  4   5  6      7          8 ...
 *            [noop] [ data 3 ] [data 2] [membership] [ ...
 *     record          0  1  2   3  4                 5
 */
import type { Membership, ReplicaId } from './membership.ts'

/** Position in the log: 1 for the first entry, 0 for "before the first". Safe integer. */
export type Index = number

/** Election period, from 1; 0 before the first. Safe integer, never goes back on a replica. */
export type Term = number

/**
 * A place in the log and the term that was there: two logs that have the same term at an index are the same up to it. The id
 * of an entry names its first index; the end of a log (`last`, `previous`, ...) is named by the last index that is covered.
 */
export interface EntryId {
  readonly index: Index
  readonly term: Term
}

/** Entries `[start, end)`. */
export interface IndexRange {
  readonly start: Index
  readonly end: Index
}

/** One entry of the log. */
export type Entry<Payload> =
  | (EntryId & {
      readonly kind: 'data'
      readonly payload: Payload
      /** Indexes that it covers, from `index` on; at least 1. */
      readonly width: number
      /** Size for flow control, bytes. */
      readonly bytes: number
    })
  /** The first entry of every leader: commits what former terms left behind (section 5.4.2). */
  | (EntryId & { readonly kind: 'noop' })
  | (EntryId & { readonly kind: 'membership'; readonly membership: Membership })

/**
 * What must survive a crash besides the log. Small, written rarely, and never told to anyone before it is durable.
 *
 * The commit index is not part of it: a replica learns it again from its leader, and a host that wants to serve reads earlier
 * may keep it beside its data.
 */
export interface HardState {
  readonly term: Term
  /** Whom this replica voted for in `term`. */
  readonly votedFor: ReplicaId | undefined
}

/** A state that stands for all entries up to one. Its data is the host's and travels outside of Raft. */
export interface SnapshotMeta {
  /** The last entry that it covers. */
  readonly last: EntryId
  /** Membership as of that entry. */
  readonly membership: Membership
}

/**
 * Which terms the entries of a log have, without the entries: one item for each change of term, ascending, e.g. terms 1, 1, 3
 * at indexes 5 to 7 are `[{ index: 5, term: 1 }, { index: 7, term: 3 }]`. Short however long the log is; it is all that Raft
 * keeps of it in memory.
 */
export type TermStarts = readonly EntryId[]

/** What a host found on its disk when it opened a group. */
export interface RecoveredLog {
  /** The entry before the first one that is held: the snapshot's last, or `{ index: 0, term: 0 }`. */
  readonly before: EntryId
  /** Index of the last entry that is held durably; `before.index` when there is none. */
  readonly lastIndex: Index
  readonly termStarts: TermStarts
  /**
   * Memberships in log, snapshot or bootstrap (index 0), ascending, committed or not; at least the last two, because the last
   * may be truncated. Empty for a replica that waits to be added.
   */
  readonly memberships: readonly { readonly index: Index; readonly membership: Membership }[]
  /**
   * Entries that were held durably once and cannot be read now (bit rot, not a torn tail), ascending. The replica does not
   * forget them: it votes by what it had, acknowledges nothing new over them, does not stand for election, and asks its peers
   * for them (`repairRequest`).
   */
  readonly damaged: readonly IndexRange[]
}
