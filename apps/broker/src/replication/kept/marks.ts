/**
 * Where Raft's own entries stand in a log of records, and so how Raft's index and Kafka's offset belong together. Pure and
 * immutable: every change makes a new list, so that what is saved is exactly what was meant (lists are short and change rarely).
 *
 *     offset          0   1   2           3   4           5
 *     log           [ batch     ]       [ batch ]       [ batch
 *     marks       m0              m1  m2          m3
 *     index       1   2   3   4   5   6   7   8   9       10
 *
 * A mark stands before the record at its `offset`; several may stand at one. Then
 *
 *     index of the record at offset o = o + 1 + marks with offset <= o
 *     index of mark i                 = its offset + 1 + i          (i counts the dropped ones as well)
 *
 * Invariant: the first entry of every term is a mark, so the term of any entry is that of the last mark at or before it. What
 * lies before `base` has been dropped from the log; of its marks only the number, the last term and membership are kept.
 */
import type { EntryId, Index, Membership, Term, TermStarts } from '@milena/raft'
import assert from 'node:assert'

export interface Mark {
  /** The record before which it stands. */
  readonly offset: number
  readonly term: Term
  /** Given for an entry that changes the membership; absent for the first entry of a leader. */
  readonly membership?: Membership
}

/** The end of what was dropped. */
export interface MarksBase {
  /** Offset of the first record held; always where an entry begins. */
  readonly offset: number
  /** Marks dropped. */
  readonly count: number
  /** Term of the last entry dropped; 0 when there is none. */
  readonly term: Term
  /** Membership as of there; undefined for a replica that waits to be added. */
  readonly membership: Membership | undefined
}

/** Where an index points. */
export type Place =
  { readonly kind: 'mark'; readonly mark: Mark } | { readonly kind: 'record'; readonly offset: number }

export class Marks {
  readonly base: MarksBase
  readonly items: readonly Mark[]

  constructor(base: MarksBase, items: readonly Mark[]) {
    this.base = base
    this.items = items
  }

  /** The marks of a group that begins. */
  static bootstrap(membership: Membership | undefined): Marks {
    return new Marks({ offset: 0, count: 0, term: 0, membership }, [])
  }

  /** Marks so far, dropped ones included. */
  get count(): number {
    return this.base.count + this.items.length
  }

  /** The entry before the first one that is held. */
  get before(): EntryId {
    return { index: this.base.offset + this.base.count, term: this.base.term }
  }

  /** Index of the record at `offset`, which must not lie before the base. */
  indexOf(offset: number): Index {
    return offset + 1 + this.base.count + this.#itemsAtOrBefore(offset)
  }

  /** Index of the last entry of a log that ends at `endOffset`, marks at its end included. */
  lastIndex(endOffset: number): Index {
    return endOffset + this.base.count + this.#itemsAtOrBefore(endOffset)
  }

