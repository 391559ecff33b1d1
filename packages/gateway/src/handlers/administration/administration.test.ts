import { apis, errorCode, errorMessage } from '@milena/wire-protocol'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { MemoryAdministration } from '../../testing/memory-administration.ts'
import type { RawClient } from '../../testing/raw-client.ts'
import { ServedGateway } from '../../testing/served-gateway.ts'

const DIRECTORY = 'p1nJDCkLoHVEkHj3NC5z8Q'

let served: ServedGateway
let client: RawClient
let administration: MemoryAdministration
beforeEach(async () => {
  served = await ServedGateway.start()
  client = await served.connect()
  administration = served.host.administration
})
afterEach(() => served.stop())

test('every version of ElectLeaders asks for what it can say and tells what became of each partition', async () => {
  administration.resultOf = ({ partition }) =>
    partition === 1
      ? { error: 'ELECTION_NOT_NEEDED', message: null }
      : partition === 2
        ? { error: 'PREFERRED_LEADER_NOT_AVAILABLE', message: 'broker 3 is down' }
        : { error: 'NONE', message: null }
  const topicPartitions = [
    { topic: 'a', partitions: [0, 1] },
    { topic: 'b', partitions: [2] }
  ]
  for (let version = 0; version <= 2; version++) {
    const kind = version === 0 ? {} : { electionType: version - 1 }
    const response = await client.request(apis.electLeaders, version, { ...kind, topicPartitions, timeoutMs: 5000 })
    expect(response).toMatchObject({ errorCode: 0 })
    expect(response.replicaElectionResults).toEqual([
      {
        topic: 'a',
        partitionResult: [
          { partitionId: 0, errorCode: 0, errorMessage: null },
          {
            partitionId: 1,
            errorCode: errorCode('ELECTION_NOT_NEEDED'),
            errorMessage: errorMessage('ELECTION_NOT_NEEDED')
          }
        ]
      },
      {
        topic: 'b',
        partitionResult: [
          {
            partitionId: 2,
            errorCode: errorCode('PREFERRED_LEADER_NOT_AVAILABLE'),
            errorMessage: 'broker 3 is down'
          }
        ]
      }
    ])
    const asked = [
      { topic: 'a', partition: 0 },
      { topic: 'a', partition: 1 },
      { topic: 'b', partition: 2 }
    ]
    const expectedKind = version === 2 ? 'unclean' : 'preferred'
    expect(administration.calls.at(-1)).toEqual(['electLeaders', expectedKind, asked, { timeoutMs: 5000 }])
  }
})

test('ElectLeaders without a list means all partitions, with an empty one none', async () => {
  administration.electable = [{ topic: 'a', partition: 3 }]
  const all = await client.request(apis.electLeaders, 2, { topicPartitions: null })
  expect(administration.calls.at(-1)?.[2]).toBe('all')
  expect(all.replicaElectionResults).toMatchObject([{ topic: 'a', partitionResult: [{ partitionId: 3 }] }])
  const none = await client.request(apis.electLeaders, 2, { topicPartitions: [] })
  expect(administration.calls.at(-1)?.[2]).toEqual([])
  expect(none).toMatchObject({ errorCode: 0, replicaElectionResults: [] })
})

test('ElectLeaders of an unknown kind, or refused as a whole, tells each partition so', async () => {
  const topicPartitions = [{ topic: 'a', partitions: [0] }]
  const unknown = await client.request(apis.electLeaders, 2, { electionType: 7, topicPartitions })
  const told = (error: 'INVALID_REQUEST' | 'NOT_CONTROLLER', message: string) => ({
    errorCode: errorCode(error),
    replicaElectionResults: [
      { topic: 'a', partitionResult: [{ partitionId: 0, errorCode: errorCode(error), errorMessage: message }] }
    ]
  })
  expect(unknown).toMatchObject(told('INVALID_REQUEST', 'Unknown election type 7'))
  expect(administration.calls).toEqual([])
  administration.refusal = { kind: 'refused', error: 'NOT_CONTROLLER', message: 'nobody leads' }
  const refused = await client.request(apis.electLeaders, 2, { topicPartitions })
  expect(refused).toMatchObject(told('NOT_CONTROLLER', 'nobody leads'))
})

