/** Frames, headers and primitives: cases 1 to 43 of the catalogue, as far as one connection at a time can show them. */
import {
  apiVersions,
  Bytes,
  correlationId,
  createTopic,
  fetch,
  frame,
  listOffsets,
  metadata,
  produce,
  batch,
  request
} from './bytes.ts'
import { apiVersionsError, type HostileCase } from './case.ts'

const header = (apiKey: number, version: number): Bytes => new Bytes().int16(apiKey).int16(version).int32(correlationId)
const ofSize = (size: number, content: Uint8Array = Buffer.alloc(64)): Buffer =>
  new Bytes().int32(size).raw(content).end()

/** Metadata 9 up to its tags: header tags, no topics, no auto-creation, no authorised operations. */
const flexibleMetadata = (headerTags: Buffer, bodyTags: Buffer = Buffer.from([0])): Buffer =>
  frame(header(3, 9).string('hostile').raw(headerTags).varint(1).int8(0).int8(0).int8(0).raw(bodyTags).end())

const varintOfSixBytes = Buffer.from([0x80, 0x80, 0x80, 0x80, 0x80, 0x01])

export const frameCases: readonly HostileCase[] = [
  ...[-1, -(2 ** 31), 0, 1, 4, 7].map((size): HostileCase => ({
    name: `a frame of size ${size}`,
    bytes: ofSize(size),
    allowed: ['close']
  })),
  { name: 'a frame one byte over the limit', bytes: ofSize(104_857_601), allowed: ['close'] },
  { name: 'a frame of 2 GiB', bytes: ofSize(2 ** 31 - 1), allowed: ['close'] },
  {
    name: 'a size that is smaller than the request',
    bytes: ofSize(20, metadata(['target']).subarray(4)),
    allowed: ['close']
  },
  {
    name: 'a TLS greeting',
    bytes: Buffer.concat([Buffer.from('16030100f0010000ec0303', 'hex'), Buffer.alloc(220, 7)]),
    allowed: ['close']
  },
  { name: 'an HTTP request', bytes: Buffer.from('GET / HTTP/1.1\r\nHost: kafka\r\n\r\n'), allowed: ['close'] },
  ...[9999, -1, 94, 32767].map((key): HostileCase => ({
    name: `API key ${key}`,
    bytes: request(key, 0, Buffer.alloc(8)),
    allowed: ['close']
  })),
  ...[4, 5, 6, 7, 52, 56, 62].map((key): HostileCase => ({
    name: `API ${key}, which is not for clients`,
    bytes: request(key, 0, Buffer.alloc(8)),
    allowed: ['close']
  })),
  ...[32767, -1].map((version): HostileCase => ({
    name: `Metadata version ${version}`,
    bytes: request(3, version, Buffer.alloc(8)),
    allowed: ['close']
  })),
  {
    name: 'ApiVersions version 127',
    bytes: frame(header(18, 127).string('hostile').varint(0).end()),
    allowed: [35],
    errorAt: apiVersionsError
  },
  { name: 'ApiVersions version -1', bytes: apiVersions(-1), allowed: [35, 'close'], errorAt: apiVersionsError },
  { name: 'a client id of length -2', bytes: frame(header(18, 0).int16(-2).end()), allowed: ['close', 'answer'] },
  {
    name: 'a client id longer than the frame',
    bytes: frame(header(18, 0).int16(500).raw(Buffer.from('ab')).end()),
    allowed: ['close']
  },
  {
    name: 'a client id that is not UTF-8',
    bytes: frame(
      header(18, 0)
        .int16(4)
        .raw(Buffer.from([0xff, 0xfe, 0, 10]))
        .end()
    ),
    allowed: ['close', 'answer']
  },
  {
    name: 'header tags that claim to be 2^32-1',
    bytes: flexibleMetadata(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f])),
    allowed: ['close'],
    notKafka: 'takes it for a negative number, that is none'
  },
  {
    name: 'a header tag longer than the frame',
    bytes: flexibleMetadata(new Bytes().varint(1).varint(7).varint(1000).end()),
    allowed: ['close']
  },
  {
    ...{ name: 'header tags in descending order', allowed: ['close', 'answer'] },
    bytes: flexibleMetadata(new Bytes().varint(2).varint(9).varint(0).varint(8).varint(0).end())
  },
  {
    ...{ name: 'an unknown tag of 1 MB', allowed: ['answer'] },
    bytes: flexibleMetadata(new Bytes().varint(1).varint(77).varint(1_000_000).raw(Buffer.alloc(1_000_000)).end())
  },
  {
    name: 'body tags that claim to be 2^31',
    bytes: flexibleMetadata(Buffer.from([0]), Buffer.from([0x80, 0x80, 0x80, 0x80, 0x08])),
    allowed: ['close'],
    notKafka: 'takes it for a negative number, that is none'
  },
  { name: 'a varint of six bytes', bytes: flexibleMetadata(varintOfSixBytes), allowed: ['close'] },
  {
    ...{ name: 'a varint that is longer than it needs to be', allowed: ['answer'] },
    bytes: flexibleMetadata(Buffer.from([0x80, 0x00]))
  },
  {
    name: 'an array of 2^31-1 in four bytes',
    bytes: request(
      3,
      4,
      new Bytes()
        .int32(2 ** 31 - 1)
        .int32(0)
        .end()
    ),
    allowed: ['close']
  },
  {
    name: 'an array of length -2',
    bytes: request(3, 4, new Bytes().int32(-2).int8(0).end()),
    allowed: ['close', 'answer']
  },
  {
    name: 'an array of length -1 where there must be one',
    bytes: request(2, 5, new Bytes().int32(-1).int8(0).int32(-1).end()),
    allowed: ['close']
  },
  { name: 'arrays in arrays, 10,000 times 10,000', bytes: nestedArrays(), allowed: ['close', 'answer'] },
  { name: 'a compact array of length 0 where there must be one', bytes: compactNull(), allowed: ['close'] },
  {
    name: 'a string of 32,767 with less behind it',
    bytes: request(3, 4, new Bytes().int32(1).int16(32767).raw(Buffer.from('x')).end()),
    allowed: ['close']
  },
  {
    name: 'a topic name that is not UTF-8',
    bytes: request(
      3,
      4,
      new Bytes()
        .int32(1)
        .int16(2)
        .raw(Buffer.from([0xc3, 0x28]))
        .int8(0)
        .end()
    ),
    allowed: ['close', 'answer']
  },
  {
    name: 'bytes behind the request',
    bytes: request(3, 4, Buffer.concat([metadata(['target']).subarray(4 + 4 + 4 + 9), Buffer.alloc(50)])),
    allowed: ['close', 'answer']
  },
  {
    ...{ name: 'metadata for 100,000 topics that do not exist', allowed: ['close', 'answer'] },
    bytes: metadata(Array.from({ length: 100_000 }, (_, i) => `nothing-${i}`))
  }
]