  /** What stands at an index above `before`. */
  at(index: Index): Place {
    const position = this.#itemsUpTo(index) - 1
    const mark = this.items[position]
    if (mark !== undefined && this.#indexOfItem(position) === index) return { kind: 'mark', mark }
    return { kind: 'record', offset: index - 1 - this.base.count - (position + 1) }
  }

  /** Records with an index up to and with `index`: the offset after the last of them. */
  endOffsetAt(index: Index): number {
    return Math.max(this.base.offset, index - this.base.count - this.#itemsUpTo(index))
  }

  /** Term of the entry at an index from `before` on. */
  termAt(index: Index): Term {
    return this.items[this.#itemsUpTo(index) - 1]?.term ?? this.base.term
  }

  /** The membership that an entry at `index` is under. */
  membershipAt(index: Index): Membership | undefined {
    for (let i = this.#itemsUpTo(index) - 1; i >= 0; i--) {
      const { membership } = this.items[i]!
      if (membership !== undefined) return membership
    }
    return this.base.membership
  }

  /** Memberships from the base on, ascending, with the indexes that they took effect at. */
  get memberships(): { readonly index: Index; readonly membership: Membership }[] {
    const found: { index: Index; membership: Membership }[] = []
    if (this.base.membership !== undefined) found.push({ index: this.before.index, membership: this.base.membership })
    for (const [i, { membership }] of this.items.entries()) {
      if (membership !== undefined) found.push({ index: this.#indexOfItem(i), membership })
    }
    return found
  }

  /** One item for each change of term among the entries of a log that ends at `endOffset`. */
  termStarts(endOffset: number): TermStarts {
    const starts: EntryId[] = []
    const first = this.before.index + 1
    let term = -1
    if (this.lastIndex(endOffset) >= first && (this.items.length === 0 || this.#indexOfItem(0) > first)) {
      starts.push({ index: first, term: this.base.term })
      term = this.base.term
    }
    for (const [i, mark] of this.items.entries()) {
      if (mark.term !== term) starts.push({ index: this.#indexOfItem(i), term: mark.term })
      term = mark.term
    }
    return starts
  }

  /** Marks with an index in `[start, end)`, with their indexes. */
  between(start: Index, end: Index): { readonly index: Index; readonly mark: Mark }[] {
    const found: { index: Index; mark: Mark }[] = []
    for (let i = this.#itemsUpTo(start - 1); i < this.items.length; i++) {
      const index = this.#indexOfItem(i)
      if (index >= end) break
      found.push({ index, mark: this.items[i]! })
    }
    return found
  }

  /** Where mark number `number` stands (dropped ones counted), or undefined when there are not so many. */
  offsetOfMark(number: number): number | undefined {
    return this.items[number - this.base.count]?.offset
  }

  /** With one more mark behind all others. */
  with(mark: Mark): Marks {
    const last = this.items.at(-1)
    assert(mark.offset >= (last?.offset ?? this.base.offset), 'marks ascend')
    assert(mark.term >= (last?.term ?? this.base.term), 'terms ascend')
    return new Marks(this.base, [...this.items, mark])
  }

  /** Without the marks at and after `index`; itself when there are none. */
  truncatedFrom(index: Index): Marks {
    const kept = this.#itemsUpTo(index - 1)
    return kept === this.items.length ? this : new Marks(this.base, this.items.slice(0, kept))
  }

  /** Without marks beyond the end of a log that was found shorter; itself when there are none. */
  within(endOffset: number): Marks {
    const kept = this.#itemsAtOrBefore(endOffset)
    return kept === this.items.length ? this : new Marks(this.base, this.items.slice(0, kept))
  }

  /** With everything before the record at `offset`, where an entry must begin, dropped; itself when that is nothing. */
  compactedTo(offset: number): Marks {
    if (offset <= this.base.offset) return this
    const dropped = this.#itemsAtOrBefore(offset - 1)
    const count = this.base.count + dropped
    const before = offset + count
    const base = { offset, count, term: this.termAt(before), membership: this.membershipAt(before) }
    return new Marks(base, this.items.slice(dropped))
  }

  /** Term of the record at `offset`; undefined before the base. */
  epochAt(offset: number): Term | undefined {
    return offset < this.base.offset ? undefined : this.termAt(this.indexOf(offset))
  }

  /**
   * What OffsetForLeaderEpoch answers (KIP-101, KIP-279): the last epoch at or below `epoch` that this log knows, and the offset
   * after its records, in a log that ends at `endOffset`. Undefined when `epoch` is above all that is known here.
   */
  endOffsetOfEpoch(epoch: Term, endOffset: number): { epoch: Term; endOffset: number } | undefined {
    let next = 0
    while (next < this.items.length && this.items[next]!.term <= epoch) next++
    const known = this.items[next - 1]?.term ?? this.base.term
    const higher = this.items[next]
    // Before all that is left of the log.
    if (known > epoch) return { epoch, endOffset: this.base.offset }
    if (higher === undefined) return known === epoch ? { epoch, endOffset } : undefined
    return { epoch: known === 0 ? epoch : known, endOffset: higher.offset }
  }

  #indexOfItem(i: number): Index {
    return this.items[i]!.offset + 1 + this.base.count + i
  }

  /** Items whose offset is at most `offset`. */
  #itemsAtOrBefore(offset: number): number {
    let low = 0
    let high = this.items.length
    // Nearly always asked about the end.
    if (high === 0 || this.items[high - 1]!.offset <= offset) return high
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.items[middle]!.offset <= offset) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Items whose index is at most `index`. */
  #itemsUpTo(index: Index): number {
    let low = 0
    let high = this.items.length
    if (high === 0 || this.#indexOfItem(high - 1) <= index) return high
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#indexOfItem(middle) <= index) low = middle + 1
      else high = middle
    }
    return low
  }
}
