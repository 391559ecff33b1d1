/**
 * Administration through a broker whose copy of the metadata lags behind: what the controller sends to it takes half a second
 * here. The answers must be the controller's.
 */
import { RawClient } from '@milena/gateway/testing'
import { apis, errorName, type ErrorName } from '@milena/wire-protocol'
import { afterEach, describe, expect, it } from 'vitest'
import { startCluster, type EmbeddedCluster } from '../../start-cluster.ts'

const LAG_MS = 500
const TOPIC = 2
const SET = 0

const cleanUps: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function connect(cluster: EmbeddedCluster, nodeId: number): Promise<RawClient> {
  const [, port] = cluster.addressesOf(nodeId)[0]?.split(':') ?? []
  const client = await RawClient.connect(Number(port))
  cleanUps.push(() => client.close())
  return client
}

const known = async (client: RawClient): Promise<readonly (string | null)[]> => {
  const { topics } = await client.request(apis.metadata, 12, { topics: null })
  return topics.map(({ name }) => name)
}

interface World {
  readonly ahead: RawClient
  readonly behind: RawClient
  readonly topicId: string
}

/** A topic that the controller has and `behind` has not heard of. A machine that stands still for the lag gets another try. */
async function world(): Promise<World> {
  for (let attempt = 0; attempt < 5; attempt++) {
    const made = await tryWorld()
    if ((await known(made.behind)).length === 0) return made
  }
  throw new Error('the broker that should lag behind never did')
}

async function tryWorld(): Promise<World> {
  const cluster = await startCluster({ nodes: 3 })
  cleanUps.push(() => cluster.stop())
  const { controller } = (await cluster.operate(0, 'describeCluster', {})) as { controller: number }
  const lagging = controller === 2000 ? 1000 : 2000
  const ahead = await connect(cluster, controller / 1000)
  const behind = await connect(cluster, lagging / 1000)
  cluster.network.setPath({ latencyMs: LAG_MS }, controller, lagging)
  cleanUps.push(() => cluster.network.resetPaths())
  const topics = [{ name: 'fresh', assignments: [{ partitionIndex: 0, brokerIds: [controller] }] }]
  const made = await ahead.request(apis.createTopics, 7, {
    topics: topics.map(topic => ({ ...topic, numPartitions: -1, replicationFactor: -1 })),
    timeoutMs: 10_000
  })
  expect(made.topics[0]?.errorCode).toBe(0)
  return { ahead, behind, topicId: made.topics[0]?.topicId ?? '' }
}

const error = (code: number | undefined): ErrorName => errorName(code ?? -1)

describe('a broker that has not heard of a topic yet', () => {
  it.each(['name', 'id'])('deletes it by %s, and does not show it afterwards', async by => {
    const { ahead, behind, topicId } = await world()
    const topics = [by === 'name' ? { name: 'fresh' } : { name: null, topicId }]
    const { responses } = await behind.request(apis.deleteTopics, 6, { topics, timeoutMs: 10_000 })
    expect(responses).toMatchObject([{ name: 'fresh', topicId, errorCode: 0 }])
    expect([await known(behind), await known(ahead)]).toEqual([[], []])
  })

  it('refuses to make it again', async () => {
    const { behind } = await world()
    const topics = [{ name: 'fresh', numPartitions: 1, replicationFactor: 1 }]
    const made = await behind.request(apis.createTopics, 7, { topics, timeoutMs: 10_000 })
    expect(error(made.topics[0]?.errorCode)).toBe('TOPIC_ALREADY_EXISTS')
    expect(await known(behind)).toEqual(['fresh'])
  })

  it('changes its settings', async () => {
    const { behind } = await world()
    const configs = [{ name: 'retention.ms', configOperation: SET, value: '1000' }]
    const resources = [{ resourceType: TOPIC, resourceName: 'fresh', configs }]
    const { responses } = await behind.request(apis.incrementalAlterConfigs, 1, { resources })
    expect(error(responses[0]?.errorCode)).toBe('NONE')
  })

  it('elects leaders for it', async () => {
    const { behind } = await world()
    const topicPartitions = [{ topic: 'fresh', partitions: [0, 1] }]
    const elected = await behind.request(apis.electLeaders, 2, { electionType: 0, topicPartitions, timeoutMs: 10_000 })
    const [topic] = elected.replicaElectionResults
    expect(topic?.partitionResult.map(({ errorCode }) => error(errorCode))).toEqual([
      'ELECTION_NOT_NEEDED',
      'UNKNOWN_TOPIC_OR_PARTITION'
    ])
  })

  it('moves it, and lists moves that others began', async () => {
    const { ahead, behind } = await world()
    const move = async (client: RawClient, replicas: number[]): Promise<ErrorName> => {
      const topics = [{ name: 'fresh', partitions: [{ partitionIndex: 0, replicas }] }]
      const answer = await client.request(apis.alterPartitionReassignments, 1, { topics, timeoutMs: 10_000 })
      return error(answer.responses[0]?.partitions[0]?.errorCode)
    }
    expect(await move(behind, [9000])).toBe('INVALID_REPLICA_ASSIGNMENT')
    expect(await move(ahead, [0, 1000, 2000])).toBe('NONE')
    const listed = await behind.request(apis.listPartitionReassignments, 0, { topics: null, timeoutMs: 10_000 })
    expect(listed.topics).toMatchObject([{ name: 'fresh', partitions: [{ replicas: [0, 1000, 2000] }] }])
  })
})
