/**
 * A host for tests: one replica with a log, a disk and nothing else. What it is told to write waits in two queues, one for hard
 * states and one for the log, until the test lets the disk have it; a crash keeps any beginning of each queue, reported or not.
 *
 * Payloads are strings. Messages go to `send`; the test decides what becomes of them.
 */
import assert from 'node:assert'
import type { RaftConfig, RaftNode } from '../contract.ts'
import type { Effect } from '../effects.ts'
import type { Entry, EntryId, HardState, Index, IndexRange, RecoveredLog, SnapshotMeta, Term } from '../entries.ts'
import type { Membership } from '../membership.ts'
import type { Message } from '../messages.ts'
import { openRaftNode } from '../node/raft-node.ts'
import { recoverReplica } from '../recovery.ts'

export type Payload = string
type Of<Kind> = Extract<Effect<Payload>, { readonly kind: Kind }>

/** A log as the host keeps it, in memory or on disk. */
export interface StoredLog {
  before: EntryId
  /** The membership as of `before`. */
  base: Membership | undefined
  entries: Entry<Payload>[]
}

type LogWrite =
  | { readonly kind: 'append'; readonly truncateFrom: Index | undefined; readonly entries: readonly Entry<Payload>[] }
  | { readonly kind: 'snapshot'; readonly snapshot: SnapshotMeta; readonly kept: boolean }
  | { readonly kind: 'repair'; readonly range: IndexRange }
  | { readonly kind: 'compact'; readonly before: EntryId; readonly base: Membership }

export function lastIndexOf(entry: Entry<Payload>): Index {
  return entry.kind === 'data' ? entry.index + entry.width - 1 : entry.index
}

/** Last index and term of a log. */
export function endOf(log: StoredLog): EntryId {
  const last = log.entries.at(-1)
  return last === undefined ? log.before : { index: lastIndexOf(last), term: last.term }
}

export interface MemoryHostOptions {
  readonly config: RaftConfig
  readonly bootstrap: Membership | undefined
  readonly send: (message: Message<Payload>) => void
  /** Called for every effect before it is carried out. */
  readonly observe?: (effect: Effect<Payload>) => void
  /** Opens the node; another one stands for a planted bug. */
  readonly open?: typeof openRaftNode<Payload>
}

export class MemoryHost {
  readonly options: MemoryHostOptions
  node: RaftNode<Payload>
  log: StoredLog
  readonly disk: { hardState: HardState; log: StoredLog; damaged: IndexRange[] }
  hardStateWrites: { readonly revision: number; readonly hardState: HardState }[] = []
  logWrites: LogWrite[] = []
  /** Reads that a test carries out later; with `readsAtOnce` there are none. */
  openReads: Of<'sendEntries'>[] = []
  readsAtOnce = true
  snapshotsToSend: Of<'sendSnapshot'>[] = []

  constructor(options: MemoryHostOptions) {
    this.options = options
    const empty = (): StoredLog => ({ before: { index: 0, term: 0 }, base: options.bootstrap, entries: [] })
    this.disk = { hardState: { term: 0, votedFor: undefined }, log: empty(), damaged: [] }
    this.log = empty()
    this.node = this.#open()
  }

  get id(): number {
    return this.options.config.id
  }

  /** Carries out effects, in order; what reports return comes after. */
  run(effects: readonly Effect<Payload>[]): void {
    for (const effect of effects) {
      this.options.observe?.(effect)
      this.#carryOut(effect)
    }
  }

  /** Lets the disk finish `hardStates` and `logWrites` writes (default: all), and reports them. */
  flush(hardStates = Infinity, logWrites = Infinity): void {
    const saved = this.hardStateWrites.splice(0, hardStates).at(-1)
    if (saved !== undefined) {
      this.disk.hardState = saved.hardState
      this.run(this.node.hardStateSaved(saved.revision))
    }
    for (const write of this.logWrites.splice(0, logWrites)) {
      applyWrite(this.disk, write)
      if (write.kind === 'snapshot') this.run(this.node.snapshotInstalled(write.snapshot.last))
      else if (write.kind === 'repair') this.run(this.node.repaired(write.range))
      else if (write.kind === 'append') this.run(this.node.appended(endOf(this.disk.log)))
    }
  }

