/**
 * Input that no well-behaved client sends, one row a case, in the numbering of the project's catalogue of malformed input.
 *
 * Each row sends bytes and says what must happen: the connection closes without an answer, or a well-formed answer carries an
 * error. After each row a bystander on its own connection is served and no receive buffer is held.
 */
import { apis, errorCode, type ErrorName } from '@milena/wire-protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RawClient } from './testing/raw-client.ts'
import { ServedGateway } from './testing/served-gateway.ts'
import { testBatch } from './testing/test-batch.ts'

const SECRET = 'SECRET-PAYLOAD'
const software = { clientSoftwareName: 'test', clientSoftwareVersion: '1' }
/** What has not happened by then never will. */
const HANGS_MS = 30_000
/** Processor time, which does not depend on what else the machine does, that is enough to serve the bystander. */
const SERVED_CPU_MS_MAX = 500

let served: ServedGateway
let bystander: RawClient
beforeAll(async () => {
  served = await ServedGateway.start({ requestAssemblyTimeoutMs: 1000, outputStallTimeoutMs: 1000 })
  served.host.cluster.addTopic('a', 2)
  served.host.cluster.partition('a', 0).validate = true
  bystander = await served.connect()
})
afterAll(() => served.stop())

type Row = readonly [id: number, title: string, bytes: () => Buffer]

/** A size and a body; `size` may lie. */
function frame(body: Buffer, size = body.length): Buffer {
  const prefix = Buffer.alloc(4)
  prefix.writeInt32BE(size, 0)
  return Buffer.concat([prefix, body])
}

function header(
  apiKey: number,
  apiVersion: number,
  clientId: Buffer | null = Buffer.from('c'),
  idLength?: number
): Buffer {
  const fixed = Buffer.alloc(10)
  fixed.writeInt16BE(apiKey, 0)
  fixed.writeInt16BE(apiVersion, 2)
  fixed.writeInt32BE(77, 4)
  fixed.writeInt16BE(idLength ?? (clientId === null ? -1 : clientId.length), 8)
  return Buffer.concat([fixed, clientId ?? Buffer.alloc(0)])
}

const bytes = (...values: number[]): Buffer => Buffer.from(values)
const request = (apiKey: number, apiVersion: number, ...body: Buffer[]): Buffer =>
  frame(Buffer.concat([header(apiKey, apiVersion), ...body]))
/** A flexible request: header version 2 with these tag bytes. */
const flexible = (apiKey: number, apiVersion: number, tags: Buffer, ...body: Buffer[]): Buffer =>
  request(apiKey, apiVersion, tags, ...body)

const METADATA = 3
const API_VERSIONS = 18
const NO_TAGS = bytes(0)

