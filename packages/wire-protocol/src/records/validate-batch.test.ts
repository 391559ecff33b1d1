/**
 * Every case was first sent to an Apache Kafka 4.3.1 broker in a Produce request over a raw socket. The expected code is
 * Kafka's own, unless the case says what Kafka does instead. That is so in two situations: Kafka fails with an exception that
 * it did not foresee (UNKNOWN_SERVER_ERROR, or no answer at all), or it stores what some consumers then cannot read.
 */
import { describe, expect, test } from 'vitest'
import type { CodecName } from '../compression/codecs.ts'
import { compress } from '../compression/compression.ts'
import type { ErrorName } from '../errors.ts'
import { crc32c } from './crc32c.ts'
import { validateBatch } from './validate-batch.ts'
import { defaultValidationOptions, type BatchValidation, type ValidationOptions } from './validation.ts'
import { writeVarint, writeVarlong } from './varint.ts'

const now = 1_700_000_000_000
const hour = 3_600_000
const options: ValidationOptions = { ...defaultValidationOptions, nowMs: now }
const intMax = 0x7fffffff

function varint(value: number): number[] {
  const bytes = new Uint8Array(5)
  return [...bytes.subarray(0, writeVarint(bytes, 0, value))]
}

function varlong(value: bigint): number[] {
  const bytes = new Uint8Array(10)
  return [...bytes.subarray(0, writeVarlong(bytes, 0, value))]
}

interface RecordParts {
  offsetDelta?: number
  timestampDelta?: bigint
  /** Added to the true length. */
  lengthLie?: number
  length?: number[]
  key?: number[]
  value?: number[]
  headers?: number[]
}

const nullPart = varint(-1)
const part = (...bytes: number[]): number[] => [...varint(bytes.length), ...bytes]

function record(parts: RecordParts = {}): number[] {
  const body = [
    0,
    ...varlong(parts.timestampDelta ?? 0n),
    ...varint(parts.offsetDelta ?? 0),
    ...(parts.key ?? part(107)),
    ...(parts.value ?? part(118)),
    ...(parts.headers ?? [0])
  ]
  return [...(parts.length ?? varint(body.length + (parts.lengthLie ?? 0))), ...body]
}

const twoRecords = [...record(), ...record({ offsetDelta: 1 })]

interface BatchParts {
  records?: number[]
  codec?: CodecName
  baseOffset?: bigint
  length?: number
  magic?: number
  crc?: number
  attributes?: number
  lastOffsetDelta?: number
  count?: number
  baseTimestamp?: bigint
  maxTimestamp?: bigint
  producerId?: bigint
  producerEpoch?: number
  baseSequence?: number
}

/** A good batch of two records with whatever is wrong about it written over. */
function batch(parts: BatchParts = {}): Uint8Array {
  const plain = Uint8Array.from(parts.records ?? twoRecords)
  const records = compress(parts.codec ?? 'none', plain)
  const bytes = new Uint8Array(61 + records.length)
  const view = new DataView(bytes.buffer)
  bytes.set(records, 61)
  view.setBigInt64(0, parts.baseOffset ?? 0n)
  view.setInt32(8, parts.length ?? bytes.length - 12)
  view.setInt32(12, -1)
  view.setInt8(16, parts.magic ?? 2)
  view.setInt16(21, parts.attributes ?? ['none', 'gzip', 'snappy', 'lz4', 'zstd'].indexOf(parts.codec ?? 'none'))
  view.setInt32(23, parts.lastOffsetDelta ?? 1)
  view.setBigInt64(27, parts.baseTimestamp ?? BigInt(now))
  view.setBigInt64(35, parts.maxTimestamp ?? parts.baseTimestamp ?? BigInt(now))
  view.setBigInt64(43, parts.producerId ?? -1n)
  view.setInt16(51, parts.producerEpoch ?? -1)
  view.setInt32(53, parts.baseSequence ?? -1)
  view.setInt32(57, parts.count ?? 2)
  view.setUint32(17, parts.crc ?? crc32c(bytes, 21))
  return bytes
}

