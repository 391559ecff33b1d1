/**
 * @platformatic/kafka as an adapter of the interop suite.
 *
 *   write BOOTSTRAP TOPIC CORPUS CODEC=PARTITION,...   |   read BOOTSTRAP TOPIC,... (needs groups)   |   admin BOOTSTRAP TOPIC
 */
import { readFileSync } from 'node:fs'
import {
  Admin,
  Consumer,
  ListOffsetTimestamps,
  MessagesStreamModes,
  Producer,
  type CompressionAlgorithmValue
} from '@platformatic/kafka'

interface Line {
  readonly timestamp: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly (readonly [string, string | null])[]
}

const bytes = (text: string): Buffer => Buffer.from(text, 'base64')
const text = (data: Buffer | null | undefined): string | null => data?.toString('base64') ?? null

async function write(bootstrap: string, topic: string, file: string, plan: string): Promise<void> {
  const corpus = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Line)
  for (const step of plan.split(',')) {
    const [codec = 'none', partition] = step.split('=')
    const producer = new Producer({ clientId: 'interop', bootstrapBrokers: [bootstrap], idempotent: codec !== 'gzip' })
    const messages = corpus.map(line => ({
      topic,
      partition: Number(partition),
      timestamp: BigInt(line.timestamp),
      ...(line.key === null ? {} : { key: bytes(line.key) }),
      ...(line.value === null ? {} : { value: bytes(line.value) }),
      headers: new Map(line.headers.map(([name, value]) => [bytes(name), bytes(value ?? '')]))
    }))
    await producer.send({ messages, acks: -1, autocreateTopics: true, compression: codec as CompressionAlgorithmValue })
    await producer.close()
  }
}

async function read(bootstrap: string, topics: string): Promise<void> {
  const names = topics.split(',')
  const consumer = new Consumer({
    clientId: 'interop',
    groupId: `interop-${process.pid}`,
    bootstrapBrokers: [bootstrap]
  })
  const ends = await consumer.listOffsets({ topics: names })
  let left = 0
  for (const partitions of ends.values()) for (const end of partitions) left += Number(end)
  const stream = await consumer.consume({
    topics: names,
    mode: MessagesStreamModes.EARLIEST,
    autocommit: false,
    maxWaitTime: 200
  })
  for await (const message of stream) {
    const headers = message.headerEntries.map(([name, value]) => [text(name), text(value)])
    const { topic, partition } = message
    const line = {
      topic,
      partition,
      offset: Number(message.offset),
      timestamp: Number(message.timestamp),
      key: text(message.key)
    }
    process.stdout.write(`${JSON.stringify({ ...line, value: text(message.value), headers })}\n`)
    if (--left === 0) break
  }
  await consumer.close(true)
}

async function admin(bootstrap: string, topic: string): Promise<void> {
  const demand = (truth: boolean, what: string): void => {
    if (!truth) throw new Error(what)
  }
  const each = new Admin({ clientId: 'interop', bootstrapBrokers: [bootstrap] })
  const created = await each.createTopics({ topics: [topic], partitions: 3, replicas: 1 })
  demand(created[0]?.name === topic && created[0].partitions === 3, `createTopics says ${JSON.stringify(created)}`)
  demand((await each.listTopics()).includes(topic), 'the topic is not listed')
  const metadata = await each.metadata({ topics: [topic] })
  demand(metadata.topics.get(topic)?.partitionsCount === 3, 'the metadata does not show three partitions')
  const producer = new Producer({ clientId: 'interop', bootstrapBrokers: [bootstrap] })
  for (let i = 0; i < 5; i++) await producer.send({ messages: [{ topic, partition: 1, value: Buffer.from('x') }] })
  await producer.close()
  const asked = [0, 1].map(partitionIndex => ({ partitionIndex, timestamp: ListOffsetTimestamps.LATEST }))
  const listed = await each.listOffsets({ topics: [{ name: topic, partitions: asked }] })
  const offsets = new Map(listed[0]?.partitions.map(entry => [entry.partitionIndex, entry.offset]))
  demand(offsets.get(0) === 0n && offsets.get(1) === 5n, 'listOffsets does not say 0 and 5')
  await each.deleteTopics({ topics: [topic] })
  demand(!(await each.listTopics()).includes(topic), 'the deleted topic is still listed')
  await each.close()
}

const [verb = '', bootstrap = '', topic = '', file = '', plan = ''] = process.argv.slice(2)
if (verb === 'write') await write(bootstrap, topic, file, plan)
else if (verb === 'read') await read(bootstrap, topic)
else if (verb === 'admin') await admin(bootstrap, topic)
else throw new Error(`unknown verb ${verb}`)
