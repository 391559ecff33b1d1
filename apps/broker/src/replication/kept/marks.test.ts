import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Marks, type Mark } from './marks.ts'

const members = { kind: 'simple', voters: [1], learners: [] } as const

/** What a group's log could hold: marks and records one after the other, as the slow model of `Marks`. */
type Item = { readonly kind: 'mark'; readonly newTerm: boolean } | { readonly kind: 'record' }

const items = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.constant<Item>({ kind: 'record' }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('mark' as const), newTerm: fc.boolean() }) }
  ),
  { maxLength: 40 }
)

interface Model {
  readonly marks: Marks
  /** By index - 1: the term, and the offset of a record or undefined for a mark. */
  readonly entries: readonly { readonly term: number; readonly offset: number | undefined }[]
  readonly endOffset: number
}

function build(list: readonly Item[]): Model {
  let marks = Marks.bootstrap(members).with({ offset: 0, term: 1 })
  const entries: { term: number; offset: number | undefined }[] = [{ term: 1, offset: undefined }]
  let endOffset = 0
  let term = 1
  for (const item of list) {
    if (item.kind === 'record') entries.push({ term, offset: endOffset++ })
    else {
      if (item.newTerm) term++
      const mark: Mark = item.newTerm ? { offset: endOffset, term } : { offset: endOffset, term, membership: members }
      marks = marks.with(mark)
      entries.push({ term, offset: undefined })
    }
  }
  return { marks, entries, endOffset }
}

describe('marks', () => {
  it('give every record and every mark the index that counting gives it', () => {
    fc.assert(
      fc.property(items, list => {
        const { marks, entries, endOffset } = build(list)
        expect(marks.lastIndex(endOffset)).toBe(entries.length)
        for (const [i, { term, offset }] of entries.entries()) {
          const index = i + 1
          const place = marks.at(index)
          expect(place.kind).toBe(offset === undefined ? 'mark' : 'record')
          if (place.kind === 'record') expect(place.offset).toBe(offset)
          if (offset !== undefined) expect(marks.indexOf(offset)).toBe(index)
          expect(marks.termAt(index)).toBe(term)
          const records = entries.slice(0, index).filter(entry => entry.offset !== undefined).length
          expect(marks.endOffsetAt(index)).toBe(records)
        }
      })
    )
  })

  it('tell where terms begin, exactly once for each change', () => {
    fc.assert(
      fc.property(items, list => {
        const { marks, entries, endOffset } = build(list)
        const expected = entries
          .map(({ term }, i) => ({ index: i + 1, term }))
          .filter(({ term }, i) => i === 0 || entries[i - 1]!.term !== term)
        expect(marks.termStarts(endOffset)).toEqual(expected)
      })
    )
  })

  it('answer the same of what is left after the beginning was dropped', () => {
    fc.assert(
      fc.property(items, fc.nat(40), (list, at) => {
        const { marks, entries, endOffset } = build(list)
        const offset = Math.min(at, endOffset)
        const compacted = marks.compactedTo(offset)
        const { index: before } = compacted.before
        expect(compacted.lastIndex(endOffset)).toBe(marks.lastIndex(endOffset))
        expect(compacted.count).toBe(marks.count)
        if (before > 0) expect(compacted.before.term).toBe(entries[before - 1]!.term)
        for (let index = before + 1; index <= entries.length; index++) {
          expect(compacted.at(index)).toEqual(marks.at(index))
          expect(compacted.termAt(index)).toBe(marks.termAt(index))
          expect(compacted.endOffsetAt(index)).toBe(marks.endOffsetAt(index))
          expect(compacted.membershipAt(index)).toEqual(marks.membershipAt(index))
        }
      })
    )
  })

  it('forget what is truncated, and nothing before it', () => {
    fc.assert(
      fc.property(items, fc.nat(60), (list, at) => {
        const { marks, entries } = build(list)
        const index = Math.min(at + 1, entries.length + 1)
        const cut = marks.truncatedFrom(index)
        const left = entries.slice(0, index - 1)
        expect(cut.items.length).toBe(left.filter(({ offset }) => offset === undefined).length)
        expect(cut.lastIndex(left.filter(({ offset }) => offset !== undefined).length)).toBe(index - 1)
      })
    )
  })

  it('drop what a crash left behind the end of the log', () => {
    const marks = Marks.bootstrap(members).with({ offset: 0, term: 1 }).with({ offset: 5, term: 2 })
    expect(marks.within(4).items).toHaveLength(1)
    expect(marks.within(5)).toBe(marks)
  })

  it('say where epochs end, as OffsetForLeaderEpoch asks', () => {
    const marks = Marks.bootstrap(members)
      .with({ offset: 0, term: 2 })
      .with({ offset: 10, term: 4 })
      .with({ offset: 10, term: 5 })
      .with({ offset: 12, term: 7 })
    expect(marks.endOffsetOfEpoch(7, 20)).toEqual({ epoch: 7, endOffset: 20 })
    expect(marks.endOffsetOfEpoch(6, 20)).toEqual({ epoch: 5, endOffset: 12 })
    expect(marks.endOffsetOfEpoch(4, 20)).toEqual({ epoch: 4, endOffset: 10 })
    expect(marks.endOffsetOfEpoch(3, 20)).toEqual({ epoch: 2, endOffset: 10 })
    expect(marks.endOffsetOfEpoch(1, 20)).toEqual({ epoch: 1, endOffset: 0 })
    expect(marks.endOffsetOfEpoch(8, 20)).toBeUndefined()
    const trimmed = marks.compactedTo(15)
    expect(trimmed.endOffsetOfEpoch(5, 20)).toEqual({ epoch: 5, endOffset: 15 })
    expect(trimmed.endOffsetOfEpoch(7, 20)).toEqual({ epoch: 7, endOffset: 20 })
    expect(trimmed.endOffsetOfEpoch(8, 20)).toBeUndefined()
    expect([marks.epochAt(9), marks.epochAt(10), marks.epochAt(12)]).toEqual([2, 5, 7])
  })
})
