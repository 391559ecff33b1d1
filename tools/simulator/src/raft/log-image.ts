/**
 * A replica's log as bytes on a disk would hold it: what comes before its first entry, and its entries. A replica has two: what
 * its process reads, and what a power cut leaves.
 *
 * Every entry carries the hash of itself and of all before it, so that two logs which agree at an entry are known to agree up
 * to it, however long they are.
 */
import type { Entry, EntryId, Index, IndexRange, Membership, RecoveredLog, SnapshotMeta } from '@milena/raft'

/** What clients propose: a number that occurs once in a run. */
export type Payload = number

export interface StoredEntry {
  readonly entry: Entry<Payload>
  /** The last index that it covers. */
  readonly last: Index
  /** Hash of it and of all before it. */
  readonly chain: number
}

/** A state that stands for a log up to `last`; `chain` is its contents. */
export interface StoredSnapshot extends SnapshotMeta {
  readonly chain: number
}

/** Indexes that an entry covers. */
export function widthOf(entry: Entry<Payload>): number {
  return entry.kind === 'data' ? entry.width : 1
}

/** The entry as it is stored after a log that ends with `chain`. */
export function stored(entry: Entry<Payload>, chain: number): StoredEntry {
  return { entry, last: entry.index + widthOf(entry) - 1, chain: chained(chain, entry) }
}

function chained(chain: number, entry: Entry<Payload>): number {
  let high = Math.floor(chain / 0x1_0000_0000)
  let low = chain | 0
  const mix = (value: number): void => {
    high = Math.imul(high ^ value, 0x9e3779b1)
    high ^= high >>> 15
    low = (Math.imul(low ^ value, 0x5f356495) + high) | 0
  }
  mix(entry.index)
  mix(entry.term)
  mix(entry.kind === 'data' ? entry.payload : entry.kind === 'noop' ? -1 : hashMembership(entry.membership))
  return (high & 0x1f_ffff) * 0x1_0000_0000 + (low >>> 0)
}

function hashMembership(membership: Membership): number {
  let hash = membership.kind === 'simple' ? 7 : 11
  const lists =
    membership.kind === 'simple'
      ? [membership.voters, membership.learners]
      : [membership.incoming, membership.outgoing, membership.learners, membership.learnersNext]
  for (const list of lists) for (const id of [-1, ...list]) hash = Math.imul(hash ^ id, 0x85ebca6b) ^ (hash >>> 13)
  return hash
}

export class LogImage {
  snapshot: StoredSnapshot | undefined
  entries: StoredEntry[] = []
  /** Entries that cannot be read any more, by their first index. */
  readonly damaged = new Set<Index>()

  get before(): EntryId {
    return this.snapshot?.last ?? { index: 0, term: 0 }
  }

  get lastIndex(): Index {
    return this.entries.at(-1)?.last ?? this.before.index
  }

  get lastChain(): number {
    return this.entries.at(-1)?.chain ?? this.snapshot?.chain ?? 0
  }

  /** Position in `entries` of the entry that covers `index`, or of the first one after it. */
  positionOf(index: Index): number {
    let low = 0
    let high = this.entries.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.entries[middle] as StoredEntry).last < index) low = middle + 1
      else high = middle
    }
    return low
  }

  /** The entry that covers `index`, if held. */
  at(index: Index): StoredEntry | undefined {
    const found = this.entries[this.positionOf(index)]
    return found !== undefined && found.entry.index <= index ? found : undefined
  }

  /** The hash up to `index` when an entry, or the snapshot, ends there. */
  chainAt(index: Index): number | undefined {
    if (index === this.before.index) return this.snapshot?.chain ?? 0
    const found = this.at(index)
    return found?.last === index ? found.chain : undefined
  }

  /** Cuts everything from the entry that begins at `index` on. */
  truncateFrom(index: Index): void {
    this.entries.length = Math.min(this.entries.length, this.positionOf(index))
    for (const start of this.damaged) if (start >= index) this.damaged.delete(start)
  }

  append(entry: StoredEntry): void {
    this.entries.push(entry)
  }

  /** Forgets entries up to `snapshot.last`; all of them if the log does not agree with it there. */
  install(snapshot: StoredSnapshot): void {
    const agrees = this.chainAt(snapshot.last.index) === snapshot.chain
    this.entries = agrees ? this.entries.slice(this.positionOf(snapshot.last.index + 1)) : []
    for (const start of this.damaged) if (!agrees || start <= snapshot.last.index) this.damaged.delete(start)
    this.snapshot = snapshot
  }

  copyFrom(source: LogImage): void {
    this.snapshot = source.snapshot
    this.entries = source.entries.slice()
    this.damaged.clear()
    for (const start of source.damaged) this.damaged.add(start)
  }

  /** The newest membership at or before `index`, and where it stands. */
  membershipAt(index: Index): { readonly index: Index; readonly value: Membership } | undefined {
    for (let position = this.positionOf(index + 1) - 1; position >= 0; position--) {
      const { entry } = this.entries[position] as StoredEntry
      if (entry.kind === 'membership') return { index: entry.index, value: entry.membership }
    }
    return this.snapshot && { index: this.snapshot.last.index, value: this.snapshot.membership }
  }

  /** As a replica finds it when it starts. */
  recovered(): RecoveredLog {
    const termStarts: EntryId[] = []
    for (const { entry } of this.entries) {
      if (entry.term !== termStarts.at(-1)?.term) {
        termStarts.push({ index: entry.index, term: entry.term })
      }
    }
    return {
      before: this.before,
      lastIndex: this.lastIndex,
      termStarts,
      memberships: this.#memberships(),
      damaged: this.#damagedRanges()
    }
  }

  #memberships(): { readonly index: Index; readonly membership: Membership }[] {
    const memberships: { readonly index: Index; readonly membership: Membership }[] = []
    if (this.snapshot !== undefined) {
      memberships.push({ index: this.snapshot.last.index, membership: this.snapshot.membership })
    }
    for (const { entry } of this.entries) {
      if (entry.kind === 'membership') memberships.push({ index: entry.index, membership: entry.membership })
    }
    return memberships
  }

  #damagedRanges(): IndexRange[] {
    const ranges: IndexRange[] = []
    for (const start of [...this.damaged].sort((left, right) => left - right)) {
      const end = (this.at(start)?.last ?? start) + 1
      const previous = ranges.at(-1)
      if (previous?.end === start) ranges[ranges.length - 1] = { start: previous.start, end }
      else ranges.push({ start, end })
    }
    return ranges
  }
}
