/**
 * What a replica wants done. Every input to a `RaftNode` returns a list of effects; the host carries them out in order. It
 * need not wait for one before it begins the next, except where the node waits for its report:
 *
 *     saveHardState ──durable──► RaftNode.hardStateSaved(revision)     then: grants of votes, own candidacy, new-term answers
 *     append        ──durable──► RaftNode.appended(last)               then: `matched` answers, the leader's own copy counts
 *     installSnapshot ─durable─► RaftNode.snapshotInstalled(last)      then: `matched` up to its last entry
 *
 *     sendEntries   ───sent────► RaftNode.entriesSent(to, ...)         then: more entries for the same follower
 *
 * Reports may be made while the list is carried out; what they return may be carried out at once or after the list.
 * Safety so does not depend on the host's care with messages: what may not leave yet is not in the list yet.
 */
import type { Entry, EntryId, HardState, Index, IndexRange, SnapshotMeta, Term } from './entries.ts'
import type { Membership, ReplicaId } from './membership.ts'
import type { Message } from './messages.ts'

/** Why a read or a transfer did not come about. */
export type GiveUpReason = 'notLeader' | 'timedOut' | 'targetLost'

/** Something that the host of a replica must do. */
export type Effect<Payload> =
  /** Write; report `hardStateSaved(revision)` once durable. A later one replaces an earlier one that is not written yet. */
  | { readonly kind: 'saveHardState'; readonly revision: number; readonly hardState: HardState }
  /**
   * Write, in order of index; report `appended` once durable. First remove everything from `truncateFrom` on, if given (never
   * a committed entry): who waits there for a commit has lost. Payloads are the host's from here on.
   */
  | {
      readonly kind: 'append'
      readonly truncateFrom: Index | undefined
      readonly entries: readonly Entry<Payload>[]
    }
  /** Send now. Losing it is allowed. */
  | { readonly kind: 'send'; readonly message: Message<Payload> }
  /**
   * Read entries of `range` from cache or disk, as many as fit `bytesMax` but at least one, and send them as one `append` with
   * the given fields; then report `entriesSent`, always and once: only then the node asks for more to the same follower, at
   * once if its window allows. It knows of the rest of `range` and asks for it again.
   *
   * Entries travel whole: when `range` begins inside one (a follower's hint can lie there), send that one with the `previous`
   * before it, whose term `RaftNode.termAt` tells; no entry crosses the end of `range`. If reading took time, check before it
   * leaves that the node still leads in `term`, else send nothing. `commitIndex` may be replaced by the node's present one.
   * If the entries are gone, report `entriesGone(to)` instead of `entriesSent`.
   */
  | {
      readonly kind: 'sendEntries'
      readonly to: ReplicaId
      readonly term: Term
      readonly previous: EntryId
      readonly range: IndexRange
      readonly bytesMax: number
      readonly commitIndex: Index
    }
  /** All entries up to `index` are committed: apply them, answer whoever waits. Only rises. */
  | { readonly kind: 'commit'; readonly index: Index }
  /** Send a snapshot that covers at least `atLeast`, then report `snapshotSent`. */
  | { readonly kind: 'sendSnapshot'; readonly to: ReplicaId; readonly term: Term; readonly atLeast: Index }
  /**
   * Replace the state by that of the snapshot, whose data came with it, and drop the log up to its last entry; report
   * `snapshotInstalled` once durable. Entries after that are dropped, too, or (the log agrees with the snapshot, but is damaged
   * before its end) kept.
   */
  | { readonly kind: 'installSnapshot'; readonly snapshot: SnapshotMeta; readonly entriesAfter: 'dropped' | 'kept' }
  /** Overwrite entries, damaged ones among them, by these, which are the same ones; report `repaired` once durable. */
  | { readonly kind: 'repair'; readonly entries: readonly Entry<Payload>[] }
  /** Read a prefix of `range`, as much as is worth one message, and send it as `repairResponse`; an empty one if unreadable. */
  | { readonly kind: 'sendRepair'; readonly to: ReplicaId; readonly term: Term; readonly range: IndexRange }
  /**
   * A membership took effect (`committed` false) or is certain (`committed` true). After a truncation the one before takes
   * effect again, with its own index.
   */
  | {
      readonly kind: 'membership'
      readonly index: Index
      readonly membership: Membership
      readonly committed: boolean
    }
  /** The replica's role or its leader changed; read it from `RaftNode.status`. */
  | { readonly kind: 'roleChanged' }
  /** State as of `index`, once applied, may answer the read. */
  | { readonly kind: 'readReady'; readonly request: number; readonly index: Index }
  | { readonly kind: 'readGivenUp'; readonly request: number; readonly reason: GiveUpReason }
  /** The transfer of leadership ended: well, when another leads, or not. */
  | {
      readonly kind: 'transferEnded'
      readonly target: ReplicaId
      readonly reason: GiveUpReason | undefined
    }
