/** Record batches, fetches, offsets and topics: the cases of the catalogue that a broker answers with an error code. */
import { gzipSync, zstdCompressSync } from 'node:zlib'
import {
  apiVersions,
  batch,
  Bytes,
  createTopic,
  fetch,
  listOffsets,
  metadata,
  produce,
  record,
  request
} from './bytes.ts'
import {
  createTopicsError,
  fetchError,
  listOffsetsError,
  produceError,
  thirdFieldError,
  type HostileCase
} from './case.ts'

const outOfRange = 1
const corrupt = 2
const unknownTopic = 3
const tooLarge = 10
const invalidTopic = 17
const invalidAcks = 21
const invalidTimestamp = 32
const invalidPartitions = 37
const invalidReplicationFactor = 38
const invalidAssignment = 39
const invalidConfig = 40
const invalidRequest = 42
const outOfOrder = 45
const transactionalIdDenied = 53
const fetchSessionNotFound = 70
const fencedEpoch = 74
const unknownEpoch = 75
const unsupportedCompression = 76
const invalidRecord = 87

function produced(name: string, bytes: Buffer, allowed: HostileCase['allowed'], notKafka?: string): HostileCase {
  return { name, bytes, allowed, errorAt: produceError, ...(notKafka === undefined ? {} : { notKafka }) }
}

const ten = Buffer.concat(Array.from({ length: 10 }, (_, i) => record(i, Buffer.from(`value ${i}`))))
const zeros = record(0, Buffer.alloc(50_000_000))
const lz4Magic = Buffer.from([0x04, 0x22, 0x4d, 0x18])
const xerial = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])

/** Damaged compressed data is either unreadable (2) or an invalid record (87); both say what is wrong. */
const damaged = [corrupt, invalidRecord, unsupportedCompression, -1] as const