const closing: readonly Row[] = [
  [1, 'a size of -1', () => frame(Buffer.alloc(0), -1)],
  [2, 'a size of INT_MIN', () => frame(Buffer.alloc(0), -(2 ** 31))],
  [3, 'a size of 0', () => frame(Buffer.alloc(0), 0)],
  ...[1, 2, 3, 4, 5, 6, 7].map((size): Row => [
    4,
    `a frame of ${size} bytes, too short for a header`,
    () => frame(Buffer.alloc(size))
  ]),
  [5, 'a size of one byte above socket.request.max.bytes', () => frame(Buffer.alloc(0), 104_857_601)],
  [6, 'a size of 100 MiB of which little arrives', () => frame(Buffer.from(SECRET), 104_857_600)],
  [
    7,
    'a size smaller than the body: the rest is no frame',
    () => frame(header(METADATA, 1, Buffer.alloc(60, 0xff)), 10)
  ],
  [8, 'a TLS ClientHello', () => Buffer.from('16030102000100010001fc0303', 'hex')],
  [9, 'an HTTP request', () => Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
  [19, 'api key 9999', () => request(9999, 0)],
  [19, 'api key -1', () => request(-1, 0)],
  [20, 'version 32767 of a known key', () => request(METADATA, 32_767)],
  [20, 'version -1 of a known key', () => request(METADATA, -1)],
  [20, 'a version that Kafka dropped', () => request(0, 2)],
  [22, 'a client id of length -2', () => frame(header(METADATA, 1, Buffer.alloc(0), -2))],
  [23, 'a client id longer than the frame', () => frame(header(METADATA, 1, Buffer.from(SECRET), 5000))],
  [26, 'a header with 2^32-1 tags', () => flexible(API_VERSIONS, 3, bytes(0xff, 0xff, 0xff, 0xff, 0x0f))],
  [27, 'a tag larger than what is left', () => flexible(API_VERSIONS, 3, bytes(1, 0, 0x7f))],
  [
    28,
    'tags in descending order',
    () => flexible(API_VERSIONS, 3, bytes(2, 5, 0, 4, 0), bytes(5, 97, 98, 99, 100, 2, 49, 0))
  ],
  [28, 'a tag twice', () => flexible(API_VERSIONS, 3, bytes(2, 5, 0, 5, 0), bytes(5, 97, 98, 99, 100, 2, 49, 0))],
  [30, 'an unsigned varint of six bytes', () => flexible(METADATA, 9, bytes(0x80, 0x80, 0x80, 0x80, 0x80, 0x01))],
  [
    30,
    'an unsigned varint with bits above 32',
    () => flexible(METADATA, 9, NO_TAGS, bytes(0xff, 0xff, 0xff, 0xff, 0x7f))
  ],
  [
    33,
    'an array of 2^31-1 elements in four bytes',
    () => request(METADATA, 1, bytes(0x7f, 0xff, 0xff, 0xff), bytes(0, 0, 0, 0))
  ],
  [33, 'a compact array of 2^32-2 elements', () => flexible(METADATA, 9, NO_TAGS, bytes(0xff, 0xff, 0xff, 0xff, 0x0f))],
  [34, 'nested arrays that multiply to 10^8 elements', nestedArrays],
  [35, 'an array of length -2', () => request(METADATA, 1, bytes(0xff, 0xff, 0xff, 0xfe))],
  [35, 'a null array that must not be null', () => request(METADATA, 0, bytes(0xff, 0xff, 0xff, 0xff))],
  [
    36,
    'a compact string of length 0 that must not be null',
    () => flexible(METADATA, 9, NO_TAGS, bytes(2, 0, 0, 1, 0, 0, 0))
  ],
  [37, 'a string of 32767 bytes of which few are there', () => request(METADATA, 1, bytes(0, 0, 0, 1, 0x7f, 0xff, 97))]
]

/** CreateTopics with 10,000 topics, each of which announces 10,000 assignments that are not there. */
function nestedArrays(): Buffer {
  const topic = Buffer.alloc(2 + 1 + 4 + 2 + 4)
  topic.writeInt16BE(1, 0)
  topic.write('x', 2)
  topic.writeInt32BE(10_000, 9)
  const count = Buffer.alloc(4)
  count.writeInt32BE(10_000, 0)
  return request(19, 2, count, ...Array.from({ length: 10_000 }, () => topic))
}

describe.each(closing)('case %i: %s', (_id, _title, makeBytes) => {
  test('costs its connection and nothing else', async () => {
    const input = makeBytes()
    const before = process.memoryUsage().arrayBuffers
    const client = await served.connect()
    client.sendBytes(input)
    expect(await within(HANGS_MS, client.nextFrame())).toBeNull()
    await within(HANGS_MS, client.whenClosed())
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(input.length * 4 + (1 << 20))
    await unharmed()
  })
})

/** The bystander is served, quickly, and no bytes of the offender are kept. */
async function unharmed(): Promise<void> {
  const start = process.cpuUsage()
  expect((await bystander.request(apis.apiVersions, 4, software)).errorCode).toBe(0)
  expect(process.cpuUsage(start).user / 1000).toBeLessThan(SERVED_CPU_MS_MAX)
  expect(served.gateway.stats()).toMatchObject({ receiveBufferBytes: 0, requestBytesInFlight: 0, handlerErrors: 0 })
}

function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error(`nothing happened in ${ms} ms`)), ms).unref()
  })
  return Promise.race([promise, late])
}

type Client = RawClient
const code = (error: ErrorName): number => errorCode(error)

