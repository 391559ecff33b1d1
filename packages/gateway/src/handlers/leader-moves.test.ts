/** What producers and consumers hear when leadership moves, and what followers serve: KIP-101, KIP-320, KIP-392, KIP-951. */
import { apis, errorCode, type RequestInput } from '@milena/wire-protocol'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ManualClock } from '../testing/clocks.ts'
import { MemoryHost } from '../testing/memory-host.ts'
import type { MemoryPartition } from '../testing/memory-partition.ts'
import type { RawClient } from '../testing/raw-client.ts'
import { ServedGateway } from '../testing/served-gateway.ts'
import { testBatch } from '../testing/test-batch.ts'

const NEIGHBOUR = { id: 2, host: 'other.example', port: 9192, rack: 'r2', fenced: false }
const ENDPOINT = { nodeId: 2, host: 'other.example', port: 9192, rack: 'r2' }
const NO_LEADER = { leaderId: -1, leaderEpoch: -1 }
const batch = testBatch({ recordCount: 3 })
const versions = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i)

let served: ServedGateway
let client: RawClient
let topicId: string
let partition: MemoryPartition
beforeEach(() => start(new MemoryHost({ neighbours: [NEIGHBOUR] })))

async function start(host: MemoryHost): Promise<void> {
  served = await ServedGateway.start({}, host)
  client = await served.connect()
  topicId = served.host.cluster.addTopic('a').topicId
  partition = served.host.cluster.partition('a', 0)
}

/** Starts anew, with a clock that only the test moves. */
async function startWithManualClock(): Promise<ManualClock> {
  await served.stop()
  const clock = new ManualClock()
  await start(new MemoryHost({ neighbours: [NEIGHBOUR], clock }))
  return clock
}

/** Whether `answer` is still awaited when somebody else had many answers meanwhile. */
async function isAwaited(answer: Promise<unknown>): Promise<boolean> {
  let answered = false
  void answer.then(() => (answered = true))
  const bystander = await served.connect()
  for (let i = 0; i < 10; i++) await bystander.request(apis.apiVersions, 0, {})
  return !answered
}

afterEach(async () => {
  await served.stop()
  expect([partition.borrowedCount, partition.watcherCount]).toEqual([0, 0])
})

async function fetch(version: number, asked: object = {}, more: RequestInput<typeof apis.fetch> = {}) {
  const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20, ...asked }]
  const topics = [{ ...(version >= 13 ? { topicId } : { topic: 'a' }), partitions }]
  const response = await client.request(apis.fetch, version, { minBytes: 1, maxWaitMs: 50, topics, ...more })
  return { ...response, partition: response.responses[0]?.partitions[0] }
}

async function produce(version: number, more: RequestInput<typeof apis.produce> = {}) {
  const topicData = [
    { ...(version >= 13 ? { topicId } : { name: 'a' }), partitionData: [{ index: 0, records: batch }] }
  ]
  const response = await client.request(apis.produce, version, { acks: -1, timeoutMs: 1000, topicData, ...more })
  return { ...response, partition: response.responses[0]?.partitionResponses[0] }
}

const append = () => partition.append(batch, { acks: 1, timeoutMs: 0, apiVersion: 9, transactionalId: null })

/** Broker 2 leads from now on, in `epoch`; our replica follows. */
function moveAway(epoch: number): void {
  served.host.cluster.describePartition('a', 0, { leader: 2, leaderEpoch: epoch })
  partition.beginEpoch(epoch, 'follower')
}

test('a produce that waits for its acks hears of the new leader at once', async () => {
  for (const version of versions(3, 13)) {
    partition.beginEpoch(2 * version, 'leader')
    partition.holdAppends()
    const answer = produce(version, { timeoutMs: 600_000 })
    await expect.poll(() => partition.appends.length).toBe(version - 2)
    moveAway(2 * version + 1)
    const { partition: told, nodeEndpoints } = await answer
    const hinted = version >= 10
    expect(told).toMatchObject({
      errorCode: errorCode('NOT_LEADER_OR_FOLLOWER'),
      baseOffset: -1n,
      currentLeader: hinted ? { leaderId: 2, leaderEpoch: 2 * version + 1 } : NO_LEADER
    })
    expect(nodeEndpoints).toEqual(hinted ? [ENDPOINT] : [])
  }
})

