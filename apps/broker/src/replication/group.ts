/**
 * One replica of a group: carries out what Raft wants done and answers what its user asks. It lives on one shard with all its
 * parts; nothing here waits for anything but the callbacks that it hands out.
 *
 *     user ── propose ──► RaftNode ── append ──► GroupWrites ──► log, marks ── durable ──► RaftNode.appended
 *     peer ── receive ──►    │  ── send, sendEntries ──► host's outbox, once a turn
 *                            └─ commit, roles ──► listener, at the end of what the host was called for
 */
import type { Effect, Index, Message, RaftNode, ReplicaId, Term } from '@milena/raft'
import type { Log } from '@milena/storage-engine'
import { batchHeader } from '@milena/wire-protocol'
import type { BrokerId, FollowerStatus, GroupRequest, ProposeOutcome, ReplicatedLog } from './contract.ts'
import { NotLeaderError } from './errors.ts'
import type { GroupKey } from './group-key.ts'
import type { GroupWrites } from './group-writes.ts'
import { MembershipChange } from './membership-change.ts'
import { brokerOf, newReplicaId } from './replica-ids.ts'
import { coveredBy, type SnapshotTransfer } from './snapshots.ts'

/** What a replica needs from its shard's host. */
export interface GroupHost {
  readonly self: BrokerId
  /** Ticks so far. */
  readonly tick: number
  /** Monotonic ms. */
  nowMs(): number
  /** Milliseconds after which a follower that has not caught up is no longer in sync. */
  readonly lagMsMax: number
  /** The shard of a replica is linked. */
  isReachable(broker: BrokerId): boolean
  /** An append of `bytes` finds room now. */
  writable(bytes: number): boolean
  readonly refusesAppends: boolean
  /** As much as may be waits in copies for room in the store. */
  readonly holdsMuch: boolean
  /** Stands for no election. */
  readonly abstaining: boolean
  whenWritable(bytes: number): Promise<void>
  send(group: Group, message: Message<Uint8Array>): void
  /** Reads and sends entries at the end of the turn, then calls `entriesSent`. */
  sendEntries(group: Group, wanted: SendEntries): void
  sendRepair(group: Group, wanted: SendRepair): void
  sendSnapshot(group: Group, wanted: SendSnapshot): void
  /** Puts term and vote, then calls `hardStateSaved`. */
  saveHardState(group: Group, wanted: SaveHardState): void
  /** The group's listener has something to hear, and its next tick may be another one. */
  changed(group: Group): void
  membershipChanged(group: Group): void
  /** Calls `advanceChange` at every tick, until it answers false. */
  watchChange(group: Group): void
  random(bound: number): number
}

export type SendEntries = Extract<Effect<Uint8Array>, { kind: 'sendEntries' }>
export type SendRepair = Extract<Effect<Uint8Array>, { kind: 'sendRepair' }>
export type SendSnapshot = Extract<Effect<Uint8Array>, { kind: 'sendSnapshot' }>
export type SaveHardState = Extract<Effect<Uint8Array>, { kind: 'saveHardState' }>

/** Bytes of records that may wait for marks or room before more from a leader is dropped. */
const HELD_BYTES_MAX = 4 * 1024 * 1024
/** Room that each record may take besides its bytes: what is left of its pages. */
const RECORD_SLACK_BYTES = 64

/** Ticks, at most, from the break of the link to a leader's shard to an election. */
const STAND_TICKS_MAX = 5

interface Heard {
  atMs: number
  caughtUpMs: number
}