/** Cases with an answer: what is asked, and the code that comes back. */
const answering: readonly (readonly [number, string, (client: Client) => Promise<unknown>, unknown])[] = [
  [21, 'an ApiVersions version from the future', apiVersionsFromTheFuture, code('UNSUPPORTED_VERSION')],
  [24, 'a client id of control characters, NUL and broken UTF-8', oddClientId, 0],
  [25, 'a negative correlation id is echoed', negativeCorrelation, -5],
  [29, 'an unknown tag of 1 MB is skipped', hugeTag, 0],
  [32, 'a varint longer than it need be', () => sendFlexibleMetadata(bytes(0x80, 0x00)), 0],
  [38, 'a topic name that is no UTF-8', invalidUtf8Name, code('INVALID_TOPIC_EXCEPTION')],
  [39, 'a boolean of 200 is true', oddBoolean, 0],
  [42, 'bytes behind the last field are ignored', trailingBytes, 0],
  [44, 'a topic named __proto__', c => metadataCode(c, '__proto__'), 0],
  [49, 'acks=2', c => produceCode(c, { acks: 2 }), code('INVALID_REQUIRED_ACKS')],
  [49, 'acks=-2', c => produceCode(c, { acks: -2 }), code('INVALID_REQUIRED_ACKS')],
  [51, 'null records', c => produceCode(c, { records: null }), code('INVALID_RECORD')],
  [51, 'empty records', c => produceCode(c, { records: Buffer.alloc(0) }), code('INVALID_RECORD')],
  [52, 'magic 0', c => produceCode(c, { records: withMagic(0) }), code('INVALID_RECORD')],
  [52, 'magic 1', c => produceCode(c, { records: withMagic(1) }), code('INVALID_RECORD')],
  [79, 'a partition twice', producedTwice, [code('INVALID_REQUEST'), code('INVALID_REQUEST')]],
  [80, '100,000 partitions in one request', manyPartitions, 100_000],
  [81, 'a fetch with a replica id', c => fetchTop(c, { replicaId: 7 }), code('CLUSTER_AUTHORIZATION_FAILED')],
  [82, 'fetch offset -1', c => fetchCode(c, { fetchOffset: -1n }), code('OFFSET_OUT_OF_RANGE')],
  [82, 'fetch offset 2^63-1', c => fetchCode(c, { fetchOffset: 2n ** 63n - 1n }), code('OFFSET_OUT_OF_RANGE')],
  [82, 'fetch offset 2^53+1', c => fetchCode(c, { fetchOffset: 2n ** 53n + 1n }), code('OFFSET_OUT_OF_RANGE')],
  [83, 'partition max bytes of INT_MIN', c => fetchCode(c, { partitionMaxBytes: -(2 ** 31) }), 0],
  [
    85,
    'a session id out of the blue',
    c => fetchTop(c, { sessionId: 99, sessionEpoch: 4 }),
    code('FETCH_SESSION_ID_NOT_FOUND')
  ],
  [86, 'a leader epoch from the future', c => fetchCode(c, { currentLeaderEpoch: 9 }), code('UNKNOWN_LEADER_EPOCH')],
  [87, 'ListOffsets with timestamp -7', c => listCode(c, 'a', -7n), code('UNSUPPORTED_VERSION')],
  [87, 'ListOffsets of an unknown topic', c => listCode(c, 'nope', -1n), code('UNKNOWN_TOPIC_OR_PARTITION')],
  [
    100,
    'a topic named ../../etc/passwd',
    c => createCode(c, { name: '../../etc/passwd' }),
    code('INVALID_TOPIC_EXCEPTION')
  ],
  [100, 'a topic name with a newline', c => createCode(c, { name: 'a\nb' }), code('INVALID_TOPIC_EXCEPTION')],
  [101, '0 partitions', c => createCode(c, { numPartitions: 0 }), code('INVALID_PARTITIONS')],
  [102, 'replication factor 0', c => createCode(c, { replicationFactor: 0 }), code('INVALID_REPLICATION_FACTOR')],
  [103, 'an assignment to a broker twice', c => assignedCode(c, [1, 1]), code('INVALID_REPLICA_ASSIGNMENT')],
  [103, 'an assignment to an unknown broker', c => assignedCode(c, [99]), code('INVALID_REPLICA_ASSIGNMENT')]
]

