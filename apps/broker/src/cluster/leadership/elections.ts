/**
 * Moving leadership on purpose: to preferred replicas when somebody asks (ElectLeaders) or after a while by itself, to any
 * replica when an operator says so, and away from a node in maintenance or a shard whose disk is full or slow. The shard that leads
 * hands over; nothing is lost or refused that a client would not retry.
 */
import { MeshError } from '@milena/shard-scheduler'
import { isEnabled } from '../../controller/cluster-keeper.ts'
import { nodeOf, preferredLeader, type ClusterState, type TopicState } from '../../controller/metadata/cluster-state.ts'
import type { MetadataReplica } from '../../controller/metadata/metadata-replica.ts'
import type { ReplicaHost } from '../../replication/contract.ts'
import type { BrokerSettings } from '../../settings/broker-settings.ts'
import type { ShardCalls } from '../peers/shard-calls.ts'
import type { LeaderTable } from './leader-table.ts'
import { SLOW_DISK_LOOK_MS, SlowDisk } from './slow-disk.ts'

const TRANSFER_SERVICE = 'partition.transfer-leadership'
/** Leaders that a shard hands back in one look, so that clients do not all turn at once. */
const TRANSFERS_PER_LOOK = 50
/** How long a shard may take to give up all leadership, ms, before it tries again. */
const DRAIN_MS = 10_000
/** How often a shard looks whether its store takes appends, and tries again to give up leadership that nobody could take, ms. */
const LOOK_MS = 500
const LEADER_POLL_MS = 5
/** A preferred leader must have held all that was committed so lately, ms, to be handed leadership: it may have a slow disk. */
const CAUGHT_UP_MS = 1_000

export type TransferOutcome = 'done' | 'notLeader' | 'failed'

export interface ElectionsOptions {
  readonly settings: BrokerSettings
  readonly replica: MetadataReplica
  readonly replicas: ReplicaHost
  readonly leaders: LeaderTable
  readonly calls: ShardCalls
  readonly isReachable: (brokerId: number) => boolean
  readonly groupName: (topic: TopicState, partition: number) => string
  readonly clock: { monotonic(): number; after(delayMs: number, callback: () => void): () => void }
  readonly log: { info(fields: object, message: string): void; debug(fields: object, message: string): void }
}

/** A partition that another replica than its leader should lead. */
export interface WantedTransfer {
  readonly topic: string
  readonly partition: number
  readonly group: string
  readonly leader: number
  readonly target: number
}

export class Elections {
  readonly #options: ElectionsOptions
  #cancelTimer: (() => void) | undefined
  #cancelLook: (() => void) | undefined
  readonly #slowDisk = new SlowDisk()
  #cancelDiskLook: (() => void) | undefined
  /** It hands over because of its disk. */
  #leaving = false
  /** Why this shard leads nothing, if so. */
  #resting: 'maintenance' | 'disk full' | undefined
  #closed = false

