import { apis, batchHeader, errorCode, type RequestInput } from '@milena/wire-protocol'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MemoryHost } from '../testing/memory-host.ts'
import type { RawClient } from '../testing/raw-client.ts'
import { ServedGateway } from '../testing/served-gateway.ts'
import { testBatch } from '../testing/test-batch.ts'

const NEIGHBOUR = { id: 2, host: 'other.example', port: 9192, rack: null, fenced: false }
const UNKNOWN_ID = 'BBBBBBBBBBBBBBBBBBBBBA'
const VERSIONS = Array.from({ length: 15 }, (_, i) => i + 4)
const batch = testBatch({ recordCount: 3 })

let served: ServedGateway
let client: RawClient
let topicId: string
beforeEach(async () => {
  served = await ServedGateway.start({}, new MemoryHost({ neighbours: [NEIGHBOUR] }))
  client = await served.connect()
  topicId = served.host.cluster.addTopic('a', 3).topicId
})
afterEach(async () => {
  await served.stop()
  const { cluster } = served.host
  if (cluster.view().topicByName('a') === undefined) return
  // Whatever a test did, nothing of the log stays borrowed and nobody stays on watch.
  for (const partition of [0, 1, 2]) {
    expect(cluster.partition('a', partition).borrowedCount).toBe(0)
    expect(cluster.partition('a', partition).watcherCount).toBe(0)
  }
})

type Wanted = NonNullable<RequestInput<typeof apis.fetch>['topics']>[number]['partitions']
const part = (partition: number, fetchOffset = 0, more = {}) => ({
  partition,
  fetchOffset,
  partitionMaxBytes: 1 << 20,
  ...more
})

function fetch(version: number, partitions: Wanted, more: RequestInput<typeof apis.fetch> = {}) {
  const topics = partitions?.length === 0 ? [] : [{ ...(version >= 13 ? { topicId } : { topic: 'a' }), partitions }]
  return client.request(apis.fetch, version, { minBytes: 1, topics, ...more })
}

async function append(partition: number, count = 1): Promise<void> {
  for (let i = 0; i < count; i++) {
    await served.host.cluster
      .partition('a', partition)
      .append(batch, { acks: 1, timeoutMs: 0, apiVersion: 9, transactionalId: null })
  }
}

type Answer = Awaited<ReturnType<typeof fetch>>
const partitionsOf = (answer: Answer) => answer.responses.flatMap(topic => topic.partitions)
const summary = (answer: Answer) =>
  partitionsOf(answer).map(each => [each.partitionIndex, each.errorCode, each.records?.length ?? 0])

async function elapsed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

test('every version returns the batches byte for byte, with base offsets and positions of the log', async () => {
  await append(0, 2)
  for (const version of VERSIONS) {
    const [found] = partitionsOf(await fetch(version, [part(0, 3)]))
    expect(found).toMatchObject({ partitionIndex: 0, errorCode: 0, highWatermark: 6n, lastStableOffset: 6n })
    const bytes = found?.records ?? new Uint8Array(0)
    expect(bytes.length).toBe(batch.length)
    expect(batchHeader.baseOffset(bytes, 0)).toBe(3)
    expect(Buffer.compare(bytes.subarray(12), batch.subarray(12))).toBe(0)
    expect(found?.abortedTransactions).toBeNull()
  }
})

test('a reader of committed records gets the list of aborted transactions, also when it is empty', async () => {
  await append(0)
  const [found] = partitionsOf(await fetch(12, [part(0)], { isolationLevel: 1 }))
  expect(found?.abortedTransactions).toEqual([])
})

test('nothing to read: the answer comes after maxWaitMs, not before and not much later', async () => {
  let best = Infinity
  for (let i = 0; i < 10 && best > 300; i++) {
    const ms = await elapsed(async () =>
      expect(summary(await fetch(12, [part(0)], { maxWaitMs: 150 }))).toEqual([[0, 0, 0]])
    )
    expect(ms).toBeGreaterThanOrEqual(149)
    best = Math.min(best, ms)
  }
  expect(best).toBeLessThanOrEqual(300)
})

test('a waiting fetch is answered as soon as there is enough', async () => {
  const waiting = fetch(12, [part(0), part(1)], { maxWaitMs: 600_000, minBytes: batch.length * 2 })
  await until(() => served.host.cluster.partition('a', 1).watcherCount === 1)
  await append(0)
  await new Promise(resolve => setTimeout(resolve, 30))
  await append(1)
  const size = batch.length
  expect(summary(await waiting)).toEqual([
    [0, 0, size],
    [1, 0, size]
  ])
})

test('what arrived before the deadline is returned at the deadline though it is less than minBytes', async () => {
  const waiting = fetch(12, [part(0)], { maxWaitMs: 1000, minBytes: 1_000_000 })
  await until(() => served.host.cluster.partition('a', 0).watcherCount === 1)
  await append(0)
  expect(summary(await waiting)).toEqual([[0, 0, batch.length]])
})