test.each(answering)('case %i: %s', async (_id, _title, ask, expected) => {
  const client = await served.connect()
  expect(await within(HANGS_MS, ask(client))).toEqual(expected)
  client.close()
  await unharmed()
})

async function answerTo(client: Client, sent: Buffer): Promise<Buffer> {
  client.sendBytes(sent)
  const answer = await client.nextFrame()
  if (answer === null) throw new Error('closed')
  return answer
}

async function apiVersionsFromTheFuture(client: Client): Promise<number> {
  return client.decode(apis.apiVersions, 0, await answerTo(client, request(API_VERSIONS, 99))).errorCode
}

async function oddClientId(client: Client): Promise<number> {
  const id = Buffer.concat([Buffer.from(`\u0000\u001b[31m${SECRET}\n`), bytes(0xff, 0xfe)])
  const answer = await answerTo(client, frame(header(API_VERSIONS, 0, id)))
  return client.decode(apis.apiVersions, 0, answer).errorCode
}

async function negativeCorrelation(client: Client): Promise<number> {
  const sent = request(API_VERSIONS, 0)
  sent.writeInt32BE(-5, 8)
  return (await answerTo(client, sent)).readInt32BE(0)
}

async function hugeTag(client: Client): Promise<number> {
  // One tag, number 9, 1,048,576 bytes (varint 80 80 40).
  return sendFlexibleMetadata(Buffer.concat([bytes(1, 9, 0x80, 0x80, 0x40), Buffer.alloc(1 << 20)]), client)
}

async function sendFlexibleMetadata(tags: Buffer, client?: Client): Promise<number> {
  const own = client ?? (await served.connect())
  const answer = await answerTo(own, flexible(METADATA, 9, tags, bytes(1, 1, 0, 0, 0)))
  const { topics } = own.decode(apis.metadata, 9, answer)
  return topics.length
}

async function invalidUtf8Name(client: Client): Promise<number | undefined> {
  const answer = await answerTo(client, request(METADATA, 1, bytes(0, 0, 0, 1, 0, 2, 0xc3, 0x28)))
  return client.decode(apis.metadata, 1, answer).topics[0]?.errorCode
}

async function oddBoolean(client: Client): Promise<number | undefined> {
  const name = `made-by-boolean`
  const asked = Buffer.concat([bytes(0, 0, 0, 1, 0, name.length), Buffer.from(name), bytes(200)])
  return client.decode(apis.metadata, 4, await answerTo(client, request(METADATA, 4, asked))).topics[0]?.errorCode
}

async function trailingBytes(client: Client): Promise<number> {
  const before = served.gateway.stats().trailingBytesRequests
  const answer = await answerTo(client, request(API_VERSIONS, 0, Buffer.from(SECRET)))
  expect(served.gateway.stats().trailingBytesRequests).toBe(before + 1)
  return client.decode(apis.apiVersions, 0, answer).errorCode
}

async function metadataCode(client: Client, name: string): Promise<number | undefined> {
  return (await client.request(apis.metadata, 12, { topics: [{ name }] })).topics[0]?.errorCode
}

function withMagic(magic: number): Buffer {
  const batch = testBatch()
  batch.writeInt8(magic, 16)
  return batch
}

async function produceCode(
  client: Client,
  odd: { acks?: number; records?: Buffer | null }
): Promise<number | undefined> {
  const { acks = 1, records = testBatch() } = odd
  const topicData = [{ name: 'a', partitionData: [{ index: 0, records }] }]
  const { responses } = await client.request(apis.produce, 9, { acks, topicData })
  return responses[0]?.partitionResponses[0]?.errorCode
}

async function producedTwice(client: Client): Promise<unknown> {
  const part = { index: 0, records: testBatch() }
  const { responses } = await client.request(apis.produce, 9, {
    acks: 1,
    topicData: [{ name: 'a', partitionData: [part, part] }]
  })
  return responses[0]?.partitionResponses.map(each => each.errorCode)
}

