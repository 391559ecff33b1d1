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
  expect(controllers.errorCode).toBe(errorCode('MISMATCHED_ENDPOINT_TYPE'))
  const nonsense = await client.request(apis.describeCluster, 1, { endpointType: 9 })
  expect(nonsense.errorCode).toBe(errorCode('UNSUPPORTED_ENDPOINT_TYPE'))
})
