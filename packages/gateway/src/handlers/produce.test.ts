import { apis, errorCode, ZERO_UUID } from '@milena/wire-protocol'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MemoryHost } from '../testing/memory-host.ts'
import type { RawClient } from '../testing/raw-client.ts'
import { ServedGateway } from '../testing/served-gateway.ts'
import { testBatch } from '../testing/test-batch.ts'

const NEIGHBOUR = { id: 2, host: 'other.example', port: 9192, rack: null, fenced: false }
const UNKNOWN_ID = 'BBBBBBBBBBBBBBBBBBBBBA'
const records = testBatch({ recordCount: 3 })

let served: ServedGateway
let client: RawClient
let topicId: string
beforeEach(async () => {
  served = await ServedGateway.start({}, new MemoryHost({ neighbours: [NEIGHBOUR] }))
  client = await served.connect()
  topicId = served.host.cluster.addTopic('a', 3).topicId
})
afterEach(() => served.stop())

const part = (index: number, bytes: Uint8Array | null = records) => ({ index, records: bytes })
const named = (version: number, name: string, id: string) => (version >= 13 ? { topicId: id } : { name })

function produce(version: number, partitionData: ReturnType<typeof part>[], more = {}) {
  const topicData = [{ ...named(version, 'a', topicId), partitionData }]
  return client.request(apis.produce, version, { acks: -1, timeoutMs: 1000, topicData, ...more })
}

test('every version appends and tells the base offset', async () => {
  for (let version = 3; version <= 13; version++) {
    const { responses } = await produce(version, [part(0)])
    const result = responses[0]?.partitionResponses[0]
    expect(result).toMatchObject({
      index: 0,
      errorCode: 0,
      baseOffset: BigInt((version - 3) * 3),
      logAppendTimeMs: -1n
    })
    expect(served.host.cluster.partition('a', 0).appends.at(-1)).toMatchObject({ acks: -1, apiVersion: version })
    expect([responses[0]?.name, responses[0]?.topicId]).toEqual(version >= 13 ? ['', topicId] : ['a', ZERO_UUID])
  }
})

test('a client that gives no time for acks gives enough for the disk', async () => {
  const timeouts = [-1, 0, 1, 30_000]
  for (const timeoutMs of timeouts) await produce(9, [part(0)], { timeoutMs })
  const { appends } = served.host.cluster.partition('a', 0)
  expect(appends.map(each => each.timeoutMs)).toEqual([1000, 1000, 1000, 30_000])
})

test('each partition of a request has its own outcome, in the order of the request', async () => {
  served.host.cluster.partition('a', 1).refuseAppends = 'MESSAGE_TOO_LARGE'
  const { responses } = await produce(9, [part(2), part(1), part(0, null), part(9), part(0, new Uint8Array(0))])
  expect(responses[0]?.partitionResponses.map(each => [each.index, each.errorCode])).toEqual([
    [2, 0],
    [1, errorCode('MESSAGE_TOO_LARGE')],
    [0, errorCode('INVALID_REQUEST')],
    [9, errorCode('UNKNOWN_TOPIC_OR_PARTITION')],
    [0, errorCode('INVALID_REQUEST')]
  ])
})

test('null and empty records are INVALID_RECORD', async () => {
  for (const empty of [null, new Uint8Array(0)]) {
    const { responses } = await produce(9, [part(0, empty)])
    expect(responses[0]?.partitionResponses[0]?.errorCode).toBe(errorCode('INVALID_RECORD'))
  }
})

test('a partition named twice is refused and nothing of it appended', async () => {
  const { responses } = await produce(9, [part(0), part(1), part(0)])
  const codes = responses[0]?.partitionResponses.map(each => each.errorCode)
  expect(codes).toEqual([errorCode('INVALID_REQUEST'), 0, errorCode('INVALID_REQUEST')])
  expect(served.host.cluster.partition('a', 0).highWatermark).toBe(0)
})

test('acks other than 0, 1 and -1 are refused for every partition', async () => {
  for (const acks of [2, -2, 32_767]) {
    const { responses } = await produce(9, [part(0), part(1)], { acks })
    for (const each of responses[0]?.partitionResponses ?? []) {
      expect(each).toMatchObject({ errorCode: errorCode('INVALID_REQUIRED_ACKS'), baseOffset: -1n })
    }
  }
  expect(served.host.cluster.partition('a', 0).highWatermark).toBe(0)
})