const NO_ENTRIES: readonly never[] = []

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
   * Given when what this replica holds is damaged and others hold all of it: the id under which it asks to be let in anew. It goes
   * on as it is until the leader, who knows whether the group can do without it, speaks to it under that id.
   */
  nextLife: ReplicaId | undefined
  /** Tick up to which the node has been told of time. */
  tickedAt: number
  /** Tick at which it is due; kept by the host. */
  dueAt = Infinity
  readonly #host: GroupHost
  /** Tick at which it stands for election because the link to its leader's shard broke. */
  #standAt = Infinity
  #committedOffset = 0
  #shownOffset = 0
  #ownTermIndex: Index = 0
  #heard = new Map<ReplicaId, Heard>()
  #performing = false
  #queue: Effect<Uint8Array>[] = []
  #advanced = false
  #roleChanged = false
  #replicasChanged = false
  #truncatedTo: number | undefined
  #inSync: readonly BrokerId[] = []
  #closed = false
  #nextRead = 1
  readonly #reads = new Map<number, { resolve: () => void; reject: (error: Error) => void }>()
  /** Replicas that said that they wait to be added, by broker. */
  readonly #joined = new Map<BrokerId, ReplicaId>()
  #membershipCertain = true
  #change: { readonly change: MembershipChange; readonly resolve: (done: boolean) => void } | undefined
  /** A snapshot that arrived and is being stepped. */
  #incoming: SnapshotTransfer | undefined
  #transfer: { readonly target: ReplicaId; readonly resolve: (done: boolean) => void } | undefined

  constructor(
    host: GroupHost,
    parts: {
      readonly key: GroupKey
      readonly request: GroupRequest
      readonly log: Log
      readonly replica: ReplicaId
      readonly writes: GroupWrites
      readonly node: RaftNode<Uint8Array>
    }
  ) {
    this.#host = host
    this.name = parts.request.name
    this.key = parts.key
    this.request = parts.request
    this.log = parts.log
    this.self = host.self
    this.replica = parts.replica
    this.writes = parts.writes
    this.node = parts.node
    this.tickedAt = host.tick
    this.#committedOffset = this.writes.marks.base.offset
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
    const membership = this.node.membership
    if (membership === undefined) return { voters: [], learners: [], joint: false }
    const joint = membership.kind === 'joint'
    const voters = joint ? [...new Set([...membership.incoming, ...membership.outgoing])] : membership.voters
    return { voters: voters.map(brokerOf), learners: membership.learners.map(brokerOf), joint }
  }

  durableAt(count: number): number {
    const marks = this.writes.marks
    const membership = this.node.membership
    if (membership === undefined || this.node.roleKind !== 'leader') return 0
    const voters = membership.kind === 'simple' ? membership.voters : membership.incoming
    if (voters.length === 1 && count <= 1) return this.log.flushedOffset
    const matched = voters.map(voter => this.node.matchIndexOf(voter)).sort((a, b) => b - a)
    const index = matched[Math.max(1, count) - 1]
    return index === undefined ? 0 : marks.endOffsetAt(index)
  }

  followers(): readonly FollowerStatus[] {
    const { role } = this.node.status
    if (role.kind !== 'leader') return []
    const { membership } = this.node
    const voters =
      membership === undefined ? [] : membership.kind === 'simple' ? membership.voters : membership.incoming
    return [...role.progress].map(([replica, progress]) => {
      const heard = this.#heard.get(replica)
      return {
        brokerId: brokerOf(replica),
        voter: voters.includes(replica),
        matchOffset: this.writes.marks.endOffsetAt(progress.matchIndex),
        state: progress.kind,
        lastFetchMs: heard?.atMs ?? -1,
        lastCaughtUpMs: this.#isCaughtUp(replica) ? this.#host.nowMs() : (heard?.caughtUpMs ?? -1)
      }
    })
  }

  get inSync(): readonly BrokerId[] {
    return this.#inSync
  }

  propose(batch: Uint8Array): ProposeOutcome {
    const { node } = this
    if (this.#closed) return FAILED
    if (node.roleKind !== 'leader') return { kind: 'notLeader', leader: this.leader }
    if (this.#host.refusesAppends) return FAILED
    // A batch that the log has no room for is held here as a copy, one a group, while the shard's bound allows it.
    if (!this.writes.idle || (this.#host.holdsMuch && !this.#host.writable(batch.length))) return FULL
    this.sync()
    const width = batchHeader.lastOffsetDelta(batch, 0) + 1
    const outcome = node.propose([{ payload: batch, width, bytes: batch.length }])
    switch (outcome.kind) {
      case 'accepted':
        this.perform(outcome.effects)
        return PROPOSED
      case 'overloaded':
        return OVERLOADED
      case 'notLeader':
        return { kind: 'notLeader', leader: this.leader }
      case 'transferring':
      case 'conflict':
        return FULL
    }
  }

  async whenWritable(bytes: number): Promise<void> {
    if (!this.writes.idle) await this.writes.whenIdle()
    await this.#host.whenWritable(bytes)
  }

  async trim(offset: number): Promise<void> {
    const upTo = Math.min(offset, this.#committedOffset, this.log.flushedOffset)
    if (upTo <= this.log.startOffset) return
    await this.writes.compact(await this.#entryAt(upTo))
    this.node.compacted(this.writes.marks.before)
    await this.log.trim(upTo)
  }

  /** Where the entry that contains `offset` begins. */
  async #entryAt(offset: number): Promise<number> {
    if (offset >= this.log.endOffset) return offset
    const read = await this.log.read(offset, 1, offset + 1, true)
    try {
      return batchHeader.baseOffset(read.slices.length === 1 ? read.slices[0]! : Buffer.concat(read.slices), 0)
    } finally {
      read.release()
    }
  }

  endOffsetOfEpoch(epoch: number): { readonly epoch: number; readonly endOffset: number } | undefined {
    return this.writes.marks.endOffsetOfEpoch(epoch, this.writes.endOffset)
  }

  epochAt(offset: number): number | undefined {
    return this.writes.marks.epochAt(offset)
  }

  confirmLeadership(): Promise<void> {
    if (this.node.roleKind !== 'leader') return Promise.reject(new NotLeaderError(this.name, this.leader))
    const request = this.#nextRead++
    return new Promise((resolve, reject) => {
      this.#reads.set(request, { resolve, reject })
      this.sync()
      this.perform(this.node.readIndex(request))
    })
  }

  transferLeadership(target: BrokerId): Promise<boolean> {
    if (target === this.self) return Promise.resolve(this.node.roleKind === 'leader')
    const replica = this.#voterOn(target)
    if (replica === undefined || this.#transfer !== undefined) return Promise.resolve(false)
    this.sync()
    const outcome = this.node.transferLeadership(replica)
    if (outcome.kind !== 'accepted') return Promise.resolve(false)
    return new Promise(resolve => {
      this.#transfer = { target: replica, resolve }
      this.perform(outcome.effects)
    })
  }

  changeReplicas(voters: readonly BrokerId[], learners: readonly BrokerId[]): Promise<boolean> {
    this.#change?.resolve(false)
    return new Promise(resolve => {
      this.#change = { change: new MembershipChange({ voters, learners }), resolve }
      this.#host.watchChange(this)
    })
  }

  #voterOn(broker: BrokerId): ReplicaId | undefined {
    const { membership } = this.node
    if (membership === undefined) return undefined
    const voters = membership.kind === 'simple' ? membership.voters : membership.incoming
    return voters.find(voter => brokerOf(voter) === broker)
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
    return Math.min(this.tickedAt + this.node.ticksUntilDue, this.#standAt)
  }

  /** It is due. */
  onDue(): void {
    this.sync()
    if (this.#host.tick < this.#standAt) return
    this.#standAt = Infinity
    if (this.node.roleKind === 'follower' && !this.#host.abstaining) this.perform(this.node.campaign())
  }

  /** A message arrived from `from`'s shard. */
  receive(message: Message<Uint8Array>): void {
    if (this.#closed) return
    this.#noteHeard(message)
    if ((message.kind === 'append' || message.kind === 'repairResponse') && !this.#canTake(message)) return
    this.sync()
    this.perform(this.node.step(message))
    if (message.kind === 'appendResponse' && message.result === 'matched') this.#noteMatched(message.from)
  }

  /** Whether the entries of a message are whole, and there is room for them. Dropping them is allowed: they come again. */
  #canTake(message: Extract<Message<Uint8Array>, { kind: 'append' | 'repairResponse' }>): boolean {
    let bytes = 0
    let nextOffset = -1
    for (const entry of message.entries) {
      if (entry.kind !== 'data') continue
      const { payload } = entry
      if (batchHeader.magic(payload, 0) !== batchHeader.magicV2) return false
      if (batchHeader.computeCrc(payload, 0) !== batchHeader.crc(payload, 0)) return false
      const base = batchHeader.baseOffset(payload, 0)
      if (nextOffset >= 0 && base !== nextOffset) return false
      if (nextOffset < 0 && !this.#beginsRight(message, entry.index, base)) return false
      nextOffset = base + entry.width
      bytes += payload.length + RECORD_SLACK_BYTES
    }
    if (bytes === 0) return true
    return !this.#host.refusesAppends && this.#host.writable(bytes) && this.writes.bytesHeld <= HELD_BYTES_MAX
  }

  /** The first batch of a message has the offset that its index asks for, if this log agrees with what comes before it. */
  #beginsRight(
    message: Extract<Message<Uint8Array>, { kind: 'append' | 'repairResponse' }>,
    index: Index,
    base: number
  ): boolean {
    if (message.kind === 'repairResponse') return true
    const { previous, entries } = message
    if (this.node.termAt(previous.index) !== previous.term) return true
    const marksBetween = entries.filter(entry => entry.kind !== 'data' && entry.index < index).length
    return base === this.writes.marks.endOffsetAt(previous.index) + (index - previous.index - 1 - marksBetween)
  }

  /** A replica that waits to be added says so. */
  noteJoin(replica: ReplicaId): void {
    if (this.node.roleKind !== 'leader') return
    const broker = brokerOf(replica)
    const members = this.memberIds()
    if (members.includes(replica)) return
    const isOneOfUs = members.some(id => brokerOf(id) === broker)
    if (isOneOfUs && !this.#canDoWithout(broker)) return
    this.#joined.set(broker, replica)
    // It has been one of us in a former life: let it in again.
    if (!isOneOfUs || this.#change !== undefined) return
    const { voters, learners, joint } = this.membership
    // A broker can be there twice: as a voter of one life, and as a learner of another that did not come to be a voter.
    const others = learners.filter(other => !voters.includes(other))
    if (!joint) void this.changeReplicas(voters, others)
  }

  /** A majority is in sync even without this broker's replica. */
  #canDoWithout(broker: BrokerId): boolean {
    const others = this.#inSync.filter(id => id !== broker)
    return broker !== this.self && others.length > Math.floor(this.membership.voters.length / 2)
  }

  /** Something of the log cannot be read any more. Whoever has peers to get it back from asks for that. */
  noteDamage(): void {
    const { voters } = this.membership
    if (this.nextLife !== undefined || voters.length < 3 || !voters.includes(this.self)) return
    this.nextLife = newReplicaId(this.self, bound => this.#host.random(bound))
    this.#host.membershipChanged(this)
    const other = this.#inSync.find(id => id !== this.self)
    if (this.node.roleKind === 'leader' && other !== undefined) void this.transferLeadership(other)
  }

  /** Does what a change of replicas waits for. False: none is under way. */
  advanceChange(): boolean {
    const pending = this.#change
    if (pending === undefined || this.#closed) return false
    const { node } = this
    const done = pending.change.advance({
      leads: node.roleKind === 'leader',
      membership: node.membership,
      membershipCertain: this.#membershipCertain,
      commitIndex: node.commitIndex,
      tick: this.#host.tick,
      matchIndexOf: replica => node.matchIndexOf(replica),
      joinedOn: broker => this.#joined.get(broker),
      proposeMembership: (voters, learners) => this.#proposeMembership(voters, learners)
    })
    if (done === undefined) return true
    this.#change = undefined
    pending.resolve(done)
    return false
  }

  #proposeMembership(voters: readonly ReplicaId[], learners: readonly ReplicaId[]): boolean {
    this.sync()
    const outcome = this.node.proposeMembership({ voters, learners })
    if (outcome.kind !== 'accepted') return false
    this.perform(outcome.effects)
    return true
  }

  /** A snapshot arrived. */
  receiveSnapshot(transfer: SnapshotTransfer): void {
    const { membership } = transfer.marks.base
    if (this.#closed || membership === undefined) return
    const { from, to, term } = transfer
    this.#incoming = transfer
    this.sync()
    this.perform(
      this.node.step({ kind: 'installSnapshot', from, to, term, snapshot: { last: coveredBy(transfer), membership } })
    )
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
    this.#truncatedTo = Math.min(offset, this.#truncatedTo ?? Infinity)
  }

  #noteHeard(message: Message<Uint8Array>): void {
    if (this.node.roleKind !== 'leader') return
    let heard = this.#heard.get(message.from)
    if (heard === undefined) this.#heard.set(message.from, (heard = { atMs: 0, caughtUpMs: -1 }))
    heard.atMs = this.#host.nowMs()
  }

  #noteMatched(from: ReplicaId): void {
    if (this.node.roleKind !== 'leader') return
    const heard = this.#heard.get(from)
    if (heard !== undefined && this.#isCaughtUp(from)) {
      heard.caughtUpMs = heard.atMs
      if (!this.#inSync.includes(brokerOf(from))) this.checkInSync()
    }
    // What followers hold moved: durableAt may answer more.
    this.#advanced = true
    this.#host.changed(this)
  }

  #isCaughtUp(replica: ReplicaId): boolean {
    return this.node.matchIndexOf(replica) >= this.node.commitIndex
  }

  /** Something of this replica's log or marks became durable. */
  madeDurable(): void {
    if (this.#closed) return
    const { durable } = this.writes
    this.#advanced = true
    this.#host.changed(this)
    if (durable === undefined || durable.index <= this.node.durableIndex) return
    this.sync()
    this.perform(this.node.appended(durable))
  }

  /** The link to a shard broke, or it is silent. */
  peerGone(broker: BrokerId): void {
    if (this.leader === broker && this.node.roleKind === 'follower') {
      // Those who lost the same link stand at different times; who still hears the leader refuses them.
      this.#standAt = this.#host.tick + 1 + this.#host.random(STAND_TICKS_MAX)
      this.#host.changed(this)
    }
    for (const replica of this.#replicasOn(broker)) {
      this.sync()
      this.perform(this.node.peerUnreachable(replica))
      this.perform(this.node.wake(replica))
    }
    this.checkInSync()
  }

  peerBack(broker: BrokerId): void {
    if (this.leader === broker) this.#standAt = Infinity
    for (const replica of this.#replicasOn(broker)) {
      this.sync()
      this.perform(this.node.wake(replica))
    }
    this.checkInSync()
  }

  #replicasOn(broker: BrokerId): ReplicaId[] {
    return this.memberIds().filter(id => id !== this.replica && brokerOf(id) === broker)
  }

  /** All members, this one included. */
  memberIds(): ReplicaId[] {
    const { membership } = this.node
    if (membership === undefined) return []
    const voters = membership.kind === 'simple' ? membership.voters : [...membership.incoming, ...membership.outgoing]
    return [...new Set([...voters, ...membership.learners])]
  }

  /** Looks again at who is in sync; a leader's listener hears of changes. */
  checkInSync(): void {
    const next = this.node.roleKind === 'leader' ? this.#computeInSync() : NO_ENTRIES
    if (next.length === this.#inSync.length && next.every(id => this.#inSync.includes(id))) return
    this.#inSync = next
    this.#replicasChanged = true
    this.#host.changed(this)
  }

  #computeInSync(): BrokerId[] {
    const { membership } = this.node
    if (membership === undefined) return []
    const horizon = this.#host.nowMs() - this.#host.lagMsMax
    const voters = membership.kind === 'simple' ? membership.voters : membership.incoming
    const inSync: BrokerId[] = []
    for (const voter of voters) {
      const broker = brokerOf(voter)
      if (voter === this.replica) inSync.push(broker)
      else if (this.#host.isReachable(broker) && this.#keepsUp(voter, horizon)) inSync.push(broker)
    }
    return inSync
  }

  #keepsUp(voter: ReplicaId, horizonMs: number): boolean {
    if (this.node.matchIndexOf(voter) === 0) return false
    return this.#isCaughtUp(voter) || (this.#heard.get(voter)?.caughtUpMs ?? -Infinity) >= horizonMs
  }

  // ---- effects ----

  /** Carries out effects, and what reports made meanwhile ask for. */
  perform(effects: readonly Effect<Uint8Array>[]): void {
    if (this.#closed) return
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
    if (this.#hasNews || this.dueTick < this.dueAt) this.#host.changed(this)
  }

  /** The listener has something to hear. */
  get #hasNews(): boolean {
    return this.#advanced || this.#roleChanged || this.#replicasChanged || this.#truncatedTo !== undefined
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
        this.#membershipCertain = effect.committed
        host.membershipChanged(this)
        return this.checkInSync()
      case 'sendRepair':
        return host.sendRepair(this, effect)
      case 'sendSnapshot':
        return host.sendSnapshot(this, effect)
      case 'readReady':
        return this.#endRead(effect.request, undefined)
      case 'readGivenUp':
        return this.#endRead(effect.request, new NotLeaderError(this.name, this.leader))
      case 'transferEnded':
        this.#transfer?.resolve(effect.reason === undefined)
        this.#transfer = undefined
        return
      case 'installSnapshot':
        return this.#install()
      case 'repair':
        return
    }
  }

  #append(truncateFrom: Index | undefined, entries: Extract<Effect<Uint8Array>, { kind: 'append' }>['entries']): void {
    const leads = this.node.roleKind === 'leader'
    const [first] = entries
    if (leads && first?.kind === 'noop' && first.term === this.node.term) this.#ownTermIndex = first.index
    const cutTo = this.writes.append(truncateFrom, entries, !leads)
    if (cutTo !== undefined) {
      this.#truncatedTo = Math.min(cutTo, this.#truncatedTo ?? Infinity)
      this.#host.changed(this)
    }
  }

  #commit(index: Index): void {
    const offset = this.writes.marks.endOffsetAt(index)
    if (offset > this.#committedOffset) this.#committedOffset = offset
    this.#advanced = true
  }

  #becomeChanged(): void {
    if (this.node.roleKind !== 'leader') {
      this.#ownTermIndex = 0
      this.#heard.clear()
      this.#joined.clear()
    }
    this.#standAt = Infinity
    this.#roleChanged = true
    this.checkInSync()
  }

  #endRead(request: number, error: Error | undefined): void {
    const read = this.#reads.get(request)
    this.#reads.delete(request)
    if (error === undefined) read?.resolve()
    else read?.reject(error)
  }

  /** Tells the listener what happened since the last time. */
  notify(): void {
    const { listener } = this.request
    if (this.#truncatedTo !== undefined) {
      const offset = this.#truncatedTo
      this.#truncatedTo = undefined
      listener.truncated(offset)
    }
    if (this.#roleChanged) {
      this.#roleChanged = false
      listener.roleChanged()
    }
    if (this.#replicasChanged) {
      this.#replicasChanged = false
      listener.replicasChanged()
    }
    if (this.#advanced) {
      this.#advanced = false
      listener.advanced()
    }
  }

  /** The replica begins a new life, with nothing. */
  beginAnew(parts: {
    readonly replica: ReplicaId
    readonly writes: GroupWrites
    readonly node: RaftNode<Uint8Array>
  }): void {
    this.writes.stop()
    this.replica = parts.replica
    this.writes = parts.writes
    this.node = parts.node
    this.nextLife = undefined
    this.tickedAt = this.#host.tick
    this.#standAt = Infinity
    this.#membershipCertain = true
    this.#incoming = undefined
    this.#truncatedTo = 0
    this.#becomeChanged()
    this.#host.membershipChanged(this)
    this.#host.changed(this)
  }

  /** No more of this group: removed, or the host closes. */
  close(): void {
    this.#closed = true
    this.writes.stop()
    for (const request of [...this.#reads.keys()]) this.#endRead(request, new NotLeaderError(this.name, undefined))
    this.#transfer?.resolve(false)
    this.#transfer = undefined
    this.#change?.resolve(false)
    this.#change = undefined
  }

  /** The store failed. */
  fail(): void {
    this.close()
    this.request.listener.failed()
  }
}

const PROPOSED: ProposeOutcome = { kind: 'proposed' }
const FULL: ProposeOutcome = { kind: 'full' }
const OVERLOADED: ProposeOutcome = { kind: 'overloaded' }
const FAILED: ProposeOutcome = { kind: 'failed' }
