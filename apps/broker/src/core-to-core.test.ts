/** A partition that moves between two cores of a node: its files change hands, and producers and consumers lose nothing. */
import { globSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { RawClient } from '@milena/gateway/testing'
import { apis, BatchBuilder, batchHeader, errorName, iterateRecords, type ErrorName } from '@milena/wire-protocol'
import { afterEach, describe, expect, it } from 'vitest'
import { startBroker, type EmbeddedBroker } from './start-broker.ts'

const SEGMENT_BYTES = 1 << 20
const VALUE_BYTES = 40_000

const cleanUps: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function start(dataFolder: string): Promise<{ broker: EmbeddedBroker; clients: RawClient[] }> {
  const broker = await startBroker({ shardCount: 2, dataFolder, settings: { 'store.memory.bytes': String(16 << 20) } })
  const clients: RawClient[] = []
  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> => {
    for (const client of clients) client.close()
    return (stopped ??= broker.stop())
  }
  cleanUps.push(stop)
  for (const server of broker.bootstrapServers.split(','))
    clients.push(await RawClient.connect(Number(server.split(':')[1])))
  return { broker: { ...broker, stop, status: () => broker.status() }, clients }
}

async function createTopic(client: RawClient): Promise<string> {
  const configs = [{ name: 'segment.bytes', value: String(SEGMENT_BYTES) }]
  const { topics } = await client.request(apis.createTopics, 7, {
    topics: [{ name: 'moving', numPartitions: 1, replicationFactor: -1, assignments: [], configs }],
    timeoutMs: 5000,
    validateOnly: false
  })
  expect(errorName(topics[0]?.errorCode ?? -1)).toBe('NONE')
  return topics[0]?.topicId ?? ''
}

/** An idempotent producer: one batch at a time, each sent again until it is acknowledged. */
class Producer {
  acknowledged: string[] = []
  readonly #clients: readonly RawClient[]
  readonly #topicId: string
  readonly #id: bigint
  #leader = 0
  #sent = 0

  constructor(clients: readonly RawClient[], topicId: string, id: bigint) {
    this.#clients = clients
    this.#topicId = topicId
    this.#id = id
  }

  async send(): Promise<void> {
    const value = `${this.#sent} `.padEnd(VALUE_BYTES, 'x')
    const builder = new BatchBuilder({ producerId: this.#id, producerEpoch: 0, baseSequence: this.#sent })
    builder.append({ key: null, value: Buffer.from(value), timestamp: 1_700_000_000_000n })
    const batch = builder.build()
    for (let attempt = 0; attempt < 2000; attempt++) {
      const error = await this.#try(new Uint8Array(batch))
      if (error === 'NONE') {
        this.acknowledged.push(`${this.#sent++}`)
        return
      }
      expect(['NOT_LEADER_OR_FOLLOWER', 'LEADER_NOT_AVAILABLE', 'REQUEST_TIMED_OUT']).toContain(error)
      this.#leader = 1 - this.#leader
      await pause()
    }
    throw new Error('nobody took a batch')
  }

  async #try(records: Uint8Array): Promise<ErrorName> {
    const { responses } = await this.#clients[this.#leader]!.request(apis.produce, 13, {
      transactionalId: null,
      acks: -1,
      timeoutMs: 5000,
      topicData: [{ topicId: this.#topicId, partitionData: [{ index: 0, records }] }]
    })
    return errorName(responses[0]?.partitionResponses[0]?.errorCode ?? -1)
  }
}

async function producerOn(clients: readonly RawClient[], topicId: string): Promise<Producer> {
  const { producerId } = await clients[0]!.request(apis.initProducerId, 4, {
    transactionalId: null,
    transactionTimeoutMs: 1000,
    producerId: -1n,
    producerEpoch: -1
  })
  return new Producer(clients, topicId, producerId)
}

/** Between two looks at what is under way in the broker. */
const pause = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 20))