/** Produce 7 with 10,000 topics that each claim 10,000 partitions. */
function nestedArrays(): Buffer {
  const body = new Bytes().string(null).int16(-1).int32(5000).int32(10_000)
  for (let i = 0; i < 1000; i++) body.string('t').int32(10_000)
  return request(0, 7, body.end())
}

/** Produce 9, whose list of topics is the compact null. */
function compactNull(): Buffer {
  return frame(header(0, 9).string('hostile').varint(0).varint(0).int16(-1).int32(5000).varint(0).varint(0).end())
}

/** Requests that are right, to be truncated and mutated. CreateTopics only validates, so that no mutation makes topics. */
export const goldenRequests: Readonly<Record<string, Buffer>> = {
  produce: produce(batch()),
  fetch: fetch(),
  listOffsets: listOffsets(-1n),
  metadata: metadata(['target', 'other']),
  metadataFlexible: flexibleMetadata(Buffer.from([0])),
  createTopics: createTopic('never', { partitions: 3, configs: [['cleanup.policy', 'delete']], validateOnly: true }),
  deleteTopics: request(20, 3, new Bytes().int32(1).string('never-there').int32(5000).end()),
  initProducerId: request(22, 1, new Bytes().string(null).int32(60_000).end()),
  findCoordinator: request(10, 2, new Bytes().string('group').int8(0).end()),
  apiVersions: apiVersions()
}