/** A batch of as many records as given. */
const batchOf = (records: number[][], parts: BatchParts = {}): Uint8Array =>
  batch({ records: records.flat(), count: records.length, lastOffsetDelta: records.length - 1, ...parts })

function validate(bytes: Uint8Array, more: Partial<ValidationOptions> = {}): BatchValidation {
  return validateBatch(bytes, 0, bytes.length, { ...options, ...more })
}

interface Case {
  readonly name: string
  readonly bytes: Uint8Array
  readonly expected: ErrorName
  /** What Kafka does where that differs. */
  readonly kafka?: 'fails unforeseen' | 'accepts' | 'CORRUPT_MESSAGE'
  readonly options?: Partial<ValidationOptions>
}

const join = (...pieces: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(pieces))

const envelope: Case[] = [
  { name: 'a good batch', bytes: batch(), expected: 'NONE' },
  { name: 'no bytes', bytes: new Uint8Array(0), expected: 'INVALID_RECORD' },
  { name: '11 bytes', bytes: batch().subarray(0, 11), expected: 'INVALID_RECORD' },
  { name: '12 bytes', bytes: batch().subarray(0, 12), expected: 'INVALID_RECORD' },
  { name: '16 bytes', bytes: batch().subarray(0, 16), expected: 'INVALID_RECORD' },
  { name: 'a header without records', bytes: batch().subarray(0, 61), expected: 'INVALID_RECORD' },
  { name: 'one byte short', bytes: batch().subarray(0, -1), expected: 'INVALID_RECORD' },
  { name: 'length -1', bytes: batch({ length: -1 }), expected: 'CORRUPT_MESSAGE' },
  { name: 'length of the least int32', bytes: batch({ length: -0x80000000 }), expected: 'CORRUPT_MESSAGE' },
  { name: 'length 13', bytes: batch({ length: 13 }), expected: 'CORRUPT_MESSAGE' },
  { name: 'length 48', bytes: batch({ length: 48 }), expected: 'CORRUPT_MESSAGE' },
  {
    name: 'length 30, all of it there',
    bytes: batch({ length: 30 }).subarray(0, 42),
    expected: 'CORRUPT_MESSAGE',
    kafka: 'fails unforeseen'
  },
  { name: 'length beyond the bytes', bytes: batch({ length: 1000 }), expected: 'INVALID_RECORD' },
  {
    name: 'length of the largest int32',
    bytes: batch({ length: intMax }),
    expected: 'INVALID_RECORD',
    kafka: 'fails unforeseen'
  },
  { name: 'magic 0', bytes: batch({ magic: 0 }), expected: 'INVALID_RECORD' },
  { name: 'magic 1', bytes: batch({ magic: 1 }), expected: 'INVALID_RECORD' },
  { name: 'magic 3', bytes: batch({ magic: 3 }), expected: 'CORRUPT_MESSAGE' },
  { name: 'magic 127', bytes: batch({ magic: 127 }), expected: 'CORRUPT_MESSAGE' },
  { name: 'magic -1', bytes: batch({ magic: -1 }), expected: 'CORRUPT_MESSAGE' },
  { name: 'magic 3 and a length too long', bytes: batch({ magic: 3, length: 1000 }), expected: 'CORRUPT_MESSAGE' },
  { name: 'two batches', bytes: join(batch(), batch()), expected: 'INVALID_RECORD' },
  {
    name: 'a byte behind the batch',
    bytes: join(batch(), new Uint8Array(1)),
    expected: 'INVALID_RECORD',
    kafka: 'accepts'
  },
  {
    name: 'half a batch behind the batch',
    bytes: join(batch(), batch().subarray(0, 40)),
    expected: 'INVALID_RECORD',
    kafka: 'accepts'
  },
  {
    name: 'zeros behind the batch',
    bytes: join(batch(), new Uint8Array(12)),
    expected: 'INVALID_RECORD',
    kafka: 'CORRUPT_MESSAGE'
  }
]

