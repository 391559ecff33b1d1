/**
 * All replicas of a shard: time, messages, and turns for them.
 *
 *     every tick            groups that are due; heartbeats between shards; who is silent
 *     message of a peer     each group in it, then listeners, then what there is to say, as one message a peer
 *     flush of the store    each group in it, then listeners
 *
 * Idle groups cost nothing: they sleep, and one small message a pair of shards every `HEARTBEAT_TICKS` stands for all of
 * theirs. When it stays away, or the link breaks, the groups that are shared with that shard wake up.
 *
 * Of the ticks that passed (tick-clock.ts) at most `TICKS_PER_TURN_MAX` count at once: a loop that was held up must not take the
 * silence of its own ears for that of the others.
 */
import assert from 'node:assert'
import { openRaftNode, type Message } from '@milena/raft'
import type { Log } from '@milena/storage-engine'
import type {
  BrokerId,
  GroupRecovery,
  GroupRequest,
  OfferOutcome,
  ReplicaHost,
  ReplicaOffer,
  ReplicaReport,
  ReplicatedLog
} from '../contract.ts'
import type {
  GroupHost,
  GroupParts,
  SaveHardState,
  SendEntries,
  SendRepair,
  SendSnapshot
} from '../group/group-host.ts'
import { Group } from '../group/group.ts'
import { endWithin, leaveAll } from '../group/handover.ts'
import { reportsOf, tellDamage } from '../group/replica-report.ts'
import { decodeTransfer, handOver, isMeantFor, SNAPSHOT_SERVICE } from '../group/snapshots.ts'
import { offerReplica, takeOverReplica } from '../hand-over/replica-offer.ts'
import { encodePromised, groupKeys, LOST_KEY, voteKey } from '../kept/group-state.ts'
import { brokerOf } from '../kept/replica-ids.ts'
import { StateWriter } from '../kept/state-writer.ts'
import { GroupLives } from '../lives/group-lives.ts'
import { openGroups, type OpenGroupsOptions } from '../lives/open-groups.ts'
import { readExchange, type Received } from '../wire/exchange-codec.ts'
import { ElectionQuota } from './election-quota.ts'
import { CATCH_UP_BYTES_PER_SECOND, LAG_MS_MAX, type ReplicaHostOptions } from './host-options.ts'
import { Outbox, RAFT_CHANNEL } from './outbox.ts'
import { PeerWatch } from './peer-watch.ts'
import { TICK_MS, TickClock } from './tick-clock.ts'
import { TickWheel } from './tick-wheel.ts'

/** Ticks without a leader after which a follower stands: 0.5 to 1 s. */
export const ELECTION_TICKS = 10
/** Ticks between heartbeats of a group that is awake, and between those of shards that share groups. */
export const HEARTBEAT_TICKS = 3
const TICKS_PER_TURN_MAX = 2
/** Ticks between looks at which followers keep up. */
const SYNC_CHECK_TICKS = 20
/** Bytes of records, of all groups, that may wait as copies for room in the store. */
const HELD_BYTES_MAX = 32 * 1024 * 1024

export type { ReplicaHostOptions } from './host-options.ts'

/** Opens the host of a shard. The store's `onFlushed` and `onFailed` must be passed on to it. */
export async function openReplicaHost(options: ReplicaHostOptions): Promise<ReplicaHost> {
  const { store } = options
  // Before anything else: a shard that forgot its votes must know so whatever happens next.
  if (store.status().stateLost) {
    await store.state.put(LOST_KEY, Uint8Array.of(1))
    await store.acknowledgeStateLoss()
  }
  return new Host(options)
}

