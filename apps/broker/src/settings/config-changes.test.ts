/** Settings that change while whole brokers run, as clients see it. */
import { RawClient, testBatch } from '@milena/gateway/testing'
import { apis, errorName, type ErrorName } from '@milena/wire-protocol'
import { afterEach, describe, expect, it } from 'vitest'
import { startCluster, type EmbeddedCluster, type StartClusterOptions } from '../start-cluster.ts'

const TOPIC = 2
const BROKER = 4
const SET = 0
const DELETE = 1

const cleanUps: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function start(options: StartClusterOptions): Promise<EmbeddedCluster> {
  const cluster = await startCluster(options)
  cleanUps.push(() => cluster.stop())
  return cluster
}

async function connect(cluster: EmbeddedCluster, brokerId: number): Promise<RawClient> {
  const [, port] = cluster.addressesOf(Math.floor(brokerId / 1000))[brokerId % 1000]?.split(':') ?? []
  const client = await RawClient.connect(Number(port))
  cleanUps.push(() => client.close())
  return client
}

async function createTopic(client: RawClient, replicationFactor: number): Promise<string> {
  const { topics } = await client.request(apis.createTopics, 7, {
    topics: [{ name: 't', numPartitions: 1, replicationFactor, assignments: [], configs: [] }],
    timeoutMs: 10_000,
    validateOnly: false
  })
  expect(errorName(topics[0]?.errorCode ?? -1)).toBe('NONE')
  return topics[0]?.topicId ?? ''
}

/** Sets one setting, or removes it (null). */
async function alter(
  client: RawClient,
  resourceType: number,
  resourceName: string,
  name: string,
  value: string | null,
  validateOnly = false
): Promise<ErrorName> {
  const configs = [{ name, configOperation: value === null ? DELETE : SET, value }]
  const resources = [{ resourceType, resourceName, configs }]
  const { responses } = await client.request(apis.incrementalAlterConfigs, 1, { resources, validateOnly })
  return errorName(responses[0]?.errorCode ?? -1)
}

async function valueOf(client: RawClient, type: number, resource: string, name: string): Promise<[string, number]> {
  const resources = [{ resourceType: type, resourceName: resource, configurationKeys: [name] }]
  const { results } = await client.request(apis.describeConfigs, 4, { resources })
  const [config] = results[0]?.configs ?? []
  return [config?.value ?? '', config?.configSource ?? 0]
}

async function leaderOf(client: RawClient): Promise<number> {
  const { topics } = await client.request(apis.metadata, 12, { topics: null })
  return topics[0]?.partitions[0]?.leaderId ?? -1
}

async function produce(client: RawClient, topicId: string, valueBytes: number): Promise<ErrorName> {
  const { responses } = await client.request(apis.produce, 13, {
    transactionalId: null,
    acks: -1,
    timeoutMs: 5000,
    topicData: [{ topicId, partitionData: [{ index: 0, records: testBatch({ valueBytes }) }] }]
  })
  return errorName(responses[0]?.partitionResponses[0]?.errorCode ?? -1)
}