  /** Loses what is not on the disk, except the first writes of each queue, which got there unreported. */
  crash(hardStatesKept = 0, logWritesKept = 0): void {
    const kept = this.hardStateWrites.slice(0, hardStatesKept).at(-1)
    if (kept !== undefined) this.disk.hardState = kept.hardState
    for (const write of this.logWrites.slice(0, logWritesKept)) applyWrite(this.disk, write)
    this.hardStateWrites = []
    this.logWrites = []
    this.openReads = []
    this.snapshotsToSend = []
    this.log = copyOf(this.disk.log)
    this.node = this.#open()
  }

  /** Begins a new life with what the disk of a former one holds, as the only voter (recovery.ts). */
  takeOver(former: MemoryHost, term: Term): void {
    const { hardState, log } = former.disk
    const recovered = recoverReplica(this.id, term, {
      last: endOf(log),
      membership: former.node.membership,
      hardState
    })
    this.disk.hardState = recovered.hardState
    this.disk.log = { ...log, entries: [...log.entries, recovered.entry] }
    this.log = copyOf(this.disk.log)
    this.node = this.#open()
  }

  /** Makes entries of the disk unreadable from the next restart on. */
  damage(range: IndexRange): void {
    this.disk.damaged.push(range)
  }

  /** Drops what is committed up to `index`, an entry's last; the node knows at once. */
  compact(index: Index): void {
    const most = Math.min(index, this.node.durableIndex)
    const kept = this.log.entries.filter(entry => lastIndexOf(entry) > most)
    const dropped = this.log.entries.slice(0, this.log.entries.length - kept.length)
    const last = dropped.at(-1)
    if (last === undefined) return
    const before = { index: lastIndexOf(last), term: last.term }
    const base = latestMembership({ ...this.log, entries: dropped })!
    this.log = { before, base, entries: kept }
    this.logWrites.push({ kind: 'compact', before, base })
    this.node.compacted(before)
  }

  /** Sends entries as an open read asks, up to `countMax` of them, and reports. */
  read(effect: Of<'sendEntries'>, countMax = Infinity): void {
    const { to, term, range, bytesMax } = effect
    if (this.node.roleKind !== 'leader' || this.node.term !== term) {
      this.run(this.node.entriesSent(to, undefined, 0))
      return
    }
    const held = this.log.entries.filter(entry => lastIndexOf(entry) >= range.start && lastIndexOf(entry) < range.end)
    const entries: Entry<Payload>[] = []
    let bytes = 0
    for (const entry of held) {
      const size = entry.kind === 'data' ? entry.bytes : 0
      if (entries.length > 0 && (bytes + size > bytesMax || entries.length >= countMax)) break
      entries.push(entry)
      bytes += size
    }
    const [first] = entries
    if (first === undefined || first.index > range.start) {
      this.run(this.node.entriesGone(to))
      return
    }
    const previous = { index: first.index - 1, term: this.node.termAt(first.index - 1)! }
    const { commitIndex } = effect
    this.options.send({ kind: 'append', from: this.id, to, term, previous, entries, commitIndex })
    this.run(this.node.entriesSent(to, lastIndexOf(entries.at(-1)!), bytes))
  }

