import assert from 'node:assert'
import { test } from 'vitest'
import { ManualScheduler } from './manual-scheduler.ts'
import { realScheduler } from './real-scheduler.ts'
import { StallDetector, type Stall } from './stall-detector.ts'

test('A loop that is held up for the threshold or longer is reported once, with its length and what ran.', async () => {
  const scheduler = new ManualScheduler()
  const stalls: Stall[] = []
  const detector = new StallDetector(scheduler)
  detector.watch(25, stall => stalls.push(stall))
  await scheduler.advance(1_000)
  detector.task = 'sorting'
  scheduler.stall(80)
  await scheduler.advance(200)
  assert.deepEqual(stalls, [{ durationMs: 70, task: 'sorting' }])
  assert.deepEqual(detector.counters, { stallCount: 1, stalledMs: 70, longestMs: 70 })
})

test('Delays under the threshold are not stalls.', async () => {
  const scheduler = new ManualScheduler()
  const detector = new StallDetector(scheduler)
  detector.watch(25)
  for (let round = 0; round < 50; round++) {
    scheduler.stall(24)
    await scheduler.advance(15)
  }
  assert.equal(detector.counters.stallCount, 0)
})

test('Watching again replaces threshold and listener and keeps the counters; after stop nothing is counted.', async () => {
  const scheduler = new ManualScheduler()
  const detector = new StallDetector(scheduler)
  detector.watch()
  scheduler.stall(100)
  await scheduler.advance(0)
  detector.watch(500)
  scheduler.stall(100)
  await scheduler.advance(0)
  assert.equal(detector.counters.stallCount, 1)
  detector.stop()
  scheduler.stall(10_000)
  await scheduler.advance(100)
  assert.equal(detector.counters.stallCount, 1)
  assert.equal(scheduler.timerCount, 0)
})

test('An idle loop is looked at ten times a second, a busy one a hundred times.', async () => {
  const scheduler = new ManualScheduler()
  let idleShare = 1
  let looks = 0
  let idleMs = 0
  let lastMs = 0
  const detector = new StallDetector(scheduler, () => {
    looks++
    idleMs += (scheduler.now() - lastMs) * idleShare
    lastMs = scheduler.now()
    return idleMs
  })
  detector.watch()
  await scheduler.advance(1_000)
  assert.ok(looks < 30, `${looks}`)
  idleShare = 0.5
  await scheduler.advance(200)
  looks = 0
  await scheduler.advance(1_000)
  assert.ok(looks >= 190 && looks <= 210, `${looks}`) // twice a look: when it looks and when it sets the next one
  detector.stop()
})

test('A real loop that is kept busy for 120 ms is seen.', async () => {
  const detector = new StallDetector(realScheduler)
  const stalled = new Promise<Stall>(resolve => detector.watch(60, resolve))
  await new Promise(resolve => setTimeout(resolve, 30))
  const endMs = performance.now() + 120
  while (performance.now() < endMs);
  const stall = await stalled
  detector.stop()
  assert.ok(stall.durationMs >= 60, `${stall.durationMs}`)
})