test('every version of AlterPartitionReassignments starts and cancels moves', async () => {
  administration.resultOf = ({ topic }) =>
    topic === 'b' ? { error: 'NO_REASSIGNMENT_IN_PROGRESS', message: null } : { error: 'NONE', message: null }
  const topics = [
    {
      name: 'a',
      partitions: [
        { partitionIndex: 0, replicas: [1, 2] },
        { partitionIndex: 1, replicas: [] }
      ]
    },
    { name: 'b', partitions: [{ partitionIndex: 7, replicas: null }] }
  ]
  for (const [version, allowReplicationFactorChange] of [
    [0, true],
    [1, true],
    [1, false]
  ] as const) {
    const wish = version === 0 ? {} : { allowReplicationFactorChange }
    const response = await client.request(apis.alterPartitionReassignments, version, { topics, timeoutMs: -5, ...wish })
    expect(response).toMatchObject({ errorCode: 0, errorMessage: null, allowReplicationFactorChange })
    expect(response.responses.map(each => [each.name, each.partitions.map(partition => partition.errorCode)])).toEqual([
      ['a', [0, 0]],
      ['b', [errorCode('NO_REASSIGNMENT_IN_PROGRESS')]]
    ])
    expect(administration.calls.at(-1)).toEqual([
      'alterReassignments',
      [
        { topic: 'a', partition: 0, replicas: [1, 2] },
        { topic: 'a', partition: 1, replicas: [] },
        { topic: 'b', partition: 7, replicas: null }
      ],
      { timeoutMs: 0, allowReplicationFactorChange }
    ])
  }
  administration.refusal = { kind: 'refused', error: 'REQUEST_TIMED_OUT', message: null }
  const refused = await client.request(apis.alterPartitionReassignments, 1, { topics })
  const error = { errorCode: errorCode('REQUEST_TIMED_OUT'), errorMessage: errorMessage('REQUEST_TIMED_OUT') }
  expect(refused).toMatchObject(error)
  expect(refused.responses.flatMap(each => each.partitions)).toMatchObject([error, error, error])
})

test('ListPartitionReassignments lists the moves that were asked for, or all', async () => {
  const move = (topic: string, partition: number) => ({
    topic,
    partition,
    replicas: [3, 1],
    adding: [3],
    removing: [1]
  })
  administration.reassignments = [move('a', 0), move('a', 2), move('b', 1)]
  const told = (partitionIndex: number) => ({
    partitionIndex,
    replicas: [3, 1],
    addingReplicas: [3],
    removingReplicas: [1]
  })
  const all = await client.request(apis.listPartitionReassignments, 0, { topics: null })
  expect(all).toMatchObject({ errorCode: 0, errorMessage: null })
  expect(all.topics).toEqual([
    { name: 'a', partitions: [told(0), told(2)] },
    { name: 'b', partitions: [told(1)] }
  ])
  const topics = [
    { name: 'a', partitionIndexes: [2, 9] },
    { name: 'c', partitionIndexes: [0] }
  ]
  const some = await client.request(apis.listPartitionReassignments, 0, { topics })
  expect(some.topics).toEqual([{ name: 'a', partitions: [told(2)] }])
  expect((await client.request(apis.listPartitionReassignments, 0, { topics: [] })).topics).toEqual([])
  administration.refusal = { kind: 'refused', error: 'NOT_CONTROLLER', message: null }
  const refused = await client.request(apis.listPartitionReassignments, 0, { topics: null })
  expect(refused).toMatchObject({ errorCode: errorCode('NOT_CONTROLLER'), topics: [] })
})

const METADATA = { topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }

test('every version of DescribeQuorum shows the controller, newer ones with folders and addresses', async () => {
  const member = (replicaId: number) => ({
    replicaId,
    directoryId: DIRECTORY,
    logEndOffset: 40 + replicaId,
    lastFetchMs: 1000 + replicaId,
    lastCaughtUpMs: 900 + replicaId
  })
  const nodes = [{ nodeId: 1, listeners: [{ name: 'RPC', host: 'one.example', port: 33_145 }] }]
  const quorum = { kind: 'done', leaderId: 1, leaderEpoch: 7, highWatermark: 40, nodes } as const
  administration.quorum = { ...quorum, voters: [member(1), member(2)], observers: [member(3)] }
  for (let version = 0; version <= 2; version++) {
    const response = await client.request(apis.describeQuorum, version, { topics: [METADATA] })
    const told = (id: number) => ({
      replicaId: id,
      replicaDirectoryId: version >= 2 ? DIRECTORY : 'AAAAAAAAAAAAAAAAAAAAAA',
      logEndOffset: BigInt(40 + id),
      lastFetchTimestamp: version >= 1 ? BigInt(1000 + id) : -1n,
      lastCaughtUpTimestamp: version >= 1 ? BigInt(900 + id) : -1n
    })
    const [partition] = response.topics[0]?.partitions ?? []
    expect(response.errorCode).toBe(0)
    expect(partition).toMatchObject({ errorCode: 0, leaderId: 1, leaderEpoch: 7, highWatermark: 40n })
    expect(partition?.currentVoters).toEqual([told(1), told(2)])
    expect(partition?.observers).toEqual([told(3)])
    expect(response.nodes).toEqual(version >= 2 ? nodes : [])
  }
})