export const batchCases: readonly HostileCase[] = [
  produced('acks=2', produce(batch(), { acks: 2 }), [invalidAcks]),
  produced('acks=-2', produce(batch(), { acks: -2 }), [invalidAcks]),
  produced('acks=0 and a damaged batch', produce(batch({ crc: 1 }), { acks: 0 }), ['close']),
  produced('no records', produce(null), [invalidRecord, corrupt, 'close'], 'never answers'),
  produced('records of no bytes', produce(Buffer.alloc(0)), [invalidRecord, corrupt, 'close']),
  produced('records of 20 bytes', produce(Buffer.alloc(20)), [invalidRecord, corrupt, 'close']),
  ...[0, 1].map(magic =>
    produced(`message format ${magic}`, produce(batch({ magic })), [invalidRecord, corrupt, 'close'])
  ),
  ...[3, 127, -1].map(magic =>
    produced(`message format ${magic}`, produce(batch({ magic })), [invalidRecord, corrupt, 'close'])
  ),
  ...[-1, 0, 48, 2 ** 31 - 1].map(batchLength =>
    produced(
      `a batch of length ${batchLength}`,
      produce(batch({ batchLength })),
      [corrupt, invalidRecord, 'close'],
      'adds to it without a look at overflow'
    )
  ),
  produced('a wrong checksum', produce(batch({ crc: 12345 })), [corrupt]),
  ...[-1, 0, 2, 2 ** 31 - 1].map(recordCount =>
    produced(`one record, but a count of ${recordCount}`, produce(batch({ recordCount, lastOffsetDelta: 0 })), [
      invalidRecord,
      corrupt
    ])
  ),
  produced(
    'ten records, but a last offset delta of 3',
    produce(batch({ records: ten, recordCount: 10, lastOffsetDelta: 3 })),
    [invalidRecord, corrupt]
  ),
  produced('a base offset that is not 0', produce(batch({ baseOffset: 5 })), [invalidRecord, 0], undefined),
  produced('two batches', produce(Buffer.concat([batch(), batch()])), [invalidRecord]),
  produced('a control batch from a client', produce(batch({ attributes: 0x20 })), [invalidRecord]),
  ...[5, 6, 7].map(codec => produced(`compression codec ${codec}`, produce(batch({ attributes: codec })), damaged)),
  produced(
    'zstd from a client that is too old for it',
    produce(batch({ attributes: 4, records: zstdCompressSync(ten), recordCount: 10 }), { version: 6 }),
    [unsupportedCompression]
  ),
  produced(
    'a record longer than its batch',
    produce(batch({ records: record(0, Buffer.from('x'), { length: 5000 }) })),
    [invalidRecord, corrupt]
  ),
  produced('a record of length -5', produce(batch({ records: record(0, Buffer.from('x'), { length: -5 }) })), [
    invalidRecord,
    corrupt
  ]),
  produced(
    'a record with 1,000,000 headers that are not there',
    produce(batch({ records: record(0, Buffer.from('x'), { headerCount: 1_000_000 }) })),
    [invalidRecord, corrupt]
  ),
  produced('a record with -3 headers', produce(batch({ records: record(0, Buffer.from('x'), { headerCount: -3 }) })), [
    invalidRecord,
    corrupt
  ]),
  produced(
    'offset deltas out of order',
    produce(
      batch({ records: Buffer.concat([record(1, Buffer.from('b')), record(0, Buffer.from('a'))]), recordCount: 2 })
    ),
    [invalidRecord],
    'does not look at them'
  ),
  produced(
    'bytes behind the last record',
    produce(batch({ records: Buffer.concat([record(0, Buffer.from('x')), Buffer.alloc(9)]) })),
    [invalidRecord, corrupt]
  ),
  produced('a timestamp in a thousand years', produce(batch({ baseTimestamp: 33_000_000_000_000n })), [
    invalidTimestamp
  ]),
  produced('a batch over max.message.bytes', produce(batch({ records: record(0, Buffer.alloc(1_048_600)) })), [
    tooLarge
  ]),
  produced('gzip of 50 MB of zeros', produce(batch({ attributes: 1, records: gzipSync(zeros) })), [
    0,
    tooLarge,
    invalidRecord,
    corrupt
  ]),
  produced('zstd of 50 MB of zeros', produce(batch({ attributes: 4, records: zstdCompressSync(zeros) })), [
    0,
    tooLarge,
    invalidRecord,
    corrupt
  ]),
  ...[1, 2, 3, 4].map(codec =>
    produced(
      `codec ${codec} with bytes that are not of it`,
      produce(batch({ attributes: codec, records: Buffer.alloc(64, 0xaa) })),
      damaged
    )
  ),
  produced(
    'gzip that ends too early',
    produce(batch({ attributes: 1, records: gzipSync(ten).subarray(0, 20), recordCount: 10 })),
    damaged
  ),
  produced(
    'a snappy chunk of 2 GiB',
    produce(
      batch({
        attributes: 2,
        records: Buffer.concat([xerial, Buffer.from([0x7f, 0xff, 0xff, 0xff]), Buffer.alloc(16)])
      })
    ),
    damaged
  ),
  produced(
    'a snappy chunk of negative length',
    produce(
      batch({
        attributes: 2,
        records: Buffer.concat([xerial, Buffer.from([0xff, 0xff, 0xff, 0xfe]), Buffer.alloc(16)])
      })
    ),
    damaged
  ),
  produced(
    'an lz4 frame with a wrong header checksum',
    produce(
      batch({ attributes: 3, records: Buffer.concat([lz4Magic, Buffer.from([0x64, 0x40, 0x00]), Buffer.alloc(16)]) })
    ),
    damaged
  ),
  produced(
    'zstd with a window of 2 GiB',
    produce(
      batch({
        attributes: 4,
        records: Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8]), Buffer.alloc(32)])
      })
    ),
    damaged
  ),
  produced('a producer id without an epoch', produce(batch({ producerId: 5n, producerEpoch: -1, baseSequence: 0 })), [
    invalidRecord,
    invalidRequest,
    'close',
    // Kafka takes it: sequences are looked at from epoch 0 on.
    0
  ]),
  produced(
    'a producer id with a negative sequence',
    produce(batch({ producerId: 5n, producerEpoch: 0, baseSequence: -7 })),
    [invalidRecord, invalidRequest, 'close']
  ),
  produced(
    'a transactional batch without a transaction',
    produce(batch({ attributes: 0x10, producerId: 5n, producerEpoch: 0, baseSequence: 0 })),
    [48, 87, 42, 53, 59, 45, 'close']
  ),
  produced('a transaction that does not exist', produce(batch(), { transactionalId: 'nobody' }), [
    transactionalIdDenied,
    invalidRequest,
    48,
    35,
    'close',
    0
  ]),
  produced(
    'one partition twice',
    produce(null, { entries: [0, 0].map(partition => ({ partition, records: batch() })) }),
    [invalidRequest, 0, 'close']
  ),
  produced(
    '100,000 partitions',
    produce(null, { entries: Array.from({ length: 100_000 }, (_, i) => ({ partition: i + 1000, records: null })) }),
    ['close', 'answer']
  ),
  produced('a topic that cannot be', produce(batch(), { topic: '../../etc/passwd' }), [invalidTopic, unknownTopic]),
  produced('a partition that does not exist', produce(batch(), { entries: [{ partition: 77, records: batch() }] }), [
    unknownTopic
  ]),
  produced('partition -1', produce(batch(), { entries: [{ partition: -1, records: batch() }] }), [unknownTopic]),
  {
    ...{ name: 'a gap in the sequence of a producer', allowed: [outOfOrder, 59, 0], errorAt: produceError },
    bytes: [
      produce(batch({ producerId: 991n, producerEpoch: 0, baseSequence: 0 })),
      produce(batch({ producerId: 991n, producerEpoch: 0, baseSequence: 900 }))
    ]
  }
]

const fetched = (name: string, bytes: Buffer, allowed: HostileCase['allowed']): HostileCase => ({
  name,
  bytes,
  allowed,
  errorAt: fetchError
})

