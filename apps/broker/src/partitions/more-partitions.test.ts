/** Topics that grow while they are used, as clients of every node see it. */
import { RawClient, testBatch } from '@milena/gateway/testing'
import { apis, errorName } from '@milena/wire-protocol'
import { afterEach, expect, it } from 'vitest'
import { startCluster, type EmbeddedCluster } from '../start-cluster.ts'

const cleanUps: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function connect(cluster: EmbeddedCluster, brokerId: number): Promise<RawClient> {
  const [, port] = cluster.addressesOf(Math.floor(brokerId / 1000))[brokerId % 1000]?.split(':') ?? []
  const client = await RawClient.connect(Number(port))
  cleanUps.push(() => client.close())
  return client
}

async function leadersOf(client: RawClient): Promise<{ topicId: string; leaders: number[]; replicas: number[] }> {
  const { topics } = await client.request(apis.metadata, 12, { topics: [{ name: 'grows' }] })
  const partitions = [...(topics[0]?.partitions ?? [])].sort((a, b) => a.partitionIndex - b.partitionIndex)
  return {
    topicId: topics[0]?.topicId ?? '',
    leaders: partitions.map(({ leaderId }) => leaderId),
    replicas: partitions.map(({ replicaNodes }) => replicaNodes.length)
  }
}

async function produce(client: RawClient, topicId: string, index: number): Promise<unknown> {
  const topicData = [{ topicId, partitionData: [{ index, records: testBatch() }] }]
  const { responses } = await client.request(apis.produce, 13, { acks: -1, timeoutMs: 5000, topicData })
  const answer = responses[0]?.partitionResponses[0]
  return [errorName(answer?.errorCode ?? -1), answer?.baseOffset]
}

it('gets partitions that take records at once, from whichever node was asked, and keeps them over a restart', async () => {
  const cluster = await startCluster({ nodes: 3, shardCount: 2 })
  cleanUps.push(() => cluster.stop())
  const client = await connect(cluster, 1001)
  const topics = [{ name: 'grows', numPartitions: 1, replicationFactor: 3 }]
  await client.request(apis.createTopics, 7, { topics, timeoutMs: 10_000 })
  const { topicId, leaders: first } = await leadersOf(client)
  expect(await produce(await connect(cluster, first[0] ?? -1), topicId, 0)).toEqual(['NONE', 0n])

  const other = await connect(cluster, 2000)
  const more = { topics: [{ name: 'grows', count: 4, assignments: null }], timeoutMs: 10_000, validateOnly: false }
  const { results } = await other.request(apis.createPartitions, 3, more)
  expect(results).toEqual([{ name: 'grows', errorCode: 0, errorMessage: null }])
  const grown = await leadersOf(other)
  expect(grown).toMatchObject({ topicId, replicas: [3, 3, 3, 3] })
  expect(new Set(grown.leaders).size).toBe(4)
  for (const [index, leader] of grown.leaders.entries()) {
    expect(await produce(await connect(cluster, leader), topicId, index)).toEqual(['NONE', index === 0 ? 1n : 0n])
  }
  const again = await client.request(apis.createPartitions, 3, more)
  expect(again.results[0]?.errorMessage).toBe('Topic already has 4 partition(s).')

  await Promise.all([0, 1, 2].map(nodeId => cluster.stopNode(nodeId)))
  await Promise.all([0, 1, 2].map(nodeId => cluster.startNode(nodeId)))
  const later = await leadersOf(await connect(cluster, 0))
  expect(later).toMatchObject({ topicId, replicas: [3, 3, 3, 3] })
})