const header: Case[] = [
  { name: 'a wrong checksum', bytes: batch({ crc: 1 }), expected: 'CORRUPT_MESSAGE' },
  { name: 'base offset 1', bytes: batch({ baseOffset: 1n }), expected: 'INVALID_RECORD' },
  { name: 'base offset -1', bytes: batch({ baseOffset: -1n }), expected: 'INVALID_RECORD' },
  { name: 'base offset 1 and a wrong checksum', bytes: batch({ baseOffset: 1n, crc: 5 }), expected: 'INVALID_RECORD' },
  {
    name: 'one byte above max.message.bytes',
    bytes: batch(),
    options: { batchBytesMax: batch().length - 1 },
    expected: 'MESSAGE_TOO_LARGE'
  },
  { name: 'exactly max.message.bytes', bytes: batch(), options: { batchBytesMax: batch().length }, expected: 'NONE' },
  {
    name: 'too large and a wrong checksum',
    bytes: batch({ crc: 5 }),
    options: { batchBytesMax: 70 },
    expected: 'MESSAGE_TOO_LARGE'
  },
  { name: 'count -1', bytes: batch({ count: -1 }), expected: 'INVALID_RECORD' },
  { name: 'count 0', bytes: batch({ count: 0 }), expected: 'INVALID_RECORD' },
  {
    name: 'count 0 of no records',
    bytes: batch({ records: [], count: 0, lastOffsetDelta: -1 }),
    expected: 'INVALID_RECORD'
  },
  { name: 'count of the largest int32', bytes: batch({ count: intMax }), expected: 'INVALID_RECORD' },
  {
    name: 'count and delta huge',
    bytes: batch({ count: intMax, lastOffsetDelta: intMax - 1 }),
    expected: 'INVALID_RECORD'
  },
  { name: 'count 3 of two records', bytes: batch({ count: 3, lastOffsetDelta: 2 }), expected: 'INVALID_RECORD' },
  { name: 'count 1 of two records', bytes: batch({ count: 1, lastOffsetDelta: 0 }), expected: 'INVALID_RECORD' },
  { name: 'last offset delta 5', bytes: batch({ lastOffsetDelta: 5 }), expected: 'INVALID_RECORD' },
  { name: 'last offset delta -1', bytes: batch({ lastOffsetDelta: -1 }), expected: 'INVALID_RECORD' },
  {
    name: 'last offset delta of the largest int32',
    bytes: batch({ lastOffsetDelta: intMax }),
    expected: 'INVALID_RECORD'
  },
  { name: 'control records', bytes: batch({ attributes: 0x20 }), expected: 'INVALID_RECORD' },
  { name: 'attribute bits nobody has defined', bytes: batch({ attributes: 0x7f80 }), expected: 'NONE' },
  { name: 'the attributes sign bit', bytes: batch({ attributes: -0x8000 }), expected: 'NONE' },
  { name: 'a delete horizon', bytes: batch({ attributes: 0x40 }), expected: 'NONE' },
  ...[5, 6, 7].map((codec): Case => ({
    name: `codec ${codec}`,
    bytes: batch({ attributes: codec }),
    expected: 'UNSUPPORTED_COMPRESSION_TYPE',
    kafka: 'fails unforeseen'
  })),
  {
    name: 'zstd in Produce 6',
    bytes: batch({ codec: 'zstd' }),
    options: { apiVersion: 6 },
    expected: 'UNSUPPORTED_COMPRESSION_TYPE'
  },
  {
    name: 'zstd in Produce 3',
    bytes: batch({ codec: 'zstd' }),
    options: { apiVersion: 3 },
    expected: 'UNSUPPORTED_COMPRESSION_TYPE'
  },
  { name: 'zstd in Produce 7', bytes: batch({ codec: 'zstd' }), options: { apiVersion: 7 }, expected: 'NONE' },
  { name: 'gzip in Produce 3', bytes: batch({ codec: 'gzip' }), options: { apiVersion: 3 }, expected: 'NONE' },
  { name: 'a producer id', bytes: batch({ producerId: 5n, producerEpoch: 0, baseSequence: 0 }), expected: 'NONE' },
  {
    name: 'a producer id with sequence -1',
    bytes: batch({ producerId: 5n, producerEpoch: 0 }),
    expected: 'INVALID_RECORD'
  },
  {
    name: 'a producer id with sequence -2',
    bytes: batch({ producerId: 5n, producerEpoch: 0, baseSequence: -2 }),
    expected: 'INVALID_RECORD'
  },
  { name: 'a producer id with epoch -1', bytes: batch({ producerId: 5n, baseSequence: 0 }), expected: 'NONE' },
  {
    name: 'a producer id with epoch -2',
    bytes: batch({ producerId: 5n, producerEpoch: -2, baseSequence: 0 }),
    expected: 'INVALID_PRODUCER_EPOCH'
  },
  {
    name: 'a producer id with epoch 32767',
    bytes: batch({ producerId: 5n, producerEpoch: 32767, baseSequence: 0 }),
    expected: 'NONE'
  },
  {
    name: 'a sequence that wraps',
    bytes: batch({ producerId: 5n, producerEpoch: 0, baseSequence: intMax }),
    expected: 'NONE'
  },
  { name: 'producer id -1 with an epoch', bytes: batch({ producerEpoch: 0, baseSequence: 0 }), expected: 'NONE' },
  { name: 'producer id -2, which reads as none', bytes: batch({ producerId: -2n, producerEpoch: 0 }), expected: 'NONE' }
]

