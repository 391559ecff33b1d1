import { apis, errorCode, type RequestInput, ZERO_UUID } from '@milena/wire-protocol'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DESCRIBED_PARTITIONS_MAX } from '../settings.ts'
import { MemoryHost } from '../testing/memory-host.ts'
import type { RawClient } from '../testing/raw-client.ts'
import { ServedGateway } from '../testing/served-gateway.ts'

const NEIGHBOUR = { id: 2, host: 'other.example', port: 9192, rack: 'r2', fenced: false }
const FENCED = { id: 3, host: 'fenced.example', port: 9193, rack: null, fenced: true }

let served: ServedGateway
let client: RawClient
beforeEach(async () => {
  served = await ServedGateway.start({}, new MemoryHost({ neighbours: [NEIGHBOUR, FENCED] }))
  client = await served.connect()
  for (const [name, partitionCount] of [
    ['r3', 3],
    ['two', 1],
    ['b23', 1],
    ['one', 1]
  ] as const) {
    served.host.cluster.addTopic(name, partitionCount)
  }
})
afterEach(() => served.stop())

const describe = (message: RequestInput<typeof apis.describeTopicPartitions>) =>
  client.request(apis.describeTopicPartitions, 0, message)

/** Topics with the numbers of their partitions, and the next cursor. */
async function page(message: RequestInput<typeof apis.describeTopicPartitions>) {
  const { topics, nextCursor } = await describe(message)
  const cursor = nextCursor === null ? null : [nextCursor.topicName, nextCursor.partitionIndex]
  return [topics.map(topic => [topic.name, topic.partitions.map(each => each.partitionIndex)]), cursor]
}

test('a topic is told with its replicas; a leader that is fenced is none, and that is no error here', async () => {
  const change = { leader: 3, leaderEpoch: 4, replicas: [3, 1], inSyncReplicas: [3], offlineReplicas: [3] }
  served.host.cluster.describePartition('r3', 1, change)
  const { topics } = await describe({ topics: [{ name: 'r3' }] })
  const common = { errorCode: 0, eligibleLeaderReplicas: [], lastKnownElr: [] }
  const led = { ...common, leaderId: 1, leaderEpoch: 0, replicaNodes: [1], isrNodes: [1], offlineReplicas: [] }
  const leaderless = {
    ...common,
    leaderId: -1,
    leaderEpoch: 4,
    replicaNodes: [3, 1],
    isrNodes: [3],
    offlineReplicas: [3]
  }
  const topicId = served.host.cluster.view().topicByName('r3')?.topicId
  expect(topics).toEqual([
    {
      errorCode: 0,
      name: 'r3',
      topicId,
      isInternal: false,
      partitions: [
        { partitionIndex: 0, ...led },
        { partitionIndex: 1, ...leaderless },
        { partitionIndex: 2, ...led }
      ],
      topicAuthorizedOperations: 3576
    }
  ])
})

test('topics come in the order of their names, each once, unknown and illegal ones with their error', async () => {
  expect(await page({ topics: [] })).toEqual([
    [
      ['b23', [0]],
      ['one', [0]],
      ['r3', [0, 1, 2]],
      ['two', [0]]
    ],
    null
  ])
  const { topics } = await describe({ topics: [{ name: 'two' }, { name: 'nope' }, { name: 'two' }, { name: 'a/b' }] })
  expect(topics.map(({ name, errorCode, topicId }) => [name, errorCode, topicId === ZERO_UUID])).toEqual([
    ['a/b', errorCode('INVALID_TOPIC_EXCEPTION'), true],
    ['nope', errorCode('UNKNOWN_TOPIC_OR_PARTITION'), true],
    ['two', 0, false]
  ])
})

test('pages that follow each other tell every partition once, whatever their size', async () => {
  for (const responsePartitionLimit of [1, 2, 3, 4, 5, 6, 2000]) {
    const told: string[] = []
    let cursor: { topicName: string; partitionIndex: number } | null = null
    let pageCount = 0
    do {
      const response: Awaited<ReturnType<typeof describe>> = await describe({ responsePartitionLimit, cursor })
      for (const { name, partitions } of response.topics) {
        for (const { partitionIndex } of partitions) told.push(`${name}-${partitionIndex}`)
      }
      cursor = response.nextCursor
      pageCount++
    } while (cursor !== null)
    expect(told).toEqual(['b23-0', 'one-0', 'r3-0', 'r3-1', 'r3-2', 'two-0'])
    expect(pageCount).toBe(Math.ceil(6 / responsePartitionLimit))
  }
})

test('a page has at least one partition and at most the limit', async () => {
  for (const responsePartitionLimit of [0, -1, 1]) {
    expect(await page({ responsePartitionLimit })).toEqual([[['b23', [0]]], ['one', 0]])
  }
  served.host.cluster.addTopic('a', DESCRIBED_PARTITIONS_MAX + 5)
  const { topics, nextCursor } = await describe({ responsePartitionLimit: 1_000_000 })
  expect(topics.map(topic => topic.partitions.length)).toEqual([DESCRIBED_PARTITIONS_MAX])
  expect(nextCursor).toEqual({ topicName: 'a', partitionIndex: DESCRIBED_PARTITIONS_MAX })
})

test('a cursor goes on behind topics that are gone and partitions that never were', async () => {
  const from = (topicName: string, partitionIndex: number, topics: { name: string }[] = []) =>
    page({ topics, responsePartitionLimit: 2, cursor: { topicName, partitionIndex } })
  expect(await from('r3', 1)).toEqual([[['r3', [1, 2]]], ['two', 0]])
  expect(await from('oo', 5)).toEqual([[['r3', [0, 1]]], ['r3', 2]])
  expect(await from('zzz', 0)).toEqual([[], null])
  const named = [{ name: 'two' }, { name: 'r3' }, { name: 'nope' }]
  const behind = [
    ['r3', []],
    ['two', [0]]
  ]
  expect(await from('r3', 3, named)).toEqual([behind, null])
})

test('a cursor that cannot come from an earlier page is INVALID_REQUEST for each topic', async () => {
  const topics = [{ name: 'two' }, { name: 'r3' }]
  for (const cursor of [
    { topicName: 'one', partitionIndex: 0 },
    { topicName: 'r3', partitionIndex: -1 }
  ]) {
    const response = await describe({ topics, cursor })
    expect(response.topics.map(topic => [topic.name, topic.errorCode, topic.partitions])).toEqual([
      ['two', errorCode('INVALID_REQUEST'), []],
      ['r3', errorCode('INVALID_REQUEST'), []]
    ])
  }
})