export const readCases: readonly HostileCase[] = [
  fetched('fetching as a replica that does not exist', fetch({ replicaId: 7 }), [31, 6, 3, 9, 'close', 0]),
  fetched('fetching from offset -1', fetch({ offset: -1n }), [outOfRange]),
  fetched('fetching from offset 2^63-1', fetch({ offset: 2n ** 63n - 1n }), [outOfRange]),
  fetched('fetching from offset 2^53+1', fetch({ offset: 2n ** 53n + 1n }), [outOfRange]),
  {
    ...fetched('fetching at most -1 bytes', fetch({ maxBytes: -1, partitionMaxBytes: -1 }), [0, 'close']),
    notKafka: 'answers UNKNOWN_SERVER_ERROR'
  },
  fetched('fetching at most 2^31-1 bytes', fetch({ maxBytes: 2 ** 31 - 1, partitionMaxBytes: 2 ** 31 - 1 }), [0]),
  fetched('fetching partition -1', fetch({ partition: -1 }), [unknownTopic]),
  fetched('a fetch session that nobody opened', fetch({ sessionId: 123_456, sessionEpoch: 5 }), [fetchSessionNotFound]),
  fetched('a leader epoch of the future', fetch({ leaderEpoch: 1_000_000 }), [unknownEpoch]),
  {
    ...{ name: 'offsets of a leader epoch of the future', bytes: listOffsets(-1n, { leaderEpoch: 1_000_000 }) },
    ...{ allowed: [unknownEpoch, fencedEpoch], errorAt: listOffsetsError }
  },
  ...[-7n, -100n, -(2n ** 63n)].map((timestamp): HostileCase => ({
    ...{ name: `offsets of timestamp ${timestamp}`, bytes: listOffsets(timestamp), errorAt: listOffsetsError },
    allowed: [0, 35, invalidRequest, 'close']
  })),
  {
    ...{
      name: 'offsets of timestamp 2^63-1',
      bytes: listOffsets(2n ** 63n - 1n),
      allowed: [0],
      errorAt: listOffsetsError
    }
  },
  {
    ...{
      name: 'a producer id for a transaction of 0 ms',
      allowed: [50, 35, 15, 14, 53, 'close'],
      errorAt: thirdFieldError
    },
    bytes: request(22, 1, new Bytes().string('transaction').int32(0).end())
  },
  {
    ...{ name: 'the coordinator of kind 99', allowed: [invalidRequest, 'close'], errorAt: thirdFieldError },
    bytes: request(10, 2, new Bytes().string('x').int8(99).end())
  },
  {
    name: 'metadata of __proto__ and constructor',
    bytes: metadata(['__proto__', 'constructor', 'toString', 'hasOwnProperty']),
    allowed: ['answer']
  },
  {
    name: 'a hundred requests in one piece',
    bytes: Buffer.concat(Array.from({ length: 100 }, () => apiVersions())),
    allowed: ['answer']
  }
]

const created = (name: string, bytes: Buffer, allowed: HostileCase['allowed']): HostileCase => ({
  name,
  bytes,
  allowed,
  errorAt: createTopicsError
})

export const topicCases: readonly HostileCase[] = [
  ...['', '.', '..', 'a'.repeat(250), '../../etc/passwd', 'a/b', 'nul\0', 'line\nbreak', 'ü', ' '].map(name =>
    created(`a topic called ${JSON.stringify(name.slice(0, 20))}`, createTopic(name), [invalidTopic])
  ),
  ...['__proto__', 'constructor', 'hasOwnProperty'].map(name =>
    created(`a topic called ${name}`, createTopic(name), [0, 36])
  ),
  ...[0, -5].map(partitions =>
    created(`${partitions} partitions`, createTopic('shape', { partitions }), [invalidPartitions])
  ),
  created('2^31-1 partitions', createTopic('shape', { partitions: 2 ** 31 - 1, validateOnly: true }), [
    invalidPartitions,
    44,
    invalidRequest,
    41
  ]),
  ...[0, 32767].map(replicationFactor =>
    created(`${replicationFactor} replicas`, createTopic('shape', { replicationFactor }), [invalidReplicationFactor])
  ),
  created(
    'a manual assignment that names one broker twice',
    createTopic('shape', { partitions: -1, replicationFactor: -1, assignments: [{ partition: 0, brokers: [0, 0] }] }),
    [invalidAssignment, invalidReplicationFactor]
  ),
  created(
    'a manual assignment to a broker that does not exist',
    createTopic('shape', { partitions: -1, replicationFactor: -1, assignments: [{ partition: 0, brokers: [4711] }] }),
    [invalidAssignment]
  ),
  created(
    'a manual assignment with a hole',
    createTopic('shape', { partitions: -1, replicationFactor: -1, assignments: [{ partition: 3, brokers: [0] }] }),
    [invalidAssignment]
  ),
  created('a setting that does not exist', createTopic('shape', { configs: [['no.such.setting', '1']] }), [
    invalidConfig
  ]),
  created('a setting that is not a number', createTopic('shape', { configs: [['retention.ms', 'for ever']] }), [
    invalidConfig
  ]),
  created(
    'a setting of 30,000 characters',
    createTopic('shape', { configs: [['cleanup.policy', 'x'.repeat(30_000)]] }),
    [invalidConfig]
  )
]
