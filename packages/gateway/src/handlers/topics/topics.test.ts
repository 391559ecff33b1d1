import { apis, errorCode, errorMessage, type ErrorName } from '@milena/wire-protocol'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MemoryHost } from '../../testing/memory-host.ts'
import type { RawClient } from '../../testing/raw-client.ts'
import { ServedGateway } from '../../testing/served-gateway.ts'

const UNKNOWN_ID = 'BBBBBBBBBBBBBBBBBBBBBA'

const FENCED = { id: 2, host: 'fenced.example', port: 9193, rack: null, fenced: true }

let served: ServedGateway
let client: RawClient
beforeEach(async () => {
  served = await ServedGateway.start()
  client = await served.connect()
})
afterEach(() => served.stop())

const topic = (name: string, more = {}) => ({ name, numPartitions: 1, replicationFactor: 1, ...more })
const manual = (name: string, assignments: { partitionIndex: number; brokerIds: number[] }[], more = {}) =>
  topic(name, { numPartitions: -1, replicationFactor: -1, assignments, ...more })

test('every version of CreateTopics makes the topic and says so', async () => {
  for (let version = 2; version <= 7; version++) {
    const name = `by-v${version}`
    const configs = [{ name: 'retention.ms', value: '1000' }]
    const response = await client.request(apis.createTopics, version, {
      topics: [topic(name, { numPartitions: 3, configs })]
    })
    expect(response.topics).toMatchObject([{ name, errorCode: 0, errorMessage: null }])
    const view = served.host.cluster.view().topicByName(name)
    expect(view?.partitions).toHaveLength(3)
    if (version >= 5) {
      expect(response.topics[0]).toMatchObject({ numPartitions: 3, replicationFactor: 1 })
      expect(response.topics[0]?.configs).toMatchObject([{ name: 'retention.ms', value: '1000' }])
    }
    if (version >= 7) expect(response.topics[0]?.topicId).toBe(view?.topicId)
  }
})

test('validateOnly answers as if, and makes nothing', async () => {
  const response = await client.request(apis.createTopics, 7, { topics: [topic('a')], validateOnly: true })
  expect(response.topics).toMatchObject([{ name: 'a', errorCode: 0, numPartitions: 1 }])
  expect(served.host.cluster.view().topicByName('a')).toBeUndefined()
})

test('each mistake has its error, and the other topics of the request are made', async () => {
  served.host.cluster.addTopic('exists')
  const cases: [ReturnType<typeof topic>, ErrorName | null][] = [
    [topic('fine'), null],
    [topic('exists'), 'TOPIC_ALREADY_EXISTS'],
    [topic(''), 'INVALID_TOPIC_EXCEPTION'],
    [topic('.'), 'INVALID_TOPIC_EXCEPTION'],
    [topic('..'), 'INVALID_TOPIC_EXCEPTION'],
    [topic('../../etc'), 'INVALID_TOPIC_EXCEPTION'],
    [topic('a\u0000b'), 'INVALID_TOPIC_EXCEPTION'],
    [topic('x'.repeat(250)), 'INVALID_TOPIC_EXCEPTION'],
    [topic('x'.repeat(249)), null],
    [topic('p0', { numPartitions: 0 }), 'INVALID_PARTITIONS'],
    [topic('p-5', { numPartitions: -5 }), 'INVALID_PARTITIONS'],
    [topic('r0', { replicationFactor: 0 }), 'INVALID_REPLICATION_FACTOR'],
    [topic('r-2', { replicationFactor: -2 }), 'INVALID_REPLICATION_FACTOR'],
    [topic('r32767', { replicationFactor: 32_767 }), 'INVALID_REPLICATION_FACTOR'],
    [topic('default', { numPartitions: -1, replicationFactor: -1 }), null],
    [manual('m', [{ partitionIndex: 0, brokerIds: [1] }]), null],
    [manual('m1', [{ partitionIndex: 0, brokerIds: [1] }], { numPartitions: 1 }), 'INVALID_REQUEST'],
    [manual('m2', [{ partitionIndex: 0, brokerIds: [1, 1] }]), 'INVALID_REPLICA_ASSIGNMENT'],
    [manual('m3', [{ partitionIndex: 0, brokerIds: [99] }]), 'INVALID_REPLICA_ASSIGNMENT'],
    [manual('m4', [{ partitionIndex: 1, brokerIds: [1] }]), 'INVALID_REPLICA_ASSIGNMENT'],
    [manual('m5', [{ partitionIndex: 0, brokerIds: [] }]), 'INVALID_REPLICA_ASSIGNMENT'],
    [manual('m6', Array(2).fill({ partitionIndex: 0, brokerIds: [1] })), 'INVALID_REPLICA_ASSIGNMENT']
  ]
  const response = await client.request(apis.createTopics, 7, { topics: cases.map(([asked]) => asked) })
  const byName = new Map(response.topics.map(result => [result.name, result]))
  for (const [{ name }, error] of cases) {
    expect([name, byName.get(name)?.errorCode]).toEqual([name, error === null ? 0 : errorCode(error)])
    expect(served.host.cluster.view().topicByName(name) !== undefined).toBe(error === null || name === 'exists')
  }
})

