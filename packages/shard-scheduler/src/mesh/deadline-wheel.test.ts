import assert from 'node:assert'
import fc from 'fast-check'
import { test } from 'vitest'
import { ManualScheduler } from '../scheduler/manual-scheduler.ts'
import { DeadlineWheel, SLOT_MS, type WheelEntry } from './deadline-wheel.ts'

interface Entry extends WheelEntry {
  readonly deadlineMs: number
}

const entryAt = (deadlineMs: number): Entry => ({ deadlineMs, dueSlot: -1, next: undefined, previous: undefined })

test('Every entry that stays expires once, at its deadline or up to one slot after it; one that is removed never does.', async () => {
  const plan = fc.array(fc.record({ delayMs: fc.integer({ min: 1, max: 9_000 }), removed: fc.boolean() }), {
    maxLength: 60
  })
  await fc.assert(
    fc.asyncProperty(plan, async entries => {
      const scheduler = new ManualScheduler()
      const expired = new Map<Entry, number>()
      const wheel = new DeadlineWheel<Entry>(scheduler, entry => {
        assert.ok(!expired.has(entry))
        expired.set(entry, scheduler.now())
      })
      const added = entries.map(({ delayMs, removed }) => {
        const entry = entryAt(delayMs)
        wheel.add(entry, delayMs)
        return { entry, removed }
      })
      for (const { entry, removed } of added) if (removed) wheel.remove(entry)
      await scheduler.advance(10_000)
      for (const { entry, removed } of added) {
        const at = expired.get(entry)
        if (removed) assert.equal(at, undefined)
        else assert.ok(at !== undefined && at >= entry.deadlineMs && at <= entry.deadlineMs + SLOT_MS, `${at}`)
      }
      assert.equal(wheel.count, 0)
      assert.equal(scheduler.timerCount, 0)
    }),
    { numRuns: 30 }
  )
})

test('After a stall of many rounds everything due expires at once.', async () => {
  const scheduler = new ManualScheduler()
  const expired: number[] = []
  const wheel = new DeadlineWheel<Entry>(scheduler, entry => expired.push(entry.deadlineMs))
  for (const delayMs of [5, 700, 2_600, 9_000, 60_000]) wheel.add(entryAt(delayMs), delayMs)
  scheduler.stall(30_000)
  await scheduler.advance(0)
  assert.deepEqual(
    expired.sort((left, right) => left - right),
    [5, 700, 2_600, 9_000]
  )
  assert.equal(wheel.count, 1)
  wheel.stop()
})

test('An expiry may remove another entry that is due, which then does not expire.', async () => {
  const scheduler = new ManualScheduler()
  const expired: Entry[] = []
  const entries = [entryAt(10), entryAt(10)]
  const wheel = new DeadlineWheel<Entry>(scheduler, entry => {
    expired.push(entry)
    for (const other of entries) wheel.remove(other)
  })
  for (const entry of entries) wheel.add(entry, 10)
  await scheduler.advance(100)
  assert.equal(expired.length, 1)
})