async function move(client: RawClient, target: number): Promise<void> {
  const altered = await client.request(apis.alterPartitionReassignments, 1, {
    timeoutMs: 5000,
    allowReplicationFactorChange: true,
    topics: [{ name: 'moving', partitions: [{ partitionIndex: 0, replicas: [target] }] }]
  })
  expect(errorName(altered.responses[0]?.partitions[0]?.errorCode ?? -1)).toBe('NONE')
}

async function isMoving(client: RawClient): Promise<boolean> {
  const listed = await client.request(apis.listPartitionReassignments, 0, { timeoutMs: 5000, topics: null })
  return listed.topics.length > 0
}

/** The first word of every record, in order. */
async function readAll(client: RawClient, topicId: string, end: number): Promise<string[]> {
  const words: string[] = []
  while (words.length < end) {
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
              partition: 0,
              currentLeaderEpoch: -1,
              fetchOffset: BigInt(words.length),
              lastFetchedEpoch: -1,
              logStartOffset: -1n,
              partitionMaxBytes: 4_000_000
            }
          ]
        }
      ],
      forgottenTopicsData: [],
      rackId: ''
    })
    const [answer] = responses[0]?.partitions ?? []
    expect(errorName(answer?.errorCode ?? -1)).toBe('NONE')
    const bytes = answer?.records ?? new Uint8Array(0)
    for (let at = 0; at < bytes.length; at += batchHeader.totalBytes(bytes, at))
      for (const record of iterateRecords(bytes, at)) words.push(Buffer.from(record.value!).toString().split(' ')[0]!)
  }
  return words
}

/** Inode numbers of a shard's segments of the topic, by file name. A file that is removed meanwhile is left out. */
function inodesOf(dataFolder: string, shard: number): Map<string, number> {
  const logs = join(dataFolder, `shard-${shard}`, 'logs')
  const inodes = new Map<string, number>()
  for (const path of globSync('moving-0*/*.log', { cwd: logs })) {
    const inode = statSync(join(logs, path), { throwIfNoEntry: false })?.ino
    if (inode !== undefined) inodes.set(basename(path), inode)
  }
  return inodes
}

const temporaryFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'milena-cores-'))
  cleanUps.push(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

describe('a partition that is moved from one core of a node to another', () => {
  it('takes its files along, there and back, while an idempotent producer writes', async () => {
    const dataFolder = temporaryFolder()
    const { broker, clients } = await start(dataFolder)
    const topicId = await createTopic(clients[0]!)
    const producer = await producerOn(clients, topicId)
    while (producer.acknowledged.length < 500) await producer.send()
    for (const target of [1, 0]) {
      const before = inodesOf(dataFolder, 1 - target)
      expect(before.size).toBeGreaterThan(2)
      await move(clients[0]!, target)
      do await producer.send()
      while (await isMoving(clients[0]!))
      while (inodesOf(dataFolder, 1 - target).size > 0) await pause()
      const after = inodesOf(dataFolder, target)
      for (const [name, inode] of before) expect(after.get(name)).toBe(inode)
      for (let i = 0; i < 30; i++) await producer.send()
    }
    expect(await readAll(clients[0]!, topicId, producer.acknowledged.length)).toEqual(producer.acknowledged)
    await broker.stop()
    const again = await start(dataFolder)
    expect(await readAll(again.clients[0]!, topicId, producer.acknowledged.length)).toEqual(producer.acknowledged)
  })

  it('arrives whole although the node is stopped in the middle of it', async () => {
    const dataFolder = temporaryFolder()
    const before = await start(dataFolder)
    const topicId = await createTopic(before.clients[0]!)
    const producer = await producerOn(before.clients, topicId)
    while (producer.acknowledged.length < 200) await producer.send()
    await move(before.clients[0]!, 1)
    await before.broker.stop()
    const { clients } = await start(dataFolder)
    while (await isMoving(clients[0]!)) await pause()
    while (inodesOf(dataFolder, 0).size > 0) await pause()
    expect(await readAll(clients[1]!, topicId, 200)).toEqual(producer.acknowledged)
    const later = new Producer(clients, topicId, 1_000_000n)
    await later.send()
    expect((await readAll(clients[1]!, topicId, 201)).length).toBe(201)
  })
})