test('acks=0 gets no answer, and the next answer belongs to the next request', async () => {
  client.sendBytes(client.encode(apis.produce, 9, { acks: 0, topicData: [{ name: 'a', partitionData: [part(0)] }] }))
  const { responses } = await produce(9, [part(0)])
  expect(responses[0]?.partitionResponses[0]?.baseOffset).toBe(3n)
})

test('acks=0 with an error closes the connection', async () => {
  client.sendBytes(client.encode(apis.produce, 9, { acks: 0, topicData: [{ name: 'nope', partitionData: [part(0)] }] }))
  expect(await client.nextFrame()).toBeNull()
})

test('unknown topics are told by name and by id', async () => {
  const byName = await client.request(apis.produce, 12, {
    acks: 1,
    topicData: [{ name: 'nope', partitionData: [part(0)] }]
  })
  expect(byName.responses[0]?.partitionResponses[0]?.errorCode).toBe(errorCode('UNKNOWN_TOPIC_OR_PARTITION'))
  for (const id of [UNKNOWN_ID, ZERO_UUID]) {
    const byId = await client.request(apis.produce, 13, {
      acks: 1,
      topicData: [{ topicId: id, partitionData: [part(0)] }]
    })
    expect(byId.responses[0]?.partitionResponses[0]?.errorCode).toBe(errorCode('UNKNOWN_TOPIC_ID'))
  }
})

test('from version 10 on an answer of the wrong broker names the right one', async () => {
  served.host.cluster.moveLeader('a', 1, 2)
  const old = await produce(9, [part(1)])
  expect(old.responses[0]?.partitionResponses[0]?.errorCode).toBe(errorCode('NOT_LEADER_OR_FOLLOWER'))
  for (let version = 10; version <= 13; version++) {
    const response = await produce(version, [part(0), part(1)])
    expect(response.responses[0]?.partitionResponses).toMatchObject([
      { errorCode: 0, currentLeader: { leaderId: -1 } },
      { errorCode: errorCode('NOT_LEADER_OR_FOLLOWER'), currentLeader: { leaderId: 2, leaderEpoch: 0 } }
    ])
    expect(response.nodeEndpoints).toEqual([{ nodeId: 2, host: 'other.example', port: 9192, rack: null }])
  }
})

test('a transactional id is refused: there is nobody to coordinate the transaction', async () => {
  const { responses } = await produce(9, [part(0)], { transactionalId: 'tx' })
  expect(responses[0]?.partitionResponses[0]?.errorCode).toBe(errorCode('INVALID_TXN_STATE'))
})

test('an append that throws costs its partition UNKNOWN_SERVER_ERROR and nothing else', async () => {
  served.host.cluster.partition('a', 0).failAppends = new Error('disk on fire')
  const { responses } = await produce(9, [part(0), part(1)])
  expect(responses[0]?.partitionResponses.map(each => each.errorCode)).toEqual([-1, 0])
})

test('pipelined requests reach the log in order, run at the same time, and are answered in order', async () => {
  const partition = served.host.cluster.partition('a', 0)
  partition.holdAppends()
  const other = served.host.cluster.partition('a', 1)
  const topicData = (index: number) => [{ name: 'a', partitionData: [part(index)] }]
  for (const index of [0, 1, 0])
    client.sendBytes(client.encode(apis.produce, 9, { acks: 1, topicData: topicData(index) }))
  while (partition.appends.length < 2) await new Promise(resolve => setTimeout(resolve, 1))
  expect(other.appends).toHaveLength(1)
  partition.releaseAppends()
  const offsets: unknown[] = []
  for (let i = 0; i < 3; i++) {
    const frame = await client.nextFrame()
    const { responses } = client.decode(apis.produce, 9, frame ?? Buffer.alloc(0))
    const [result] = responses[0]?.partitionResponses ?? []
    offsets.push([result?.index, result?.baseOffset])
  }
  expect(offsets).toEqual([
    [0, 0n],
    [1, 0n],
    [0, 3n]
  ])
})