test('a produce that the acks do not reach says why, and that is not the fault of the leader', async () => {
  for (const error of ['REQUEST_TIMED_OUT', 'NOT_ENOUGH_REPLICAS', 'NOT_ENOUGH_REPLICAS_AFTER_APPEND'] as const) {
    partition.holdAppends()
    const answer = produce(10)
    await expect.poll(() => partition.appends.length).toBe(1)
    partition.refuseHeld(error)
    const { partition: told, nodeEndpoints } = await answer
    expect(told).toMatchObject({ errorCode: errorCode(error), currentLeader: NO_LEADER })
    expect(nodeEndpoints).toEqual([])
    partition.appends.length = 0
  }
})

test('a fetch that waits hears of the new leader at once; one that follows a follower waits on', async () => {
  const clock = await startWithManualClock()
  for (const version of versions(4, 18)) {
    partition.beginEpoch(2 * version, 'leader')
    const answer = fetch(version, {}, { maxWaitMs: 5000 })
    await expect.poll(() => partition.watcherCount).toBe(1)
    moveAway(2 * version + 1)
    if (version >= 11) {
      clock.advance(4900)
      expect(await isAwaited(answer)).toBe(true)
      clock.advance(200)
    }
    const { partition: told } = await answer
    expect(told?.errorCode).toBe(version < 11 ? errorCode('NOT_LEADER_OR_FOLLOWER') : 0)
  }
})

test('a client that names the epoch of the former leader is fenced while it waits and told the new one', async () => {
  for (const version of versions(9, 18)) {
    partition.beginEpoch(2 * version, 'leader')
    const answer = fetch(version, { currentLeaderEpoch: 2 * version }, { maxWaitMs: 600_000 })
    await expect.poll(() => partition.watcherCount).toBe(1)
    moveAway(2 * version + 1)
    const { partition: told, nodeEndpoints } = await answer
    expect(told).toMatchObject({
      errorCode: errorCode('FENCED_LEADER_EPOCH'),
      currentLeader: version >= 16 ? { leaderId: 2, leaderEpoch: 2 * version + 1 } : NO_LEADER
    })
    expect(nodeEndpoints).toEqual(version >= 16 ? [ENDPOINT] : [])
  }
  const { partition: told } = await fetch(16, { currentLeaderEpoch: 1000 })
  expect(told).toMatchObject({ errorCode: errorCode('UNKNOWN_LEADER_EPOCH'), currentLeader: NO_LEADER })
})

test('while nobody leads the hint says so, with the epoch and without an address', async () => {
  served.host.cluster.moveLeader('a', 0, 2)
  served.host.cluster.describePartition('a', 0, { leader: -1, leaderEpoch: 6 })
  const expected = {
    errorCode: errorCode('NOT_LEADER_OR_FOLLOWER'),
    currentLeader: { leaderId: -1, leaderEpoch: 6 }
  }
  const fetched = await fetch(16)
  expect(fetched.partition).toMatchObject(expected)
  expect(fetched.nodeEndpoints).toEqual([])
  const produced = await produce(10)
  expect(produced.partition).toMatchObject(expected)
  expect(produced.nodeEndpoints).toEqual([])
})

test('a produce to a partition that has just lost its leader is answered when the next one is known', async () => {
  const clock = await startWithManualClock()
  for (const version of [3, 9, 10, 13]) {
    partition.beginEpoch(2 * version, 'leader')
    served.host.cluster.describePartition('a', 0, { leader: -1, leaderEpoch: 2 * version })
    partition.beginEpoch(2 * version, 'follower')
    partition.appends.length = 0
    const answer = produce(version)
    await expect.poll(() => partition.appends.length).toBe(1)
    expect(await isAwaited(answer)).toBe(true)
    clock.advance(60)
    expect(await isAwaited(answer)).toBe(true)
    moveAway(2 * version + 1)
    clock.advance(20)
    const { partition: told, nodeEndpoints } = await answer
    expect(told).toMatchObject({
      errorCode: errorCode('NOT_LEADER_OR_FOLLOWER'),
      currentLeader: version >= 10 ? { leaderId: 2, leaderEpoch: 2 * version + 1 } : NO_LEADER
    })
    expect(nodeEndpoints).toEqual(version >= 10 ? [ENDPOINT] : [])
  }
})

