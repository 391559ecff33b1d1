import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RawClient, testBatch } from '@milena/gateway/testing'
import { apis, batchHeader, errorName, type ErrorName } from '@milena/wire-protocol'
import { afterEach, describe, expect, it } from 'vitest'
import { startBroker, type EmbeddedBroker, type StartBrokerOptions } from './start-broker.ts'

const cleanUps: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function start(options: StartBrokerOptions = {}): Promise<EmbeddedBroker> {
  const broker = await startBroker(options)
  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> => (stopped ??= broker.stop())
  cleanUps.push(stop)
  return { ...broker, stop, status: () => broker.status() }
}

async function connect(port: number | string): Promise<RawClient> {
  const client = await RawClient.connect(Number(port))
  cleanUps.push(() => client.close())
  return client
}

const portsOf = (broker: EmbeddedBroker): string[] =>
  broker.bootstrapServers.split(',').map(server => server.split(':')[1] ?? '')

async function createTopic(client: RawClient, name: string, numPartitions: number): Promise<string> {
  const { topics } = await client.request(apis.createTopics, 7, {
    topics: [{ name, numPartitions, replicationFactor: -1, assignments: [], configs: [] }],
    timeoutMs: 5000,
    validateOnly: false
  })
  expect(errorName(topics[0]?.errorCode ?? -1)).toBe('NONE')
  return topics[0]?.topicId ?? ''
}

async function produce(
  client: RawClient,
  topicId: string,
  index: number,
  records: Uint8Array
): Promise<{ error: ErrorName; baseOffset: bigint }> {
  const { responses } = await client.request(apis.produce, 13, {
    transactionalId: null,
    acks: -1,
    timeoutMs: 5000,
    topicData: [{ topicId, partitionData: [{ index, records }] }]
  })
  const answer = responses[0]?.partitionResponses[0]
  return { error: errorName(answer?.errorCode ?? -1), baseOffset: answer?.baseOffset ?? -1n }
}

/** A batch of one record, of the producer 77. */
function numbered(sequence: number): Buffer {
  const batch = testBatch()
  batch.writeBigInt64BE(77n, 43)
  batch.writeInt16BE(0, 51)
  batch.writeInt32BE(sequence, 53)
  batchHeader.updateCrc(batch, 0)
  return batch
}

async function producersOf(client: RawClient, name: string, partition: number): Promise<readonly object[]> {
  const { topics } = await client.request(apis.describeProducers, 0, {
    topics: [{ name, partitionIndexes: [partition] }]
  })
  expect(errorName(topics[0]?.partitions[0]?.errorCode ?? -1)).toBe('NONE')
  return topics[0]?.partitions[0]?.activeProducers ?? []
}

async function fetchBytes(client: RawClient, topicId: string, partition: number): Promise<Uint8Array> {
  const { responses } = await client.request(apis.fetch, 17, {
    maxWaitMs: 1000,
    minBytes: 1,
    maxBytes: 10_000_000,
    isolationLevel: 0,
    sessionId: 0,
    sessionEpoch: -1,
    topics: [
      {
        topicId,
        partitions: [
          {
            partition,
            currentLeaderEpoch: -1,
            fetchOffset: 0n,
            lastFetchedEpoch: -1,
            logStartOffset: -1n,
            partitionMaxBytes: 1_000_000
          }
        ]
      }
    ],
    forgottenTopicsData: [],
    rackId: ''
  })
  const [answer] = responses[0]?.partitions ?? []
  expect(errorName(answer?.errorCode ?? -1)).toBe('NONE')
  return answer?.records ?? new Uint8Array(0)
}

const temporaryFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'milena-broker-'))
  cleanUps.push(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

describe('a broker in this process', () => {
  it('gives back byte for byte what was produced, from the shard that owns the partition', async () => {
    const broker = await start({ shardCount: 2 })
    const [first, second] = await Promise.all(portsOf(broker).map(connect))
    if (first === undefined || second === undefined) throw new Error('two shards listen')
    const topicId = await createTopic(first, 'events', 2)
    const metadata = await second.request(apis.metadata, 12, {
      topics: null,
      allowAutoTopicCreation: false,
      includeTopicAuthorizedOperations: false
    })
    const leaders = metadata.topics[0]?.partitions.map(p => p.leaderId)
    expect(leaders).toEqual([0, 1])
    expect(metadata.brokers.map(b => `${b.host}:${b.port}`).join(',')).toBe(broker.bootstrapServers)
    for (const [partition, client] of [first, second].entries()) {
      const sent = testBatch({ recordCount: 3, valueBytes: 100 + partition })
      expect(await produce(client, topicId, partition, sent)).toEqual({ error: 'NONE', baseOffset: 0n })
      const got = await fetchBytes(client, topicId, partition)
      expect(Buffer.compare(got.subarray(16), sent.subarray(16))).toBe(0)
    }
    expect((await produce(first, topicId, 1, testBatch())).error).toBe('NOT_LEADER_OR_FOLLOWER')
  })

  it('keeps topics, ids and records over a restart of its data folder', async () => {
    const dataFolder = temporaryFolder()
    const before = await start({ shardCount: 2, dataFolder })
    const clients = await Promise.all(portsOf(before).map(connect))
    const topicId = await createTopic(clients[0]!, 'kept', 2)
    for (const [partition, client] of clients.entries()) {
      for (let i = 0; i < 5; i++) await produce(client, topicId, partition, testBatch({ recordCount: 2 }))
    }
    const gone = await createTopic(clients[0]!, 'gone', 1)
    await clients[0]!.request(apis.deleteTopics, 6, { topics: [{ name: null, topicId: gone }], timeoutMs: 5000 })
    await before.stop()

    const after = await start({ shardCount: 2, dataFolder })
    expect(after.clusterId).toBe(before.clusterId)
    const again = await Promise.all(portsOf(after).map(connect))
    const metadata = await again[0]!.request(apis.metadata, 12, {
      topics: null,
      allowAutoTopicCreation: false,
      includeTopicAuthorizedOperations: false
    })
    expect(metadata.topics.map(topic => [topic.name, topic.topicId])).toEqual([['kept', topicId]])
    for (const [partition, client] of again.entries()) {
      const bytes = await fetchBytes(client, topicId, partition)
      expect(batchHeader.baseOffset(bytes, 0)).toBe(0)
      expect((await produce(client, topicId, partition, testBatch())).baseOffset).toBe(10n)
    }
  })

  it('remembers idempotent producers over a restart', async () => {
    const dataFolder = temporaryFolder()
    const before = await start({ dataFolder })
    const client = await connect(portsOf(before)[0]!)
    const topicId = await createTopic(client, 't', 1)
    for (let i = 0; i < 3; i++) await produce(client, topicId, 0, numbered(i))
    await before.stop()
    const after = await connect(portsOf(await start({ dataFolder }))[0]!)
    const lastTimestamp = batchHeader.maxTimestamp(numbered(0), 0)
    const remembered = { producerId: 77n, producerEpoch: 0, lastSequence: 2, lastTimestamp }
    expect(await producersOf(after, 't', 0)).toMatchObject([remembered])
    expect(await produce(after, topicId, 0, numbered(1))).toEqual({ error: 'NONE', baseOffset: 1n })
    expect((await produce(after, topicId, 0, numbered(7))).error).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(await produce(after, topicId, 0, numbered(3))).toEqual({ error: 'NONE', baseOffset: 3n })
  })

  it('is one broker on one port with node addressing, whichever shard a client reaches', async () => {
    const broker = await start({ shardCount: 3, settings: { addressing: 'node' } })
    expect(portsOf(broker)).toHaveLength(1)
    const clients = await Promise.all(Array.from({ length: 6 }, () => connect(portsOf(broker)[0]!)))
    const topicId = await createTopic(clients[0]!, 'spread', 3)
    const sent = testBatch({ recordCount: 2, valueBytes: 50 })
    for (const [i, client] of clients.entries()) {
      expect((await produce(client, topicId, i % 3, sent.subarray())).error).toBe('NONE')
    }
    for (const client of clients) {
      for (let partition = 0; partition < 3; partition++) {
        const got = await fetchBytes(client, topicId, partition)
        expect(got.length).toBeGreaterThanOrEqual(sent.length)
      }
    }
    const metadata = await clients[0]!.request(apis.metadata, 12, {
      topics: null,
      allowAutoTopicCreation: false,
      includeTopicAuthorizedOperations: false
    })
    expect(metadata.brokers).toHaveLength(1)
    expect((await produce(clients[0]!, topicId, 1, numbered(0))).error).toBe('NONE')
    for (const client of clients) {
      expect(await producersOf(client, 'spread', 1)).toMatchObject([{ producerId: 77n, lastSequence: 0 }])
    }
  })

  it('tells how large the file system of its data folder is', async () => {
    const client = await connect(portsOf(await start({ dataFolder: temporaryFolder() }))[0]!)
    const { results } = await client.request(apis.describeLogDirs, 4, { topics: null })
    expect(results).toHaveLength(1)
    expect(results[0]?.usableBytes).toBeGreaterThan(0n)
    expect(results[0]?.totalBytes).toBeGreaterThanOrEqual(results[0]?.usableBytes ?? 0n)
  })

  it('moves a partition from one core to another, with all that is in it', async () => {
    const broker = await start({ shardCount: 2 })
    const clients = await Promise.all(portsOf(broker).map(connect))
    const topicId = await createTopic(clients[0]!, 'moving', 1)
    const sent = testBatch({ recordCount: 5, valueBytes: 200 })
    for (let i = 0; i < 20; i++) expect((await produce(clients[0]!, topicId, 0, sent)).error).toBe('NONE')
    const before = await fetchBytes(clients[0]!, topicId, 0)
    const altered = await clients[1]!.request(apis.alterPartitionReassignments, 1, {
      timeoutMs: 5000,
      allowReplicationFactorChange: true,
      topics: [{ name: 'moving', partitions: [{ partitionIndex: 0, replicas: [1] }] }]
    })
    expect(errorName(altered.responses[0]?.partitions[0]?.errorCode ?? -1)).toBe('NONE')
    let next = await produce(clients[1]!, topicId, 0, sent)
    for (let i = 0; next.error !== 'NONE' && i < 2000; i++) {
      await new Promise(resolve => setTimeout(resolve, 25))
      next = await produce(clients[1]!, topicId, 0, sent)
    }
    expect(next).toEqual({ error: 'NONE', baseOffset: 100n })
    const after = await fetchBytes(clients[1]!, topicId, 0)
    expect(Buffer.compare(after.subarray(0, before.length), before)).toBe(0)
    expect((await produce(clients[0]!, topicId, 0, sent)).error).toBe('NOT_LEADER_OR_FOLLOWER')
  })

  it('hands out producer ids that no shard hands out again', async () => {
    const broker = await start({ shardCount: 2 })
    const ids = new Set<bigint>()
    for (const port of portsOf(broker)) {
      const client = await connect(port)
      for (let i = 0; i < 3; i++) {
        const { producerId } = await client.request(apis.initProducerId, 4, {
          transactionalId: null,
          transactionTimeoutMs: 1000,
          producerId: -1n,
          producerEpoch: -1
        })
        ids.add(producerId)
      }
    }
    expect(ids.size).toBe(6)
  })

  it('is ready in under 100 ms once its code is loaded', async () => {
    // What it computes and what it waits for, but not the time in which the machine runs something else.
    let best = Infinity
    for (let i = 0; i < 40 && (i < 6 || best >= 100); i++) {
      const [cpu, loop] = [process.threadCpuUsage(), performance.eventLoopUtilization()]
      const broker = await start()
      const { user, system } = process.threadCpuUsage(cpu)
      best = Math.min(best, (user + system) / 1000 + performance.eventLoopUtilization(loop).idle)
      await broker.stop()
    }
    expect(best).toBeLessThan(100)
  })
})