test('nothing but the metadata log has a quorum, and it is not shown beside other partitions', async () => {
  const asked = [
    [{ topicName: 'a', partitions: [{ partitionIndex: 0 }, { partitionIndex: 1 }] }],
    [{ ...METADATA, partitions: [{ partitionIndex: 1 }] }],
    [{ ...METADATA, partitions: [{ partitionIndex: 0 }, { partitionIndex: 1 }] }],
    [METADATA, { topicName: 'a', partitions: [{ partitionIndex: 0 }] }]
  ]
  for (let version = 0; version <= 2; version++) {
    for (const topics of asked) {
      const response = await client.request(apis.describeQuorum, version, { topics })
      expect(response.errorCode).toBe(0)
      expect(response.topics.map(topic => topic.topicName)).toEqual(topics.map(topic => topic.topicName))
      for (const [i, topic] of response.topics.entries()) {
        expect(topic.partitions.map(each => each.partitionIndex)).toEqual(
          topics[i]?.partitions.map(each => each.partitionIndex)
        )
        for (const each of topic.partitions) expect(each.errorCode).toBe(errorCode('UNKNOWN_TOPIC_OR_PARTITION'))
      }
    }
  }
  expect((await client.request(apis.describeQuorum, 2, { topics: [] })).topics).toEqual([])
  expect(administration.calls).toEqual([])
})

test('a quorum that cannot be reached is an error of the whole answer', async () => {
  administration.refusal = { kind: 'refused', error: 'NOT_CONTROLLER', message: 'no leader' }
  const response = await client.request(apis.describeQuorum, 2, { topics: [METADATA] })
  expect(response).toMatchObject({ errorCode: errorCode('NOT_CONTROLLER'), errorMessage: 'no leader', topics: [] })
})

test('UnregisterBroker forgets a broker or says why not', async () => {
  const done = await client.request(apis.unregisterBroker, 0, { brokerId: 1 })
  expect(done).toMatchObject({ errorCode: 0, errorMessage: null })
  expect(administration.calls).toEqual([['unregisterBroker', 1]])
  const unknown = await client.request(apis.unregisterBroker, 0, { brokerId: 99 })
  expect(unknown).toMatchObject({
    errorCode: errorCode('BROKER_ID_NOT_REGISTERED'),
    errorMessage: 'Broker ID 99 is not currently registered'
  })
  expect(administration.calls).toHaveLength(1)
  administration.refusal = { kind: 'refused', error: 'INVALID_REQUEST', message: 'it still has replicas' }
  const refused = await client.request(apis.unregisterBroker, 0, { brokerId: 1 })
  expect(refused).toMatchObject({ errorCode: errorCode('INVALID_REQUEST'), errorMessage: 'it still has replicas' })
})

test('every version of DescribeLogDirs tells folders, what is in them, and newer ones how much fits', async () => {
  const replica = (topic: string, partition: number) => ({ topic, partition, sizeBytes: 100 + partition, offsetLag: 7 })
  const replicas = [replica('a', 0), replica('b', 0), replica('a', 2)]
  served.host.logDirs.logDirs = [
    { kind: 'healthy', path: '/data/one', totalBytes: 5_000_000_000, usableBytes: 4_000_000_000, replicas },
    { kind: 'refused', path: '/data/two', error: 'KAFKA_STORAGE_ERROR' }
  ]
  const told = (partitionIndex: number) => ({
    partitionIndex,
    partitionSize: BigInt(100 + partitionIndex),
    offsetLag: 7n,
    isFutureKey: false
  })
  for (let version = 1; version <= 5; version++) {
    const all = await client.request(apis.describeLogDirs, version, { topics: null })
    expect(all.results).toMatchObject([
      {
        errorCode: 0,
        logDir: '/data/one',
        topics: [
          { name: 'a', partitions: [told(0), told(2)] },
          { name: 'b', partitions: [told(0)] }
        ],
        totalBytes: version >= 4 ? 5_000_000_000n : -1n,
        usableBytes: version >= 4 ? 4_000_000_000n : -1n
      },
      { errorCode: errorCode('KAFKA_STORAGE_ERROR'), logDir: '/data/two', topics: [] }
    ])
    const topics = [
      { topic: 'a', partitions: [2, 9] },
      { topic: 'nope', partitions: [0] }
    ]
    const some = await client.request(apis.describeLogDirs, version, { topics })
    expect(some.results[0]?.topics).toEqual([{ name: 'a', partitions: [told(2)] }])
    const none = await client.request(apis.describeLogDirs, version, { topics: [] })
    expect(none.results.map(each => each.topics)).toEqual([[], []])
  }
})