  #open(): RaftNode<Payload> {
    const open = this.options.open ?? openRaftNode<Payload>
    return open(this.options.config, this.disk.hardState, recovered(this.disk.log, this.disk.damaged))
  }

  #carryOut(effect: Effect<Payload>): void {
    switch (effect.kind) {
      case 'saveHardState':
        this.hardStateWrites.push(effect)
        break
      case 'append':
        applyWrite({ log: this.log, damaged: [] }, effect)
        this.logWrites.push(effect)
        break
      case 'send':
        this.options.send(effect.message)
        break
      case 'sendEntries':
        if (this.readsAtOnce) this.read(effect)
        else this.openReads.push(effect)
        break
      case 'sendSnapshot':
        this.snapshotsToSend.push(effect)
        break
      case 'installSnapshot': {
        const kept = effect.entriesAfter === 'kept'
        const write = { kind: 'snapshot', snapshot: effect.snapshot, kept } as const
        applyWrite({ log: this.log, damaged: [] }, write)
        this.logWrites.push(write)
        break
      }
      case 'repair':
        this.#repair(effect.entries)
        break
      case 'sendRepair': {
        const { to, term, range } = effect
        const entries = this.log.entries.filter(entry => entry.index >= range.start && lastIndexOf(entry) < range.end)
        this.options.send({ kind: 'repairResponse', from: this.id, to, term, range, entries })
        break
      }
      case 'commit':
      case 'membership':
      case 'roleChanged':
      case 'readReady':
      case 'readGivenUp':
      case 'transferEnded':
    }
  }

  #repair(entries: readonly Entry<Payload>[]): void {
    for (const entry of entries) {
      const own = this.log.entries.find(held => held.index === entry.index)
      assert.deepEqual(own, entry, 'a repair brings back the same entry ')
    }
    const range = { start: entries[0]!.index, end: lastIndexOf(entries.at(-1)!) + 1 }
    this.logWrites.push({ kind: 'repair', range })
  }

  /** Hands a snapshot of everything that is committed to the network. */
  sendSnapshot(effect: Of<'sendSnapshot'>): void {
    const index = this.node.commitIndex
    const term = this.node.termAt(index)!
    if (this.node.roleKind !== 'leader' || this.node.term !== effect.term || index < effect.atLeast) {
      this.run(this.node.snapshotSent(effect.to, undefined))
      return
    }
    const entries = this.log.entries.filter(entry => entry.index <= index)
    const snapshot = { last: { index, term }, membership: latestMembership({ ...this.log, entries })! }
    const { to } = effect
    this.options.send({ kind: 'installSnapshot', from: this.id, to, term: effect.term, snapshot })
    this.run(this.node.snapshotSent(to, snapshot.last))
  }
}

function copyOf(log: StoredLog): StoredLog {
  return { ...log, entries: [...log.entries] }
}

function latestMembership(log: StoredLog): Membership | undefined {
  const entry = log.entries.findLast(entry => entry.kind === 'membership')
  return entry?.kind === 'membership' ? entry.membership : log.base
}

function applyWrite(disk: { log: StoredLog; damaged: IndexRange[] }, write: LogWrite): void {
  const { log } = disk
  switch (write.kind) {
    case 'append': {
      const { truncateFrom } = write
      if (truncateFrom !== undefined) {
        log.entries = log.entries.filter(entry => entry.index < truncateFrom)
        assert(endOf(log).index === truncateFrom - 1, 'a log is cut at the start of an entry')
        disk.damaged = disk.damaged.filter(range => range.start < truncateFrom)
      }
      for (const entry of write.entries) {
        assert(entry.index === endOf(log).index + 1, 'entries leave no gap')
        log.entries.push(entry)
      }
      break
    }
    case 'snapshot':
      log.before = write.snapshot.last
      log.base = write.snapshot.membership
      log.entries = write.kept ? log.entries.filter(entry => entry.index > write.snapshot.last.index) : []
      disk.damaged = disk.damaged.filter(range => write.kept && range.start > write.snapshot.last.index)
      break
    case 'repair':
      disk.damaged = disk.damaged.filter(range => range.start >= write.range.end || range.end <= write.range.start)
      break
    case 'compact':
      if (write.before.index <= log.before.index) break
      log.entries = log.entries.filter(entry => entry.index > write.before.index)
      log.before = write.before
      log.base = write.base
  }
}

/** What a host finds on its disk. */
export function recovered(log: StoredLog, damaged: readonly IndexRange[]): RecoveredLog {
  const termStarts: EntryId[] = []
  const memberships = log.base === undefined ? [] : [{ index: log.before.index, membership: log.base }]
  for (const { index, term, ...entry } of log.entries) {
    if (term !== (termStarts.at(-1)?.term ?? 0)) termStarts.push({ index, term })
    if (entry.kind === 'membership') memberships.push({ index, membership: entry.membership })
  }
  const first = log.entries[0]
  if (first !== undefined && termStarts.length === 0) termStarts.push({ index: first.index, term: first.term })
  return { before: log.before, lastIndex: endOf(log).index, termStarts, memberships, damaged }
}
