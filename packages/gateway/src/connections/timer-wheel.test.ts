import { expect, test } from 'vitest'
import { ManualClock } from '../testing/clocks.ts'
import { TimerEntry, TimerWheel } from './timer-wheel.ts'

function wheelWith(clock = new ManualClock()) {
  const wheel = new TimerWheel(clock)
  const due: [string, number][] = []
  const startMs = clock.monotonic()
  const entry = (name: string) => new TimerEntry(() => due.push([name, clock.monotonic() - startMs]))
  return { clock, wheel, due, entry }
}

test('an entry is due at its deadline or at most one tick later, never early', () => {
  for (const delayMs of [0, 1, 9, 10, 11, 500, 10_239, 10_240, 10_241, 600_000]) {
    const { clock, wheel, due, entry } = wheelWith()
    wheel.arm(entry('a'), delayMs)
    clock.advance(700_000)
    expect(due).toHaveLength(1)
    expect(due[0]?.[1]).toBeGreaterThanOrEqual(delayMs)
    expect(due[0]?.[1]).toBeLessThanOrEqual(delayMs + 20)
  }
})

test('entries that differ by a whole revolution share a slot and keep their own deadlines', () => {
  const { clock, wheel, due, entry } = wheelWith()
  wheel.arm(entry('late'), 20_580)
  wheel.arm(entry('early'), 100)
  clock.advance(30_000)
  expect(due.map(([name]) => name)).toEqual(['early', 'late'])
  expect(due[1]?.[1]).toBeGreaterThanOrEqual(20_580)
})

test('arming an armed entry moves it', () => {
  const { clock, wheel, due, entry } = wheelWith()
  const moved = entry('a')
  wheel.arm(moved, 50)
  wheel.arm(moved, 500)
  clock.advance(400)
  expect(due).toEqual([])
  clock.advance(200)
  expect(due).toHaveLength(1)
  expect(wheel.entryCount).toBe(0)
})

test('a disarmed entry is never due, and disarming twice does nothing', () => {
  const { clock, wheel, due, entry } = wheelWith()
  const [first, second, third] = [entry('1'), entry('2'), entry('3')]
  for (const each of [first, second, third]) wheel.arm(each, 100)
  wheel.disarm(second)
  wheel.disarm(second)
  clock.advance(1000)
  expect(due.map(([name]) => name).sort()).toEqual(['1', '3'])
})

test('an entry may arm itself and disarm its neighbours when it is due', () => {
  const { clock, wheel, due } = wheelWith()
  let runs = 0
  const victim = new TimerEntry(() => due.push(['victim', 0]))
  const again: TimerEntry = new TimerEntry(() => {
    wheel.disarm(victim)
    if (++runs < 3) wheel.arm(again, 100)
  })
  wheel.arm(victim, 100)
  wheel.arm(again, 100)
  clock.advance(1000)
  expect(runs).toBe(3)
  expect(due).toEqual([])
})

test('an empty wheel sets no alarm', () => {
  const { clock, wheel, entry } = wheelWith()
  expect(clock.alarmCount).toBe(0)
  wheel.arm(entry('a'), 100)
  expect(clock.alarmCount).toBe(1)
  clock.advance(1000)
  expect(clock.alarmCount).toBe(0)
})

test('a clock that jumped far ahead finds every entry due', () => {
  const { clock, wheel, due, entry } = wheelWith()
  for (let i = 0; i < 2000; i++) wheel.arm(entry(String(i)), i * 7)
  clock.advance(3_600_000)
  expect(due).toHaveLength(2000)
})