  constructor(options: ElectionsOptions) {
    this.#options = options
    options.calls.serve(TRANSFER_SERVICE, ({ group, target }: { group: string; target: number }) =>
      this.#transferHere(group, target)
    )
    options.replica.onState(next => this.#followMode(next))
    this.#schedule()
    this.#look()
    this.#watchDisk()
  }

  close(): void {
    this.#closed = true
    this.#cancelDiskLook?.()
    this.#cancelTimer?.()
    this.#cancelLook?.()
  }

  /**
   * Asks the leader of a group to hand over to `target`. `done` when the new leader is known here.
   */
  async transfer(group: string, target: number, timeoutMs: number): Promise<TransferOutcome> {
    const { leaders, calls, clock } = this.#options
    const endMs = clock.monotonic() + timeoutMs
    const leader = leaders.leadershipOf(group)?.leader ?? -1
    if (leader < 0) return 'notLeader'
    try {
      const outcome = await calls.call<TransferOutcome>(leader, TRANSFER_SERVICE, { group, target }, timeoutMs)
      if (outcome !== 'done') return outcome
    } catch (error) {
      if (error instanceof MeshError) return 'failed'
      throw error
    }
    while (leaders.leadershipOf(group)?.leader !== target) {
      if (clock.monotonic() >= endMs) return 'failed'
      await new Promise<void>(resolve => void clock.after(LEADER_POLL_MS, resolve))
    }
    return 'done'
  }

  /** Partitions whose preferred leader could lead and does not; with `leader`, those that it leads. */
  wanted(leader?: number): WantedTransfer[] {
    const { replica, leaders, groupName } = this.#options
    const { state } = replica
    const found: WantedTransfer[] = []
    for (const topic of state.topics.values()) {
      for (const [partition, placement] of topic.partitions.entries()) {
        const target = preferredLeader(placement)
        const group = groupName(topic, partition)
        const leadership = leaders.leadershipOf(group)
        if (leadership === undefined || leadership.leader < 0 || leadership.leader === target) continue
        if (leader !== undefined && leadership.leader !== leader) continue
        if (!leadership.inSync.includes(target) || !this.canLead(state, target)) continue
        found.push({ topic: topic.name, partition, group, leader: leadership.leader, target })
      }
    }
    return found
  }

  /** Whether leadership may be given to a broker now. */
  canLead(state: ClusterState, brokerId: number): boolean {
    const mode = state.nodes.get(nodeOf(brokerId))?.mode
    return mode !== undefined && mode !== 'maintenance' && this.#options.isReachable(brokerId)
  }

  #schedule(): void {
    const { settings, clock } = this.#options
    this.#cancelTimer = clock.after(settings['leader.imbalance.check.interval.seconds'] * 1000, () => {
      if (this.#closed) return
      void this.#handBack().finally(() => this.#closed || this.#schedule())
    })
  }

  /** Gives what this shard leads to those who are preferred. */
  async #handBack(): Promise<void> {
    const { settings, replica, calls, log } = this.#options
    if (!isEnabled(replica.state, settings, 'auto.leader.rebalance.enable')) return
    const wanted = this.wanted(calls.self).filter(({ group, target }) => this.#isCaughtUp(group, target))
    if (wanted.length === 0) return
    const outcomes: Record<TransferOutcome, number> = { done: 0, notLeader: 0, failed: 0 }
    for (const { topic, partition, group, target } of wanted.slice(0, TRANSFERS_PER_LOOK)) {
      if (this.#closed) return
      const outcome = await this.#transferHere(group, target)
      outcomes[outcome]++
      log.debug({ topic, partition, target, outcome }, 'leadership handed to the preferred replica')
    }
    log.info({ wanted: wanted.length, ...outcomes }, 'leadership handed to preferred replicas')
  }

  /** A follower of a group that is led here keeps up, to within moments. */
  #isCaughtUp(group: string, follower: number): boolean {
    const { replicas, clock } = this.#options
    const status = replicas.groups.get(group)?.followers()
    const caughtUpMs = status?.find(({ brokerId }) => brokerId === follower)?.lastCaughtUpMs ?? -Infinity
    return caughtUpMs >= clock.monotonic() - CAUGHT_UP_MS
  }

  async #transferHere(group: string, target: number): Promise<TransferOutcome> {
    const replica = this.#options.replicas.groups.get(group)
    if (replica?.leading !== true) return 'notLeader'
    return (await replica.transferLeadership(target)) ? 'done' : 'failed'
  }

  #look(): void {
    this.#cancelLook = this.#options.clock.after(LOOK_MS, () => {
      if (this.#closed) return
      this.#followMode(this.#options.replica.state)
      this.#look()
    })
  }

  /**
   * In maintenance this node leads nothing, and neither does a shard that cannot append: others serve its partitions meanwhile.
   * When that ends, preferred leaders come back with the next look.
   */
  #followMode(state: ClusterState): void {
    // A shard that stops stands for nothing any more, whatever its node's mode is.
    if (this.#closed) return
    const { calls, replicas } = this.#options
    const inMaintenance = state.nodes.get(nodeOf(calls.self))?.mode === 'maintenance'
    const fullDisk = replicas.refusesAppends ? 'disk full' : undefined
    const reason = inMaintenance ? 'maintenance' : fullDisk
    const began = reason !== undefined && this.#resting === undefined
    this.#resting = reason
    replicas.abstaining = reason !== undefined
    if (began) void this.#rest(reason)
  }

  #watchDisk(): void {
    const { replicas, clock } = this.#options
    this.#cancelDiskLook = clock.after(SLOW_DISK_LOOK_MS, () => {
      if (this.#closed) return
      if (this.#slowDisk.look(replicas.groups.values()) && !this.#leaving) void this.#leaveOnce()
      this.#watchDisk()
    })
  }

  /**
   * Others serve better what this shard leads. It stays ready to lead: a slow disk is better than none. Preferred leaders that do
   * not keep up are not handed leadership again.
   */
  async #leaveOnce(): Promise<void> {
    const { replicas, log } = this.#options
    const leads = (): number => [...replicas.groups.values()].filter(group => group.role === 'leader').length
    const led = leads()
    this.#leaving = true
    await replicas.drainLeadership(DRAIN_MS)
    this.#leaving = false
    if (!this.#closed) replicas.abstaining = this.#resting !== undefined
    log.info({ reason: 'disk slow', led, leading: leads() }, 'this shard has handed over its leadership')
  }

  async #rest(reason: string): Promise<void> {
    const { replicas, clock, log } = this.#options
    const leads = (): number => [...replicas.groups.values()].filter(group => group.role === 'leader').length
    log.info({ reason, leading: leads() }, 'this shard hands over its leadership')
    while (this.#resting !== undefined && !this.#closed && leads() > 0) {
      await replicas.drainLeadership(DRAIN_MS)
      // Alone, or with nobody in sync, there is no one to take it: look again, but not at once.
      if (leads() > 0) await new Promise<void>(resolve => clock.after(LOOK_MS, resolve))
    }
    if (this.#resting !== undefined) log.info({ reason, leading: leads() }, 'this shard leads nothing')
  }
}
