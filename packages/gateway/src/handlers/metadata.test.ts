import { apis, errorCode, ZERO_UUID } from '@milena/wire-protocol'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { AUTO_CREATE_TOPICS_PER_REQUEST_MAX } from '../settings.ts'
import { MemoryHost } from '../testing/memory-host.ts'
import type { RawClient } from '../testing/raw-client.ts'
import { ServedGateway } from '../testing/served-gateway.ts'

const NEIGHBOUR = { id: 2, host: 'other.example', port: 9192, rack: 'r2', fenced: false }
const FENCED = { id: 3, host: 'fenced.example', port: 9193, rack: null, fenced: true }
const UNKNOWN_ID = 'BBBBBBBBBBBBBBBBBBBBBA'

let served: ServedGateway
let client: RawClient
beforeEach(async () => {
  served = await ServedGateway.start({}, new MemoryHost({ neighbours: [NEIGHBOUR, FENCED] }))
  client = await served.connect()
})
afterEach(() => served.stop())

const names = (topics: readonly { name: string | null }[]) => topics.map(topic => topic.name).sort()

test('every version tells brokers, leaders and replicas', async () => {
  const { topicId } = served.host.cluster.addTopic('orders', 2)
  served.host.cluster.moveLeader('orders', 1, 2)
  for (let version = 0; version <= 13; version++) {
    const response = await client.request(apis.metadata, version, { topics: [{ name: 'orders' }] })
    expect(response.brokers).toHaveLength(2)
    expect(response.brokers).toContainEqual({ nodeId: 1, host: '127.0.0.1', port: served.port, rack: null })
    expect(response.brokers).toContainEqual({ ...pick(NEIGHBOUR), rack: version >= 1 ? 'r2' : null })
    const [topic] = response.topics
    expect(topic).toMatchObject({ errorCode: 0, name: 'orders', topicId: version >= 10 ? topicId : ZERO_UUID })
    expect(topic?.partitions.map(partition => [partition.partitionIndex, partition.leaderId])).toEqual([
      [0, 1],
      [1, 2]
    ])
    if (version >= 1) expect(response.controllerId).toBe(1)
    if (version >= 2) expect(response.clusterId).toBe(served.host.cluster.view().clusterId)
  }
})

test('null asks for all topics, an empty list for none; in version 0 the empty list is all', async () => {
  served.host.cluster.addTopic('a')
  served.host.cluster.addTopic('b')
  expect(names((await client.request(apis.metadata, 0, { topics: [] })).topics)).toEqual(['a', 'b'])
  for (let version = 1; version <= 13; version++) {
    expect(names((await client.request(apis.metadata, version, { topics: null })).topics)).toEqual(['a', 'b'])
    expect((await client.request(apis.metadata, version, { topics: [] })).topics).toEqual([])
  }
})

test('a partition without a leader says LEADER_NOT_AVAILABLE', async () => {
  served.host.cluster.addTopic('a', 2)
  served.host.cluster.moveLeader('a', 1, -1)
  const { topics } = await client.request(apis.metadata, 12, { topics: [{ name: 'a' }] })
  expect(topics[0]?.partitions.map(partition => partition.errorCode)).toEqual([0, errorCode('LEADER_NOT_AVAILABLE')])
})

test('a leader that is fenced is none, its epoch stays told', async () => {
  served.host.cluster.addTopic('a')
  served.host.cluster.describePartition('a', 0, { leader: 3, leaderEpoch: 5, replicas: [3, 2], inSyncReplicas: [3] })
  for (let version = 0; version <= 13; version++) {
    const { topics } = await client.request(apis.metadata, version, { topics: [{ name: 'a' }] })
    expect(topics[0]).toMatchObject({ errorCode: 0 })
    const leaderEpoch = version >= 7 ? 5 : -1
    const [partition] = topics[0]?.partitions ?? []
    expect(partition).toMatchObject({ errorCode: errorCode('LEADER_NOT_AVAILABLE'), leaderId: -1, leaderEpoch })
  }
})

test('replicas that are down are told as offline; version 0 leaves them out and says so', async () => {
  served.host.cluster.addTopic('a')
  const change = { replicas: [3, 1, 2], inSyncReplicas: [1, 2], offlineReplicas: [3] }
  served.host.cluster.describePartition('a', 0, change)
  for (let version = 0; version <= 13; version++) {
    const { topics } = await client.request(apis.metadata, version, { topics: [{ name: 'a' }] })
    const [partition] = topics[0]?.partitions ?? []
    expect(partition).toMatchObject({
      errorCode: version === 0 ? errorCode('REPLICA_NOT_AVAILABLE') : 0,
      leaderId: 1,
      replicaNodes: version === 0 ? [1, 2] : [3, 1, 2],
      isrNodes: [1, 2],
      offlineReplicas: version >= 5 ? [3] : []
    })
  }
})

