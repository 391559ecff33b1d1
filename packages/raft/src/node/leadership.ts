/**
 * What only a leader has: its peers, the proposals that wait, the reads that wait. Made at election, dropped with the role.
 */
import { committedIndex } from '../quorum.ts'
import type { Index, Term } from '../entries.ts'
import type { Membership, ReplicaId } from '../membership.ts'
import { ByteWindow } from './byte-window.ts'
import { membersOf } from './membership-history.ts'
import { Peer } from './peer.ts'
import type { TermLog } from './term-log.ts'

/** A read that waits for the leader's confirmation. `from` is the leader itself or a follower that passed it on. */
export interface PendingRead {
  readonly from: ReplicaId
  readonly request: number
}

/** Reads that one round of heartbeats confirms. */
export interface ReadRound {
  readonly sequence: number
  readonly index: Index
  readonly reads: readonly PendingRead[]
}

export class Leadership {
  readonly kind = 'leader'
  /** All other members, learners included; `peerList` holds the same. */
  readonly peers = new Map<ReplicaId, Peer>()
  readonly peerList: Peer[] = []
  /** Proposals that are not committed. */
  readonly uncommitted = new ByteWindow()
  /** Ticks since the last heartbeat, and since something was under way. */
  heartbeatElapsed = 0
  idleTicks = 0
  readSequence = 0
  /** The round whose confirmations are awaited. */
  round: ReadRound | undefined
  /** Reads for the next round, or from before the leader's first commit. */
  readonly waitingReads: PendingRead[] = []

  readonly #id: ReplicaId
  readonly #log: TermLog
  /** Durable and in agreement, of any voter; bound once because it is called for every commit. */
  readonly matchIndexOf: (voter: ReplicaId) => Index

  constructor(id: ReplicaId, log: TermLog) {
    this.#id = id
    this.#log = log
    this.matchIndexOf = voter =>
      voter === this.#id ? this.#log.durableIndex : (this.peers.get(voter)?.matchIndex ?? 0)
  }

  /** Begins with new members, forgets those that are gone. */
  adopt(membership: Membership): void {
    const members = membersOf(membership)
    for (const id of members) {
      if (id === this.#id || this.peers.has(id)) continue
      this.peers.set(id, new Peer(id, this.#log.lastIndex + 1))
    }
    for (const id of [...this.peers.keys()]) if (!members.includes(id)) this.peers.delete(id)
    this.peerList.length = 0
    this.peerList.push(...this.peers.values())
  }

  /** What a quorum holds durably, if that can be committed by counting: entries of former terms cannot (section 5.4.2). */
  committableIndex(membership: Membership, term: Term): Index {
    const index = committedIndex(membership, this.matchIndexOf)
    return this.#log.termAt(index) === term ? index : 0
  }
}
