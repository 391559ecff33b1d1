/**
 * Kafka requests byte by byte, wrong ones included. On purpose without the broker's own codec: what the broker must survive is
 * exactly what a codec would refuse to write. Only versions without tagged fields are built here unless a case says otherwise.
 */

/** Appends big-endian primitives. */
export class Bytes {
  readonly #parts: Buffer[] = []

  #number(length: number, write: (buffer: Buffer) => void): this {
    const buffer = Buffer.alloc(length)
    write(buffer)
    this.#parts.push(buffer)
    return this
  }

  int8(value: number): this {
    return this.#number(1, buffer => buffer.writeInt8(value))
  }

  int16(value: number): this {
    return this.#number(2, buffer => buffer.writeInt16BE(value))
  }

  int32(value: number): this {
    return this.#number(4, buffer => buffer.writeInt32BE(value))
  }

  int64(value: bigint | number): this {
    return this.#number(8, buffer => buffer.writeBigInt64BE(BigInt(value)))
  }

  /** Length and UTF-8; -1 for null. */
  string(value: string | null): this {
    if (value === null) return this.int16(-1)
    const text = Buffer.from(value)
    return this.int16(text.length).raw(text)
  }

  /** Length and bytes; -1 for null. */
  bytes(value: Uint8Array | null): this {
    return value === null ? this.int32(-1) : this.int32(value.length).raw(value)
  }

  /** Unsigned varint of up to 32 bits. */
  varint(value: number): this {
    const out: number[] = []
    let rest = value >>> 0
    while (rest >= 0x80) {
      out.push((rest & 0x7f) | 0x80)
      rest >>>= 7
    }
    return this.raw(Buffer.from([...out, rest]))
  }

  /** Zigzag varint. */
  zigzag(value: number): this {
    return this.varint((value << 1) ^ (value >> 31))
  }

  raw(value: Uint8Array): this {
    this.#parts.push(Buffer.from(value))
    return this
  }

  end(): Buffer {
    return Buffer.concat(this.#parts)
  }
}

/** A frame: size prefix and content. */
export const frame = (content: Uint8Array): Buffer => new Bytes().int32(content.length).raw(content).end()

export const correlationId = 0x1234

/** A request with header version 1 (no tags). */
export function request(apiKey: number, version: number, body: Uint8Array, client: string | null = 'hostile'): Buffer {
  return frame(new Bytes().int16(apiKey).int16(version).int32(correlationId).string(client).raw(body).end())
}

const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n
  for (let k = 0; k < 8; k++) c = (c & 1) === 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1
  return c >>> 0
})

/** CRC-32C. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = ((crcTable[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8)) >>> 0
  return (crc ^ 0xffffffff) >>> 0
}

/** Fields of a record batch; what is not given is right. */
export interface BatchFields {
  baseOffset?: number
  batchLength?: number
  magic?: number
  crc?: number
  attributes?: number
  lastOffsetDelta?: number
  baseTimestamp?: bigint
  maxTimestamp?: bigint
  producerId?: bigint
  producerEpoch?: number
  baseSequence?: number
  recordCount?: number
  /** Bytes after the batch header. */
  records?: Uint8Array
}

/** One record without key and headers. */
export function record(
  offsetDelta: number,
  value: Uint8Array,
  overrides: { length?: number; headerCount?: number; tail?: Uint8Array } = {}
): Buffer {
  const body = new Bytes().int8(0).zigzag(0).zigzag(offsetDelta).zigzag(-1).zigzag(value.length).raw(value)
  const whole = body
    .zigzag(overrides.headerCount ?? 0)
    .raw(overrides.tail ?? Buffer.alloc(0))
    .end()
  return new Bytes()
    .zigzag(overrides.length ?? whole.length)
    .raw(whole)
    .end()
}

/** A record batch of format 2, with one small record unless `fields` says otherwise. */
export function batch(fields: BatchFields = {}): Buffer {
  const count = fields.recordCount ?? 1
  const now = BigInt(Date.now())
  const tail = new Bytes()
    .int16(fields.attributes ?? 0)
    .int32(fields.lastOffsetDelta ?? count - 1)
    .int64(fields.baseTimestamp ?? now)
    .int64(fields.maxTimestamp ?? fields.baseTimestamp ?? now)
    .int64(fields.producerId ?? -1n)
    .int16(fields.producerEpoch ?? -1)
    .int32(fields.baseSequence ?? -1)
    .int32(count)
    .raw(fields.records ?? record(0, Buffer.from('fine')))
    .end()
  return new Bytes()
    .int64(fields.baseOffset ?? 0)
    .int32(fields.batchLength ?? 4 + 1 + 4 + tail.length)
    .int32(-1)
    .int8(fields.magic ?? 2)
    .int32((fields.crc ?? crc32c(tail)) | 0)
    .raw(tail)
    .end()
}

