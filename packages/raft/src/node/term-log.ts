/**
 * What Raft remembers of its log: where it begins and ends, where its terms change, and how far it is durable. Entries
 * themselves are the host's. Size is that of the number of terms, not of entries.
 *
 *     before     runs: (start, term) ...                        lastIndex
 *       │        [5, t1 ............][9, t3 .......][14, t4 ......]
 *       4                                     ▲ durableIndex
 *
 * Invariant: run starts and terms both ascend; the first run starts at `beforeIndex + 1`.
 */
import assert from 'node:assert'
import type { EntryId, Index, RecoveredLog, Term } from '../entries.ts'

export class TermLog {
  /** The entry before the first one that is held. */
  beforeIndex: Index
  beforeTerm: Term
  lastIndex: Index
  lastTerm: Term
  /** Everything up to here is durable, as far as it is held. */
  durableIndex: Index
  readonly #starts: Index[] = []
  readonly #terms: Term[] = []

  constructor(recovered: RecoveredLog) {
    this.beforeIndex = recovered.before.index
    this.beforeTerm = recovered.before.term
    this.lastIndex = recovered.before.index
    this.lastTerm = recovered.before.term
    const starts = recovered.termStarts.filter(start => start.index <= recovered.lastIndex)
    for (const [position, start] of starts.entries()) {
      const end = starts[position + 1]?.index ?? recovered.lastIndex + 1
      if (end - 1 <= this.beforeIndex) continue
      const first = Math.max(start.index, this.beforeIndex + 1)
      assert(first === this.lastIndex + 1, 'the terms of a log leave no gap')
      this.append(start.term, end - 1)
    }
    assert(this.lastIndex === recovered.lastIndex, 'the terms of a log reach its end')
    this.durableIndex = this.lastIndex
  }

  /** The term at `index`, from the entry before the first to the last; otherwise undefined. */
  termAt(index: Index): Term | undefined {
    if (index > this.lastIndex || index < this.beforeIndex) return undefined
    if (index === this.beforeIndex) return this.beforeTerm
    return this.#terms[this.#runOf(index)]
  }

  holds(index: Index, term: Term): boolean {
    return this.termAt(index) === term
  }

  /** Whether a log that ends with `last` is at least as up to date as this one (section 5.4.1). */
  isBehindOrEqual(last: EntryId): boolean {
    return last.term > this.lastTerm || (last.term === this.lastTerm && last.index >= this.lastIndex)
  }

  /** The log now reaches `lastIndex`; what is new has `term`. */
  append(term: Term, lastIndex: Index): void {
    assert(term >= this.lastTerm && lastIndex > this.lastIndex, 'indexes and terms ascend')
    if (term !== this.lastTerm || this.#starts.length === 0) {
      this.#starts.push(this.lastIndex + 1)
      this.#terms.push(term)
    }
    this.lastIndex = lastIndex
    this.lastTerm = term
  }

  /** Forgets everything from `index` on, an entry boundary. */
  truncateFrom(index: Index): void {
    assert(index > this.beforeIndex, 'what precedes the log cannot be truncated')
    while (this.#starts.length > 0 && this.#starts.at(-1)! >= index) {
      this.#starts.pop()
      this.#terms.pop()
    }
    this.lastIndex = Math.min(this.lastIndex, index - 1)
    this.lastTerm = this.#terms.at(-1) ?? this.beforeTerm
    this.durableIndex = Math.min(this.durableIndex, this.lastIndex)
  }

  /** Entries up to `before`, which is held, are gone. */
  compact(before: EntryId): void {
    if (before.index <= this.beforeIndex) return
    assert(this.holds(before.index, before.term), 'a log is compacted up to an entry of its own')
    const gone = before.index === this.lastIndex ? this.#starts.length : this.#runOf(before.index + 1)
    this.#starts.splice(0, gone)
    this.#terms.splice(0, gone)
    if (this.#starts.length > 0) this.#starts[0] = before.index + 1
    this.beforeIndex = before.index
    this.beforeTerm = before.term
  }

  /** A snapshot stands for everything: the log is empty after `last`. */
  reset(last: EntryId): void {
    this.#starts.length = 0
    this.#terms.length = 0
    this.beforeIndex = this.lastIndex = this.durableIndex = last.index
    this.beforeTerm = this.lastTerm = last.term
  }

  /**
   * The last place at or before `index` whose term is not above `term`: before it nothing can agree with a log that has `term`
   * at `index`. Skips whole terms. Before the log's first entry the answer is `{ index, term: 0 }`: not known.
   */
  lastNotAbove(index: Index, term: Term): EntryId {
    let at = Math.min(index, this.lastIndex)
    while (at > this.beforeIndex) {
      const run = this.#runOf(at)
      if (this.#terms[run]! <= term) return { index: at, term: this.#terms[run]! }
      at = this.#starts[run]! - 1
    }
    return { index: at, term: at === this.beforeIndex ? this.beforeTerm : 0 }
  }

  #runOf(index: Index): number {
    let run = this.#starts.length - 1
    while (this.#starts[run]! > index) run--
    return run
  }
}
