/**
 * A machine with one replica on it: a disk, and while it runs a process, which is the host of a `RaftNode` in its smallest
 * form. It carries out effects, reports what is durable, keeps nothing else. A machine can crash, be held up, lose its disk.
 *
 * The host-wide part that Raft leaves to its host is here too: pings between machines, whose absence wakes quiescent groups.
 */
import type {
  Effect,
  HardState,
  Index,
  IndexRange,
  Membership,
  Message,
  OpenRaftNode,
  RaftConfig,
  RaftNode,
  ReplicaId
} from '@milena/raft'
import type { Random } from '../world/random.ts'
import type { World } from '../world/world.ts'
import type { LogImage, Payload, StoredEntry, StoredSnapshot } from './log-image.ts'
import type { Observer, ReplicaView } from './observer.ts'
import type { Parcel, RaftNetwork } from './raft-network.ts'
import { endOf, ReplicaDisk } from './replica-disk.ts'

/** What machines of one simulation share. */
export interface RaftSite {
  readonly world: World
  readonly network: RaftNetwork
  readonly observer: Observer
  /** Opens a replica; a planted bug may stand between. */
  readonly open: OpenRaftNode
  readonly config: (id: ReplicaId) => RaftConfig
  /** Milliseconds of a tick on a machine without drift. */
  readonly tickMs: number
  /** Ticks are told only when one may do something. */
  readonly skipsIdleTicks: boolean
  /** Hard state that a starting replica is given; a planted bug may change it. */
  readonly recall: (hardState: HardState) => HardState
  /** Chance that reading entries for a follower fails for now. */
  readonly readFailureRate: number
}

export class RaftMachine implements ReplicaView {
  readonly number: number
  readonly disk: ReplicaDisk
  id: ReplicaId
  node: RaftNode<Payload> | undefined
  appliedIndex: Index = 0
  /** Speed of its ticks; 1 is right. */
  drift = 1
  /** How often it was started. */
  startCount = 0
  /** Reads that wait. */
  readonly reads = new Set<number>()
  readonly #site: RaftSite
  readonly #random: Random
  #bootstrapMembership: Membership | undefined
  #generation = 0
  #ticksUntold = 0
  #heldUp: (() => void)[] | undefined

  constructor(number: number, id: ReplicaId, site: RaftSite) {
    this.number = number
    this.id = id
    this.#site = site
    this.#random = site.world.random.of(`machine ${number}`)
    this.disk = new ReplicaDisk(site.world, site.world.random.of(`disk ${number}`))
    this.disk.listener = { hardStateDurable: hardState => site.observer.hardStateDurable(this, hardState) }
    site.network.machineOf.set(id, number)
  }

  get log(): LogImage {
    return this.disk.view
  }

  get durable(): LogImage {
    return this.disk.durable
  }

  get durableHardState(): HardState {
    return this.disk.durableHardState
  }

  get isHeldUp(): boolean {
    return this.#heldUp !== undefined
  }

  /** The membership that a new group begins with, on the disk before the first start. */
  bootstrap(membership: Membership): void {
    this.#bootstrapMembership = membership
    for (const image of [this.disk.view, this.disk.durable]) {
      image.snapshot = { last: { index: 0, term: 0 }, membership, chain: 0 }
    }
  }

