import { describe, expect, it } from 'vitest'
import { corpus, corpusWithout, firstDifference, parseRecords, renderCorpus, type ReadRecord } from './corpus.ts'

const asRead = (): ReadRecord[] =>
  parseRecords(renderCorpus(corpus)).map((record, offset) => ({ ...record, topic: 't', partition: 0, offset }))

function edited(index: number, change: Partial<ReadRecord>): ReadRecord[] {
  return asRead().map((record, i) => (i === index ? { ...record, ...change } : record))
}

describe('the comparison of what was written with what was read', () => {
  it('finds no difference in a perfect copy, in whatever order partitions deliver it', () => {
    expect(firstDifference(corpus, asRead())).toBeNull()
    expect(firstDifference(corpus, asRead().reverse())).toBeNull()
  })

  it('tells null from empty', () => {
    expect(firstDifference(corpus, edited(1, { key: '' }))).toContain('record 1: key null')
    expect(firstDifference(corpus, edited(4, { value: null }))).toContain('record 4: value ""')
  })

  it('notices a changed timestamp, header, order, and a record too few or too many', () => {
    expect(firstDifference(corpus, edited(0, { timestamp: 5 }))).toContain('timestamp')
    expect(firstDifference(corpus, edited(13, { headers: [] }))).toContain('headers')
    expect(firstDifference(corpus, edited(3, { offset: 9999 }))).toContain('record 3 is at offset')
    expect(firstDifference(corpus, asRead().slice(0, -1))).toContain('is missing')
    expect(firstDifference(corpus.slice(0, -1), asRead())).toContain('1 records too many')
  })

  it('leaves out only what a client cannot express', () => {
    expect(corpusWithout(['nullHeader'])).toHaveLength(corpus.length - 1)
    expect(corpusWithout([])).toHaveLength(corpus.length)
  })
})
