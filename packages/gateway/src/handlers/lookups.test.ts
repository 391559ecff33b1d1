import { apis, errorCode } from '@milena/wire-protocol'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MemoryHost } from '../testing/memory-host.ts'
import type { RawClient } from '../testing/raw-client.ts'
import { ServedGateway } from '../testing/served-gateway.ts'
import { testBatch } from '../testing/test-batch.ts'

const NEIGHBOUR = { id: 2, host: 'other.example', port: 9192, rack: 'r2', fenced: false }
const FENCED = { id: 3, host: 'fenced.example', port: 9193, rack: null, fenced: true }

let served: ServedGateway
let client: RawClient
beforeEach(async () => {
  served = await ServedGateway.start({}, new MemoryHost({ neighbours: [NEIGHBOUR, FENCED] }))
  client = await served.connect()
})
afterEach(() => served.stop())

const listOffsets = (
  version: number,
  partitions: { partitionIndex: number; timestamp: bigint; currentLeaderEpoch?: number }[]
) => client.request(apis.listOffsets, version, { replicaId: -1, topics: [{ name: 'a', partitions }] })

test('every version of ListOffsets finds the beginning and the end', async () => {
  served.host.cluster.addTopic('a')
  await served.host.cluster
    .partition('a', 0)
    .append(testBatch({ recordCount: 5 }), { acks: 1, timeoutMs: 0, apiVersion: 9, transactionalId: null })
  for (let version = 1; version <= 11; version++) {
    for (const [timestamp, offset] of [
      [-1n, 5n],
      [-2n, 0n]
    ] as const) {
      const { topics } = await listOffsets(version, [{ partitionIndex: 0, timestamp }])
      expect(topics[0]?.partitions).toMatchObject([{ errorCode: 0, offset, leaderEpoch: version >= 4 ? 0 : -1 }])
    }
  }
})

test('each named offset is known from its version on and UNSUPPORTED_VERSION before', async () => {
  served.host.cluster.addTopic('a')
  const since = { '-1': 1, '-2': 1, '-3': 7, '-4': 8, '-5': 9, '-6': 11, '-7': 99 }
  for (let version = 1; version <= 11; version++) {
    for (const [timestamp, first] of Object.entries(since)) {
      const { topics } = await listOffsets(version, [{ partitionIndex: 0, timestamp: BigInt(timestamp) }])
      const expected = version >= first ? 0 : errorCode('UNSUPPORTED_VERSION')
      expect([version, timestamp, topics[0]?.partitions[0]?.errorCode]).toEqual([version, timestamp, expected])
    }
  }
})

test('ListOffsets tells unknown topics, partitions and epochs, and partitions named twice', async () => {
  served.host.cluster.addTopic('a')
  const wanted = [
    { partitionIndex: 9, timestamp: -1n },
    { partitionIndex: 0, timestamp: -1n, currentLeaderEpoch: 4 }
  ]
  const { topics } = await listOffsets(5, wanted)
  expect(topics[0]?.partitions.map(each => each.errorCode)).toEqual([
    errorCode('UNKNOWN_TOPIC_OR_PARTITION'),
    errorCode('UNKNOWN_LEADER_EPOCH')
  ])
  const twice = await listOffsets(5, [
    { partitionIndex: 0, timestamp: -1n },
    { partitionIndex: 0, timestamp: -2n }
  ])
  expect(twice.topics[0]?.partitions.map(each => each.errorCode)).toEqual([errorCode('INVALID_REQUEST')])
  const nowhere = { topics: [{ name: 'nope', partitions: [{ partitionIndex: 0, timestamp: -1n }] }] }
  const unknown = await client.request(apis.listOffsets, 5, nowhere)
  expect(unknown.topics[0]?.partitions[0]?.errorCode).toBe(errorCode('UNKNOWN_TOPIC_OR_PARTITION'))
})