test('a manual placement is handed on as it is, and its mistakes are told in words that administrators know', async () => {
  await served.stop()
  served = await ServedGateway.start({}, new MemoryHost({ neighbours: [FENCED] }))
  client = await served.connect()
  const place = (...replicas: number[][]) =>
    replicas.map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds }))
  const cases: [ReturnType<typeof topic>, string | null][] = [
    [manual('fine', place([1], [1])), null],
    [manual('half', place([1, 2])), null],
    [
      manual('a', place([1]), { replicationFactor: 1 }),
      'A manual partition assignment was specified, but replication factor was not set to -1.'
    ],
    [
      manual('b', place([1]), { numPartitions: 1 }),
      'A manual partition assignment was specified, but numPartitions was not set to -1.'
    ],
    [manual('c', place([1, 1])), 'The manual partition assignment includes the broker 1 more than once.'],
    [manual('d', place([99])), 'The manual partition assignment includes broker 99, but no such broker is registered.'],
    [
      manual('e', place([1], [1, 2])),
      'The manual partition assignment includes a partition with 2 replica(s), but this is not consistent with previous partitions, which have 1 replica(s).'
    ],
    [manual('f', [...place([1]), ...place([1])]), 'Found multiple manual partition assignments for partition 0'],
    [topic('h', { replicationFactor: 0 }), 'Replication factor must be larger than 0, or -1 to use the default value.'],
    [topic('i', { numPartitions: 0 }), 'Number of partitions was set to an invalid non-positive value.'],
    [topic('__cluster_metadata'), 'Creation of internal topic __cluster_metadata is prohibited.']
  ]
  const response = await client.request(apis.createTopics, 7, { topics: cases.map(([asked]) => asked) })
  expect(response.topics.map(({ name, errorMessage }) => [name, errorMessage])).toEqual(
    cases.map(([{ name }, message]) => [name, message])
  )
  expect(served.host.cluster.view().topicByName('fine')?.partitions).toHaveLength(2)
})

test('a topic named twice is refused once and not made', async () => {
  const response = await client.request(apis.createTopics, 7, { topics: [topic('a'), topic('b'), topic('a')] })
  expect(response.topics).toHaveLength(2)
  expect(response.topics).toMatchObject([
    { name: 'a', errorCode: errorCode('INVALID_REQUEST') },
    { name: 'b', errorCode: 0 }
  ])
  expect(served.host.cluster.view().topicByName('a')).toBeUndefined()
})

test('every version of DeleteTopics deletes by name, version 6 by id too', async () => {
  for (let version = 1; version <= 5; version++) {
    served.host.cluster.addTopic('a')
    const response = await client.request(apis.deleteTopics, version, { topicNames: ['a', 'nope'] })
    expect(response.responses.map(each => [each.name, each.errorCode])).toEqual([
      ['a', 0],
      ['nope', errorCode('UNKNOWN_TOPIC_OR_PARTITION')]
    ])
    expect(served.host.cluster.view().topicByName('a')).toBeUndefined()
  }
  served.host.cluster.addTopic('b')
  const { topicId } = served.host.cluster.addTopic('c')
  const response = await client.request(apis.deleteTopics, 6, { topics: [{ name: 'b' }, { name: null, topicId }] })
  expect(response.responses).toMatchObject([
    { name: 'b', errorCode: 0 },
    { name: 'c', topicId, errorCode: 0 }
  ])
  expect([...served.host.cluster.view().topics()]).toEqual([])
})

test('DeleteTopics refuses names and ids that are unknown, repeated, both or neither', async () => {
  served.host.cluster.addTopic('a')
  const { topicId } = served.host.cluster.addTopic('b')
  const topics = [
    { name: null },
    { name: 'x', topicId: UNKNOWN_ID },
    { name: 'a' },
    { name: 'a' },
    { name: null, topicId },
    { name: null, topicId },
    { name: null, topicId: UNKNOWN_ID }
  ]
  const { responses } = await client.request(apis.deleteTopics, 6, { topics })
  expect(responses.map(each => [each.name, each.errorCode, each.errorMessage])).toEqual([
    [null, errorCode('INVALID_REQUEST'), 'Neither topic name nor id were specified.'],
    ['x', errorCode('INVALID_REQUEST'), 'You may not specify both topic name and topic id.'],
    ['a', errorCode('INVALID_REQUEST'), 'Duplicate topic name.'],
    [null, errorCode('INVALID_REQUEST'), 'Duplicate topic id.'],
    [null, errorCode('UNKNOWN_TOPIC_ID'), errorMessage('UNKNOWN_TOPIC_ID')]
  ])
  expect(served.host.cluster.view().topicByName('a')).toBeDefined()
})
