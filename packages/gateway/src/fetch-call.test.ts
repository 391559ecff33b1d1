import { expect, test } from 'vitest'
import { TimerWheel } from './connections/timer-wheel.ts'
import { FetchCall, type FetchLimits, type FetchResult } from './fetch-call.ts'
import { FetchSessionCache } from './fetch-sessions.ts'
import type { RequestContext } from './handler.ts'
import { defaultSettings } from './settings.ts'
import { ManualClock } from './testing/clocks.ts'
import { MemoryHost } from './testing/memory-host.ts'
import { testBatch } from './testing/test-batch.ts'

const limits: FetchLimits = { maxWaitMs: 500, minBytes: 1, maxBytes: 1 << 20, isolation: 'read_uncommitted' }

function setUp(partitionCount: number) {
  const clock = new ManualClock()
  const host = new MemoryHost({ clock })
  host.cluster.addTopic('a', partitionCount)
  const timers = new TimerWheel(clock)
  const rooms = { host, settings: defaultSettings, timers, fetchSessions: new FetchSessionCache(clock, 10) }
  const dial = { listener: 'L', localAddress: 'x', localPort: 1, remoteAddress: 'y' }
  const context: RequestContext = {
    rooms,
    host,
    dial,
    apiVersion: 12,
    clientId: null,
    releaseLater: release => release(),
    onWaiting: () => {}
  }
  const partitions = Array.from({ length: partitionCount }, (_, partition) => ({
    topicName: 'a',
    topicId: '',
    partition,
    fetchOffset: 0n,
    maxBytes: 1 << 20,
    currentLeaderEpoch: -1,
    sentHighWatermark: -1,
    sentLogStartOffset: -1
  }))
  const call = (more: Partial<FetchLimits> = {}) => {
    const done: (readonly FetchResult[])[] = []
    const fetch = new FetchCall(
      context,
      partitions,
      { ...limits, ...more },
      results => done.push(results),
      error => {
        throw error
      }
    )
    fetch.start()
    return { fetch, done }
  }
  return { clock, host, timers, call }
}

const options = { acks: 1, timeoutMs: 0, apiVersion: 9, transactionalId: null } as const
const turn = () => new Promise(resolve => setImmediate(resolve))

test('ten thousand parked fetches take one alarm, and one append answers all of them', async () => {
  const { clock, host, timers, call } = setUp(1)
  const calls = Array.from({ length: 10_000 }, () => call({ maxWaitMs: 60_000 }))
  expect(clock.alarmCount).toBe(1)
  expect(timers.entryCount).toBe(10_000)
  expect(host.cluster.partition('a', 0).borrowedCount).toBe(0)
  await host.cluster.partition('a', 0).append(testBatch(), options)
  await turn()
  expect(calls.every(({ done }) => done.length === 1)).toBe(true)
  expect(timers.entryCount).toBe(0)
  expect(host.cluster.partition('a', 0).watcherCount).toBe(0)
})

test('a parked fetch reads again only the partitions that changed', async () => {
  const { host, call } = setUp(50)
  let reads = 0
  for (let i = 0; i < 50; i++) {
    const partition = host.cluster.partition('a', i)
    const read = partition.read.bind(partition)
    partition.read = request => {
      reads++
      return read(request)
    }
  }
  const { done } = call({ minBytes: 10_000 })
  expect(reads).toBe(50)
  await host.cluster.partition('a', 7).append(testBatch(), options)
  await turn()
  expect(reads).toBe(51)
  expect(done).toHaveLength(0)
  await host.cluster.partition('a', 9).append(testBatch({ valueBytes: 10_000 }), options)
  await turn()
  // Partition 7 again, because its bytes were given back, and partition 9.
  expect(reads).toBe(53)
  expect(done).toHaveLength(1)
})

test('nothing happens after a fetch was abandoned, whatever is still under way', async () => {
  const { clock, host, timers, call } = setUp(2)
  host.cluster.partition('a', 0).readLate = true
  const { fetch, done } = call()
  fetch.abandon()
  await turn()
  await turn()
  clock.advance(10_000)
  expect(done).toEqual([])
  expect(timers.entryCount).toBe(0)
  expect(host.cluster.partition('a', 0).borrowedCount).toBe(0)
  expect(host.cluster.partition('a', 1).watcherCount).toBe(0)
})

test('the deadline is kept even when reads take longer than it', async () => {
  const { clock, host, call } = setUp(1)
  host.cluster.partition('a', 0).readLate = true
  const { done } = call({ maxWaitMs: 100 })
  clock.advance(200)
  await turn()
  await turn()
  expect(done).toHaveLength(1)
})

test('a hurried fetch answers with what there is', async () => {
  const { host, call } = setUp(1)
  const { fetch, done } = call({ minBytes: 1_000_000 })
  await host.cluster.partition('a', 0).append(testBatch(), options)
  await turn()
  expect(done).toHaveLength(0)
  fetch.hurry()
  expect(done[0]?.[0]?.outcome).toMatchObject({ kind: 'data', byteCount: testBatch().length })
  for (const { outcome } of done[0] ?? []) if (outcome.kind === 'data') outcome.release()
  expect(host.cluster.partition('a', 0).borrowedCount).toBe(0)
})