/** Asks again and again until it is as it should be; at most a minute. */
async function until<T>(ask: () => Promise<T>, isRight: (answer: T) => boolean): Promise<T> {
  const endMs = performance.now() + 60_000
  for (;;) {
    const answer = await ask()
    if (isRight(answer)) return answer
    if (performance.now() > endMs) throw new Error(`still ${JSON.stringify(answer)}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

describe('a setting that is changed while brokers run', () => {
  it('counts for the next request, the topic before the broker before all brokers, and goes back when it is removed', async () => {
    const cluster = await start({ nodes: 1 })
    const client = await connect(cluster, 0)
    const topicId = await createTopic(client, 1)
    const takes = async (valueBytes: number): Promise<boolean> =>
      (await produce(client, topicId, valueBytes)) === 'NONE'

    expect(await takes(2000)).toBe(true)
    expect(await alter(client, BROKER, '', 'message.max.bytes', '1000')).toBe('NONE')
    expect(await produce(client, topicId, 2000)).toBe('MESSAGE_TOO_LARGE')
    expect(await alter(client, BROKER, '0', 'message.max.bytes', '3000')).toBe('NONE')
    expect([await takes(2000), await takes(4000)]).toEqual([true, false])
    expect(await alter(client, TOPIC, 't', 'max.message.bytes', '500', true)).toBe('NONE')
    expect(await takes(2000)).toBe(true)
    expect(await alter(client, TOPIC, 't', 'max.message.bytes', '500')).toBe('NONE')
    expect([await takes(300), await takes(2000)]).toEqual([true, false])
    expect(await valueOf(client, TOPIC, 't', 'max.message.bytes')).toEqual(['500', 1])

    await alter(client, TOPIC, 't', 'max.message.bytes', null)
    expect(await valueOf(client, TOPIC, 't', 'max.message.bytes')).toEqual(['3000', 2])
    expect([await takes(2000), await takes(4000)]).toEqual([true, false])
    await alter(client, BROKER, '0', 'message.max.bytes', null)
    expect(await valueOf(client, TOPIC, 't', 'max.message.bytes')).toEqual(['1000', 3])
    await alter(client, BROKER, '', 'message.max.bytes', null)
    expect(await takes(4000)).toBe(true)
  })

  it('is known on every node, whichever was asked, and after a restart of all of them', async () => {
    const cluster = await start({ nodes: 3 })
    const ask = async (): Promise<[string, number][]> => {
      const clients = await Promise.all([0, 1000, 2000].map(id => connect(cluster, id)))
      const topics = await Promise.all(clients.map(client => valueOf(client, TOPIC, 't', 'max.message.bytes')))
      const rates = clients.map((client, i) =>
        valueOf(client, BROKER, `${i * 1000}`, 'leader.replication.throttled.rate')
      )
      return [...topics, ...(await Promise.all(rates))]
    }
    const second = await connect(cluster, 1000)
    await createTopic(second, 3)
    expect(await alter(second, TOPIC, 't', 'max.message.bytes', '777')).toBe('NONE')
    expect(await alter(second, BROKER, '1000', 'leader.replication.throttled.rate', '5000')).toBe('NONE')
    expect(await alter(second, BROKER, '2000', 'leader.replication.throttled.rate', '5000')).toBe('INVALID_REQUEST')
    const expected = JSON.stringify([...Array(3).fill(['777', 1]), ['', 0], ['5000', 2], ['', 0]])
    await until(ask, answers => JSON.stringify(answers) === expected)
    for (const node of [0, 1, 2]) await cluster.stopNode(node)
    await Promise.all([0, 1, 2].map(node => cluster.startNode(node)))
    await until(ask, answers => JSON.stringify(answers) === expected)
  })

  it('makes acks=all wait for more replicas, and for fewer again', async () => {
    const cluster = await start({ nodes: 3 })
    const client = await connect(cluster, 0)
    const topicId = await createTopic(client, 3)
    const leaderId = await leaderOf(client)
    const leader = await connect(cluster, leaderId)
    expect(await alter(leader, TOPIC, 't', 'min.insync.replicas', '3')).toBe('NONE')
    await until(
      () => produce(leader, topicId, 10),
      error => error === 'NONE'
    )
    const follower = [0, 1000, 2000].find(id => id !== leaderId) ?? -1
    await cluster.stopNode(follower / 1000)
    await until(
      () => produce(leader, topicId, 10),
      error => error === 'NOT_ENOUGH_REPLICAS'
    )
    expect(await alter(leader, TOPIC, 't', 'min.insync.replicas', '2')).toBe('NONE')
    expect(await produce(leader, topicId, 10)).toBe('NONE')
  })

  it('holds a reassignment to its rate, until the rate is removed', async () => {
    const cluster = await start({ nodes: 2, settings: { 'partition.balancer.enable': 'false' } })
    const clients = await Promise.all([0, 1000].map(id => connect(cluster, id)))
    const topicId = await createTopic(clients[0]!, 1)
    const from = await leaderOf(clients[0]!)
    const [source, target] = from === 0 ? clients : clients.toReversed()
    for (let i = 0; i < 40; i++) expect(await produce(source!, topicId, 100_000)).toBe('NONE')

    const rate = 500_000
    const to = 1000 - from
    await alter(target!, BROKER, String(to), 'follower.replication.throttled.rate', String(rate))
    await alter(source!, TOPIC, 't', 'follower.replication.throttled.replicas', `0:${to}`)
    await clients[0]!.request(apis.alterPartitionReassignments, 1, {
      timeoutMs: 5000,
      allowReplicationFactorChange: true,
      topics: [{ name: 't', partitions: [{ partitionIndex: 0, replicas: [to] }] }]
    })
    const held = async (): Promise<number> => {
      const { results } = await target!.request(apis.describeLogDirs, 4, { topics: null })
      return Number(results[0]?.topics[0]?.partitions[0]?.partitionSize ?? 0)
    }
    let beforeMs = 0
    const before = await until(
      () => {
        beforeMs = performance.now()
        return held()
      },
      bytes => bytes > 0
    )
    const after = await until(held, bytes => bytes > before + 1_000_000)
    const seconds = (performance.now() - beforeMs) / 1000
    // A sender that could not send saves up to a second of its rate.
    expect(after - before).toBeLessThan(rate * (seconds * 1.2 + 1))
    expect(await leaderOf(source!)).toBe(from)
    await alter(target!, BROKER, String(to), 'follower.replication.throttled.rate', null)
    await until(
      () => leaderOf(source!),
      leader => leader === to
    )
    expect(await held()).toBeGreaterThan(4_000_000)
  })
})
