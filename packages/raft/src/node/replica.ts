/**
 * The state of one replica, and the few operations that every part of the algorithm needs: emitting effects, sending under the
 * rule of durability, changing term and role, advancing the commit. The parts are modules of functions over it: elections,
 * leading, replication, following, reads, transfer, repair, ticking; raft-node.ts puts them behind the contract.
 *
 * Durability: `revision` numbers the hard states, `savedRevision` is the last one that the host reported. While they differ,
 * messages that tell the term or the vote are held back (`held`), and released, in order, by `hardStateSaved`. Messages about
 * terms that nobody has entered (pre-votes and their grants) leave at once.
 */
import assert from 'node:assert'
import type { RaftConfig } from '../contract.ts'
import type { Effect } from '../effects.ts'
import type { HardState, Index, RecoveredLog, SnapshotMeta, Term } from '../entries.ts'
import type { ReplicaId } from '../membership.ts'
import type { Message } from '../messages.ts'
import { DamagedRanges } from './damaged-ranges.ts'
import type { Leadership } from './leadership.ts'
import { MembershipHistory } from './membership-history.ts'
import { TermLog } from './term-log.ts'

export interface Following {
  readonly kind: 'follower'
  leader: ReplicaId | undefined
}

export interface Standing {
  readonly kind: 'preCandidate' | 'candidate'
  readonly votes: Map<ReplicaId, boolean>
}

/** A read that a follower passed to its leader. */
export interface ForwardedRead {
  readonly request: number
  ticksLeft: number
}

export interface Transfer {
  readonly target: ReplicaId
  ticksLeft: number
}

const nothing: readonly never[] = []

export class Replica<Payload> {
  readonly config: RaftConfig
  readonly id: ReplicaId
  readonly log: TermLog
  readonly memberships: MembershipHistory
  readonly damage: DamagedRanges

  term: Term
  votedFor: ReplicaId | undefined
  role: Following | Standing | Leadership = { kind: 'follower', leader: undefined }
  commitIndex: Index
  /** Up to here the log is known to agree with that of the leader of `term`; what is committed agrees with any. */
  agreedIndex: Index

  /** Ticks since the leader was heard of, a vote was granted or an election began; for a leader, since it last checked its quorum. */
  electionElapsed = 0
  /** When `electionElapsed` reaches it, the replica stands for election. */
  electionTimeout = 0
  quiescent = false
  /** A snapshot that the host writes: until it is reported, nothing is appended. */
  installing: SnapshotMeta | undefined
  /** Leadership that is handed over; outlives the role, until it is known who leads. */
  transfer: Transfer | undefined
  readonly forwardedReads: ForwardedRead[] = []
  /** Ticks until damaged entries are asked for again. */
  repairTicksLeft = 0
  /** Counts requests for repair, to ask one peer after the other. */
  repairAttempts = 0

  revision = 0
  savedRevision = 0
  #held: Message<Payload>[] = []
  #unwritten = false
  #effects: Effect<Payload>[] | undefined

  constructor(config: RaftConfig, hardState: HardState, log: RecoveredLog) {
    this.config = config
    this.id = config.id
    this.log = new TermLog(log)
    this.memberships = new MembershipHistory(log.memberships)
    this.damage = new DamagedRanges(log.damaged)
    this.damage.removeBetween(0, this.log.beforeIndex + 1)
    this.damage.removeBetween(this.log.lastIndex + 1, Number.MAX_SAFE_INTEGER)
    this.term = hardState.term
    this.votedFor = hardState.votedFor
    this.commitIndex = this.log.beforeIndex
    this.agreedIndex = this.commitIndex
    // An entry can become durable before the term that it is of. No vote was told in that term.
    if (this.log.lastTerm > this.term) this.enterTerm(this.log.lastTerm, undefined)
    this.restartElectionTimer()
    if (this.isSoleVoter) this.electionTimeout = 0
  }

  /** Takes the effects of the input that ends. */
  take(): readonly Effect<Payload>[] {
    if (this.#unwritten) {
      this.#unwritten = false
      const hardState = { term: this.term, votedFor: this.votedFor }
      this.emit({ kind: 'saveHardState', revision: this.revision, hardState })
    }
    const effects = this.#effects
    if (effects === undefined) return nothing
    this.#effects = undefined
    return effects
  }