const structure: Case[] = [
  {
    name: 'a record one byte too long',
    bytes: batchOf([record({ lengthLie: 1 }), record({ offsetDelta: 1 })]),
    expected: 'INVALID_RECORD'
  },
  {
    name: 'a record one byte too short',
    bytes: batchOf([record({ lengthLie: -1 }), record({ offsetDelta: 1 })]),
    expected: 'INVALID_RECORD'
  },
  {
    name: 'the last record too long',
    bytes: batchOf([record(), record({ offsetDelta: 1, lengthLie: 1 })]),
    expected: 'INVALID_RECORD'
  },
  { name: 'record length -1', bytes: batchOf([varint(-1), record({ offsetDelta: 1 })]), expected: 'INVALID_RECORD' },
  { name: 'record length 0', bytes: batchOf([[0], record({ offsetDelta: 1 })]), expected: 'INVALID_RECORD' },
  { name: 'record length of the largest int32', bytes: batchOf([varint(intMax)]), expected: 'INVALID_RECORD' },
  {
    name: 'record length of six bytes',
    bytes: batchOf([[0x80, 0x80, 0x80, 0x80, 0x80, 1]]),
    expected: 'INVALID_RECORD',
    kafka: 'fails unforeseen'
  },
  {
    name: 'record length in more bytes than it needs',
    bytes: batchOf([record({ length: [0x90, 0] })]),
    expected: 'NONE'
  },
  {
    name: 'record length with bits above 32',
    bytes: batchOf([record({ length: [0x90, 0x80, 0x80, 0x80, 0x70] })]),
    expected: 'NONE'
  },
  {
    name: 'timestamp delta of eleven bytes',
    bytes: batchOf([[30, 0, ...new Array<number>(10).fill(0x80), 1, 0, 1, 1, 0]]),
    expected: 'INVALID_RECORD'
  },
  { name: 'key length 100', bytes: batchOf([record({ key: [...varint(100), 1] })]), expected: 'INVALID_RECORD' },
  { name: 'key length -2, which reads as null', bytes: batchOf([record({ key: varint(-2) })]), expected: 'NONE' },
  {
    name: 'value length of the largest int32',
    bytes: batchOf([record({ value: varint(intMax) })]),
    expected: 'INVALID_RECORD'
  },
  { name: 'value length -5, which reads as null', bytes: batchOf([record({ value: varint(-5) })]), expected: 'NONE' },
  { name: 'header count -1', bytes: batchOf([record({ headers: varint(-1) })]), expected: 'INVALID_RECORD' },
  { name: 'header count 100', bytes: batchOf([record({ headers: varint(100) })]), expected: 'INVALID_RECORD' },
  {
    name: 'header count of the largest int32',
    bytes: batchOf([record({ headers: varint(intMax) })]),
    expected: 'INVALID_RECORD'
  },
  {
    name: 'header key length -1',
    bytes: batchOf([record({ headers: [2, ...nullPart, 0] })]),
    expected: 'INVALID_RECORD'
  },
  { name: 'header key length 50', bytes: batchOf([record({ headers: [2, 100, 97, 0] })]), expected: 'INVALID_RECORD' },
  {
    name: 'header value length 50',
    bytes: batchOf([record({ headers: [2, 2, 97, 100] })]),
    expected: 'INVALID_RECORD'
  },
  {
    name: 'header value length -7',
    bytes: batchOf([record({ headers: [2, 2, 97, ...varint(-7)] })]),
    expected: 'NONE'
  },
  { name: 'an empty header key', bytes: batchOf([record({ headers: [2, 0, 0] })]), expected: 'NONE' },
  { name: 'a header key that is no UTF-8', bytes: batchOf([record({ headers: [2, 2, 0xff, 0] })]), expected: 'NONE' },
  { name: 'a byte behind the records', bytes: batch({ records: [...twoRecords, 0] }), expected: 'INVALID_RECORD' },
  {
    name: 'a record behind the records',
    bytes: batch({ records: [...twoRecords, ...record({ offsetDelta: 2 })] }),
    expected: 'INVALID_RECORD'
  },
  ...(
    [
      [1, 2],
      [0, 0],
      [1, 0],
      [-1, 0],
      [0, intMax]
    ] as const
  ).map(([first, second]): Case => ({
    name: `offset deltas ${first} and ${second}`,
    bytes: batchOf([record({ offsetDelta: first }), record({ offsetDelta: second })]),
    expected: 'INVALID_RECORD',
    kafka: 'accepts'
  })),
  {
    name: 'compressed offset deltas 1 and 2',
    bytes: batchOf([record({ offsetDelta: 1 }), record({ offsetDelta: 2 })], { codec: 'gzip' }),
    expected: 'INVALID_RECORD',
    kafka: 'fails unforeseen'
  },
  {
    name: 'a compressed record one byte too long',
    bytes: batchOf([record({ lengthLie: 1 }), record({ offsetDelta: 1 })], { codec: 'gzip' }),
    expected: 'INVALID_RECORD',
    kafka: 'accepts'
  },
  {
    name: 'compressed count 3 of two records',
    bytes: batch({ codec: 'lz4', count: 3, lastOffsetDelta: 2 }),
    expected: 'INVALID_RECORD'
  },
  {
    name: 'a byte behind compressed records',
    bytes: batch({ codec: 'zstd', records: [...twoRecords, 0] }),
    expected: 'INVALID_RECORD'
  },
  ...[1, 2, 3, 4].map((codec): Case => ({
    name: `codec ${codec} over bytes that are not compressed`,
    bytes: batch({ attributes: codec }),
    expected: 'CORRUPT_MESSAGE',
    kafka: 'fails unforeseen'
  })),
  {
    name: 'compressed bytes without the codec in the attributes',
    bytes: batch({ codec: 'gzip', attributes: 0 }),
    expected: 'INVALID_RECORD'
  }
]

