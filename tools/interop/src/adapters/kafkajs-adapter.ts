/**
 * KafkaJS as an adapter of the interop suite. Codecs that it lacks come from the packages that its documentation names, or from
 * Node itself.
 *
 *   write BOOTSTRAP TOPIC CORPUS CODEC=PARTITION,...   |   read BOOTSTRAP TOPIC,... (needs groups)   |   admin BOOTSTRAP TOPIC
 */
import { readFileSync } from 'node:fs'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import kafkajs, { type Message } from 'kafkajs'
import snappyCodec from 'kafkajs-snappy'
import { compressFrameSync, decompressFrameSync } from 'lz4-napi'

const { CompressionCodecs, CompressionTypes, Kafka, Partitioners, logLevel } = kafkajs

const codec = (compress: (bytes: Buffer) => Buffer, decompress: (bytes: Buffer) => Buffer) => () => ({
  compress: (encoder: { buffer: Buffer }) => Promise.resolve(compress(encoder.buffer)),
  decompress: (bytes: Buffer) => Promise.resolve(decompress(bytes))
})
CompressionCodecs[CompressionTypes.Snappy] = snappyCodec
CompressionCodecs[CompressionTypes.LZ4] = codec(compressFrameSync, decompressFrameSync)
CompressionCodecs[CompressionTypes.ZSTD] = codec(
  bytes => zstdCompressSync(bytes),
  bytes => zstdDecompressSync(bytes)
)

const types: Record<string, kafkajs.CompressionTypes> = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD
}

interface Line {
  readonly timestamp: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly (readonly [string, string | null])[]
}

const bytes = (text: string | null): Buffer | null => (text === null ? null : Buffer.from(text, 'base64'))
const text = (data: Buffer | string | null | undefined): string | null =>
  data === null || data === undefined ? null : Buffer.from(data as string).toString('base64')

/** KafkaJS takes headers as an object; repeated names are an array there. */
function headersOf(line: Line): NonNullable<Message['headers']> {
  const headers: Record<string, Buffer | Buffer[]> = {}
  for (const [name, value] of line.headers) {
    const key = Buffer.from(name, 'base64').toString()
    const known = headers[key]
    const data = bytes(value) ?? Buffer.alloc(0)
    headers[key] = known === undefined ? data : [known, data].flat()
  }
  return headers
}

const client = (bootstrap: string): kafkajs.Kafka =>
  new Kafka({ clientId: 'interop', brokers: [bootstrap], logLevel: logLevel.ERROR, retry: { retries: 5 } })

async function write(bootstrap: string, topic: string, file: string, plan: string): Promise<void> {
  const corpus = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Line)
  const producer = client(bootstrap).producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  for (const step of plan.split(',')) {
    const [name = '', partition] = step.split('=')
    const messages = corpus.map(line => ({
      ...{
        partition: Number(partition),
        timestamp: String(line.timestamp),
        key: bytes(line.key),
        value: bytes(line.value)
      },
      headers: headersOf(line)
    }))
    await producer.send({ topic, acks: -1, compression: types[name] ?? CompressionTypes.None, messages })
  }
  await producer.disconnect()
}

async function read(bootstrap: string, topics: string): Promise<void> {
  const kafka = client(bootstrap)
  const admin = kafka.admin()
  await admin.connect()
  let left = 0
  for (const topic of topics.split(','))
    for (const end of await admin.fetchTopicOffsets(topic)) left += Number(end.offset)
  await admin.disconnect()
  const consumer = kafka.consumer({ groupId: `interop-${process.pid}`, maxWaitTimeInMs: 200 })
  await consumer.connect()
  await consumer.subscribe({ topics: topics.split(','), fromBeginning: true })
  const out: string[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  await consumer.run({
    eachMessage: ({ topic, partition, message }) => {
      const headers = Object.entries(message.headers ?? {}).flatMap(([name, value]) =>
        (Array.isArray(value) ? value : [value]).map(each => [text(name), text(each)])
      )
      const offset = Number(message.offset)
      const timestamp = Number(message.timestamp)
      out.push(
        JSON.stringify({
          topic,
          partition,
          offset,
          timestamp,
          key: text(message.key),
          value: text(message.value),
          headers
        })
      )
      if (--left === 0) resolve()
      return Promise.resolve()
    }
  })
  await promise
  await consumer.disconnect()
  process.stdout.write(`${out.join('\n')}\n`)
}

async function admin(bootstrap: string, topic: string): Promise<void> {
  const demand = (truth: boolean, what: string): void => {
    if (!truth) throw new Error(what)
  }
  const kafka = client(bootstrap)
  const each = kafka.admin()
  await each.connect()
  const topics = [{ topic, numPartitions: 3, replicationFactor: 1 }]
  demand(await each.createTopics({ topics, waitForLeaders: true }), 'createTopics said false')
  demand(!(await each.createTopics({ topics })), 'creating it again did not say false')
  demand((await each.listTopics()).includes(topic), 'the topic is not listed')
  const metadata = await each.fetchTopicMetadata({ topics: [topic] })
  demand(metadata.topics[0]?.partitions.length === 3, 'the metadata does not show three partitions')
  const cluster = await each.describeCluster()
  demand(cluster.brokers.length > 0 && cluster.clusterId !== null, 'describeCluster names no brokers')
  const producer = kafka.producer({
    createPartitioner: Partitioners.DefaultPartitioner,
    idempotent: true,
    maxInFlightRequests: 1
  })
  await producer.connect()
  const base = Date.now() - 60_000
  for (let i = 0; i < 5; i++)
    await producer.send({ topic, messages: [{ partition: 1, value: 'x', timestamp: String(base + i) }] })
  await producer.disconnect()
  const offsets = await each.fetchTopicOffsets(topic)
  const end = offsets.find(entry => entry.partition === 1)
  demand(end?.high === '5' && end.low === '0', `fetchTopicOffsets says ${JSON.stringify(offsets)}`)
  const at = await each.fetchTopicOffsetsByTimestamp(topic, base + 3)
  demand(
    at.find(entry => entry.partition === 1)?.offset === '3',
    `fetchTopicOffsetsByTimestamp says ${JSON.stringify(at)}`
  )
  await each.deleteTopics({ topics: [topic] })
  demand(!(await each.listTopics()).includes(topic), 'the deleted topic is still listed')
  await each.disconnect()
}

const [verb = '', bootstrap = '', topic = '', file = '', plan = ''] = process.argv.slice(2)
if (verb === 'write') await write(bootstrap, topic, file, plan)
else if (verb === 'read') await read(bootstrap, topic)
else if (verb === 'admin') await admin(bootstrap, topic)
else throw new Error(`unknown verb ${verb}`)