async function manyPartitions(client: Client): Promise<number | undefined> {
  const partitions = Array.from({ length: 100_000 }, (_, partitionIndex) => ({ partitionIndex, timestamp: -1n }))
  const { topics } = await client.request(apis.listOffsets, 5, { topics: [{ name: 'a', partitions }] })
  return topics[0]?.partitions.length
}

async function fetchTop(client: Client, odd: object): Promise<number> {
  return (await client.request(apis.fetch, 12, { ...odd })).errorCode
}

async function fetchCode(client: Client, odd: object): Promise<number | undefined> {
  const partitions = [{ partition: 1, fetchOffset: 0n, partitionMaxBytes: 1000, ...odd }]
  const { responses } = await client.request(apis.fetch, 12, { minBytes: 0, topics: [{ topic: 'a', partitions }] })
  return responses[0]?.partitions[0]?.errorCode
}

async function listCode(client: Client, name: string, timestamp: bigint): Promise<number | undefined> {
  const topics = [{ name, partitions: [{ partitionIndex: 0, timestamp }] }]
  return (await client.request(apis.listOffsets, 11, { topics })).topics[0]?.partitions[0]?.errorCode
}

async function createCode(client: Client, odd: object): Promise<number | undefined> {
  const topics = [{ name: 'created', numPartitions: 1, replicationFactor: 1, ...odd }]
  return (await client.request(apis.createTopics, 7, { topics })).topics[0]?.errorCode
}

function assignedCode(client: Client, brokerIds: number[]): Promise<number | undefined> {
  const assignments = [{ partitionIndex: 0, brokerIds }]
  return createCode(client, { numPartitions: -1, replicationFactor: -1, assignments })
}

test('case 43: requests cut off at every byte are answered or cost their connection, and never hang', async () => {
  const batch = testBatch()
  const whole = await served.connect()
  const golden = [
    whole.encode(apis.produce, 9, {
      acks: 1,
      topicData: [{ name: 'a', partitionData: [{ index: 0, records: batch }] }]
    }),
    whole.encode(apis.fetch, 12, { topics: [{ topic: 'a', partitions: [{ partition: 1, partitionMaxBytes: 10 }] }] }),
    whole.encode(apis.listOffsets, 7, { topics: [{ name: 'a', partitions: [{ partitionIndex: 0, timestamp: -1n }] }] }),
    whole.encode(apis.metadata, 12, { topics: [{ name: 'a' }] }),
    whole.encode(apis.createTopics, 7, { topics: [{ name: 'b', numPartitions: 1, replicationFactor: 1 }] }),
    whole.encode(apis.deleteTopics, 6, { topics: [{ name: 'b' }] }),
    whole.encode(apis.initProducerId, 5, { transactionalId: null }),
    whole.encode(apis.findCoordinator, 4, { coordinatorKeys: ['g'] }),
    whole.encode(apis.describeCluster, 2, {}),
    whole.encode(apis.apiVersions, 4, software)
  ]
  for (const sent of golden) {
    for (let size = 1; size < sent.length - 4; size++) {
      const client = await served.connect()
      client.sendBytes(frame(sent.subarray(4, 4 + size)))
      await within(HANGS_MS, client.nextFrame())
      client.close()
    }
  }
  await unharmed()
})

test('case 48: what one client sent is never seen by another, though buffers are reused', async () => {
  const first = await served.connect()
  const marked = testBatch({ recordCount: 1, valueBytes: 300_000 })
  marked.fill(SECRET, 100, 299_000)
  for (let i = 0; i < 3; i++) {
    const topicData = [{ name: 'a', partitionData: [{ index: 0, records: marked }] }]
    await first.request(apis.produce, 9, { acks: 1, topicData })
  }
  first.close()
  const second = await served.connect()
  for (let i = 0; i < 5; i++) {
    const answer = await answerTo(second, second.encode(apis.metadata, 12, { topics: null }))
    expect(answer.includes(SECRET)).toBe(false)
  }
})

test('no log line of all this holds anything that a client sent', () => {
  const lines = served.host.log.lines.map(line => JSON.stringify(line))
  expect(lines.length).toBeGreaterThan(0)
  expect(lines.filter(line => line.includes(SECRET))).toEqual([])
  expect(served.gateway.stats().malformedRequests).toBeGreaterThan(30)
})
