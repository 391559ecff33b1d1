/** Records that are deleted on request, as clients see it: on every replica, for good. */
import { RawClient, testBatch } from '@milena/gateway/testing'
import { apis, errorName, type ErrorName } from '@milena/wire-protocol'
import { afterEach, expect, it } from 'vitest'
import { startBroker } from '../../start-broker.ts'
import { startCluster, type EmbeddedCluster } from '../../start-cluster.ts'

const EARLIEST = -2n
const LATEST = -1n
const TOPIC = 2

const cleanUps: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function connectTo(address: string | undefined): Promise<RawClient> {
  const client = await RawClient.connect(Number(address?.split(':')[1]))
  cleanUps.push(() => client.close())
  return client
}

const connect = (cluster: EmbeddedCluster, brokerId: number): Promise<RawClient> =>
  connectTo(cluster.addressesOf(brokerId / 1000)[0])

async function createTopic(client: RawClient, replicationFactor: number): Promise<string> {
  const topics = [{ name: 'cut', numPartitions: 1, replicationFactor }]
  const made = await client.request(apis.createTopics, 7, { topics, timeoutMs: 10_000 })
  return made.topics[0]?.topicId ?? ''
}

async function partitionOf(client: RawClient): Promise<{ leaderId: number; replicas: number[]; inSync: number }> {
  const { topics } = await client.request(apis.metadata, 12, { topics: [{ name: 'cut' }] })
  const partition = topics[0]?.partitions[0]
  const { leaderId = -1, replicaNodes = [], isrNodes = [] } = partition ?? {}
  return { leaderId, replicas: [...replicaNodes], inSync: isrNodes.length }
}

/** A batch of five records. */
async function produce(client: RawClient, topicId: string, timestamp = 1_700_000_000_000n): Promise<void> {
  const records = testBatch({ recordCount: 5, timestamp })
  const topicData = [{ topicId, partitionData: [{ index: 0, records }] }]
  const { responses } = await client.request(apis.produce, 13, { acks: -1, timeoutMs: 5000, topicData })
  expect(errorName(responses[0]?.partitionResponses[0]?.errorCode ?? -1)).toBe('NONE')
}

async function deleteBefore(client: RawClient, offset: bigint): Promise<[ErrorName, bigint]> {
  const topics = [{ name: 'cut', partitions: [{ partitionIndex: 0, offset }] }]
  const answer = await client.request(apis.deleteRecords, 2, { topics, timeoutMs: 10_000 })
  const partition = answer.topics[0]?.partitions[0]
  return [errorName(partition?.errorCode ?? -1), partition?.lowWatermark ?? -1n]
}

async function offsetAt(client: RawClient, timestamp: bigint): Promise<bigint | ErrorName> {
  const partitions = [{ partitionIndex: 0, currentLeaderEpoch: -1, timestamp }]
  const request = { replicaId: -1, isolationLevel: 0, topics: [{ name: 'cut', partitions }] }
  const { topics } = await client.request(apis.listOffsets, 7, request)
  const found = topics[0]?.partitions[0]
  return found?.errorCode === 0 ? found.offset : errorName(found?.errorCode ?? -1)
}

/** First and last offset of the batch that a fetch gets, or the error. */
async function fetch(client: RawClient, topicId: string, offset: number): Promise<(number | bigint)[] | ErrorName> {
  const partition = { partition: 0, currentLeaderEpoch: -1, fetchOffset: BigInt(offset), lastFetchedEpoch: -1 }
  const topics = [{ topicId, partitions: [{ ...partition, logStartOffset: -1n, partitionMaxBytes: 1 }] }]
  const request = { maxWaitMs: 0, minBytes: 1, maxBytes: 1 << 20, isolationLevel: 0, sessionId: 0, sessionEpoch: -1 }
  const { responses } = await client.request(apis.fetch, 13, { ...request, topics })
  const answer = responses[0]?.partitions[0]
  if (answer?.errorCode !== 0) return errorName(answer?.errorCode ?? -1)
  const bytes = Buffer.from(answer.records ?? [])
  return bytes.length === 0 ? [] : [bytes.readBigInt64BE(0), bytes.readInt32BE(23)]
}