test('ListOffsets of a follower is refused, but not to a debugging tool', async () => {
  served.host.cluster.addTopic('a')
  served.host.cluster.partition('a', 0).beginEpoch(2, 'follower')
  for (let version = 1; version <= 11; version++) {
    const topics = [{ name: 'a', partitions: [{ partitionIndex: 0, timestamp: -1n }] }]
    const consumer = await client.request(apis.listOffsets, version, { replicaId: -1, topics })
    expect(consumer.topics[0]?.partitions[0]).toMatchObject({
      errorCode: errorCode('NOT_LEADER_OR_FOLLOWER'),
      offset: -1n
    })
    const debugging = await client.request(apis.listOffsets, version, { replicaId: -2, topics })
    expect(debugging.topics[0]?.partitions[0]).toMatchObject({ errorCode: 0, offset: 0n })
  }
  const fenced = await listOffsets(4, [{ partitionIndex: 0, timestamp: -1n, currentLeaderEpoch: 1 }])
  expect(fenced.topics[0]?.partitions[0]?.errorCode).toBe(errorCode('FENCED_LEADER_EPOCH'))
})

test('a leader that does not know its offsets yet says so in words that each version knows', async () => {
  served.host.cluster.addTopic('a')
  served.host.cluster.partition('a', 0).refuseOffsets = 'OFFSET_NOT_AVAILABLE'
  for (let version = 1; version <= 11; version++) {
    const { topics } = await listOffsets(version, [{ partitionIndex: 0, timestamp: -1n }])
    const expected = version >= 5 ? 'OFFSET_NOT_AVAILABLE' : 'LEADER_NOT_AVAILABLE'
    expect(topics[0]?.partitions[0]?.errorCode).toBe(errorCode(expected))
  }
})

test('every version of OffsetForLeaderEpoch tells where each epoch ends', async () => {
  served.host.cluster.addTopic('a')
  const partition = served.host.cluster.partition('a', 0)
  const append = () =>
    partition.append(testBatch({ recordCount: 5 }), { acks: 1, timeoutMs: 0, apiVersion: 9, transactionalId: null })
  await append()
  partition.beginEpoch(3, 'leader')
  await append()
  for (let version = 2; version <= 4; version++) {
    const asked = [0, 1, 3, 4, -1].map(leaderEpoch => ({ partition: 0, leaderEpoch, currentLeaderEpoch: 3 }))
    const response = await client.request(apis.offsetForLeaderEpoch, version, {
      topics: [{ topic: 'a', partitions: asked }]
    })
    const told = response.topics[0]?.partitions.map(each => [each.errorCode, each.leaderEpoch, each.endOffset])
    expect(told).toEqual([
      [0, 0, 5n],
      [0, 0, 5n],
      [0, 3, 10n],
      [0, -1, -1n],
      [0, -1, -1n]
    ])
  }
})

test('OffsetForLeaderEpoch tells unknown topics, partitions and epochs, and that a follower cannot say', async () => {
  served.host.cluster.addTopic('a', 2)
  served.host.cluster.partition('a', 0).beginEpoch(3, 'leader')
  served.host.cluster.partition('a', 1).beginEpoch(3, 'follower')
  const { topics } = await client.request(apis.offsetForLeaderEpoch, 4, {
    topics: [
      { topic: 'nope', partitions: [{ partition: 0, leaderEpoch: 0 }] },
      {
        topic: 'a',
        partitions: [
          { partition: 9, leaderEpoch: 0 },
          { partition: 0, leaderEpoch: 0, currentLeaderEpoch: 2 },
          { partition: 0, leaderEpoch: 0, currentLeaderEpoch: 4 },
          { partition: 1, leaderEpoch: 0, currentLeaderEpoch: 4 },
          { partition: 1, leaderEpoch: 0 }
        ]
      }
    ]
  })
  const errors = topics.map(topic => topic.partitions.map(each => each.errorCode))
  expect(errors).toEqual([
    [errorCode('UNKNOWN_TOPIC_OR_PARTITION')],
    (
      [
        'UNKNOWN_TOPIC_OR_PARTITION',
        'FENCED_LEADER_EPOCH',
        'UNKNOWN_LEADER_EPOCH',
        'UNKNOWN_LEADER_EPOCH',
        'NOT_LEADER_OR_FOLLOWER'
      ] as const
    ).map(error => errorCode(error))
  ])
  for (const each of topics.flatMap(topic => topic.partitions)) {
    expect([each.leaderEpoch, each.endOffset]).toEqual([-1, -1n])
  }
})

test('every version of InitProducerId gives each idempotent producer an id of its own', async () => {
  const ids = new Set<bigint>()
  for (let version = 0; version <= 5; version++) {
    const { producerId, producerEpoch, errorCode } = await client.request(apis.initProducerId, version, {
      transactionalId: null
    })
    expect([errorCode, producerEpoch]).toEqual([0, 0])
    ids.add(producerId)
  }
  expect(ids.size).toBe(6)
})

