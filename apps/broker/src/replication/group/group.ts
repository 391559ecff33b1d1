/**
 * One replica of a group: carries out what Raft wants done and answers what its user asks. It lives on one shard with all its
 * parts; nothing here waits for anything but the callbacks that it hands out.
 *
 *     user ── propose ──► RaftNode ── append ──► GroupWrites ──► log, marks ── durable ──► RaftNode.appended
 *     peer ── receive ──►    │  ── send, sendEntries ──► host's outbox, once a turn
 *                            └─ commit, roles ──► listener, at the end of what the host was called for
 */
import assert from 'node:assert'
import type { Effect, Index, Message, RaftNode, ReplicaId, Term } from '@milena/raft'
import type { Log } from '@milena/storage-engine'
import { batchHeader } from '@milena/wire-protocol'
import type { BrokerId, FollowerStatus, GroupRequest, ProposeOutcome, ReplicatedLog } from '../contract.ts'
import { NotLeaderError } from '../errors.ts'
import type { GroupKey } from '../wire/group-key.ts'
import type { GroupWrites } from './group-writes.ts'
import { entryStart } from './entry-run.ts'
import { takeable } from './entry-check.ts'
import type { GroupHost, GroupParts } from './group-host.ts'
import { Handover } from './handover.ts'
import type { LifeChange } from '../lives/group-lives.ts'
import { GroupNews } from './group-news.ts'
import { durableAt, Followers } from './followers.ts'
import { FAILED, FULL, OVERLOADED, PROPOSED } from './outcomes.ts'
import { PendingReads } from './pending-reads.ts'
import { brokersIn, membersOf, rankAfter, Roster } from './roster.ts'
import { brokerOf, newReplicaId } from '../kept/replica-ids.ts'
import { coveredBy, type SnapshotTransfer } from './snapshots.ts'
import { Standing } from './standing.ts'

export class Group implements ReplicatedLog {
  readonly name: string
  readonly key: GroupKey
  readonly request: GroupRequest
  readonly log: Log
  readonly self: BrokerId
  replica: ReplicaId
  writes: GroupWrites
  node: RaftNode<Uint8Array>
  /**
   * Given when what it holds is damaged and others hold all of it: the id under which it asks to be let in anew. It goes on as
   * it is until the leader, who knows whether the group can do without it, speaks to it under that id.
   */
  nextLife: ReplicaId | undefined
  /** Tick up to which the node has been told of time. */
  tickedAt: number
  /** Tick at which it is due; kept by the host. */
  dueAt = Infinity
  readonly #host: GroupHost
  readonly #standing = new Standing()
  #committedOffset = 0
  #shownOffset = 0
  #ownTermIndex: Index = 0
  #followers: Followers
  readonly #roster: Roster
  #performing = false
  #queue: Effect<Uint8Array>[] = []
  readonly #news = new GroupNews()
  #closed = false
  /** Its life ends: its node acts no more. */
  #halted = false
  /** Number of the last unclean recovery that its life is of. */
  recovery: number
  readonly #reads = new PendingReads()
  /** A snapshot that arrived and is being stepped. */
  #incoming: SnapshotTransfer | undefined
  readonly #handover = new Handover(this)

  constructor(host: GroupHost, parts: GroupParts) {
    this.#host = host
    this.name = parts.request.name
    this.key = parts.key
    this.request = parts.request
    this.log = parts.log
    this.self = host.self
    this.replica = parts.replica
    this.recovery = parts.recovery
    this.writes = parts.writes
    this.node = parts.node
    this.tickedAt = host.tick
    this.#committedOffset = this.writes.marks.base.offset
    this.#followers = new Followers(host, this.replica)
    this.#roster = new Roster(this)
  }

  // ---- what users ask ----

  get term(): Term {
    return this.node.term
  }

  get role(): 'leader' | 'follower' | 'candidate' {
    const { roleKind } = this.node
    return roleKind === 'leader' || roleKind === 'follower' ? roleKind : 'candidate'
  }

  get leader(): BrokerId | undefined {
    const { leader } = this.node
    return leader === undefined ? undefined : brokerOf(leader)
  }

  get leading(): boolean {
    const { node } = this
    return node.roleKind === 'leader' && this.#ownTermIndex > 0 && node.commitIndex >= this.#ownTermIndex
  }

  get committedOffset(): number {
    // What is committed may still have to be written here, or to take the place of what is about to be cut.
    this.#shownOffset = Math.max(this.#shownOffset, Math.min(this.#committedOffset, this.writes.heldEnd))
    return this.#shownOffset
  }