/** Asks again and again until it is as it should be; at most a minute. */
async function until<T>(ask: () => Promise<T>, isRight: (answer: T) => boolean): Promise<T> {
  const endMs = performance.now() + 60_000
  for (;;) {
    const answer = await ask()
    if (isRight(answer)) return answer
    if (performance.now() > endMs) throw new Error(`still ${String(JSON.stringify(answer))}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

/** Lets a replica lead; a client of it. */
async function lead(cluster: EmbeddedCluster, target: number): Promise<RawClient> {
  const client = await connect(cluster, target)
  const request = { topic: 'cut', partition: 0, target }
  await until(
    async () => {
      const { leaderId } = await partitionOf(client)
      if (leaderId === target) return true
      await cluster.operate(target / 1000, 'transferLeadership', request).catch(() => undefined)
      return false
    },
    done => done
  )
  return client
}

it('moves the start of a log into a batch and to its end, and refuses what is not there', async () => {
  const broker = await startBroker()
  cleanUps.push(() => broker.stop())
  const client = await connectTo(broker.bootstrapServers)
  const topicId = await createTopic(client, 1)
  const times = [2n, 1n, 2n].map(ms => 1_700_000_000_000n + ms)
  for (const time of times) await produce(client, topicId, time)
  expect(await deleteBefore(client, 7n)).toEqual(['NONE', 7n])
  expect([await offsetAt(client, EARLIEST), await offsetAt(client, LATEST)]).toEqual([7n, 15n])
  expect([await offsetAt(client, 0n), await offsetAt(client, times[0]!)]).toEqual([7n, 10n])
  expect([await fetch(client, topicId, 6), await fetch(client, topicId, 7)]).toEqual(['OFFSET_OUT_OF_RANGE', [5n, 4]])
  for (const lower of [0n, 3n, 7n]) expect(await deleteBefore(client, lower)).toEqual(['NONE', 7n])
  for (const wrong of [-2n, 16n, 2n ** 62n]) {
    expect(await deleteBefore(client, wrong)).toEqual(['OFFSET_OUT_OF_RANGE', -1n])
  }
  expect(await deleteBefore(client, -1n)).toEqual(['NONE', 15n])
  expect([await offsetAt(client, EARLIEST), await offsetAt(client, 0n)]).toEqual([15n, -1n])
  await produce(client, topicId)
  expect([await offsetAt(client, EARLIEST), await fetch(client, topicId, 15)]).toEqual([15n, [15n, 4]])

  const policy = async (value: string): Promise<void> => {
    const configs = [{ name: 'cleanup.policy', configOperation: 0, value }]
    const resources = [{ resourceType: TOPIC, resourceName: 'cut', configs }]
    await client.request(apis.incrementalAlterConfigs, 1, { resources })
  }
  await policy('compact')
  expect(await deleteBefore(client, 16n)).toEqual(['POLICY_VIOLATION', -1n])
  await policy('compact,delete')
  expect(await deleteBefore(client, 16n)).toEqual(['NONE', 16n])
})

it('reaches replicas that are up, that were down, and that are new, and stays over a restart of all', async () => {
  const cluster = await startCluster({ settings: { 'auto.leader.rebalance.enable': 'false' } })
  cleanUps.push(() => cluster.stop())
  const topicId = await createTopic(await connect(cluster, 0), 3)
  const first = await lead(cluster, 0)
  for (let batch = 0; batch < 4; batch++) await produce(first, topicId)
  expect(await deleteBefore(await connect(cluster, 1000), 3n)).toEqual(['NOT_LEADER_OR_FOLLOWER', -1n])

  await cluster.stopNode(2)
  expect(await deleteBefore(first, 7n)).toEqual(['NONE', 7n])
  await produce(first, topicId)
  expect(await offsetAt(await lead(cluster, 1000), EARLIEST)).toBe(7n)
  await cluster.startNode(2)
  const away = await lead(cluster, 2000)
  await until(
    () => offsetAt(away, EARLIEST),
    offset => offset === 7n
  )
  expect([await fetch(away, topicId, 6), await fetch(away, topicId, 7)]).toEqual(['OFFSET_OUT_OF_RANGE', [5n, 4]])

  expect(await cluster.addNode()).toBe(3)
  const topics = [{ name: 'cut', partitions: [{ partitionIndex: 0, replicas: [3000, 1000, 2000] }] }]
  await away.request(apis.alterPartitionReassignments, 1, { topics, timeoutMs: 10_000 })
  await until(
    () => partitionOf(away),
    ({ replicas, inSync }) => replicas.includes(3000) && !replicas.includes(0) && inSync === 3
  )
  const fresh = await lead(cluster, 3000)
  expect(await offsetAt(fresh, EARLIEST)).toBe(7n)
  expect([await fetch(fresh, topicId, 7), await fetch(fresh, topicId, 24)]).toEqual([
    [5n, 4],
    [20n, 4]
  ])
  expect(await deleteBefore(fresh, 21n)).toEqual(['NONE', 21n])

  const nodes = [0, 1, 2, 3]
  await Promise.all(nodes.map(nodeId => cluster.stopNode(nodeId)))
  await Promise.all(nodes.map(nodeId => cluster.startNode(nodeId)))
  for (const target of [1000, 2000, 3000]) {
    const leader = await lead(cluster, target)
    expect([await offsetAt(leader, EARLIEST), await offsetAt(leader, LATEST)]).toEqual([21n, 25n])
    expect(await fetch(leader, topicId, 21)).toEqual([20n, 4])
  }
})

it('is asked of any shard when the shards of a node are one broker', async () => {
  const broker = await startBroker({ shardCount: 2, settings: { addressing: 'node' } })
  cleanUps.push(() => broker.stop())
  const [address] = broker.bootstrapServers.split(',')
  const clients = await Promise.all(Array.from({ length: 6 }, () => connectTo(address)))
  const topicId = await createTopic(clients[0]!, 1)
  await produce(clients[0]!, topicId)
  for (const [i, client] of clients.entries()) {
    // A shard that has just started may hear of the topic a moment later than the one that made it.
    await until(
      () => partitionOf(client),
      ({ leaderId }) => leaderId >= 0
    )
    const offset = BigInt(Math.min(i, 5))
    expect(await deleteBefore(client, offset)).toEqual(['NONE', offset])
    expect(await offsetAt(client, EARLIEST)).toBe(offset)
  }
})