export interface ProduceFields {
  version?: number
  transactionalId?: string | null
  acks?: number
  topic?: string
  /** Records of each partition entry. */
  entries?: readonly { partition: number; records: Uint8Array | null }[]
}

export function produce(records: Uint8Array | null, fields: ProduceFields = {}): Buffer {
  const { version = 7, transactionalId = null, acks = -1, topic = 'target' } = fields
  const entries = fields.entries ?? [{ partition: 0, records }]
  const body = new Bytes().string(transactionalId).int16(acks).int32(5000).int32(1).string(topic).int32(entries.length)
  for (const entry of entries) body.int32(entry.partition).bytes(entry.records)
  return request(0, version, body.end())
}

export interface FetchFields {
  replicaId?: number
  maxWaitMs?: number
  minBytes?: number
  maxBytes?: number
  sessionId?: number
  sessionEpoch?: number
  topic?: string
  partition?: number
  leaderEpoch?: number
  offset?: bigint
  partitionMaxBytes?: number
}

/** Fetch version 11 of one partition. */
export function fetch(fields: FetchFields = {}): Buffer {
  const body = new Bytes()
    .int32(fields.replicaId ?? -1)
    .int32(fields.maxWaitMs ?? 0)
    .int32(fields.minBytes ?? 1)
    .int32(fields.maxBytes ?? 1 << 20)
    .int8(0)
    .int32(fields.sessionId ?? 0)
    .int32(fields.sessionEpoch ?? -1)
    .int32(1)
    .string(fields.topic ?? 'target')
    .int32(1)
    .int32(fields.partition ?? 0)
    .int32(fields.leaderEpoch ?? -1)
    .int64(fields.offset ?? 0n)
    .int64(-1)
    .int32(fields.partitionMaxBytes ?? 1 << 20)
    .int32(0)
    .string('')
  return request(1, 11, body.end())
}

/** Metadata version 4 without auto-creation; null asks for all topics. */
export function metadata(topics: readonly string[] | null): Buffer {
  const body = new Bytes().int32(topics?.length ?? -1)
  for (const topic of topics ?? []) body.string(topic)
  return request(3, 4, body.int8(0).end())
}

export interface TopicFields {
  partitions?: number
  replicationFactor?: number
  assignments?: readonly { partition: number; brokers: readonly number[] }[]
  configs?: readonly (readonly [string, string | null])[]
  validateOnly?: boolean
}

/** CreateTopics version 4. */
export function createTopic(name: string, fields: TopicFields = {}): Buffer {
  const body = new Bytes()
    .int32(1)
    .string(name)
    .int32(fields.partitions ?? 1)
    .int16(fields.replicationFactor ?? 1)
  body.int32(fields.assignments?.length ?? 0)
  for (const each of fields.assignments ?? []) {
    body.int32(each.partition).int32(each.brokers.length)
    for (const broker of each.brokers) body.int32(broker)
  }
  body.int32(fields.configs?.length ?? 0)
  for (const [key, value] of fields.configs ?? []) body.string(key).string(value)
  return request(
    19,
    4,
    body
      .int32(5000)
      .int8(fields.validateOnly === true ? 1 : 0)
      .end()
  )
}

/** ListOffsets version 5 of one partition. */
export function listOffsets(
  timestamp: bigint,
  fields: { topic?: string; partition?: number; leaderEpoch?: number } = {}
): Buffer {
  const body = new Bytes()
    .int32(-1)
    .int8(0)
    .int32(1)
    .string(fields.topic ?? 'target')
    .int32(1)
  return request(
    2,
    5,
    body
      .int32(fields.partition ?? 0)
      .int32(fields.leaderEpoch ?? -1)
      .int64(timestamp)
      .end()
  )
}

export const apiVersions = (version = 0): Buffer => request(18, version, Buffer.alloc(0))
