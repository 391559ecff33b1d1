/**
 * The disk of a replica: a log and a hard state, each with a queue of writes that are not durable yet. One flush of each is
 * under way at a time and takes all that waits, as the store's group commit does. A power cut keeps some of what was under
 * way: of the log a prefix, cut at an entry; of the hard states any one that was written, the older one included.
 */
import type { EntryId, HardState, Index } from '@milena/raft'
import type { Random } from '../world/random.ts'
import type { World } from '../world/world.ts'
import { LogImage, stored, type Payload, type StoredEntry, type StoredSnapshot } from './log-image.ts'
import type { Entry } from '@milena/raft'

type LogWrite =
  | { readonly kind: 'append'; readonly truncateFrom: Index | undefined; readonly entries: readonly StoredEntry[] }
  | { readonly kind: 'snapshot'; readonly snapshot: StoredSnapshot }
  | { readonly kind: 'repair'; readonly entries: readonly StoredEntry[] }

interface Waiting {
  readonly write: LogWrite
  readonly durable: () => void
}

interface WaitingHardState {
  readonly hardState: HardState
  readonly durable: () => void
}

/** Told when something became durable; the checkers watch through it. */
export interface DiskListener {
  hardStateDurable(hardState: HardState): void
}

/** No flush takes longer than so many times the average: what is on its way when the faults end is done soon after. */
const LATENCY_FACTOR_MAX = 2

export class ReplicaDisk {
  /** What the process reads. */
  readonly view = new LogImage()
  /** What a power cut leaves. */
  readonly durable = new LogImage()
  durableHardState: HardState = { term: 0, votedFor: undefined }
  /** Milliseconds of a flush, on average. */
  latencyMs = 2
  listener: DiskListener | undefined
  readonly #world: World
  readonly #random: Random
  #logQueue: Waiting[] = []
  #logFlushing: Waiting[] = []
  #hardStateQueue: WaitingHardState | undefined
  #hardStateFlushing: WaitingHardState | undefined
  #epoch = 0

  constructor(world: World, random: Random) {
    this.#world = world
    this.#random = random
  }

  saveHardState(hardState: HardState, durable: () => void): void {
    this.#hardStateQueue = { hardState, durable }
    if (this.#hardStateFlushing === undefined) this.#flushHardState()
  }

  append(truncateFrom: Index | undefined, entries: readonly Entry<Payload>[], durable: () => void): StoredEntry[] {
    if (truncateFrom !== undefined) this.view.truncateFrom(truncateFrom)
    const added = entries.map(entry => {
      const next = stored(entry, this.view.lastChain)
      this.view.append(next)
      return next
    })
    this.#enqueue({ kind: 'append', truncateFrom, entries: added }, durable)
    return added
  }

  installSnapshot(snapshot: StoredSnapshot, durable: () => void): void {
    this.view.install(snapshot)
    this.#enqueue({ kind: 'snapshot', snapshot }, durable)
  }

  /** Overwrites damaged entries, not always consecutive ones. */
  repair(entries: readonly Entry<Payload>[], durable: () => void): StoredEntry[] {
    const good = entries.map(entry => stored(entry, this.view.chainAt(entry.index - 1) ?? NaN))
    applyRepair(this.view, good)
    this.#enqueue({ kind: 'repair', entries: good }, durable)
    return good
  }

  /** Drops entries up to the snapshot at once: it is made of committed state that is durable already. */
  compact(snapshot: StoredSnapshot): void {
    this.view.install(snapshot)
    if (this.durable.lastIndex >= snapshot.last.index) this.durable.install(snapshot)
  }

  /** Power loss, or the end of the process: both lose what was not flushed, apart from what luck keeps. */
  crash(): void {
    this.#epoch++
    for (const { write } of [...this.#logFlushing, ...this.#logQueue]) {
      if (this.#random.chance(0.5)) {
        if (write.kind === 'append' && this.#random.chance(0.5)) this.#tear(write)
        break
      }
      apply(this.durable, write)
    }
    for (const waiting of [this.#hardStateFlushing, this.#hardStateQueue]) {
      if (waiting !== undefined && this.#random.chance(0.4)) this.#keepHardState(waiting.hardState)
    }
    this.#logQueue = []
    this.#logFlushing = []
    this.#hardStateQueue = undefined
    this.#hardStateFlushing = undefined
    this.view.copyFrom(this.durable)
  }

  /** Everything is gone, votes included. */
  wipe(): void {
    this.crash()
    for (const image of [this.view, this.durable]) image.copyFrom(new LogImage())
    this.durableHardState = { term: 0, votedFor: undefined }
  }

  #tear(write: LogWrite & { readonly kind: 'append' }): void {
    apply(this.durable, { ...write, entries: write.entries.slice(0, this.#random.below(write.entries.length + 1)) })
  }

  #keepHardState(hardState: HardState): void {
    this.durableHardState = hardState
    this.listener?.hardStateDurable(hardState)
  }

  #enqueue(write: LogWrite, durable: () => void): void {
    this.#logQueue.push({ write, durable })
    if (this.#logFlushing.length === 0) this.#flushLog()
  }

  #flushLog(): void {
    this.#logFlushing = this.#logQueue
    this.#logQueue = []
    this.#later(() => {
      const done = this.#logFlushing
      this.#logFlushing = []
      for (const { write } of done) apply(this.durable, write)
      if (this.#logQueue.length > 0) this.#flushLog()
      for (const { durable } of done) durable()
    })
  }

  #flushHardState(): void {
    this.#hardStateFlushing = this.#hardStateQueue
    this.#hardStateQueue = undefined
    this.#later(() => {
      const done = this.#hardStateFlushing
      this.#hardStateFlushing = undefined
      if (done !== undefined) this.#keepHardState(done.hardState)
      if (this.#hardStateQueue !== undefined) this.#flushHardState()
      done?.durable()
    })
  }

  #later(task: () => void): void {
    const epoch = this.#epoch
    const delayMs = Math.min(this.#random.exponential(this.latencyMs), LATENCY_FACTOR_MAX * this.latencyMs)
    this.#world.schedule(0.05 + delayMs, () => {
      if (epoch === this.#epoch) task()
    })
  }
}

function apply(image: LogImage, write: LogWrite): void {
  if (write.kind === 'snapshot') image.install(write.snapshot)
  else if (write.kind === 'repair') applyRepair(image, write.entries)
  else {
    if (write.truncateFrom !== undefined) image.truncateFrom(write.truncateFrom)
    for (const entry of write.entries) if (entry.entry.index > image.before.index) image.append(entry)
  }
}

function applyRepair(image: LogImage, entries: readonly StoredEntry[]): void {
  for (const entry of entries) {
    const position = image.positionOf(entry.entry.index)
    if (image.entries[position]?.entry.index === entry.entry.index) image.entries[position] = entry
    image.damaged.delete(entry.entry.index)
  }
}

/** Name of an entry's end. */
export function endOf(entry: StoredEntry): EntryId {
  return { index: entry.last, term: entry.entry.term }
}