const future = BigInt(now + 2 * hour)
const rules: Case[] = [
  { name: 'a timestamp two hours ahead', bytes: batch({ baseTimestamp: future }), expected: 'INVALID_TIMESTAMP' },
  {
    name: 'a compressed timestamp two hours ahead',
    bytes: batch({ codec: 'gzip', baseTimestamp: future }),
    expected: 'INVALID_TIMESTAMP'
  },
  {
    name: 'a timestamp two hours ahead under LogAppendTime',
    bytes: batch({ baseTimestamp: future }),
    options: { timestampType: 'LogAppendTime' },
    expected: 'NONE'
  },
  { name: 'a timestamp of 1970', bytes: batch({ baseTimestamp: 0n }), expected: 'NONE' },
  {
    name: 'a timestamp before the bound',
    bytes: batch({ baseTimestamp: BigInt(now - hour - 1) }),
    options: { timestampBeforeMaxMs: hour },
    expected: 'INVALID_TIMESTAMP'
  },
  {
    name: 'a timestamp on the bound',
    bytes: batch({ baseTimestamp: BigInt(now - hour) }),
    options: { timestampBeforeMaxMs: hour },
    expected: 'NONE'
  },
  {
    name: 'no timestamp (-1) where there is a bound',
    bytes: batch({ baseTimestamp: -1n }),
    options: { timestampBeforeMaxMs: hour },
    expected: 'NONE'
  },
  {
    name: 'timestamp -2 where there is a bound',
    bytes: batch({ baseTimestamp: -2n }),
    options: { timestampBeforeMaxMs: hour },
    expected: 'INVALID_TIMESTAMP'
  },
  { name: 'timestamp -2', bytes: batch({ baseTimestamp: -2n }), expected: 'NONE' },
  { name: 'the least timestamp', bytes: batch({ baseTimestamp: -(2n ** 63n) }), expected: 'INVALID_TIMESTAMP' },
  { name: 'the largest timestamp', bytes: batch({ baseTimestamp: 2n ** 63n - 1n }), expected: 'INVALID_TIMESTAMP' },
  {
    name: 'a timestamp that overflows',
    bytes: batchOf([record({ timestampDelta: 1n })], { baseTimestamp: 2n ** 63n - 1n }),
    expected: 'INVALID_TIMESTAMP'
  },
  {
    name: 'no key for a compacted topic',
    bytes: batchOf([record({ key: nullPart })]),
    options: { compacted: true },
    expected: 'INVALID_RECORD'
  },
  { name: 'no key for another topic', bytes: batchOf([record({ key: nullPart })]), expected: 'NONE' },
  {
    name: 'an empty key for a compacted topic',
    bytes: batchOf([record({ key: part() })]),
    options: { compacted: true },
    expected: 'NONE'
  }
]

