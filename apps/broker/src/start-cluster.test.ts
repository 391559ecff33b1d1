import { RawClient, testBatch } from '@milena/gateway/testing'
import { apis, batchHeader, errorName, type ErrorName } from '@milena/wire-protocol'
import { afterEach, describe, expect, it } from 'vitest'
import { nodeOf } from './controller/metadata/cluster-state.ts'
import { startCluster, type EmbeddedCluster, type StartClusterOptions } from './start-cluster.ts'

const cleanUps: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function start(options: StartClusterOptions = {}): Promise<EmbeddedCluster> {
  const cluster = await startCluster(options)
  cleanUps.push(() => cluster.stop())
  return cluster
}

async function connect(cluster: EmbeddedCluster, brokerId: number): Promise<RawClient> {
  const [, port] = cluster.addressesOf(nodeOf(brokerId))[brokerId % 1000]?.split(':') ?? []
  const client = await RawClient.connect(Number(port))
  cleanUps.push(() => client.close())
  return client
}

interface PartitionMetadata {
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly replicaNodes: readonly number[]
  readonly isrNodes: readonly number[]
}

async function partitionsOf(client: RawClient, topic: string): Promise<readonly PartitionMetadata[]> {
  const metadata = await client.request(apis.metadata, 12, {
    topics: null,
    allowAutoTopicCreation: false,
    includeTopicAuthorizedOperations: false
  })
  const found = metadata.topics.find(({ name }) => name === topic)?.partitions ?? []
  return [...found].sort((a, b) => a.partitionIndex - b.partitionIndex)
}