  start(): void {
    const { world, open, observer, recall, config } = this.#site
    const node = open<Payload>(config(this.id), recall(this.disk.durableHardState), this.disk.durable.recovered())
    this.node = node
    this.appliedIndex = this.disk.durable.before.index
    this.#ticksUntold = 0
    this.startCount++
    observer.started(this)
    world.trace.note('start', this.id)
    if (world.trace.printing) world.trace.line(this.#name, 'start', describe(this))
    this.#scheduleTick(this.#generation)
  }

  /** Ends the process; what was not durable is lost, apart from what luck keeps. */
  crash(): void {
    this.#generation++
    this.node = undefined
    this.#heldUp = undefined
    this.reads.clear()
    this.disk.crash()
    if (this.#site.world.trace.printing) this.#site.world.trace.line(this.#name, 'crash', '')
  }

  /** Comes back with an empty disk and does not notice. */
  forget(): void {
    this.disk.wipe()
    if (this.#bootstrapMembership !== undefined) this.bootstrap(this.#bootstrapMembership)
  }

  /** Comes back with an empty disk, as another replica. */
  replace(id: ReplicaId, old: ReplicaView): void {
    const { network, observer } = this.#site
    observer.replicas.set(this.id, old)
    network.machineOf.delete(this.id)
    this.disk.wipe()
    this.id = id
    network.machineOf.set(id, this.number)
  }

  /** Holds the process up: nothing happens in it until `resume`, then all at once. */
  holdUp(): void {
    this.#heldUp ??= []
  }

  resume(): void {
    const tasks = this.#heldUp ?? []
    this.#heldUp = undefined
    for (const task of tasks) task()
  }

  receive({ message, snapshot }: Parcel): void {
    this.#whenRunning(node => {
      if (message.kind === 'installSnapshot') this.#arrived = snapshot
      this.#noteMessage(message)
      this.input(node.step(message))
    })
  }

  /** A link to a replica broke, or its host has not been heard of for long. */
  lostTouchWith(peer: ReplicaId): void {
    this.#whenRunning(node => {
      this.input(node.peerUnreachable(peer))
      this.input(node.wake(peer))
    })
  }

  /** The host of a replica is back, or a new one. */
  foundAgain(peer: ReplicaId): void {
    this.#whenRunning(node => this.input(node.wake(peer)))
  }

  /** Entries of its own turn out to be unreadable while it runs. */
  findDamage(range: IndexRange): void {
    this.#whenRunning(node => this.input(node.damageFound(range)))
  }

  /** Carries out the effects of an input. */
  input(effects: readonly Effect<Payload>[]): void {
    for (const effect of effects) this.#perform(effect)
    if (this.node !== undefined) this.#site.observer.stepped(this)
  }

  /** Tells ticks that were held back, before any other input. */
  tellTicks(): void {
    const count = this.#ticksUntold
    this.#ticksUntold = 0
    if (count > 0 && this.node !== undefined) this.input(this.node.tick(count))
  }

  /** Drops entries before the last `keep` that are committed and durable. */
  compact(keep: number): boolean {
    const { node } = this
    const position = this.log.positionOf(Math.min(this.appliedIndex, this.node?.durableIndex ?? 0) - keep) - 1
    const last = this.log.entries[position]
    if (node === undefined || last === undefined || this.log.damaged.size > 0) return false
    const snapshot = this.#snapshotUpTo(last)
    if (snapshot === undefined) return false
    this.disk.compact(snapshot)
    this.tellTicks()
    node.compacted(snapshot.last)
    return true
  }

  #arrived: StoredSnapshot | undefined

  get #name(): string {
    return `r${this.id}`
  }

  #scheduleTick(generation: number): void {
    const { tickMs, skipsIdleTicks, world } = this.#site
    world.schedule(tickMs * this.drift, () => {
      if (generation !== this.#generation) return
      this.#scheduleTick(generation)
      if (this.#heldUp !== undefined) return void (this.#ticksUntold = Math.min(this.#ticksUntold + 1, 100))
      const node = this.node as RaftNode<Payload>
      const due = node.ticksUntilDue
      this.#ticksUntold++
      if (skipsIdleTicks && this.#ticksUntold < due) return
      const count = this.#ticksUntold
      const isIdle = count < due
      this.#ticksUntold = 0
      const effects = node.tick(count)
      if (isIdle && effects.length > 0) {
        const kinds = effects.map(({ kind }) => kind).join(', ')
        world.violated('idle-ticks', `replica ${this.id} acts (${kinds}) in a tick although ${due} were left`)
      }
      this.input(effects)
    })
  }

  /** Runs a task of the process now, or when it is no longer held up; never after it ended. */
  #whenRunning(task: (node: RaftNode<Payload>) => void): void {
    const generation = this.#generation
    const run = (): void => {
      if (generation !== this.#generation || this.node === undefined) return
      this.tellTicks()
      task(this.node)
    }
    if (this.#heldUp === undefined) run()
    else this.#heldUp.push(run)
  }

  #later(delayMs: number, task: (node: RaftNode<Payload>) => void): void {
    const generation = this.#generation
    this.#site.world.schedule(delayMs, () => {
      if (generation === this.#generation) this.#whenRunning(task)
    })
  }

  #perform(effect: Effect<Payload>): void {
    const { observer, world } = this.#site
    switch (effect.kind) {
      case 'saveHardState':
        return this.disk.saveHardState(effect.hardState, () =>
          this.#whenRunning(node => this.input(node.hardStateSaved(effect.revision)))
        )
      case 'append':
        return this.#append(effect)
      case 'send':
        return this.#send({ message: effect.message })
      case 'sendEntries':
        return this.#later(this.#random.exponential(0.2), () => this.#sendEntries(effect))
      case 'commit':
        this.appliedIndex = effect.index
        world.trace.note('commit', this.id, effect.index)
        if (world.trace.printing) world.trace.line(this.#name, 'commit', `${effect.index}`)
        return observer.isCommitted(this, effect.index)
      case 'sendSnapshot':
        return this.#sendSnapshot(effect)
      case 'installSnapshot':
        return this.#installSnapshot(effect.snapshot.last.index)
      case 'repair':
        return this.#repair(effect)
      case 'sendRepair':
        return this.#later(this.#random.exponential(1), () => this.#sendRepair(effect))
      case 'readReady':
        this.reads.delete(effect.request)
        return observer.readReady(this, effect.request, effect.index)
      case 'readGivenUp':
        return void this.reads.delete(effect.request)
      case 'roleChanged':
        if (world.trace.printing) world.trace.line(this.#name, 'role', describe(this))
        return
      case 'membership':
        if (world.trace.printing) world.trace.line(this.#name, 'membership', JSON.stringify(effect))
        return
      case 'transferEnded':
        return
    }
  }

  #append({ truncateFrom, entries }: Effect<Payload> & { readonly kind: 'append' }): void {
    const { observer, world } = this.#site
    let last = this.log.before
    const added = this.disk.append(truncateFrom, entries, () =>
      this.#whenRunning(node => this.input(node.appended(last)))
    )
    const end = this.log.entries.at(-1)
    if (end !== undefined) last = endOf(end)
    if (world.trace.printing) {
      const cut = truncateFrom === undefined ? '' : `cut at ${truncateFrom}, `
      world.trace.line(this.#name, 'append', `${cut}${entries.length} to ${last.index} of term ${last.term}`)
    }
    observer.appended(this, truncateFrom, added)
  }

  #send(parcel: Parcel): void {
    this.#site.observer.sent(this, parcel.message)
    this.#site.network.send(parcel)
  }

  #sendEntries(effect: Effect<Payload> & { readonly kind: 'sendEntries' }): void {
    const { to, term, previous, range, bytesMax, commitIndex } = effect
    const node = this.node as RaftNode<Payload>
    const first = this.log.at(range.start)
    const leads = node.term === term && node.roleKind === 'leader'
    if (leads && first === undefined) return this.input(node.entriesGone(to))
    const { entries, bytes } = this.#read(range, bytesMax)
    const last = entries.at(-1)
    if (!leads || first === undefined || last === undefined || this.#random.chance(this.#site.readFailureRate)) {
      return this.input(node.entriesSent(to, undefined, 0))
    }
    const before =
      first.entry.index === range.start
        ? previous
        : { index: first.entry.index - 1, term: node.termAt(first.entry.index - 1) ?? 0 }
    this.#send({
      message: {
        kind: 'append',
        from: this.id,
        to,
        term,
        previous: before,
        entries: entries.map(({ entry }) => entry),
        commitIndex: this.#random.chance(0.5) ? commitIndex : node.commitIndex
      }
    })
    this.input(node.entriesSent(to, last.last, bytes))
  }

  /** Whole entries from the one that covers the start of `range`, up to `bytesMax` but at least one, up to damage. */
  #read(range: IndexRange, bytesMax: number): { readonly entries: StoredEntry[]; readonly bytes: number } {
    const entries: StoredEntry[] = []
    let bytes = 0
    for (let position = this.log.positionOf(range.start); position < this.log.entries.length; position++) {
      const next = this.log.entries[position] as StoredEntry
      const size = next.entry.kind === 'data' ? next.entry.bytes : 0
      if (next.entry.index >= range.end || this.log.damaged.has(next.entry.index)) break
      if (entries.length > 0 && bytes + size > bytesMax) break
      entries.push(next)
      bytes += size
    }
    return { entries, bytes }
  }

  #snapshotUpTo(last: StoredEntry): StoredSnapshot | undefined {
    const membership = this.log.membershipAt(last.last)?.value
    return membership && { last: endOf(last), membership, chain: last.chain }
  }

  #sendSnapshot({ to, term, atLeast }: Effect<Payload> & { readonly kind: 'sendSnapshot' }): void {
    this.#later(this.#random.exponential(30), node => {
      if (node.term !== term || node.roleKind !== 'leader') return
      const last = this.log.entries[this.log.positionOf(this.appliedIndex + 1) - 1]
      const snapshot = last === undefined ? this.log.snapshot : this.#snapshotUpTo(last)
      if (snapshot === undefined || snapshot.last.index < atLeast || this.#random.chance(0.1)) {
        return this.input(node.snapshotSent(to, undefined))
      }
      this.#send({ message: { kind: 'installSnapshot', from: this.id, to, term, snapshot }, snapshot })
      this.input(node.snapshotSent(to, snapshot.last))
    })
  }

  #installSnapshot(index: Index): void {
    const { observer, world } = this.#site
    const snapshot = this.#arrived
    if (snapshot?.last.index !== index) {
      return world.violated('snapshots', `replica ${this.id} installs a snapshot up to ${index} that did not come`)
    }
    observer.snapshotInstalled(this, index, snapshot.chain)
    this.appliedIndex = Math.max(this.appliedIndex, index)
    if (world.trace.printing) world.trace.line(this.#name, 'snapshot', `${index}`)
    this.disk.installSnapshot(snapshot, () =>
      this.#whenRunning(node => this.input(node.snapshotInstalled(snapshot.last)))
    )
  }

  #repair({ entries }: Effect<Payload> & { readonly kind: 'repair' }): void {
    const { world } = this.#site
    const chains = entries.map(entry => this.log.at(entry.index)?.chain)
    const good = this.disk.repair(entries, () => {
      const [first] = good
      const last = good.at(-1)
      if (first === undefined || last === undefined) return
      this.#whenRunning(node => this.input(node.repaired({ start: first.entry.index, end: last.last + 1 })))
    })
    if (good.some((entry, at) => entry.chain !== chains[at])) {
      world.violated('repair', `replica ${this.id} repairs entries from ${entries[0]?.index} by others`)
    }
  }

  #sendRepair({ to, term, range }: Effect<Payload> & { readonly kind: 'sendRepair' }): void {
    const isBoundary = this.log.at(range.start)?.entry.index === range.start
    const { entries } = isBoundary ? this.#read(range, this.#random.pick([1, 4000, 1 << 20])) : { entries: [] }
    this.#send({
      message: { kind: 'repairResponse', from: this.id, to, term, range, entries: entries.map(({ entry }) => entry) }
    })
  }

  #noteMessage(message: Message<Payload>): void {
    const { trace } = this.#site.world
    trace.note(message.kind, message.from * 64 + message.to, message.term)
    if (!trace.printing) return
    const { kind, from, to: _, ...rest } = message
    trace.line(this.#name, kind, `from r${from} ${JSON.stringify(rest)}`)
  }
}

function describe({ node, log }: RaftMachine): string {
  const status = node?.status
  if (status === undefined) return 'down'
  return `${status.role.kind} term ${status.term} commit ${status.commitIndex} log ${log.before.index}..${log.lastIndex}`
}