test('reads that take their time (from disk) work with and without waiting', async () => {
  for (const partition of [0, 1]) served.host.cluster.partition('a', partition).readLate = true
  expect(summary(await fetch(12, [part(0), part(1)], { maxWaitMs: 50 }))).toEqual([
    [0, 0, 0],
    [1, 0, 0]
  ])
  const waiting = fetch(12, [part(0), part(1)], { maxWaitMs: 5000 })
  await append(1)
  expect(summary(await waiting)).toEqual([
    [0, 0, 0],
    [1, 0, batch.length]
  ])
})

test('minBytes 0 and maxWaitMs 0 never wait', async () => {
  expect(summary(await fetch(12, [part(0)], { minBytes: 0, maxWaitMs: 600_000 }))).toEqual([[0, 0, 0]])
  expect(summary(await fetch(12, [part(0)], { maxWaitMs: 0 }))).toEqual([[0, 0, 0]])
})

test('absurd limits are clamped: negative ones, and the largest int32', async () => {
  await append(0)
  const huge = 0x7fffffff
  expect(summary(await fetch(12, [part(0)], { maxWaitMs: 50, minBytes: huge, maxBytes: huge }))).toEqual([
    [0, 0, batch.length]
  ])
  const tiny = { maxWaitMs: -5, minBytes: -5, maxBytes: -5 }
  expect(summary(await fetch(12, [part(0, 0, { partitionMaxBytes: -1 })], tiny))).toEqual([[0, 0, batch.length]])
})

test('the first partition with data gives one batch even beyond the limits, the others stay within', async () => {
  await append(0, 2)
  await append(1, 2)
  const small = { partitionMaxBytes: 1 }
  expect(summary(await fetch(12, [part(0, 0, small), part(1, 0, small)], { maxBytes: 1 }))).toEqual([
    [0, 0, batch.length],
    [1, 0, 0]
  ])
  expect(summary(await fetch(12, [part(2), part(0), part(1)], { maxBytes: batch.length * 3 }))).toEqual([
    [2, 0, 0],
    [0, 0, batch.length * 2],
    [1, 0, batch.length]
  ])
})

test('an error in one partition is told at once, beside the data of the others', async () => {
  await append(0)
  const partitions = [part(0), part(0, 99), part(1, -1), part(9), part(0, 0, { currentLeaderEpoch: 7 })]
  const answer = await fetch(12, partitions, { maxWaitMs: 600_000, minBytes: 1_000_000 })
  expect(summary(answer)).toEqual([
    [0, 0, batch.length],
    [0, errorCode('OFFSET_OUT_OF_RANGE'), 0],
    [1, errorCode('OFFSET_OUT_OF_RANGE'), 0],
    [9, errorCode('UNKNOWN_TOPIC_OR_PARTITION'), 0],
    [0, errorCode('UNKNOWN_LEADER_EPOCH'), 0]
  ])
  const [beyond] = partitionsOf(
    await client.request(apis.fetch, 12, {
      topics: [{ topic: 'a', partitions: [{ partition: 0, fetchOffset: 2n ** 63n - 1n, partitionMaxBytes: 1 }] }]
    })
  )
  expect(beyond?.errorCode).toBe(errorCode('OFFSET_OUT_OF_RANGE'))
})

test('unknown topics are told by name and by id', async () => {
  const byName = await client.request(apis.fetch, 12, { topics: [{ topic: 'nope', partitions: [part(0)] }] })
  expect(summary(byName)).toEqual([[0, errorCode('UNKNOWN_TOPIC_OR_PARTITION'), 0]])
  const byId = await client.request(apis.fetch, 13, { topics: [{ topicId: UNKNOWN_ID, partitions: [part(0)] }] })
  expect(summary(byId)).toEqual([[0, errorCode('UNKNOWN_TOPIC_ID'), 0]])
})

test('a client that claims to be a replica is refused', async () => {
  for (const version of VERSIONS) {
    const replica = version >= 15 ? { replicaState: { replicaId: 3, replicaEpoch: 1n } } : { replicaId: 3 }
    const answer = await fetch(version, [part(0)], replica)
    const code = version >= 7 ? answer.errorCode : partitionsOf(answer)[0]?.errorCode
    expect(code).toBe(errorCode('CLUSTER_AUTHORIZATION_FAILED'))
  }
})

test('from version 16 on an answer of the wrong broker names the right one', async () => {
  served.host.cluster.moveLeader('a', 1, 2)
  for (const version of VERSIONS) {
    const answer = await fetch(version, [part(1)])
    const [moved] = partitionsOf(answer)
    expect(moved?.errorCode).toBe(errorCode('NOT_LEADER_OR_FOLLOWER'))
    expect(moved?.currentLeader.leaderId).toBe(version >= 16 ? 2 : -1)
    const endpoint = { nodeId: 2, host: 'other.example', port: 9192, rack: null }
    expect(answer.nodeEndpoints).toEqual(version >= 16 ? [endpoint] : [])
  }
})

