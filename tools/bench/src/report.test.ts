import { describe, expect, it } from 'vitest'
import { median, renderTable, summarise, type RowResult } from './report.ts'
import type { Sample } from './stage.ts'

const sample = (mb_s: number): Sample => ({ metrics: { mb_s }, problems: [] })

function result(milena: number[], kafka: number[], better: 'more' | 'less' = 'more'): RowResult {
  const lines = [{ metric: 'mb_s', label: 'MB/s', digits: 0, better, goals: { kafka: 2 }, limit: 300 }]
  return { row: { id: 'r', title: 'a row', lines }, samples: { milena: milena.map(sample), kafka: kafka.map(sample) } }
}

describe('the report', () => {
  it('takes the middle value, and the mean of two when there is no middle', () => {
    expect(median([3, 1, 2])).toBe(2)
    expect(median([4, 1, 2, 3])).toBe(2.5)
    expect(median([])).toBeNaN()
  })

  it('divides medians, not the rounds one by one', () => {
    const [line] = summarise([result([100, 400, 400], [100, 200, 900])])
    expect(line?.kafka?.ratio).toBe(2)
  })

  it('calls a goal met at exactly its factor, and missed just below', () => {
    expect(summarise([result([400], [200])])[0]?.kafka?.met).toBe(true)
    expect(summarise([result([399], [200])])[0]?.kafka?.met).toBe(false)
  })

  it('reads goals as upper bounds where less is better', () => {
    const [line] = summarise([result([300], [100], 'less')])
    expect(line?.kafka?.met).toBe(false)
    expect(line?.milena?.met).toBe(true)
  })

  it('judges no goal while there is nothing of Milena to compare', () => {
    const [line] = summarise([result([], [100])])
    expect(line?.kafka?.met).toBeUndefined()
    expect(line?.milena).toBeUndefined()
  })

  it('prints a missed goal in capitals', () => {
    expect(renderTable(summarise([result([100], [100])]))).toMatch(/1\.00x\s+>= 2x NO/)
  })
})