test('an unknown topic is made when broker and request allow it, and is there in the same answer', async () => {
  for (let version = 0; version <= 13; version++) {
    const name = `made-by-v${version}`
    const { topics } = await client.request(apis.metadata, version, { topics: [{ name }] })
    expect(topics[0]).toMatchObject({ errorCode: 0, name })
    expect(topics[0]?.partitions).toHaveLength(1)
  }
})

test('an unknown topic stays unknown when the request or the broker forbids making it', async () => {
  const unknown = [{ errorCode: errorCode('UNKNOWN_TOPIC_OR_PARTITION'), name: 'x' }]
  const asked = { topics: [{ name: 'x' }], allowAutoTopicCreation: false }
  expect((await client.request(apis.metadata, 9, asked)).topics).toMatchObject(unknown)
  served.host.cluster.autoCreateTopics = false
  expect((await client.request(apis.metadata, 9, { topics: [{ name: 'x' }] })).topics).toMatchObject(unknown)
  expect(served.host.cluster.view().topicByName('x')).toBeUndefined()
})

test('an illegal name is INVALID_TOPIC_EXCEPTION and never reaches the host', async () => {
  const illegal = ['', '.', '..', 'a/b', '../../etc', 'a\u0000', 'a\n', 'ä', 'x'.repeat(250)]
  const { topics } = await client.request(apis.metadata, 9, { topics: illegal.map(name => ({ name })) })
  expect(topics).toHaveLength(illegal.length)
  for (const topic of topics) expect(topic.errorCode).toBe(errorCode('INVALID_TOPIC_EXCEPTION'))
  expect([...served.host.cluster.view().topics()]).toEqual([])
})

test("asking for the name of the controller's log makes no topic of that name", async () => {
  const { topics } = await client.request(apis.metadata, 9, { topics: [{ name: '__cluster_metadata' }] })
  expect(topics).toMatchObject([{ errorCode: errorCode('UNKNOWN_TOPIC_OR_PARTITION') }])
  expect([...served.host.cluster.view().topics()]).toEqual([])
})

test('names that are properties of every object are ordinary names', async () => {
  const odd = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
  const { topics } = await client.request(apis.metadata, 9, { topics: odd.map(name => ({ name })) })
  expect(names(topics)).toEqual([...odd].sort())
  for (const topic of topics) expect(topic).toMatchObject({ errorCode: 0 })
})

test('one request makes a bounded number of topics; the rest is made when the client asks again', async () => {
  const all = Array.from({ length: AUTO_CREATE_TOPICS_PER_REQUEST_MAX + 50 }, (_, i) => ({ name: `t${i}` }))
  const { topics } = await client.request(apis.metadata, 9, { topics: all })
  const later = topics.filter(topic => topic.errorCode === errorCode('LEADER_NOT_AVAILABLE'))
  expect(later).toHaveLength(50)
  expect([...served.host.cluster.view().topics()]).toHaveLength(AUTO_CREATE_TOPICS_PER_REQUEST_MAX)
  const again = await client.request(apis.metadata, 9, { topics: all })
  expect(again.topics.every(topic => topic.errorCode === 0)).toBe(true)
})

test('topic ids are answered from version 12 on, unknown ones with UNKNOWN_TOPIC_ID and no name', async () => {
  const { topicId } = served.host.cluster.addTopic('a')
  for (const version of [12, 13]) {
    const asked = {
      topics: [
        { name: null, topicId },
        { name: null, topicId: UNKNOWN_ID }
      ]
    }
    const { topics } = await client.request(apis.metadata, version, asked)
    expect(topics).toMatchObject([
      { errorCode: 0, name: 'a', topicId },
      { errorCode: errorCode('UNKNOWN_TOPIC_ID'), name: null, topicId: UNKNOWN_ID }
    ])
  }
  for (const version of [10, 11]) {
    const { topics } = await client.request(apis.metadata, version, { topics: [{ name: 'a', topicId }] })
    expect(topics[0]?.errorCode).toBe(errorCode('INVALID_REQUEST'))
  }
})

test('authorized operations are told only when asked for', async () => {
  served.host.cluster.addTopic('a')
  const asked = {
    topics: [{ name: 'a' }],
    includeTopicAuthorizedOperations: true,
    includeClusterAuthorizedOperations: true
  }
  const told = await client.request(apis.metadata, 9, asked)
  expect([told.topics[0]?.topicAuthorizedOperations, told.clusterAuthorizedOperations]).toEqual([3576, 8096])
  const silent = await client.request(apis.metadata, 9, { topics: [{ name: 'a' }] })
  expect([silent.topics[0]?.topicAuthorizedOperations, silent.clusterAuthorizedOperations]).toEqual([
    -(2 ** 31),
    -(2 ** 31)
  ])
})

function pick({ id, host, port }: typeof NEIGHBOUR) {
  return { nodeId: id, host, port }
}
