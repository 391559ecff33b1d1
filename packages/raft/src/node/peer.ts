/**
 * What a leader knows of one other member, and how it sends to it.
 *
 *              matched                     rejected, link lost, send failed for long
 *     probe ──────────────► replicate ─────────────────────────────────────────► probe
 *       └── entries gone ──► snapshot ◄── entries gone ──┘
 *                               └── sent, or matched ──► probe
 *
 * `readingFrom`: the host was asked to send entries from there and has not reported yet. One such request is open a peer.
 */
import type { Progress } from '../contract.ts'
import type { Index } from '../entries.ts'
import type { ReplicaId } from '../membership.ts'
import { ByteWindow } from './byte-window.ts'

export type SendState =
  | { readonly kind: 'probe'; nextIndex: Index; waiting: boolean }
  | { readonly kind: 'replicate'; nextIndex: Index; readonly inflight: ByteWindow }
  | { readonly kind: 'snapshot'; readonly snapshotIndex: Index }

export class Peer {
  readonly id: ReplicaId
  matchIndex: Index = 0
  /** Heard of since the last check of the quorum. */
  active = false
  /** The host said that the link is gone, and nothing was heard since. */
  unreachable = false
  /** Where the open `sendEntries` begins; 0 when none is. */
  readingFrom: Index = 0
  /** The host could not send; wait until the peer is heard of. */
  stalled = false
  /** Highest read round that it confirmed. */
  readSequence = 0
  /** Highest commit index told to it, so far as nothing was lost. */
  commitSent: Index = 0
  /** `matchIndex` at the last heartbeat's answer: no progress in between hints at a loss. */
  matchAtHeartbeat: Index = -1
  state: SendState

  constructor(id: ReplicaId, nextIndex: Index) {
    this.id = id
    this.state = { kind: 'probe', nextIndex, waiting: false }
  }

  becomeProbe(nextIndex: Index, waiting: boolean): void {
    this.state = { kind: 'probe', nextIndex: Math.max(nextIndex, this.matchIndex + 1), waiting }
  }

  becomeReplicate(): void {
    this.state = { kind: 'replicate', nextIndex: this.matchIndex + 1, inflight: new ByteWindow() }
  }

  becomeSnapshot(snapshotIndex: Index): void {
    this.state = { kind: 'snapshot', snapshotIndex }
    this.readingFrom = 0
  }

  /** Everything up to `lastIndex` is there, durably. */
  isCaughtUp(lastIndex: Index): boolean {
    return this.state.kind === 'replicate' && this.matchIndex === lastIndex
  }

  /** For the outside: an object of its own. */
  progress(): Progress {
    const common = { matchIndex: this.matchIndex, active: this.active }
    if (this.state.kind !== 'replicate') return { ...common, ...this.state }
    const { nextIndex, inflight } = this.state
    return { ...common, kind: 'replicate', nextIndex, inflightCount: inflight.count, inflightBytes: inflight.bytes }
  }
}
