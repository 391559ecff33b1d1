/**
 * Random schedules over small clusters (chaos.ts), checked after every effect (observer.ts), and the proof that the checks can
 * fail: planted bugs are found. `RAFT_SEED` runs one seed and prints what happens; `RAFT_RUNS` sets how many (default 400).
 */
import assert from 'node:assert'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { Chaos, type ChaosOptions } from './chaos.ts'
import { plantedBugs } from './planted-bugs.ts'

const runCount = Number(process.env['RAFT_RUNS'] ?? 400)
const oneSeed = process.env['RAFT_SEED']

function run(options: ChaosOptions): Chaos {
  const chaos = new Chaos(options)
  chaos.run()
  chaos.recover()
  return chaos
}

const schedules = fc.record({ seed: fc.nat(), steps: fc.integer({ min: 20, max: 1500 }) })

test('In a world of losses, repeats, crashes, cuts and rot no promise of Raft is broken, and work goes on afterwards.', () => {
  if (oneSeed !== undefined) {
    run({ seed: Number(oneSeed), steps: 1500, trace: line => process.stdout.write(`${line}\n`) })
    return
  }
  const totals = new Map<string, number>()
  const property = fc.property(schedules, schedule => {
    for (const [what, count] of Object.entries(run(schedule).observer.counts)) {
      totals.set(what, (totals.get(what) ?? 0) + count)
    }
  })
  fc.assert(property, { numRuns: runCount, ...(process.env['CI'] === undefined ? {} : { seed: 1 }) })
  // The world was bad, and things happened nevertheless.
  for (const [what, count] of totals) assert.ok(count > 0, `${what} never happened`)
}, 120_000)

test('The same seed gives the same run, and fewer steps its beginning.', () => {
  const traced = (steps: number): string[] => {
    const lines: string[] = []
    new Chaos({ seed: 11, steps, trace: line => lines.push(line) }).run()
    return lines
  }
  const long = traced(600)
  assert.deepEqual(traced(600), long)
  const short = traced(300)
  assert.deepEqual(long.slice(0, short.length), short)
})

describe('Within 500 runs it is found when', () => {
  for (const bug of plantedBugs) {
    test(`${bug.title}.`, () => {
      const { open, remove } = bug.plant()
      try {
        const property = fc.property(fc.integer({ min: 1, max: 1_000_000 }), seed => {
          new Chaos({ seed, steps: 1500, open }).run()
        })
        const result = fc.check(property, { numRuns: 500, seed: 7, endOnFailure: true })
        assert.ok(result.failed, 'nothing was found')
      } finally {
        remove()
      }
    })
  }
})