/** Asks again and again until it is as it should be; at most a minute. */
async function until<T>(ask: () => Promise<T> | T, isRight: (answer: T) => boolean): Promise<T> {
  const endMs = performance.now() + 60_000
  for (;;) {
    const answer = await ask()
    if (isRight(answer)) return answer
    if (performance.now() > endMs) throw new Error(`still ${JSON.stringify(answer)}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

async function createTopic(
  client: RawClient,
  name: string,
  numPartitions: number,
  replicationFactor: number
): Promise<{ error: ErrorName; message: string | null; topicId: string }> {
  const { topics } = await client.request(apis.createTopics, 7, {
    topics: [{ name, numPartitions, replicationFactor, assignments: [], configs: [] }],
    timeoutMs: 10_000,
    validateOnly: false
  })
  const [topic] = topics
  return {
    error: errorName(topic?.errorCode ?? -1),
    message: topic?.errorMessage ?? null,
    topicId: topic?.topicId ?? ''
  }
}

async function produce(
  client: RawClient,
  topicId: string,
  index: number
): Promise<{ error: ErrorName; baseOffset: bigint; leaderId: number }> {
  const { responses } = await client.request(apis.produce, 13, {
    transactionalId: null,
    acks: -1,
    timeoutMs: 5000,
    topicData: [{ topicId, partitionData: [{ index, records: testBatch() }] }]
  })
  const answer = responses[0]?.partitionResponses[0]
  return {
    error: errorName(answer?.errorCode ?? -1),
    baseOffset: answer?.baseOffset ?? -1n,
    leaderId: answer?.currentLeader?.leaderId ?? -1
  }
}

/** All records of partition 0 below `end`, batch after batch, up to the first error. */
async function fetchAll(client: RawClient, topicId: string, end: number): Promise<{ error: ErrorName; bytes: Buffer }> {
  const parts: Buffer[] = []
  for (let offset = 0; offset < end;) {
    const { responses } = await client.request(apis.fetch, 13, {
      maxWaitMs: 0,
      minBytes: 1,
      maxBytes: 1 << 20,
      isolationLevel: 0,
      sessionId: 0,
      sessionEpoch: -1,
      forgottenTopicsData: [],
      rackId: '',
      topics: [
        {
          topicId,
          partitions: [
            {
              partition: 0,
              currentLeaderEpoch: -1,
              fetchOffset: BigInt(offset),
              lastFetchedEpoch: -1,
              logStartOffset: -1n,
              partitionMaxBytes: 1
            }
          ]
        }
      ]
    })
    const answer = responses[0]?.partitions[0]
    const error = errorName(answer?.errorCode ?? -1)
    if (error !== 'NONE') return { error, bytes: Buffer.concat(parts) }
    const bytes = Buffer.from(answer?.records ?? [])
    if (bytes.length === 0) return { error: 'NONE', bytes: Buffer.concat(parts) }
    parts.push(bytes)
    offset += batchHeader.lastOffsetDelta(bytes, 0) + 1
  }
  return { error: 'NONE', bytes: Buffer.concat(parts) }
}

describe('a cluster in this process', () => {
  it('makes topics on any node that all nodes show, with leaders and replicas spread over them', async () => {
    const cluster = await start({ shardCount: 2 })
    const clients = await Promise.all([0, 1001, 2000].map(id => connect(cluster, id)))
    expect(await createTopic(clients[1]!, 'events', 6, 3)).toMatchObject({ error: 'NONE' })
    const seen = await Promise.all(
      clients.map(client =>
        until(
          () => partitionsOf(client, 'events'),
          partitions => partitions.length === 6 && partitions.every(p => p.leaderId >= 0 && p.isrNodes.length === 3)
        )
      )
    )
    expect(seen[1]).toEqual(seen[0])
    expect(seen[2]).toEqual(seen[0])
    expect(seen[0]?.map(p => p.leaderId).sort((a, b) => a - b)).toEqual([0, 1, 1000, 1001, 2000, 2001])
    for (const { replicaNodes } of seen[0] ?? []) expect(new Set(replicaNodes.map(nodeOf)).size).toBe(3)
  })

  it('refuses more replicas than nodes, in the words of Kafka', async () => {
    const cluster = await start()
    const client = await connect(cluster, 1000)
    const refused = await createTopic(client, 'wide', 1, 4)
    expect(refused.error).toBe('INVALID_REPLICATION_FACTOR')
    expect(refused.message).toMatch(/target replication factor of 4 cannot be reached because only 3/)
  })

  it('goes on without any one of its nodes, and takes it back', async () => {
    const cluster = await start()
    const clients = await Promise.all([0, 1000, 2000].map(id => connect(cluster, id)))
    const { topicId } = await createTopic(clients[0]!, 'kept', 1, 3)
    let nextOffset = 0n
    for (const down of [0, 1, 2]) {
      await cluster.stopNode(down)
      const witness = await connect(cluster, down === 0 ? 1000 : 0)
      const [partition] = await until(
        () => partitionsOf(witness, 'kept'),
        ([p]) => p !== undefined && p.leaderId >= 0 && nodeOf(p.leaderId) !== down
      )
      const leader = await connect(cluster, partition?.leaderId ?? -1)
      const sent = await until(
        () => produce(leader, topicId, 0),
        ({ error }) => error === 'NONE'
      )
      expect(sent.baseOffset).toBe(nextOffset++)
      expect((await createTopic(witness, `without-${down}`, 1, 2)).error).toBe('NONE')
      await cluster.startNode(down)
      await until(
        () => partitionsOf(witness, 'kept'),
        ([p]) => p?.isrNodes.length === 3
      )
    }
  })

  it('tells clients of a node that stops who leads now, before it ends their connections', async () => {
    const cluster = await start()
    const client = await connect(cluster, 0)
    const { topicId } = await createTopic(client, 'moved', 1, 3)
    const [partition] = await partitionsOf(client, 'moved')
    const leaderId = partition?.leaderId ?? -1
    const leader = await connect(cluster, leaderId)
    const stopped = cluster.stopNode(nodeOf(leaderId))
    const told = await until(
      () => produce(leader, topicId, 0),
      ({ error, leaderId }) => error !== 'NONE' && leaderId >= 0
    )
    expect(told.error).toBe('NOT_LEADER_OR_FOLLOWER')
    expect(told.leaderId).not.toBe(leaderId)
    const next = await connect(cluster, told.leaderId)
    expect((await produce(next, topicId, 0)).error).toBe('NONE')
    await stopped
  })

  it('tells the size of every replica to tools that ask for log directories', async () => {
    const cluster = await start()
    const client = await connect(cluster, 1000)
    const { topicId } = await createTopic(client, 'sized', 2, 3)
    const [first] = await partitionsOf(client, 'sized')
    const leader = await connect(cluster, first?.leaderId ?? -1)
    expect((await produce(leader, topicId, 0)).error).toBe('NONE')
    const sizes = await until(
      async () => {
        const { results } = await client.request(apis.describeLogDirs, 4, { topics: null })
        return results.flatMap(({ topics }) => topics ?? []).filter(({ name }) => name === 'sized')
      },
      ([topic]) => topic?.partitions.some(({ partitionSize }) => partitionSize > 0n) === true
    )
    const partitions = [...(sizes[0]?.partitions ?? [])].sort((a, b) => a.partitionIndex - b.partitionIndex)
    expect(partitions.map(p => [p.partitionIndex, p.partitionSize, p.offsetLag, p.isFutureKey])).toEqual([
      [0, BigInt(testBatch().length), 0n, false],
      [1, 0n, 0n, false]
    ])
  })

  it('shows how it is, and leads nothing on a node in maintenance', async () => {
    const cluster = await start({ settings: { 'leader.imbalance.check.interval.seconds': '1' } })
    const client = await connect(cluster, 0)
    await createTopic(client, 'led', 6, 3)
    const ledBy = async (nodeId: number): Promise<number> =>
      (await partitionsOf(client, 'led')).filter(p => nodeOf(p.leaderId) === nodeId).length
    expect(await ledBy(1)).toBe(2)
    expect(await cluster.operate(0, 'maintenance', { nodeId: 1, on: true })).toEqual({ nodeId: 1, mode: 'maintenance' })
    await expect(cluster.operate(0, 'maintenance', { nodeId: 2, on: true })).rejects.toThrow(/one node at a time/)
    await until(
      () => ledBy(1),
      count => count === 0
    )
    // Node 2 hears of the new leaders by itself.
    const described = await until(
      () => cluster.operate(2, 'describeCluster', {}) as Promise<{ health: { leaderlessCount: number } }>,
      ({ health }) => health.leaderlessCount === 0
    )
    expect(described).toMatchObject({
      clusterId: cluster.clusterId,
      nodes: [{ mode: 'active' }, { mode: 'maintenance', shards: [{ brokerId: 1000, leads: 0, replicas: 6 }] }, {}],
      health: { partitions: 6 }
    })
    await cluster.operate(0, 'maintenance', { nodeId: 1, on: false })
    await until(
      () => ledBy(1),
      count => count === 2
    )
  })

  it('moves everything off a node that is decommissioned, after showing how, and removes it', async () => {
    const cluster = await start({ nodes: 4 })
    const client = await connect(cluster, 0)
    const { topicId } = await createTopic(client, 'moving', 4, 3)
    for (let index = 0; index < 4; index++) {
      const [leaderId] = (await partitionsOf(client, 'moving')).map(p => p.leaderId).slice(index)
      expect((await produce(await connect(cluster, leaderId ?? -1), topicId, index)).error).toBe('NONE')
    }
    const plan = await cluster.operate(1, 'decommission', { nodeId: 3, dryRun: true })
    expect(plan).toMatchObject({ possible: true, stuck: [], moveCount: 3 })
    expect((await partitionsOf(client, 'moving')).some(p => p.replicaNodes.includes(3000))).toBe(true)
    await cluster.operate(1, 'decommission', { nodeId: 3, dryRun: false })
    await until(
      () => partitionsOf(client, 'moving'),
      partitions => partitions.every(p => !p.replicaNodes.includes(3000) && p.isrNodes.length === 3)
    )
    await until(
      () => cluster.operate(0, 'describeCluster', {}) as Promise<{ nodes: unknown[] }>,
      ({ nodes }) => nodes.length === 3
    )
    await expect(cluster.operate(0, 'decommission', { nodeId: 2, dryRun: false })).rejects.toThrow(
      /its 3 replicas need 3 nodes besides node 2; 2 can take replicas/
    )
  })

  it('hands leadership over when it is asked to', async () => {
    const cluster = await start()
    const client = await connect(cluster, 0)
    await createTopic(client, 'one', 1, 3)
    const [before] = await partitionsOf(client, 'one')
    const target = before?.replicaNodes.find(id => id !== before.leaderId) ?? -1
    await cluster.operate(2, 'transferLeadership', { topic: 'one', partition: 0, target })
    await until(
      () => partitionsOf(client, 'one'),
      ([p]) => p?.leaderId === target
    )
    const elected = await client.request(apis.electLeaders, 2, {
      electionType: 0,
      topicPartitions: [{ topic: 'one', partitions: [0] }],
      timeoutMs: 5000
    })
    expect(errorName(elected.replicaElectionResults[0]?.partitionResult[0]?.errorCode ?? -1)).toBe('NONE')
    expect((await partitionsOf(client, 'one'))[0]?.leaderId).toBe(before?.leaderId)
  })

  it('takes in a new node, gives it replicas, and replaces with it one that is lost for good', async () => {
    const cluster = await start()
    const client = await connect(cluster, 0)
    const { topicId } = await createTopic(client, 'safe', 6, 3)
    await cluster.stopNode(1)
    expect(await cluster.addNode()).toBe(3)
    await until(
      () => cluster.operate(0, 'decommission', { nodeId: 1, dryRun: true }) as Promise<{ possible: boolean }>,
      ({ possible }) => possible
    )
    await cluster.operate(0, 'decommission', { nodeId: 1, dryRun: false })
    const partitions = await until(
      () => partitionsOf(client, 'safe'),
      all => all.every(p => p.isrNodes.length === 3 && p.leaderId >= 0 && !p.replicaNodes.includes(1000))
    )
    for (const [index, { leaderId, replicaNodes }] of partitions.entries()) {
      expect(replicaNodes).toContain(3000)
      const sent = await until(
        async () => produce(await connect(cluster, leaderId), topicId, index),
        ({ error }) => error === 'NONE'
      )
      expect(sent.baseOffset).toBe(0n)
    }
    await until(
      () => cluster.operate(3, 'describeCluster', {}) as Promise<{ nodes: { nodeId: number }[] }>,
      ({ nodes }) => String(nodes.map(({ nodeId }) => nodeId)) === '0,2,3'
    )
    await cluster.stopNode(2)
    expect((await createTopic(client, 'later', 1, 2)).error).toBe('NONE')
  })

  it('keeps everything over a stop of all its nodes', async () => {
    const cluster = await start({ shardCount: 2 })
    const client = await connect(cluster, 0)
    const { topicId } = await createTopic(client, 'kept', 4, 3)
    for (const [index, { leaderId }] of (await partitionsOf(client, 'kept')).entries()) {
      expect((await produce(await connect(cluster, leaderId), topicId, index)).error).toBe('NONE')
    }
    await Promise.all([0, 1, 2].map(nodeId => cluster.stopNode(nodeId)))
    await Promise.all([0, 1, 2].map(nodeId => cluster.startNode(nodeId)))
    const again = await connect(cluster, 1001)
    const partitions = await until(
      () => partitionsOf(again, 'kept'),
      all => all.length === 4 && all.every(p => p.leaderId >= 0)
    )
    for (const [index, { leaderId }] of partitions.entries()) {
      const sent = await until(
        async () => produce(await connect(cluster, leaderId), topicId, index),
        ({ error }) => error === 'NONE'
      )
      expect(sent.baseOffset).toBe(1n)
    }
  })

  it('serves no damaged byte, and gets what one disk lost back from the others', async () => {
    const cluster = await start()
    const client = await connect(cluster, 0)
    const { topicId } = await createTopic(client, 'sound', 1, 3)
    const [partition] = await partitionsOf(client, 'sound')
    const hurt = nodeOf(partition?.leaderId ?? -1)
    const leader = await connect(cluster, partition?.leaderId ?? -1)
    for (let count = 0; count < 20; count++) expect((await produce(leader, topicId, 0)).error).toBe('NONE')
    const written = (await fetchAll(leader, topicId, 20)).bytes
    await cluster.stopNode(hurt)
    const { disk } = cluster.storageOf(hurt)[0]!
    const folder = (await disk.list('/store/logs')).find(name => name.startsWith('sound-0'))
    const [segment] = (await disk.list(`/store/logs/${folder}`)).filter(name => name.endsWith('.log'))
    disk.corrupt(`/store/logs/${folder}/${segment}`, Math.floor(written.length / 2), 8)
    await cluster.startNode(hurt)
    const [damaged, second, third] = [hurt, (hurt + 1) % 3, (hurt + 2) % 3].map(nodeId => nodeId * 1000)
    const readers = new Map<number | undefined, RawClient>()
    for (const id of [damaged, second, third]) readers.set(id, await connect(cluster, id ?? -1))
    const inSync = async (): Promise<unknown> =>
      until(
        () => partitionsOf(readers.get(second)!, 'sound'),
        ([p]) => p?.isrNodes.length === 3
      )
    await inSync()
    // Each of them leads and serves all of it in the end, the damaged one as well; until then never a byte that is another.
    for (const target of [damaged, second, third, damaged]) {
      let askedMs = -Infinity
      await until(
        async () => {
          const request = { topic: 'sound', partition: 0, target }
          // A damaged leader hands over; whoever pulls leadership back at once keeps it from being let in anew.
          if (performance.now() - askedMs > 2000) {
            await cluster.operate(second! / 1000, 'transferLeadership', request).catch(() => undefined)
            askedMs = performance.now()
          }
          const read = await fetchAll(readers.get(target)!, topicId, 20)
          expect(read.bytes.equals(written.subarray(0, read.bytes.length))).toBe(true)
          return read
        },
        ({ error, bytes }) => error === 'NONE' && bytes.length === written.length
      )
      await inSync()
    }
    expect(cluster.status(hurt)[0]?.store.damage).toEqual([])
  })
})