test('InitProducerId tells that no id can be had now, with the error that the host names', async () => {
  served.host.refuseProducerIds = 'COORDINATOR_LOAD_IN_PROGRESS'
  const response = await client.request(apis.initProducerId, 5, { transactionalId: null, transactionTimeoutMs: 1000 })
  expect(response.errorCode).toBe(errorCode('COORDINATOR_LOAD_IN_PROGRESS'))
  expect(response.producerId).toBe(-1n)
})

test('InitProducerId refuses what it cannot do', async () => {
  const refused = async (message: { transactionalId: string | null; producerId?: bigint; producerEpoch?: number }) => {
    const response = await client.request(apis.initProducerId, 5, message)
    expect([response.producerId, response.producerEpoch]).toEqual([-1n, -1])
    return response.errorCode
  }
  expect(await refused({ transactionalId: 'tx' })).toBe(errorCode('UNSUPPORTED_VERSION'))
  expect(await refused({ transactionalId: '' })).toBe(errorCode('INVALID_REQUEST'))
  expect(await refused({ transactionalId: null, producerId: 5n })).toBe(errorCode('INVALID_REQUEST'))
  expect(await refused({ transactionalId: null, producerEpoch: 5 })).toBe(errorCode('INVALID_REQUEST'))
})

test('every version of FindCoordinator gives the address of the broker that the host names', async () => {
  served.host.coordinator = 2
  const address = { nodeId: 2, host: 'other.example', port: 9192, errorCode: 0 }
  for (let version = 0; version <= 3; version++) {
    expect(await client.request(apis.findCoordinator, version, { key: 'g' })).toMatchObject(address)
  }
  for (let version = 4; version <= 6; version++) {
    const { coordinators } = await client.request(apis.findCoordinator, version, { coordinatorKeys: ['g', 'h'] })
    expect(coordinators).toMatchObject([
      { key: 'g', ...address },
      { key: 'h', ...address }
    ])
  }
})

test('FindCoordinator passes refusals on and knows no fenced broker and no unknown kind', async () => {
  const find = async (version: number, keyType: number) => {
    const { coordinators } = await client.request(apis.findCoordinator, version, { coordinatorKeys: ['g'], keyType })
    return coordinators[0]?.errorCode
  }
  served.host.coordinator = 'COORDINATOR_NOT_AVAILABLE'
  expect(await find(6, 0)).toBe(errorCode('COORDINATOR_NOT_AVAILABLE'))
  served.host.coordinator = 3
  expect(await find(6, 0)).toBe(errorCode('COORDINATOR_NOT_AVAILABLE'))
  expect(await find(6, 99)).toBe(errorCode('INVALID_REQUEST'))
  expect(await find(5, 2)).toBe(errorCode('INVALID_REQUEST'))
  const single = await client.request(apis.findCoordinator, 3, { key: 'g', keyType: 99 })
  expect(single).toMatchObject({ errorCode: errorCode('INVALID_REQUEST'), nodeId: -1, port: -1 })
})

test('every version of DescribeCluster lists the brokers, fenced ones only when asked', async () => {
  for (let version = 0; version <= 2; version++) {
    const response = await client.request(apis.describeCluster, version, { includeClusterAuthorizedOperations: true })
    expect(response).toMatchObject({ errorCode: 0, controllerId: 1, clusterAuthorizedOperations: 8096 })
    expect(response.brokers.map(broker => broker.brokerId)).toEqual([1, 2])
  }
  const all = await client.request(apis.describeCluster, 2, { includeFencedBrokers: true })
  expect(all.brokers.map(broker => [broker.brokerId, broker.isFenced])).toEqual([
    [1, false],
    [2, false],
    [3, true]
  ])
})

test('DescribeCluster is asked for controllers in vain', async () => {
  const controllers = await client.request(apis.describeCluster, 1, { endpointType: 2 })
  expect(controllers).toMatchObject({ errorCode: errorCode('MISMATCHED_ENDPOINT_TYPE'), controllerId: -1, brokers: [] })
  const nonsense = await client.request(apis.describeCluster, 1, { endpointType: 9 })
  expect(nonsense.errorCode).toBe(errorCode('UNSUPPORTED_ENDPOINT_TYPE'))
})