  /** Effects wait for the next input to return them: the term that a log proved at the start. */
  get hasEffects(): boolean {
    return this.#unwritten || this.#effects !== undefined
  }

  emit(effect: Effect<Payload>): void {
    if (this.#effects === undefined) this.#effects = [effect]
    else this.#effects.push(effect)
  }

  /** Sends at once, or when the hard state that the message tells of is durable. */
  send(message: Message<Payload>): void {
    const free = message.kind === 'preVote' || (message.kind === 'preVoteResponse' && message.granted)
    if (free || this.savedRevision === this.revision) {
      this.emit({ kind: 'send', message })
      return
    }
    // A later message of a kind supersedes an earlier one to the same replica, so what is held stays small.
    this.#held = this.#held.filter(({ kind, to }) => kind !== message.kind || to !== message.to)
    this.#held.push(message)
  }

  /** Takes back answers about the log that have not left. */
  dropHeldAnswers(): void {
    this.#held = this.#held.filter(({ kind }) => kind !== 'appendResponse')
  }

  /** Whether the present term and vote are durable. */
  get isSaved(): boolean {
    return this.savedRevision === this.revision
  }

  /** The host reports a hard state as durable. Returns whether the present one is now, and was not before. */
  markSaved(revision: number): boolean {
    assert(revision <= this.revision, 'only what was handed out can be saved')
    if (this.isSaved || revision <= this.savedRevision) return false
    this.savedRevision = revision
    if (!this.isSaved) return false
    const held = this.#held
    this.#held = []
    for (const message of held) this.emit({ kind: 'send', message })
    return true
  }

  /** Enters a term, or votes in the present one. */
  enterTerm(term: Term, votedFor: ReplicaId | undefined): void {
    assert(term >= this.term, 'terms ascend')
    if (term > this.term) {
      this.#held = []
      this.agreedIndex = this.commitIndex
    } else assert(this.votedFor === undefined || this.votedFor === votedFor, 'a vote is not taken back')
    this.term = term
    this.votedFor = votedFor
    this.revision++
    this.#unwritten = true
  }

  /** Who leads in the present term, as far as known. */
  get leader(): ReplicaId | undefined {
    if (this.role.kind === 'leader') return this.id
    return this.role.kind === 'follower' ? this.role.leader : undefined
  }

  get isSoleVoter(): boolean {
    const current = this.memberships.current
    return current?.kind === 'simple' && current.voters.length === 1 && current.voters[0] === this.id
  }

  /** May stand for election, if it wants to. */
  get isElectable(): boolean {
    return this.memberships.mayLead(this.id, this.commitIndex) && !this.damage.any && this.installing === undefined
  }

  /** A leader was heard of lately: votes are refused, so that nobody unseats a leader that works (section 9.6). */
  get isLeased(): boolean {
    if (!this.config.checkQuorum) return false
    if (this.role.kind === 'leader') return true
    return this.leader !== undefined && this.electionElapsed < this.config.electionTicks
  }

  restartElectionTimer(): void {
    this.electionElapsed = 0
    this.electionTimeout = this.config.electionTicks + this.drawDelay()
  }

  /** Chance and priority, in ticks. */
  drawDelay(): number {
    const { electionTicks, priority, random } = this.config
    const reluctance = Math.ceil(((100 - Math.min(100, priority)) * electionTicks) / 100)
    return random(electionTicks) + reluctance
  }

  /** What this replica may tell its leader that it holds. */
  get acknowledgedIndex(): Index {
    return Math.min(this.log.durableIndex, this.agreedIndex, this.damage.intactEnd - 1)
  }

  /** Everything up to `index` is certain. Tells the host, memberships included. */
  advanceCommit(index: Index): void {
    assert(index <= this.log.lastIndex, 'only what the log holds is committed')
    if (index <= this.commitIndex) return
    const before = this.commitIndex
    this.commitIndex = index
    this.agreedIndex = Math.max(this.agreedIndex, index)
    this.emit({ kind: 'commit', index })
    for (const placed of this.memberships.commit(before, index)) {
      this.emit({ kind: 'membership', index: placed.index, membership: placed.membership, committed: true })
    }
  }
}