test('a waiting fetch learns that its partition moved or went away', async () => {
  const moved = fetch(16, [part(0)], { maxWaitMs: 600_000 })
  await until(() => served.host.cluster.partition('a', 0).watcherCount === 1)
  served.host.cluster.moveLeader('a', 0, 2)
  expect(summary(await moved)).toEqual([[0, errorCode('NOT_LEADER_OR_FOLLOWER'), 0]])
  const partition = served.host.cluster.partition('a', 1)
  const deleted = fetch(16, [part(1)], { maxWaitMs: 600_000 })
  await until(() => partition.watcherCount === 1)
  await served.host.cluster.deleteTopics([{ name: 'a' }])
  expect(summary(await deleted)).toEqual([[1, errorCode('UNKNOWN_TOPIC_ID'), 0]])
  expect(partition.watcherCount).toBe(0)
})

test('a client that goes away while its fetch waits leaves no watcher behind', async () => {
  const partition = served.host.cluster.partition('a', 0)
  const waiting = fetch(12, [part(0)], { maxWaitMs: 600_000 }).catch(() => 'closed')
  await until(() => partition.watcherCount === 1)
  client.close()
  expect(await waiting).toBe('closed')
  await until(() => partition.watcherCount === 0)
  expect(served.gateway.stats().requestBytesInFlight).toBe(0)
})

test('in a session only changes are asked and answered, and partitions with data go to the end of the line', async () => {
  await append(0)
  await append(1)
  const size = batch.length
  const full = await fetch(13, [part(0), part(1), part(2)], { sessionId: 0, sessionEpoch: 0 })
  expect(full.sessionId).toBeGreaterThan(0)
  expect(summary(full)).toEqual([
    [0, 0, size],
    [1, 0, size],
    [2, 0, 0]
  ])
  const { sessionId } = full
  const caughtUp = await fetch(13, [part(0, 3), part(1, 3)], { sessionId, sessionEpoch: 1, maxWaitMs: 0 })
  expect([caughtUp.sessionId, summary(caughtUp)]).toEqual([sessionId, []])
  await append(0)
  await append(1)
  const first = await fetch(13, [], { sessionId, sessionEpoch: 2, maxBytes: 1 })
  expect(summary(first).filter(([, , bytes]) => bytes !== 0)).toEqual([[0, 0, size]])
  const second = await fetch(13, [], { sessionId, sessionEpoch: 3, maxBytes: 1 })
  expect(summary(second).filter(([, , bytes]) => bytes !== 0)).toEqual([[1, 0, size]])
})

test('a session forgets the partitions it is told to forget, and ends when none is left', async () => {
  await append(0)
  const { sessionId } = await fetch(13, [part(0), part(1)], { sessionId: 0, sessionEpoch: 0 })
  const forget = (partition: number) => ({ forgottenTopicsData: [{ topicId, partitions: [partition] }] })
  const without0 = await fetch(13, [], { sessionId, sessionEpoch: 1, maxWaitMs: 0, ...forget(0) })
  expect(summary(without0)).toEqual([])
  expect(served.gateway.stats()).toMatchObject({ fetchSessionCount: 1, fetchSessionPartitionCount: 1 })
  const ended = await fetch(13, [], { sessionId, sessionEpoch: 2, maxWaitMs: 0, ...forget(1) })
  expect(ended.sessionId).toBe(0)
  expect(served.gateway.stats()).toMatchObject({ fetchSessionCount: 0, fetchSessionPartitionCount: 0 })
})

test('an error of a partition is repeated in every answer of a session until it is gone', async () => {
  const { sessionId } = await fetch(13, [part(9)], { sessionId: 0, sessionEpoch: 0 })
  for (const sessionEpoch of [1, 2, 3]) {
    const answer = await fetch(13, [], { sessionId, sessionEpoch })
    expect(summary(answer)).toEqual([[9, errorCode('UNKNOWN_TOPIC_OR_PARTITION'), 0]])
  }
})

test('sessions refuse unknown ids, wrong epochs and a change between names and ids', async () => {
  expect((await fetch(12, [], { sessionId: 4711, sessionEpoch: 3 })).errorCode).toBe(
    errorCode('FETCH_SESSION_ID_NOT_FOUND')
  )
  const { sessionId } = await fetch(13, [part(0)], { sessionId: 0, sessionEpoch: 0, maxWaitMs: 0 })
  const wrong = await fetch(13, [], { sessionId, sessionEpoch: 5 })
  expect(wrong.errorCode).toBe(errorCode('INVALID_FETCH_SESSION_EPOCH'))
  const byName = await fetch(12, [], { sessionId, sessionEpoch: 1 })
  expect(byName.errorCode).toBe(errorCode('FETCH_SESSION_TOPIC_ID_ERROR'))
})

test('the final epoch closes the session and is answered in full', async () => {
  await append(0)
  const { sessionId } = await fetch(13, [part(0)], { sessionId: 0, sessionEpoch: 0 })
  const last = await fetch(13, [part(0)], { sessionId, sessionEpoch: -1 })
  expect([last.sessionId, summary(last)]).toEqual([0, [[0, 0, batch.length]]])
  expect(served.gateway.stats().fetchSessionCount).toBe(0)
})

async function until(condition: () => boolean): Promise<void> {
  const endMs = performance.now() + 30_000
  while (!condition() && performance.now() < endMs) await new Promise(resolve => setTimeout(resolve, 1))
  expect(condition()).toBe(true)
}
