import { expect, test } from 'vitest'
import { TimerWheel } from '../connections/timer-wheel.ts'
import { TurnQueue } from '../connections/turn-queue.ts'
import type { RequestContext } from '../handler.ts'
import { defaultSettings } from '../settings.ts'
import { ManualClock } from '../testing/clocks.ts'
import { MemoryHost } from '../testing/memory-host.ts'
import { testBatch } from '../testing/test-batch.ts'
import { FetchCall, type FetchLimits, type FetchResult } from './fetch-call.ts'
import { FetchEntry, type FetchWish } from './fetch-entry.ts'
import { FetchSessionCache } from './fetch-sessions.ts'

const wishFrom = (fetchOffset: bigint): FetchWish => ({
  fetchOffset,
  partitionMaxBytes: 1 << 20,
  currentLeaderEpoch: -1,
  lastFetchedEpoch: -1
})

const limits: FetchLimits = {
  maxWaitMs: 500,
  minBytes: 1,
  maxBytes: 1 << 20,
  isolation: 'read_uncommitted',
  leaderOnly: false,
  clientRack: ''
}

function setUp(partitionCount: number) {
  const clock = new ManualClock()
  const host = new MemoryHost({ clock })
  host.cluster.addTopic('a', partitionCount)
  const timers = new TimerWheel(clock)
  const rooms = {
    host,
    settings: defaultSettings,
    timers,
    turns: new TurnQueue(),
    fetchSessions: new FetchSessionCache(clock, 10)
  }
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
  const newEntries = () =>
    Array.from({ length: partitionCount }, (_, partition) =>
      new FetchEntry({ topicName: 'a', topicId: '', partition }).ask(wishFrom(0n))
    )
  const call = (more: Partial<FetchLimits> = {}, entries = newEntries(), keepWatching = false) => {
    const done: (readonly FetchResult[])[] = []
    const fetch = new FetchCall({
      context,
      entries,
      limits: { ...limits, ...more },
      keepWatching,
      onDone: results => done.push(results),
      onFailed: error => {
        throw error
      }
    })
    fetch.start()
    return { fetch, done }
  }
  return { clock, host, timers, call, newEntries }
}

const options = { acks: 1, timeoutMs: 0, apiVersion: 9, transactionalId: null } as const
/** The partition tells its watchers in one turn, the fetch looks in the next. */
const turn = async () => {
  for (let i = 0; i < 2; i++) await new Promise(resolve => setImmediate(resolve))
}

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

test('a session reads quiet partitions once; from then on only those that changed or that the client asks anew', async () => {
  const { host, call, newEntries } = setUp(1000)
  let reads = 0
  for (let i = 0; i < 1000; i++) {
    const partition = host.cluster.partition('a', i)
    const read = partition.read.bind(partition)
    partition.read = request => {
      reads++
      return read(request)
    }
  }
  const entries = newEntries()
  const release = (results: readonly FetchResult[] | undefined) => {
    for (const { outcome } of results ?? []) if (outcome.kind === 'data') outcome.release()
  }
  release(call({ minBytes: 0 }, entries, true).done[0])
  expect(reads).toBe(1000)
  const waiting = call({}, entries, true)
  expect(reads).toBe(1000)
  await host.cluster.partition('a', 5).append(testBatch(), options)
  await turn()
  expect(reads).toBe(1001)
  expect(waiting.done[0]?.map(({ entry }) => entry.target.partition)).toEqual([5])
  release(waiting.done[0])
  // The client asks again without having moved on: the data is sent again.
  const again = call({}, entries, true)
  expect(reads).toBe(1002)
  release(again.done[0])
  entries[5]?.ask(wishFrom(1n))
  expect(call({ minBytes: 0 }, entries, true).done[0]?.[0]?.outcome).toMatchObject({ kind: 'data', byteCount: 0 })
  expect(reads).toBe(1003)
  for (const entry of entries) entry.unwatch()
})