class Host implements ReplicaHost, GroupHost {
  readonly self: BrokerId
  readonly lagMsMax: number
  tick = 0
  abstaining = false
  readonly #options: ReplicaHostOptions
  readonly #state: StateWriter
  readonly #outbox: Outbox
  readonly #beingOpened = new Set<string>()
  readonly #groups = new Map<string, Group>()
  readonly #byKey = new Map<number, Group>()
  readonly #byLog = new Map<Log, Group>()
  readonly #peers = new PeerWatch<Group>()
  readonly #wheel = new TickWheel<Group>()
  readonly #elections = new ElectionQuota<Group>()
  readonly #lives: GroupLives
  #changed = new Set<Group>()
  /** Groups whose replicas are being changed here. */
  readonly #changing = new Set<Group>()
  /** Replicas that wait to be added. */
  readonly #waiting = new Set<Group>()
  /** Bytes of records of all groups that wait as copies. */
  #bytesHeld = 0
  #turnScheduled = false
  #busy = 0
  readonly #clock: TickClock
  readonly #unsubscribe: () => void
  #closed = false

  constructor(options: ReplicaHostOptions) {
    this.#options = options
    this.self = options.brokerId
    this.lagMsMax = options.lagMsMax ?? LAG_MS_MAX
    const { scheduler, network, store } = options
    this.#state = new StateWriter(store.state, task => scheduler.nextTurn(task))
    this.#lives = new GroupLives({
      state: this.#state,
      open: async request => (await openGroups([request], this.#opening))[0],
      isOpen: group => this.#groups.get(group.name) === group && !this.#closed,
      begin: (group, parts, change) => this.#run(() => group.beginLife(parts, change)),
      log: options.log
    })
    this.#outbox = new Outbox({
      network,
      catchUpBytesPerSecond: options.catchUpBytesPerSecond ?? CATCH_UP_BYTES_PER_SECOND,
      throttle: options.throttle,
      schedule: () => this.#scheduleTurn(),
      unreadable: (group, offset) => this.#noteUnreadable(group, offset)
    })
    network.receive(RAFT_CHANNEL, (from, message) => this.#receive(from, message))
    network.serve(SNAPSHOT_SERVICE, (payload, from) => this.#receiveSnapshot(payload, from))
    this.#unsubscribe = network.onPeerChange((peer, reachable) => this.#peerChanged(peer, reachable))
    this.#clock = new TickClock(scheduler, count => this.#onTicks(count))
  }

  get groups(): ReadonlyMap<string, ReplicatedLog> {
    return this.#groups
  }

  // ---- groups come and go ----

  async open(
    requests: readonly GroupRequest[],
    bind: (group: ReplicatedLog, number: number) => void = NOTHING_TO_DO
  ): Promise<ReplicatedLog[]> {
    for (const { name } of requests) this.#beingOpened.add(name)
    const opened = await openGroups(requests, this.#opening).finally(() => {
      for (const { name } of requests) this.#beingOpened.delete(name)
    })
    const groups = opened.map(parts => this.#adopt(parts))
    for (const [number, group] of groups.entries()) bind(group, number)
    this.#run(() => {
      for (const group of groups) this.#begin(group)
      tellDamage(this.#options.store, new Map(groups.map(group => [group.name, group])))
    })
    return groups
  }

  get #opening(): OpenGroupsOptions {
    const { store, scheduler, random, brokerId } = this.#options
    return {
      self: brokerId,
      store,
      state: this.#state,
      random,
      openNode: openRaftNode,
      after: (delayMs, callback) => scheduler.after(delayMs, callback),
      electionTicks: ELECTION_TICKS,
      heartbeatTicks: HEARTBEAT_TICKS,
      priorityOf: request => this.#priorityOf(request),
      onProgress: name => this.#run(() => this.#groups.get(name)?.madeDurable()),
      onHeld: bytes => void (this.#bytesHeld += bytes)
    }
  }

  #priorityOf(request: GroupRequest): number {
    if (this.abstaining) return 0
    return request.preferredLeader === undefined || request.preferredLeader === this.self ? 100 : 75
  }

  #adopt(parts: GroupParts): Group {
    const group = new Group(this, parts)
    const twin = this.#byKey.get(group.key.key)
    if (twin !== undefined) throw new Error(`groups ${twin.name} and ${group.name} have the same key`)
    this.#groups.set(group.name, group)
    this.#byKey.set(group.key.key, group)
    this.#byLog.set(group.log, group)
    return group
  }

  /** Whoever is alone leads at once; whoever should lead a group that is new tries to. */
  #begin(group: Group): void {
    this.membershipChanged(group)
    this.changed(group)
    const members = group.memberIds()
    const isNew = group.node.lastIndex === 0
    const alone = members.length === 1 && members[0] === group.replica
    if (alone) group.perform(group.node.campaign())
    else if (isNew && group.request.preferredLeader === this.self && members.includes(group.replica))
      group.standEagerly()
  }

  recover(name: string, recovery: GroupRecovery, isPart = false): Promise<void> {
    return this.#lives.recover(this.#groups.get(name), recovery, isPart)
  }

  offer(name: string): Promise<OfferOutcome> {
    return offerReplica(this.#groups.get(name), this.#options)
  }

  takeOver(request: GroupRequest, offer: ReplicaOffer): Promise<boolean> {
    return takeOverReplica(request, offer, { ...this.#options, self: this.self })
  }

  report(names: readonly string[]): ReadonlyMap<string, ReplicaReport> {
    return reportsOf(names, this.#groups, this.#options.store, broker => this.isReachable(broker))
  }

  async remove(names: readonly string[]): Promise<void> {
    const { store } = this.#options
    // The logs would be gone from under the groups that are about to use them.
    assert(!names.some(name => this.#beingOpened.has(name)), 'what is being opened is not removed')
    const changes = new Map<string, Uint8Array | undefined>()
    for (const name of names) {
      const group = this.#groups.get(name)
      if (group !== undefined) this.#forget(group)
      for (const key of groupKeys(name)) changes.set(key, undefined)
    }
    // First the log: promises must not be forgotten while something of the group is left that could be taken for another's.
    const logs = names.filter(name => store.logs.has(name))
    if (logs.length > 0) await store.removeLogs(logs)
    await this.#state.putAll(changes)
  }

  #forget(group: Group): void {
    group.close()
    this.#wheel.remove(group)
    this.#changed.delete(group)
    this.#changing.delete(group)
    this.#waiting.delete(group)
    this.#elections.note(group, false, this.tick)
    this.#groups.delete(group.name)
    this.#byKey.delete(group.key.key)
    this.#byLog.delete(group.log)
    this.#peers.share(group, new Set())
  }

  async settled(): Promise<void> {
    const { state } = this.#options.store
    if (state.get(LOST_KEY) !== undefined) await state.putAll(new Map([[LOST_KEY, undefined]]))
  }

  membershipChanged(group: Group): void {
    const members = group.memberIds()
    const { voters } = group.membership
    if (members.includes(group.replica) && voters.includes(this.self) && group.nextLife === undefined)
      this.#waiting.delete(group)
    else this.#waiting.add(group)
    const peers = new Set(members.map(brokerOf))
    peers.delete(this.self)
    this.#peers.share(group, peers)
  }

  // ---- what the world tells ----

  flushed(logs: readonly Log[]): void {
    this.#run(() => {
      for (const log of logs) this.#byLog.get(log)?.madeDurable()
    })
  }

  storeFailed(): void {
    for (const group of this.#groups.values()) {
      group.perform(group.node.resign())
      group.fail()
      this.#wheel.remove(group)
    }
    this.#outbox.flush()
  }

  #receive(from: BrokerId, bytes: Uint8Array): void {
    if (this.#closed) return
    let received: Received[]
    try {
      received = readExchange(bytes)
    } catch (error) {
      this.#options.log.warn({ from, err: error }, 'a message between replicas cannot be read')
      return
    }
    this.#run(() => {
      this.#hear(from)
      for (const { group: key, message } of received) {
        const group = this.#byKey.get(key.key)
        if (group === undefined || group.key.check !== key.check) continue
        if (message.kind === 'join') {
          if (brokerOf(message.from) === from) group.noteJoin(message.from)
          continue
        }
        if (message.kind === 'invite') {
          this.#sayWho(group, from)
          continue
        }
        // Only the shard that holds a replica speaks for it, and only to this life of ours.
        if (brokerOf(message.from) !== from) continue
        if (message.to === group.replica) group.receive(message)
        else if (message.to === group.nextLife) this.#lives.beginAnew(group)
      }
    })
  }

  #hear(from: BrokerId): void {
    if (this.#peers.hear(from, this.tick)) for (const group of this.#peers.sharedWith(from)) group.peerBack(from)
  }

  #peerChanged(peer: BrokerId, reachable: boolean): void {
    if (this.#closed) return
    this.#run(() => {
      if (reachable) this.#peers.hear(peer, this.tick)
      for (const group of this.#peers.sharedWith(peer)) {
        if (reachable) group.peerBack(peer)
        else group.peerGone(peer)
      }
    })
  }

  #onTicks(count: number): void {
    this.#run(() => {
      for (let at = 0; at < Math.min(count, TICKS_PER_TURN_MAX); at++) this.#onTick()
      this.#outbox.refill(count * TICK_MS)
    })
  }

  #onTick(): void {
    this.tick++
    if (this.tick % HEARTBEAT_TICKS === 0) this.#greetPeers()
    for (const group of this.#changing) if (!group.advanceChange()) this.#changing.delete(group)
    if (this.tick % ELECTION_TICKS === 0) for (const group of this.#waiting) this.#askToJoin(group)
    this.#elections.expire(this.tick)
    for (const group of this.#wheel.take(this.tick)) {
      if (this.#elections.isFull && group.mayStand) group.skipTime()
      else group.onDue()
      this.#elections.note(group, group.stands, this.tick)
      // It may have been removed while it was away, and be wanted again.
      if (group.stands) this.#askToJoin(group)
      this.changed(group)
    }
    if (this.tick % SYNC_CHECK_TICKS !== 0) return
    // Nothing changes by itself in a group that sleeps.
    for (const group of this.#groups.values()) if (group.dueAt !== Infinity) group.checkInSync()
  }

  /** Tells the shards that share groups with this one that it is here, and finds out who is not. */
  #greetPeers(): void {
    const { greeted, lost } = this.#peers.look(this.tick, this.#options.network.reachable)
    for (const peer of greeted) this.#outbox.sendHeartbeat(peer)
    for (const peer of lost) for (const group of this.#peers.sharedWith(peer)) group.peerGone(peer)
  }

  /** A replica that waits to be added, or is a member and finds no leader, says that it is there. */
  #askToJoin(group: Group): void {
    const { request, replica, nextLife, self } = group
    if (nextLife === undefined && group.leader !== undefined && group.memberIds().includes(replica)) return
    if (nextLife !== undefined) group.leaveLead()
    for (const peer of request.peers?.() ?? this.#options.network.reachable)
      if (peer !== self) this.#sayWho(group, peer)
  }

  #sayWho({ key, replica, nextLife }: Group, to: BrokerId): void {
    this.#outbox.send(key, to, { kind: 'join', from: nextLife ?? replica })
  }

  /** The group's leader wants a replica on this broker, and does not know it. */
  invite(group: Group, broker: BrokerId): void {
    this.#outbox.send(group.key, broker, { kind: 'invite', from: group.replica })
  }

  // ---- what groups need ----

  nowMs(): number {
    return this.#options.scheduler.now()
  }

  isReachable(broker: BrokerId): boolean {
    return this.#options.network.reachable.has(broker) && !this.#peers.isSilent(broker)
  }

  writable(bytes: number): boolean {
    return this.#options.store.writable(bytes)
  }

  get refusesAppends(): boolean {
    return this.#options.store.refusesAppends
  }

  get holdsMuch(): boolean {
    return this.#bytesHeld >= HELD_BYTES_MAX
  }

  whenWritable(bytes: number): Promise<void> {
    return this.#options.store.whenWritable(bytes)
  }

  random = (bound: number): number => this.#options.random(bound)

  send(group: Group, message: Message<Uint8Array>): void {
    this.#outbox.send(group.key, brokerOf(message.to), message)
  }

  sendEntries(group: Group, wanted: SendEntries): void {
    this.#outbox.sendEntries(group, wanted)
  }

  sendRepair(group: Group, wanted: SendRepair): void {
    void this.#outbox.sendRepair(group, wanted)
  }

  sendSnapshot(group: Group, wanted: SendSnapshot): void {
    const { log, network } = this.#options
    const { to } = wanted
    const sent = handOver(group, wanted, network, log)
    if (sent === undefined) return group.perform(group.node.snapshotSent(to, undefined))
    void sent.then(covered => this.#run(() => group.perform(group.node.snapshotSent(to, covered))))
  }

  #receiveSnapshot(payload: Uint8Array, from: BrokerId | undefined): Uint8Array {
    const transfer = decodeTransfer(payload)
    const group = this.#byKey.get(transfer.group.key)
    if (group !== undefined && isMeantFor(transfer, group, from)) this.#run(() => group.receiveSnapshot(transfer))
    return NOTHING
  }

  watchChange(group: Group): void {
    this.#changing.add(group)
  }

  saveHardState(group: Group, { revision, hardState }: SaveHardState): void {
    const promised = encodePromised({ replica: group.replica, hardState })
    const { node } = group
    this.#state.put(voteKey(group.name), promised, () =>
      // Nothing to report to another life of the replica.
      this.#run(() => group.node === node && group.perform(node.hardStateSaved(revision)))
    )
  }

  changed(group: Group): void {
    this.#changed.add(group)
    if (this.#busy === 0) this.#scheduleTurn()
  }

  #noteUnreadable(group: Group, offset: number): void {
    this.#options.log.error({ group: group.name, offset }, 'entries that another replica needs cannot be read')
    group.noteDamage()
  }

  // ---- turns ----

  /** Runs work that may change groups; tells listeners and the wheel afterwards. */
  #run(work: () => void): void {
    if (this.#closed) return
    this.#busy++
    work()
    if (this.#busy === 1) this.#settleChanges()
    this.#busy--
  }

  #settleChanges(): void {
    while (this.#changed.size > 0) {
      const changed = this.#changed
      this.#changed = new Set()
      for (const group of changed) {
        if (!this.#groups.has(group.name)) continue
        if (!group.stands) this.#elections.note(group, false, this.tick)
        this.#wheel.schedule(group, group.dueTick)
        group.notify()
      }
    }
  }

  #scheduleTurn(): void {
    if (this.#turnScheduled || this.#closed) return
    this.#turnScheduled = true
    this.#options.scheduler.nextTurn(() => {
      this.#turnScheduled = false
      this.#run(() => this.#outbox.flush())
    })
  }

  // ---- the end ----

  async drainLeadership(deadlineMs: number): Promise<void> {
    this.abstaining = true
    let moves: readonly Promise<unknown>[] = []
    this.#run(() => (moves = leaveAll(this.#groups.values())))
    if (moves.length > 0) await endWithin(Promise.all(moves), deadlineMs, this.#options.scheduler)
  }

  close(): Promise<void> {
    this.#closed = true
    this.#clock.stop()
    this.#unsubscribe()
    for (const group of this.#groups.values()) group.close()
    return Promise.resolve()
  }
}

const NOTHING = new Uint8Array(0)
const NOTHING_TO_DO = (): void => undefined
