import { expect, test } from 'vitest'
import { FETCH_SESSION_EVICTION_MS, FETCH_SESSION_PARTITIONS_MAX } from '../settings.ts'
import { ManualClock } from '../testing/clocks.ts'
import { FetchEntry } from './fetch-entry.ts'
import { FetchSessionCache, partitionKey } from './fetch-sessions.ts'

function partitions(count: number): Map<string, FetchEntry> {
  const map = new Map<string, FetchEntry>()
  for (let partition = 0; partition < count; partition++) {
    map.set(partitionKey('t', partition), new FetchEntry({ topicName: 't', topicId: '', partition }))
  }
  return map
}

test('the epoch moves on with every request and goes from the largest int32 to one', () => {
  const cache = new FetchSessionCache(new ManualClock(), 10)
  const session = cache.create(partitions(1), false)
  expect(session).not.toBeNull()
  if (session === null) return
  expect(cache.lookUp(session.id, 1, false)).toEqual({ kind: 'found', session })
  expect(cache.lookUp(session.id, 1, false)).toEqual({ kind: 'refused', error: 'INVALID_FETCH_SESSION_EPOCH' })
  expect(cache.lookUp(session.id, 2, false).kind).toBe('found')
  session.epoch = 0x7fffffff
  expect(cache.lookUp(session.id, 0x7fffffff, false).kind).toBe('found')
  expect(session.epoch).toBe(1)
})

test('unknown ids and a change between names and ids have errors of their own', () => {
  const cache = new FetchSessionCache(new ManualClock(), 10)
  const session = cache.create(partitions(1), true)
  expect(cache.lookUp(12_345, 1, true)).toEqual({ kind: 'refused', error: 'FETCH_SESSION_ID_NOT_FOUND' })
  expect(cache.lookUp(session?.id ?? 0, 1, false)).toEqual({ kind: 'refused', error: 'FETCH_SESSION_TOPIC_ID_ERROR' })
})

test('a full cache of living sessions makes no new one, and throws nobody out', () => {
  const clock = new ManualClock()
  const cache = new FetchSessionCache(clock, 3)
  for (let i = 0; i < 3; i++) expect(cache.create(partitions(5), false)).not.toBeNull()
  for (let i = 0; i < 1000; i++) expect(cache.create(partitions(5), false)).toBeNull()
  expect(cache.count).toBe(3)
  expect(cache.partitionCount).toBe(15)
})

test('a session unused for the eviction time gives way, the least recently used one first', () => {
  const clock = new ManualClock()
  const cache = new FetchSessionCache(clock, 2)
  const first = cache.create(partitions(5), false)
  const second = cache.create(partitions(5), false)
  clock.advance(FETCH_SESSION_EVICTION_MS)
  cache.lookUp(first?.id ?? 0, 1, false)
  clock.advance(1)
  expect(cache.create(partitions(5), false)).not.toBeNull()
  expect(first !== null && cache.has(first)).toBe(true)
  expect(second !== null && cache.has(second)).toBe(false)
})

test('a larger session replaces a smaller one that has lived long enough, though it is in use', () => {
  const clock = new ManualClock()
  const cache = new FetchSessionCache(clock, 1)
  const small = cache.create(partitions(2), false)
  clock.advance(FETCH_SESSION_EVICTION_MS + 1)
  cache.lookUp(small?.id ?? 0, 1, false)
  expect(cache.create(partitions(2), false)).toBeNull()
  expect(cache.create(partitions(3), false)).not.toBeNull()
  expect(cache.partitionCount).toBe(3)
})

test('the partitions of all sessions together are bounded', () => {
  const cache = new FetchSessionCache(new ManualClock(), 1000)
  const large = Math.floor(FETCH_SESSION_PARTITIONS_MAX / 2)
  const session = cache.create(partitions(large), false)
  expect(cache.create(partitions(large), false)).not.toBeNull()
  expect(cache.create(partitions(1), false)).toBeNull()
  const [extra] = partitions(1).values()
  if (session === null || extra === undefined) throw new Error('unreachable')
  expect(cache.setPartition(session, 'new', extra)).toBe(false)
  cache.deletePartition(session, partitionKey('t', 0))
  expect(cache.setPartition(session, 'new', extra)).toBe(true)
  cache.close(session.id)
  expect(cache.partitionCount).toBe(large)
})

test('ids are positive int32, differ, and do not repeat those of an earlier start', () => {
  const clock = new ManualClock()
  const ids = (): number[] => {
    const cache = new FetchSessionCache(clock, 5000)
    return Array.from({ length: 5000 }, () => cache.create(partitions(1), false)?.id ?? 0)
  }
  const before = ids()
  clock.advance(1000)
  const after = ids()
  expect(new Set([...before, ...after]).size).toBe(10_000)
  expect([...before, ...after].every(id => id > 0 && id <= 0x7fffffff)).toBe(true)
})

test('no session is made when sessions are switched off', () => {
  expect(new FetchSessionCache(new ManualClock(), 0).create(partitions(1), false)).toBeNull()
})