  get membership(): ReplicatedLog['membership'] {
    return brokersIn(this.node.membership)
  }

  durableAt(count: number): number {
    return durableAt(this.node, this.writes.marks, this.log.flushedOffset, count)
  }

  followers(): readonly FollowerStatus[] {
    return this.#followers.statuses(this.node, this.writes.marks)
  }

  get inSync(): readonly BrokerId[] {
    return this.#followers.inSync
  }

  propose(batch: Uint8Array): ProposeOutcome {
    const { node } = this
    if (this.#closed) return FAILED
    if (node.roleKind !== 'leader' || this.#halted) return { kind: 'notLeader', leader: this.leader }
    if (this.#host.refusesAppends) return FAILED
    // A batch that the log has no room for is held here as a copy, one a group, while the shard's bound allows it.
    if (!this.writes.idle || (this.#host.holdsMuch && !this.#host.writable(batch.length))) return FULL
    this.sync()
    const width = batchHeader.lastOffsetDelta(batch, 0) + 1
    const outcome = node.propose([{ payload: batch, width, bytes: batch.length }])
    if (outcome.kind === 'notLeader') return { kind: 'notLeader', leader: this.leader }
    if (outcome.kind !== 'accepted') return OVERLOADED
    this.perform(outcome.effects)
    return PROPOSED
  }

  async whenWritable(bytes: number): Promise<void> {
    if (!this.writes.idle) await this.writes.whenIdle()
    await this.#host.whenWritable(bytes)
  }

  async trim(offset: number): Promise<void> {
    const upTo = Math.min(offset, this.#committedOffset, this.log.flushedOffset)
    if (upTo <= this.log.startOffset) return
    const start = await entryStart(this.log, upTo)
    if (this.#halted) return
    await this.writes.compact(start)
    this.node.compacted(this.writes.marks.before)
    await this.log.trim(upTo)
  }

  endOffsetOfEpoch(epoch: number): { readonly epoch: number; readonly endOffset: number } | undefined {
    return this.writes.marks.endOffsetOfEpoch(epoch, this.writes.endOffset)
  }

  epochAt(offset: number): number | undefined {
    return this.writes.marks.epochAt(offset)
  }

  confirmLeadership(): Promise<void> {
    if (this.node.roleKind !== 'leader') return Promise.reject(new NotLeaderError(this.name, this.leader))
    return this.#reads.wait(request => {
      this.sync()
      this.perform(this.node.readIndex(request))
    })
  }

  transferLeadership(target: BrokerId): Promise<boolean> {
    return this.#handover.begin(target)
  }

  changeReplicas(voters: readonly BrokerId[], learners: readonly BrokerId[]): Promise<boolean> {
    return this.#roster.change({ voters, learners })
  }

  // ---- what the host tells ----

  /** Tells the node of the ticks that it was not told of. Before every input. */
  sync(): void {
    const missed = this.#host.tick - this.tickedAt
    if (missed <= 0) return
    this.tickedAt = this.#host.tick
    this.perform(this.node.tick(missed))
  }

  /** Tick at which there is something to do. */
  get dueTick(): number {
    return Math.min(this.tickedAt + this.node.ticksUntilDue, this.#standing.at)
  }

  /** It is a candidate. */
  get stands(): boolean {
    const { roleKind } = this.node
    return roleKind === 'preCandidate' || roleKind === 'candidate'
  }

  /** When due it would stand for election, against others. */
  get mayStand(): boolean {
    return this.node.roleKind !== 'leader' && this.memberIds().length > 1
  }

  /** Time passed that does not count for it. */
  skipTime(): void {
    this.tickedAt = this.#host.tick
    if (this.#standing.at <= this.tickedAt) this.#standing.at = this.tickedAt + 1
  }

  /** It is due. */
  onDue(): void {
    this.sync()
    if (!this.#standing.takeDue(this.#host.tick) || this.#host.abstaining) return
    const { roleKind, leader } = this.node
    if (roleKind === 'follower' || (roleKind === 'preCandidate' && leader === undefined))
      this.perform(this.node.campaign())
  }

  /** A group that is new, which this replica should lead. */
  standEagerly(): void {
    this.#standing.beginEagerly(this.#host.tick + 1)
    this.#host.changed(this)
  }

  /** A message arrived from `from`'s shard. */
  receive(message: Message<Uint8Array>): void {
    if (this.#closed) return
    if (this.node.roleKind === 'leader') this.#followers.noteHeard(message.from)
    const taken = message.kind === 'append' ? takeable(message, this.writes, this.node, this.#host) : message
    if (taken === undefined) return
    this.sync()
    this.perform(this.node.step(taken))
    if (message.kind === 'appendResponse' && message.result === 'matched') this.#noteMatched(message.from)
  }

  /** A replica that waits to be added says so. */
  noteJoin(replica: ReplicaId): void {
    this.#roster.noteJoin(replica)
  }

  /** Does what a change of replicas waits for. False: none is under way. */
  advanceChange(): boolean {
    return !this.#closed && this.#roster.advance(this.#host.tick)
  }

  /** See `Roster`. */
  readonly watchChange = (): void => this.#host.watchChange(this)

  /** See `Roster`. */
  readonly invite = (broker: BrokerId): void => this.#host.invite(this, broker)

  /**
   * Something of the log cannot be read any more. Who leads hands over; whoever has enough peers to get it back from asks for
   * that. Of two, none can be done without.
   */
  noteDamage(): void {
    const { voters } = this.membership
    if (!voters.includes(this.self)) return
    if (this.nextLife === undefined && voters.length >= 3) {
      this.nextLife = newReplicaId(this.self, bound => this.#host.random(bound))
      this.#host.membershipChanged(this)
    }
    this.leaveLead()
  }

  /** Hands leadership to a replica in sync, if it leads and there is one. To be tried again until that came about. */
  leaveLead(): void {
    if (this.node.roleKind !== 'leader') return
    const other = this.inSync.find(id => id !== this.self)
    if (other !== undefined) void this.transferLeadership(other)
  }

  /** A snapshot arrived. */
  receiveSnapshot(transfer: SnapshotTransfer): void {
    const { membership } = transfer.marks.base
    if (this.#closed || membership === undefined) return
    const { from, to, term } = transfer
    const snapshot = { last: coveredBy(transfer), membership }
    this.#incoming = transfer
    this.sync()
    this.perform(this.node.step({ kind: 'installSnapshot', from, to, term, snapshot }))
    this.#incoming = undefined
  }

  #install(): void {
    const transfer = this.#incoming
    if (transfer === undefined) return
    const { marks, data } = transfer
    const { offset } = marks.base
    this.writes.reset({ marks, data }, () => {
      if (offset > this.#committedOffset) this.#committedOffset = offset
      this.perform(this.node.snapshotInstalled(coveredBy(transfer)))
    })
    this.#news.noteTruncated(offset)
  }

  #noteMatched(from: ReplicaId): void {
    if (this.node.roleKind !== 'leader') return
    if (this.#followers.noteMatched(this.node, from)) this.checkInSync()
    // What followers hold moved: durableAt may answer more.
    this.#news.noteAdvanced()
    this.#host.changed(this)
  }

  /** Something of this replica's log or marks became durable. */
  madeDurable(): void {
    if (this.#closed) return
    const { durable } = this.writes
    this.#news.noteAdvanced()
    this.#host.changed(this)
    if (durable === undefined || durable.index <= this.node.durableIndex) return
    this.sync()
    this.perform(this.node.appended(durable))
  }

  /** The link to a shard broke, or it is silent. */
  peerGone(broker: BrokerId): void {
    if (this.leader === broker && this.node.roleKind === 'follower') {
      this.#standing.linkBroke(this.#host.tick, rankAfter(broker, this.self, this.membership.voters), bound =>
        this.#host.random(bound)
      )
      this.#host.changed(this)
    }
    this.sync()
    for (const replica of this.#replicasOn(broker)) {
      this.perform(this.node.peerUnreachable(replica))
      this.perform(this.node.wake(replica))
    }
    this.checkInSync()
  }

  peerBack(broker: BrokerId): void {
    if (this.leader === broker) this.#standing.callOff()
    this.sync()
    for (const replica of this.#replicasOn(broker)) this.perform(this.node.wake(replica))
    this.checkInSync()
  }

  #replicasOn(broker: BrokerId): ReplicaId[] {
    return this.memberIds().filter(id => id !== this.replica && brokerOf(id) === broker)
  }

  /** All members, this one included. */
  memberIds(): ReplicaId[] {
    return this.node.membership === undefined ? [] : membersOf(this.node.membership)
  }

  /** Looks again at who is in sync; a leader's listener hears of changes. */
  checkInSync(): void {
    if (!this.#followers.check(this.node)) return
    this.#news.noteReplicasChanged()
    this.#host.changed(this)
  }

  /** Carries out effects, and what reports made meanwhile ask for. */
  perform(effects: readonly Effect<Uint8Array>[]): void {
    if (this.#closed || this.#halted) return
    if (this.#performing) {
      for (const effect of effects) this.#queue.push(effect)
      return
    }
    this.#performing = true
    for (const effect of effects) this.#carryOut(effect)
    while (this.#queue.length > 0) {
      const queue = this.#queue
      this.#queue = []
      for (const effect of queue) this.#carryOut(effect)
    }
    this.#performing = false
    if (this.#news.any || this.dueTick < this.dueAt) this.#host.changed(this)
  }

  #carryOut(effect: Effect<Uint8Array>): void {
    const host = this.#host
    switch (effect.kind) {
      case 'append':
        return this.#append(effect.truncateFrom, effect.entries)
      case 'commit':
        return this.#commit(effect.index)
      case 'send':
        return host.send(this, effect.message)
      case 'sendEntries':
        return host.sendEntries(this, effect)
      case 'saveHardState':
        return host.saveHardState(this, effect)
      case 'roleChanged':
        return this.#becomeChanged()
      case 'membership':
        this.#roster.membershipCertain = effect.committed
        host.membershipChanged(this)
        return this.checkInSync()
      case 'sendRepair':
        return host.sendRepair(this, effect)
      case 'sendSnapshot':
        return host.sendSnapshot(this, effect)
      case 'readReady':
        return this.#reads.end(effect.request, undefined)
      case 'readGivenUp':
        return this.#reads.end(effect.request, new NotLeaderError(this.name, this.leader))
      case 'transferEnded':
        this.#handover.end(effect.reason === undefined)
        return this.#news.noteAdvanced() // Who waits may propose again, or learns that another leads.
      case 'installSnapshot':
        // Kept are entries behind damage that the node was told of, and repaired as well.
        assert(effect.entriesAfter === 'dropped', 'a damaged replica begins anew as a whole')
        return this.#install()
      case 'repair':
        return assert.fail('a damaged replica begins anew as a whole')
    }
  }

  #append(truncateFrom: Index | undefined, entries: Extract<Effect<Uint8Array>, { kind: 'append' }>['entries']): void {
    const leads = this.node.roleKind === 'leader'
    const [first] = entries
    if (leads && first?.kind === 'noop' && first.term === this.node.term) this.#ownTermIndex = first.index
    const cutTo = this.writes.append(truncateFrom, entries, !leads)
    if (cutTo !== undefined) {
      this.#news.noteTruncated(cutTo)
      this.#host.changed(this)
    }
  }

  #commit(index: Index): void {
    const offset = this.writes.marks.endOffsetAt(index)
    if (offset > this.#committedOffset) this.#committedOffset = offset
    this.#news.noteAdvanced()
  }

  #becomeChanged(): void {
    if (this.node.roleKind !== 'leader') {
      this.#ownTermIndex = 0
      this.#followers.clear()
      this.#roster.clear()
    }
    if (this.node.leader !== undefined) this.#standing.callOff()
    this.#news.noteRoleChanged()
    this.checkInSync()
  }

  /** Tells the listener what happened since the last time. */
  notify(): void {
    this.#news.tell(this.request.listener)
  }

  /** Its life ends; the next one begins with `beginLife`. */
  halt(): void {
    this.#halted = true
    this.#reads.endAll(new NotLeaderError(this.name, undefined))
    this.#handover.end(false)
    this.#roster.giveUp()
  }

  /** The replica begins another life. */
  beginLife(parts: GroupParts, change: LifeChange): void {
    this.writes.stop()
    this.replica = parts.replica
    this.recovery = parts.recovery
    this.writes = parts.writes
    this.node = parts.node
    this.nextLife = undefined
    this.#halted = false
    this.#followers = new Followers(this.#host, this.replica)
    this.tickedAt = this.#host.tick
    this.#standing.callOff()
    this.#roster.membershipCertain = true
    this.#incoming = undefined
    // What the survivor does not hold was never committed, as far as the group is concerned now.
    if (change === 'forgotten') this.#committedOffset = this.#shownOffset = 0
    if (change !== 'goesOn') this.#news.noteTruncated(0)
    this.#becomeChanged()
    this.#host.membershipChanged(this)
    this.#host.changed(this)
  }

  /** No more of this group: removed, or the host closes. */
  close(): void {
    this.#closed = true
    this.writes.stop()
    this.#reads.endAll(new NotLeaderError(this.name, undefined))
    this.#handover.end(false)
    this.#roster.giveUp()
  }

  /** The store failed. */
  fail(): void {
    this.close()
    this.request.listener.failed()
  }
}