test('a hint never sends a client back to the broker that refused it', async () => {
  partition.beginEpoch(3, 'follower')
  for (const { partition: told, nodeEndpoints } of [await produce(13), await fetch(18, {}, { minBytes: 0 })]) {
    expect(told?.currentLeader).toEqual(NO_LEADER)
    expect(nodeEndpoints).toEqual([])
  }
  const { partition: told } = await produce(13)
  expect(told?.errorCode).toBe(errorCode('NOT_LEADER_OR_FOLLOWER'))
})

test('a follower serves clients that know that followers do (version 11), and no others', async () => {
  await append()
  moveAway(1)
  for (const version of versions(4, 18)) {
    const { partition: told } = await fetch(version)
    if (version < 11) expect(told).toMatchObject({ errorCode: errorCode('NOT_LEADER_OR_FOLLOWER') })
    else expect(told).toMatchObject({ errorCode: 0, highWatermark: 3n, preferredReadReplica: -1 })
    expect(told?.records?.length ?? 0).toBe(version < 11 ? 0 : batch.length)
  }
})

test('a leader sends clients of a rack to the replica there, at once and without records', async () => {
  await append()
  partition.replicaByRack.set('r2', 2)
  for (const version of versions(11, 18)) {
    for (const fetchOffset of [0, 3]) {
      const { partition: told } = await fetch(version, { fetchOffset }, { rackId: 'r2', maxWaitMs: 600_000 })
      expect(told).toMatchObject({ errorCode: 0, preferredReadReplica: 2, highWatermark: 3n })
      expect(told?.records?.length).toBe(0)
    }
    const { partition: told } = await fetch(version, {}, { rackId: 'r1' })
    expect(told).toMatchObject({ preferredReadReplica: -1 })
    expect(told?.records?.length).toBe(batch.length)
  }
})

test('the replica nearby is named in every answer of a session until the client goes there', async () => {
  await append()
  partition.replicaByRack.set('r2', 2)
  const opened = await fetch(17, {}, { rackId: 'r2', sessionEpoch: 0 })
  expect(opened.partition?.preferredReadReplica).toBe(2)
  const { sessionId } = opened
  const again = await client.request(apis.fetch, 17, { sessionId, sessionEpoch: 1, rackId: 'r2', maxWaitMs: 600_000 })
  expect(again.responses[0]?.partitions[0]?.preferredReadReplica).toBe(2)
  await client.request(apis.fetch, 17, { sessionId, sessionEpoch: -1 })
})

test('a client whose log parted from ours is told where, at once', async () => {
  await append()
  partition.beginEpoch(4, 'leader')
  await append()
  const wait = { maxWaitMs: 600_000 }
  for (const version of versions(12, 18)) {
    const { partition: beyond } = await fetch(version, { fetchOffset: 5, lastFetchedEpoch: 0 }, wait)
    expect(beyond).toMatchObject({ errorCode: 0, divergingEpoch: { epoch: 0, endOffset: 3n }, highWatermark: 6n })
    const { partition: unheardOf } = await fetch(version, { fetchOffset: 3, lastFetchedEpoch: 2 }, wait)
    expect(unheardOf).toMatchObject({ errorCode: 0, divergingEpoch: { epoch: 0, endOffset: 3n } })
    const { partition: agreed } = await fetch(version, { fetchOffset: 3, lastFetchedEpoch: 0 }, wait)
    expect(agreed).toMatchObject({ errorCode: 0, divergingEpoch: { epoch: -1, endOffset: -1n } })
    expect(agreed?.records?.length).toBe(batch.length)
    const { partition: unknown } = await fetch(version, { fetchOffset: 3, lastFetchedEpoch: 9 }, wait)
    expect(unknown?.errorCode).toBe(errorCode('OFFSET_OUT_OF_RANGE'))
  }
})
