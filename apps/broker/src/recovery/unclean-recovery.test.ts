import { RawClient, testBatch } from '@milena/gateway/testing'
import { apis, errorName } from '@milena/wire-protocol'
import { afterEach, describe, expect, it } from 'vitest'
import { brokerIdOf, nodeOf } from '../controller/metadata/cluster-state.ts'
import { startCluster, type EmbeddedCluster } from '../start-cluster.ts'
import type { Recoverable } from './plan.ts'

const cleanUps: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function start(nodes: number): Promise<EmbeddedCluster> {
  const cluster = await startCluster({ nodes })
  cleanUps.push(() => cluster.stop())
  return cluster
}

async function connect(cluster: EmbeddedCluster, brokerId: number): Promise<RawClient> {
  const [, port] = cluster.addressesOf(nodeOf(brokerId))[0]!.split(':')
  const client = await RawClient.connect(Number(port))
  cleanUps.push(() => client.close())
  return client
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

interface PartitionMetadata {
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly replicaNodes: readonly number[]
  readonly isrNodes: readonly number[]
}

async function partitionOf(client: RawClient, topic: string): Promise<PartitionMetadata> {
  const metadata = await client.request(apis.metadata, 12, {
    topics: null,
    allowAutoTopicCreation: false,
    includeTopicAuthorizedOperations: false
  })
  const [partition] = metadata.topics.find(({ name }) => name === topic)?.partitions ?? []
  return partition ?? { leaderId: -1, leaderEpoch: -1, replicaNodes: [], isrNodes: [] }
}

async function createTopic(client: RawClient, name: string): Promise<string> {
  const { topics } = await client.request(apis.createTopics, 7, {
    topics: [{ name, numPartitions: 1, replicationFactor: 3, assignments: [], configs: [] }],
    timeoutMs: 10_000,
    validateOnly: false
  })
  expect(errorName(topics[0]?.errorCode ?? -1)).toBe('NONE')
  return topics[0]!.topicId
}

async function produce(client: RawClient, topicId: string): Promise<{ error: string; baseOffset: bigint }> {
  const { responses } = await client.request(apis.produce, 13, {
    transactionalId: null,
    acks: -1,
    timeoutMs: 5000,
    topicData: [{ topicId, partitionData: [{ index: 0, records: testBatch() }] }]
  })
  const answer = responses[0]?.partitionResponses[0]
  return { error: errorName(answer?.errorCode ?? -1), baseOffset: answer?.baseOffset ?? -1n }
}

async function epochEnd(client: RawClient, topic: string, leaderEpoch: number): Promise<[number, bigint]> {
  const { topics } = await client.request(apis.offsetForLeaderEpoch, 4, {
    replicaId: -2,
    topics: [{ topic, partitions: [{ partition: 0, currentLeaderEpoch: -1, leaderEpoch }] }]
  })
  const answer = topics[0]?.partitions[0]
  expect(errorName(answer?.errorCode ?? -1)).toBe('NONE')
  return [answer!.leaderEpoch, answer!.endOffset]
}

async function electUnclean(
  client: RawClient,
  topic: string | null
): Promise<{ partition: number; error: string; message: string }[]> {
  const { replicaElectionResults } = await client.request(apis.electLeaders, 2, {
    electionType: 1,
    topicPartitions: topic === null ? null : [{ topic, partitions: [0] }],
    timeoutMs: 5_000
  })
  return replicaElectionResults.flatMap(({ partitionResult }) =>
    partitionResult.map(({ partitionId, errorCode, errorMessage }) => ({
      partition: partitionId,
      error: errorName(errorCode),
      message: errorMessage ?? ''
    }))
  )
}

interface Plan {
  readonly plan: string | null
  readonly recoverable: readonly (Recoverable & { readonly topic: string; readonly partition: number })[]
  readonly blocked: readonly { readonly reason: string }[]
  readonly healthyCount: number
}

const planOn = async (cluster: EmbeddedCluster, node: number, scope: object = {}): Promise<Plan> =>
  (await cluster.operate(node, 'recoveryPlan', scope)) as Plan

interface Written {
  readonly client: RawClient
  readonly topicId: string
  readonly nodes: readonly number[]
  readonly epoch: number
}

/** A topic with three records, led by the first of its three nodes, all of them in sync. */
async function topicWithRecords(cluster: EmbeddedCluster, name: string): Promise<Written> {
  const any = await connect(cluster, 0)
  const topicId = await createTopic(any, name)
  const partition = await until(
    () => partitionOf(any, name),
    ({ leaderId, isrNodes }) => leaderId >= 0 && isrNodes.length === 3
  )
  const client = await connect(cluster, partition.leaderId)
  for (let i = 0n; i < 3n; i++) expect(await produce(client, topicId)).toEqual({ error: 'NONE', baseOffset: i })
  const nodes = [partition.leaderId, ...partition.replicaNodes.filter(id => id !== partition.leaderId)].map(nodeOf)
  return { client, topicId, nodes, epoch: partition.leaderEpoch }
}

describe('a partition that lost two of its three nodes', () => {
  it('serves again once its plan is confirmed, keeps what its survivor held, and leads the others back', async () => {
    const cluster = await start(5)
    const { topicId, nodes, epoch } = await topicWithRecords(cluster, 'orders')
    const [leaderNode, otherNode, left] = nodes as [number, number, number]
    expect(await planOn(cluster, left, { topic: 'orders', partition: 0 })).toMatchObject({
      plan: null,
      healthyCount: 1
    })
    await cluster.stopNode(leaderNode)
    await cluster.stopNode(otherNode)
    const client = await connect(cluster, brokerIdOf(left, 0))
    const plan = await until(
      () => planOn(cluster, left),
      ({ recoverable }) => recoverable.length === 1
    )
    const survivor = brokerIdOf(left, 0)
    expect(plan.recoverable[0]).toMatchObject({ topic: 'orders', partition: 0, recovery: 1, survivor })
    expect(plan.recoverable[0]).toMatchObject({ kept: { startOffset: 0, endOffset: 3 }, knownCommittedOffset: 3 })
    expect(plan.recoverable[0]!.lost.map(nodeOf).toSorted()).toEqual([leaderNode, otherNode].toSorted())
    expect(plan.recoverable[0]!.words.join(' ')).toMatch(/Kept: offsets 0 to 2, .*May be lost: .*from offset 3 on/)
    // Every node says the same, and Kafka's own door says where to look.
    const elsewhere = [0, 1, 2, 3, 4].find(id => !nodes.includes(id))!
    expect((await planOn(cluster, elsewhere)).plan).toBe(plan.plan)
    const [refused] = await electUnclean(client, 'orders')
    expect(refused).toMatchObject({ error: 'ELIGIBLE_LEADERS_NOT_AVAILABLE' })
    expect(refused!.message).toContain('GET /v1/recovery?topic=orders&partition=0')
    expect(await electUnclean(client, null)).toEqual([refused])
    await expect(cluster.operate(left, 'recover', { plan: '0123456789abcdef' })).rejects.toMatchObject({ status: 409 })
    const done = await cluster.operate(elsewhere, 'recover', { plan: plan.plan })
    expect(done).toMatchObject({ recovered: [{ topic: 'orders', partition: 0, leader: survivor }] })
    const recovered = await partitionOf(client, 'orders')
    expect(recovered.leaderEpoch).toBeGreaterThan(epoch + 1000)
    expect(await produce(client, topicId)).toEqual({ error: 'NONE', baseOffset: 3n })
    expect(await epochEnd(client, 'orders', epoch)).toEqual([epoch, 3n])
    // The same plan once more has nothing left to do.
    await expect(cluster.operate(left, 'recover', { plan: plan.plan })).rejects.toMatchObject({ status: 409 })
    for (const node of [leaderNode, otherNode]) await cluster.startNode(node)
    await until(
      () => partitionOf(client, 'orders'),
      ({ isrNodes }) => isrNodes.length === 3
    )
    expect(await produce(client, topicId)).toEqual({ error: 'NONE', baseOffset: 4n })
    expect(await electUnclean(client, 'orders')).toMatchObject([{ error: 'ELECTION_NOT_NEEDED' }])
    for (const node of nodes) {
      const [status] = cluster.status(node)
      expect(status?.store.damage).toEqual([])
    }
  })

  it('cannot be recovered by a plan that is out of date: one of the lost is back', async () => {
    const cluster = await start(5)
    const { nodes } = await topicWithRecords(cluster, 'orders')
    const [leaderNode, otherNode, left] = nodes as [number, number, number]
    await cluster.stopNode(leaderNode)
    await cluster.stopNode(otherNode)
    const { plan } = await until(
      () => planOn(cluster, left),
      ({ recoverable }) => recoverable.length === 1
    )
    await cluster.startNode(otherNode)
    await until(
      () => planOn(cluster, left, { topic: 'orders', partition: 0 }),
      ({ healthyCount }) => healthyCount === 1
    )
    await expect(cluster.operate(left, 'recover', { plan })).rejects.toMatchObject({ status: 409 })
  })
})

describe('a cluster that lost two of its three nodes', () => {
  it('gets its controller back first, then its partitions, then new nodes instead of the lost ones', async () => {
    const cluster = await start(3)
    const { topicId, nodes } = await topicWithRecords(cluster, 'orders')
    const [lostLeader, lostOther, left] = nodes as [number, number, number]
    await cluster.stopNode(lostLeader)
    await cluster.stopNode(lostOther)
    const client = await connect(cluster, brokerIdOf(left, 0))
    interface ControllerPlan {
      readonly plan: string | null
      readonly controller: Recoverable
    }
    const plan = await until(
      async () => (await cluster.operate(left, 'controllerRecoveryPlan', {})) as ControllerPlan,
      ({ plan }) => plan !== null
    )
    expect(plan.controller).toMatchObject({ kind: 'recoverable', recovery: 1, survivor: brokerIdOf(left, 0) })
    const wrong = { plan: '0123456789abcdef' }
    await expect(cluster.operate(left, 'recoverController', wrong)).rejects.toMatchObject({ status: 409 })
    expect(await cluster.operate(left, 'recoverController', { plan: plan.plan })).toMatchObject({
      controller: brokerIdOf(left, 0)
    })
    const partitions = await until(
      () => planOn(cluster, left),
      ({ recoverable }) => recoverable.length === 1
    )
    await cluster.operate(left, 'recover', { plan: partitions.plan })
    expect(await produce(client, topicId)).toEqual({ error: 'NONE', baseOffset: 3n })
    const added = [await cluster.addNode(), await cluster.addNode()]
    for (const nodeId of [lostLeader, lostOther]) {
      await cluster.operate(left, 'decommission', { nodeId, dryRun: false })
    }
    interface Described {
      readonly nodes: readonly { readonly nodeId: number }[]
      readonly health: { readonly healthy: boolean }
    }
    await until(
      async () => (await cluster.operate(left, 'describeCluster', {})) as Described,
      ({ nodes, health }) => health.healthy && nodes.length === 3
    )
    const { replicaNodes } = await partitionOf(client, 'orders')
    expect(replicaNodes.map(nodeOf).toSorted()).toEqual([left, ...added].toSorted())
    expect(await produce(client, topicId)).toEqual({ error: 'NONE', baseOffset: 4n })
    // Nodes that joined since are of this life: a restart changes nothing.
    await cluster.stopNode(added[0]!)
    await cluster.startNode(added[0]!)
  })

  it('takes a lost node back, which drops its copy of the metadata and starts again', async () => {
    const cluster = await start(3)
    const { topicId, nodes } = await topicWithRecords(cluster, 'orders')
    const [lostLeader, lostOther, left] = nodes as [number, number, number]
    await cluster.stopNode(lostLeader)
    await cluster.stopNode(lostOther)
    const client = await connect(cluster, brokerIdOf(left, 0))
    const recover = async (plan: 'controllerRecoveryPlan' | 'recoveryPlan', go: 'recoverController' | 'recover') => {
      const { plan: digest } = await until(
        async () => (await cluster.operate(left, plan, {})) as { plan: string | null },
        ({ plan }) => plan !== null
      )
      await cluster.operate(left, go, { plan: digest })
    }
    await recover('controllerRecoveryPlan', 'recoverController')
    await recover('recoveryPlan', 'recover')
    expect(await produce(client, topicId)).toEqual({ error: 'NONE', baseOffset: 3n })
    await expect(cluster.startNode(lostLeader)).rejects.toThrow(/recovered without this node.*start the node again/)
    await cluster.startNode(lostLeader)
    await until(
      () => partitionOf(client, 'orders'),
      ({ isrNodes }) => isrNodes.length === 2
    )
    expect(await produce(client, topicId)).toEqual({ error: 'NONE', baseOffset: 4n })
  })
})
