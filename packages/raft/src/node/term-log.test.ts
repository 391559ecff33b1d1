import assert from 'node:assert'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import type { Term } from '../entries.ts'
import { TermLog } from './term-log.ts'

const empty = { before: { index: 0, term: 0 }, lastIndex: 0, termStarts: [], memberships: [], damaged: [] }

/** A log that keeps the term of every index. */
class PlainLog {
  before = 0
  terms: Term[] = [0]

  get last(): number {
    return this.terms.length - 1
  }

  termAt(index: number): Term | undefined {
    return index < this.before ? undefined : this.terms[index]
  }
}

const step = fc.record({
  kind: fc.constantFrom('append', 'append', 'append', 'truncate', 'compact', 'reset', 'reopen'),
  count: fc.integer({ min: 1, max: 6 }),
  raise: fc.constantFrom(0, 0, 1, 3)
})

/** Does the same to both; what is not possible is left out. */
function apply(
  log: TermLog,
  plain: PlainLog,
  { kind, count, raise }: { kind: string; count: number; raise: number }
): TermLog {
  const { last } = plain
  if (kind === 'append') {
    const term = Math.max(1, plain.terms[last]! + raise)
    log.append(term, last + count)
    plain.terms.push(...Array.from({ length: count }, () => term))
  } else if (kind === 'truncate' && last - count >= plain.before) {
    log.truncateFrom(last - count + 1)
    plain.terms.length = last - count + 1
  } else if (kind === 'compact' && plain.before + count <= last) {
    plain.before += count
    log.compact({ index: plain.before, term: plain.terms[plain.before]! })
  } else if (kind === 'reset') {
    const term = plain.terms[last]! + raise
    plain.before = last + count
    plain.terms = Array.from({ length: plain.before + 1 }, () => term)
    log.reset({ index: plain.before, term })
  } else if (kind === 'reopen') {
    const termStarts = plain.terms
      .map((term, index) => ({ index, term }))
      .filter(
        ({ index, term }) => index > plain.before && (index === plain.before + 1 || term !== plain.terms[index - 1])
      )
    const before = { index: plain.before, term: plain.terms[plain.before]! }
    return new TermLog({ ...empty, before, lastIndex: last, termStarts })
  }
  return log
}

describe('The terms of a log', () => {
  test('are those that a list of all of them has, whatever was appended, cut, compacted and reopened.', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), steps => {
        const plain = new PlainLog()
        const log = steps.reduce((log, step) => apply(log, plain, step), new TermLog(empty))
        assert.equal(log.lastIndex, plain.last)
        assert.equal(log.lastTerm, plain.terms[plain.last])
        for (let index = 0; index <= plain.last + 2; index++) assert.equal(log.termAt(index), plain.termAt(index))
      })
    )
  })

  test('tell the last place that may agree with a term: nothing after it has one that is as low.', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.nat(40), fc.nat(12), (steps, index, term) => {
        const plain = new PlainLog()
        const log = steps.reduce((log, step) => apply(log, plain, step), new TermLog(empty))
        const found = log.lastNotAbove(index, term)
        assert.ok(found.index <= index)
        for (let at = found.index + 1; at <= Math.min(index, plain.last); at++) assert.ok(plain.terms[at]! > term)
        if (found.index > plain.before) assert.ok(plain.terms[found.index]! <= term)
      })
    )
  })
})