function codeOf(verdict: BatchValidation): ErrorName {
  return verdict.kind === 'valid' ? 'NONE' : verdict.error
}

describe.each([
  ['envelope', envelope],
  ['header', header],
  ['structure of records', structure],
  ['rules of topics', rules]
] as const)('%s', (_, cases) => {
  test.each(cases)('$name: $expected', ({ bytes, expected, options: more }) => {
    const before = bytes.slice()
    const verdict = validate(bytes, more)
    expect(codeOf(verdict)).toBe(expected)
    if (verdict.kind === 'invalid') expect(verdict.message.length).toBeGreaterThan(0)
    expect(bytes).toEqual(before)
  })
})

describe('validateBatch', () => {
  test('names the records at fault by index, in both kinds of refusal', () => {
    const noKey = record({ key: nullPart, offsetDelta: 1 })
    const verdict = validate(batchOf([record(), noKey, record({ offsetDelta: 2 })], {}), { compacted: true })
    expect(verdict).toMatchObject({ error: 'INVALID_RECORD', recordErrors: [{ batchIndex: 1 }] })
    const late = record({ offsetDelta: 1, timestampDelta: BigInt(2 * hour) })
    expect(validate(batchOf([record(), late], { codec: 'lz4' }))).toMatchObject({
      error: 'INVALID_TIMESTAMP',
      recordErrors: [{ batchIndex: 1 }]
    })
  })

  test('a timestamp out of range decides the code when a key is missing as well', () => {
    const records = [record({ timestampDelta: BigInt(2 * hour) }), record({ key: nullPart, offsetDelta: 1 })]
    const verdict = validate(batchOf(records), { compacted: true })
    expect(verdict).toMatchObject({ error: 'INVALID_TIMESTAMP', recordErrors: [{ batchIndex: 0 }, { batchIndex: 1 }] })
  })

  test('lists the first hundred records at fault and counts the others', () => {
    const records = Array.from({ length: 5000 }, (_, index) => record({ key: nullPart, offsetDelta: index }))
    const verdict = validate(batchOf(records), { compacted: true })
    expect(verdict.kind === 'invalid' && verdict.recordErrors.length).toBe(100)
    expect(verdict.kind === 'invalid' && verdict.message).toContain('5000 records')
  })

  test('damage in the structure is told before the faults of single records', () => {
    const records = [record({ key: nullPart }), record({ offsetDelta: 1, lengthLie: 3 })]
    expect(validate(batchOf(records), { compacted: true })).toMatchObject({ error: 'INVALID_RECORD', recordErrors: [] })
  })

  test('finds the largest timestamp and asks for the header to be patched when it says otherwise', () => {
    const records = [5n, 9n, 3n, 9n].map((timestampDelta, offsetDelta) => record({ timestampDelta, offsetDelta }))
    const expected = { maxTimestamp: BigInt(now + 9), maxTimestampOffsetDelta: 1 }
    expect(validate(batchOf(records))).toMatchObject({ ...expected, timestampNeedsPatch: true })
    const right = { maxTimestamp: BigInt(now + 9) }
    expect(validate(batchOf(records, right))).toMatchObject({ ...expected, timestampNeedsPatch: false })
    expect(validate(batchOf(records, { ...right, attributes: 0x08 }))).toMatchObject({ timestampNeedsPatch: true })
    expect(validate(batchOf(records, right), { timestampType: 'LogAppendTime' })).toMatchObject({
      timestampNeedsPatch: true
    })
  })

  test('records without timestamps leave -1 as the largest, as do those before 1970', () => {
    for (const baseTimestamp of [-1n, -5n]) {
      expect(validate(batch({ baseTimestamp }))).toMatchObject({ maxTimestamp: -1n, maxTimestampOffsetDelta: 0 })
    }
  })

  test('timestamps beyond 2^53 are compared exactly', () => {
    const baseTimestamp = 2n ** 60n
    const records = [2n, 3n, 1n].map((timestampDelta, offsetDelta) => record({ timestampDelta, offsetDelta }))
    const verdict = validate(batchOf(records, { baseTimestamp }), { timestampAfterMaxMs: Infinity })
    expect(verdict).toMatchObject({ maxTimestamp: baseTimestamp + 3n, maxTimestampOffsetDelta: 1 })
  })

  test("the broker's own batches may be control batches and keep their base offset", () => {
    const bytes = batch({ attributes: 0x30, baseOffset: 77n, producerId: 5n, producerEpoch: 0 })
    expect(validate(bytes, { origin: 'coordinator' })).toMatchObject({ kind: 'valid', isControl: true })
  })

  test('a batch may lie anywhere in its buffer', () => {
    const bytes = join(new Uint8Array(7).fill(0xee), batch({ codec: 'snappy' }), new Uint8Array(9).fill(0xee))
    expect(validateBatch(bytes, 7, bytes.length - 9, options)).toMatchObject({ kind: 'valid', recordCount: 2 })
  })
})
