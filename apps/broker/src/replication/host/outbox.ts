/**
 * What a shard has to say to the others, gathered over a turn: one exchange a peer and lane. Small messages take the urgent
 * lane, appends the bulk lane, so that heartbeats pass where no more data does.
 *
 * Entries are read at the end of the turn, at most one read a follower of a group at a time; a read from disk is waited for, and
 * such reads are limited in rate, all together, so that replicas that catch up do not disturb those that are at the end. What
 * operators have throttled waits for its budget as well.
 */
import type { PeerNetwork } from '@milena/shard-scheduler'
import { CatchUpBudgets, type CatchUpLimit, type CatchUpThrottle } from '../catch-up-throttle.ts'
import type { BrokerId } from '../contract.ts'
import { readRun, type ReadRun, type RunOutcome } from '../group/entry-run.ts'
import type { SendEntries, SendRepair } from '../group/group-host.ts'
import type { Group } from '../group/group.ts'
import { brokerOf } from '../kept/replica-ids.ts'
import { ExchangeWriter, type EntryRun, type Outgoing } from '../wire/exchange-codec.ts'
import type { GroupKey } from '../wire/group-key.ts'

export const RAFT_CHANNEL = 'raft'

/** Bytes of entries after which an exchange leaves before the turn is over. */
const EXCHANGE_BYTES_MAX = 1024 * 1024
/** Messages after which an exchange leaves before the turn is over. */
const EXCHANGE_MESSAGES_MAX = 4096
/** Rounds of "sent, so send more" in one turn: then others have theirs. */
const ROUNDS_MAX = 16
/** Bytes of one answer to a request for repair. */
const REPAIR_BYTES_MAX = 1024 * 1024

interface Sent {
  readonly group: Group
  readonly to: number
  readonly run: ReadRun
}

interface PeerBox {
  readonly urgent: ExchangeWriter
  readonly bulk: ExchangeWriter
  readonly sent: Sent[]
}

export interface OutboxOptions {
  readonly network: PeerNetwork
  /** Bytes a second that are read from disk for other replicas. */
  readonly catchUpBytesPerSecond: number
  readonly throttle: CatchUpThrottle | undefined
  /** Asks for `flush` at the end of the turn. */
  readonly schedule: () => void
  readonly unreadable: (group: Group, offset: number) => void
}

export class Outbox {
  readonly #options: OutboxOptions
  readonly #boxes = new Map<BrokerId, PeerBox>()
  #wanted: { readonly group: Group; readonly wanted: SendEntries }[] = []
  /** Sends that wait until they are allowed again, by follower. A newer one takes the place of another, which the node gave up. */
  #delayed = new Map<string, { readonly group: Group; readonly wanted: SendEntries }>()
  /** Bytes that may still be read from disk now. */
  #allowance: number
  readonly #budgets: CatchUpBudgets
  /** Followers whose last read came from disk. */
  readonly #cold = new Set<string>()

  constructor(options: OutboxOptions) {
    this.#options = options
    this.#allowance = options.catchUpBytesPerSecond
    this.#budgets = new CatchUpBudgets(options.throttle)
  }

  send(group: GroupKey, to: BrokerId, message: Outgoing): void {
    const box = this.#box(to)
    const writer = message.kind === 'append' ? box.bulk : box.urgent
    writer.add(group, message)
    if (writer.messageCount >= EXCHANGE_MESSAGES_MAX) this.#sendBox(to, box)
    this.#options.schedule()
  }

  /** See `PeerNetwork.send`: an exchange that says nothing but "I am here". */
  sendHeartbeat(to: BrokerId): void {
    this.#box(to)
    this.#options.schedule()
  }

  sendEntries(group: Group, wanted: SendEntries): void {
    this.#wanted.push({ group, wanted })
    this.#options.schedule()
  }

  async sendRepair(group: Group, { to, term, range }: SendRepair): Promise<void> {
    const outcome = await readRun(group.log, group.writes.marks, range, REPAIR_BYTES_MAX)
    const run = outcome.kind === 'run' && outcome.run.start === range.start ? outcome.run : undefined
    const answered =
      run === undefined ? { start: range.start, end: range.start } : { start: range.start, end: run.lastIndex + 1 }
    const message = { kind: 'repairResponse', from: group.replica, to, term, range: answered, entries: [] } as const
    this.#add(group, to, message, run)
  }

