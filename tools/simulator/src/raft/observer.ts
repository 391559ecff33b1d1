/**
 * Who sees all replicas at once. The simulation tells the observer what happens, the observer tells the checkers. What they
 * all need is kept here: what is committed, who leads, what was ever held.
 *
 * A checker is one safety property in one file. It throws through `World.violated` when the property does not hold.
 */
import type { HardState, Index, Membership, Message, RaftNode, ReplicaId, Term } from '@milena/raft'
import type { World } from '../world/world.ts'
import type { LogImage, Payload, StoredEntry } from './log-image.ts'

/** A replica as the observer sees it: its process and its disk. */
export interface ReplicaView {
  readonly id: ReplicaId
  /** Its state machine; undefined while it is down. */
  readonly node: RaftNode<Payload> | undefined
  /** What its process reads. */
  readonly log: LogImage
  /** What a power cut leaves it. */
  readonly durable: LogImage
  readonly durableHardState: HardState
  /** Commit index that its process was told of; 0 after a start. */
  readonly appliedIndex: Index
}

/** What a checker may want to know. Everything is called right after it happened. */
export interface Checker {
  /** Name of the property. */
  readonly name: string
  started?(replica: ReplicaView): void
  /** After any input: role, term, commit index may have changed. */
  stepped?(replica: ReplicaView): void
  becameLeader?(replica: ReplicaView, term: Term): void
  /** Entries were added to its log, after everything from `truncateFrom` on was cut. Before `stepped`. */
  appended?(replica: ReplicaView, truncateFrom: Index | undefined, added: readonly StoredEntry[]): void
  /** It was told that everything up to `index` is committed. `isFirst`: nobody was told before. */
  committed?(replica: ReplicaView, index: Index, isFirst: boolean): void
  hardStateDurable?(replica: ReplicaView, hardState: HardState): void
  sent?(replica: ReplicaView, message: Message<Payload>): void
  snapshotInstalled?(replica: ReplicaView, index: Index, chain: number): void
  readStarted?(replica: ReplicaView, request: number): void
  readReady?(replica: ReplicaView, request: number, index: Index): void
  /** Faults have ended and time enough has passed. */
  finished?(): void
}

/** What is known from above. */
export class Observer {
  readonly world: World
  /** All that is committed, from index 1, in order. */
  readonly committed: StoredEntry[] = []
  /** Replicas whose disks exist, by id; the disks of replicas that were wiped stay as they were. */
  readonly replicas = new Map<ReplicaId, ReplicaView>()
  readonly #leaders = new Map<ReplicaId, Term>()
  #checkers: readonly Checker[] = []

  constructor(world: World) {
    this.world = world
  }

  set checkers(checkers: readonly Checker[]) {
    this.#checkers = checkers
  }

  get committedIndex(): Index {
    return this.committed.at(-1)?.last ?? 0
  }

  /** The committed entry that covers `index`. */
  committedAt(index: Index): StoredEntry | undefined {
    let low = 0
    let high = this.committed.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.committed[middle] as StoredEntry).last < index) low = middle + 1
      else high = middle
    }
    return this.committed[low]
  }

  /** The newest membership that is committed at or before `index`. */
  committedMembership(index: Index): Membership | undefined {
    for (let position = this.committed.length - 1; position >= 0; position--) {
      const { entry } = this.committed[position] as StoredEntry
      if (entry.index <= index && entry.kind === 'membership') return entry.membership
    }
    return undefined
  }

  /** The term that a replica led in before the present input; it may have stepped down within it. */
  ledTerm(id: ReplicaId): Term | undefined {
    return this.#leaders.get(id)
  }

  started(replica: ReplicaView): void {
    this.replicas.set(replica.id, replica)
    this.#leaders.delete(replica.id)
    for (const checker of this.#checkers) checker.started?.(replica)
  }

  stepped(replica: ReplicaView): void {
    const { roleKind, term } = replica.node as RaftNode<Payload>
    if (roleKind !== 'leader') this.#leaders.delete(replica.id)
    else if (this.#leaders.get(replica.id) !== term) {
      this.#leaders.set(replica.id, term)
      for (const checker of this.#checkers) checker.becameLeader?.(replica, term)
    }
    for (const checker of this.#checkers) checker.stepped?.(replica)
  }

  appended(replica: ReplicaView, truncateFrom: Index | undefined, added: readonly StoredEntry[]): void {
    for (const checker of this.#checkers) checker.appended?.(replica, truncateFrom, added)
  }

  isCommitted(replica: ReplicaView, index: Index): void {
    const isFirst = index > this.committedIndex
    if (isFirst) this.#extendCommitted(replica.log, index)
    for (const checker of this.#checkers) checker.committed?.(replica, index, isFirst)
  }

  hardStateDurable(replica: ReplicaView, hardState: HardState): void {
    for (const checker of this.#checkers) checker.hardStateDurable?.(replica, hardState)
  }

  sent(replica: ReplicaView, message: Message<Payload>): void {
    for (const checker of this.#checkers) checker.sent?.(replica, message)
  }

  snapshotInstalled(replica: ReplicaView, index: Index, chain: number): void {
    for (const checker of this.#checkers) checker.snapshotInstalled?.(replica, index, chain)
  }

  readStarted(replica: ReplicaView, request: number): void {
    for (const checker of this.#checkers) checker.readStarted?.(replica, request)
  }

  readReady(replica: ReplicaView, request: number, index: Index): void {
    for (const checker of this.#checkers) checker.readReady?.(replica, request, index)
  }

  finished(): void {
    for (const checker of this.#checkers) checker.finished?.()
  }

  #extendCommitted(log: LogImage, index: Index): void {
    for (let position = log.positionOf(this.committedIndex + 1); position < log.entries.length; position++) {
      const next = log.entries[position] as StoredEntry
      if (next.entry.index > index) return
      if (next.entry.index !== this.committedIndex + 1) {
        this.world.violated(
          'state-machine-safety',
          `entry ${next.entry.index} follows committed ${this.committedIndex}`
        )
      }
      this.committed.push(next)
    }
  }
}