  /** Ticks go by: what waited may be allowed by now. */
  refill(elapsedMs: number): void {
    const perSecond = this.#options.catchUpBytesPerSecond
    this.#allowance = Math.min(perSecond, this.#allowance + (perSecond * elapsedMs) / 1000)
    this.#budgets.refill(elapsedMs)
    if (this.#delayed.size === 0) return
    const delayed = this.#delayed
    this.#delayed = new Map()
    for (const { group, wanted } of delayed.values()) this.sendEntries(group, wanted)
  }

  /** The end of the turn: everything leaves. */
  flush(): void {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const wanted = this.#wanted
      this.#wanted = []
      for (const { group, wanted: one } of wanted) this.#read(group, one)
      for (const [peer, box] of this.#boxes) this.#sendBox(peer, box)
      this.#boxes.clear()
      if (this.#wanted.length === 0) return
    }
    this.#options.schedule()
  }

  #read(group: Group, wanted: SendEntries): void {
    const follower = `${group.name} ${wanted.to}`
    if (this.#allowance <= 0 && this.#cold.has(follower)) {
      this.#delayed.set(follower, { group, wanted })
      return
    }
    const { writes, log } = group
    if (!writes.idle && writes.marks.endOffsetAt(wanted.range.start - 1) >= log.endOffset) {
      // What is to be sent waits for room in the store itself.
      void writes.whenIdle().then(() => this.sendEntries(group, wanted))
      return
    }
    const limits = this.#budgets.limitsFor(group, brokerOf(wanted.to))
    const bytesMax = this.#budgets.take(limits, wanted.bytesMax)
    if (bytesMax === 0) {
      this.#delayed.set(follower, { group, wanted })
      return
    }
    const outcome = readRun(log, writes.marks, wanted.range, bytesMax)
    if (!(outcome instanceof Promise)) {
      this.#cold.delete(follower)
      this.#settle(limits, bytesMax, outcome)
      return this.#deliver(group, wanted, outcome)
    }
    this.#cold.add(follower)
    void outcome.then(result => {
      if (result.kind === 'run') this.#allowance -= result.run.byteCount
      this.#settle(limits, bytesMax, result)
      this.#deliver(group, wanted, result)
    })
  }

  /** What was read costs what it is, more or less than was taken for it. */
  #settle(limits: readonly CatchUpLimit[], taken: number, outcome: RunOutcome): void {
    if (limits.length === 0) return
    this.#budgets.giveBack(limits, taken - (outcome.kind === 'run' ? outcome.run.byteCount : 0))
  }

  #deliver(group: Group, wanted: SendEntries, outcome: RunOutcome): void {
    const { node } = group
    const { to, term } = wanted
    const leads = node.roleKind === 'leader' && node.term === term
    if (outcome.kind === 'run' && leads && outcome.run.lastIndex >= outcome.run.start) {
      const { run } = outcome
      const before = run.start - 1
      const previousTerm = before === wanted.previous.index ? wanted.previous.term : node.termAt(before)
      if (previousTerm !== undefined) {
        const previous = { index: before, term: previousTerm }
        const commitIndex = node.commitIndex
        const message = { kind: 'append', from: group.replica, to, term, previous, entries: [], commitIndex } as const
        return this.#add(group, to, message, run)
      }
    }
    if (outcome.kind === 'run') outcome.run.release()
    if (outcome.kind === 'gone') return group.perform(node.entriesGone(to))
    if (outcome.kind === 'unreadable') this.#options.unreadable(group, outcome.offset)
    group.perform(node.entriesSent(to, undefined, 0))
  }

  #add(group: Group, to: number, message: Outgoing, run: ReadRun | undefined): void {
    const peer = brokerOf(to)
    const box = this.#box(peer)
    const entries: EntryRun | undefined = run
    box.bulk.add(group.key, message, entries)
    if (run !== undefined) box.sent.push({ group, to: message.kind === 'append' ? to : NOBODY, run })
    if (box.bulk.byteCount >= EXCHANGE_BYTES_MAX) this.#sendBox(peer, box)
    this.#options.schedule()
  }

  #box(peer: BrokerId): PeerBox {
    let box = this.#boxes.get(peer)
    if (box === undefined) {
      box = { urgent: new ExchangeWriter(), bulk: new ExchangeWriter(), sent: [] }
      this.#boxes.set(peer, box)
    }
    return box
  }

  #sendBox(peer: BrokerId, box: PeerBox): void {
    const { network } = this.#options
    const bulkCount = box.bulk.messageCount
    if (box.urgent.messageCount > 0 || bulkCount === 0) network.send(peer, RAFT_CHANNEL, box.urgent.finish(), 'urgent')
    if (bulkCount === 0) return
    const taken = network.send(peer, RAFT_CHANNEL, box.bulk.finish(), 'bulk')
    for (const { group, to, run } of box.sent.splice(0)) {
      run.release()
      if (to !== NOBODY) group.perform(group.node.entriesSent(to, taken ? run.lastIndex : undefined, run.byteCount))
    }
  }
}

/** A repair: nothing is reported of it. */
const NOBODY = -1
