/**
 * Builds record batches v2: for producers in tools and tests, and for the batches that the broker writes itself
 * (transaction markers, coordinator records, what compaction and recompression leave).
 *
 * Records are encoded behind a gap for the header as they are added, so that an uncompressed batch is finished by filling in
 * the gap; with a codec the record part is compressed once, at the end.
 */
import assert from 'node:assert/strict'
import { codecNumber, type CodecName } from '../compression/codecs.ts'
import { compress } from '../compression/compression.ts'
import { attributeBits, headerBytes, logOverheadBytes, magicV2, updateCrc } from './batch-header.ts'
import type { TimestampType } from './batch-header.ts'
import { isSafeVarlong, safeVarlongBytes, varintBytes, varlongBytes } from './varint.ts'
import { writeSafeVarlong, writeVarint, writeVarlong } from './varint.ts'

/** What the header of a batch says. */
export interface BatchOptions {
  /** Default none. */
  readonly codec?: CodecName
  /** Of gzip or zstd; see `compress`. */
  readonly compressionLevel?: number
  /** Offset of the first record; default 0, as producers send it. */
  readonly baseOffset?: number
  /** Default -1, as producers send it. */
  readonly leaderEpoch?: number
  /** With LogAppendTime all records read as `maxTimestamp` of the batch. Default CreateTime. */
  readonly timestampType?: TimestampType
  /** Of an idempotent or transactional producer; default -1n for none. */
  readonly producerId?: bigint
  /** Default -1. */
  readonly producerEpoch?: number
  /** Default -1. */
  readonly baseSequence?: number
  /** Part of a transaction; needs a producer id. */
  readonly isTransactional?: boolean
  /** Holds control records; only brokers write such. */
  readonly isControl?: boolean
}

/** A record to be put into a batch. */
export interface RecordInput {
  /** Ms since the epoch; -1n for none. */
  readonly timestamp: bigint
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers?: readonly { readonly key: string | Uint8Array; readonly value: Uint8Array | null }[]
}

interface EncodedHeader {
  readonly key: Uint8Array
  readonly value: Uint8Array | null
}

const initialBytes = 1024
const noHeaders: readonly EncodedHeader[] = []
const encoder = new TextEncoder()

export class BatchBuilder {
  private readonly options: BatchOptions
  private bytes: Uint8Array = new Uint8Array(initialBytes)
  private position = headerBytes
  private count = 0
  private lastDelta = -1
  private baseTimestamp = -1n
  private maxTimestamp = -1n

  constructor(options: BatchOptions = {}) {
    assert(!options.isTransactional || (options.producerId ?? -1n) >= 0n, 'a transactional batch has a producer id')
    this.options = options
  }

  /** Records added so far. */
  get recordCount(): number {
    return this.count
  }

  /** Bytes of the batch if it were built now without compression. */
  get byteCount(): number {
    return this.position
  }

  /** Adds a record. Offset deltas count up from 0 unless given, as compaction does; they must ascend. */
  append(record: RecordInput, offsetDelta: number = this.lastDelta + 1): void {
    assert(offsetDelta > this.lastDelta, 'offset deltas ascend')
    if (this.count === 0) this.baseTimestamp = record.timestamp
    if (record.timestamp > this.maxTimestamp) this.maxTimestamp = record.timestamp
    const headers = record.headers === undefined ? noHeaders : record.headers.map(encodedHeader)
    const delta = BigInt.asIntN(64, record.timestamp - this.baseTimestamp)
    const body = 1 + deltaBytes(delta) + varintBytes(offsetDelta) + contentBytes(record, headers)
    this.reserve(varintBytes(body) + body)
    this.position = writeVarint(this.bytes, this.position, body)
    this.bytes[this.position++] = 0
    this.position = writeDelta(this.bytes, this.position, delta)
    this.position = writeVarint(this.bytes, this.position, offsetDelta)
    this.writePart(record.key)
    this.writePart(record.value)
    this.position = writeVarint(this.bytes, this.position, headers.length)
    for (const header of headers) {
      this.writePart(header.key)
      this.writePart(header.value)
    }
    this.lastDelta = offsetDelta
    this.count++
  }

  /** The finished batch. The builder must not be used afterwards: an uncompressed batch lies in its memory. */
  build(): Uint8Array {
    const codec = this.options.codec ?? 'none'
    if (codec === 'none') {
      const batch = this.bytes.subarray(0, this.position)
      this.writeHeader(batch)
      return batch
    }
    const records = compress(codec, this.bytes.subarray(headerBytes, this.position), this.options.compressionLevel)
    const batch = new Uint8Array(headerBytes + records.length)
    batch.set(records, headerBytes)
    this.writeHeader(batch)
    return batch
  }

  private writeHeader(batch: Uint8Array): void {
    const { baseOffset, leaderEpoch, producerId, producerEpoch, baseSequence } = this.options
    const view = new DataView(batch.buffer, batch.byteOffset, batch.length)
    view.setBigInt64(0, BigInt(baseOffset ?? 0))
    view.setInt32(8, batch.length - logOverheadBytes)
    view.setInt32(12, leaderEpoch ?? -1)
    view.setInt8(16, magicV2)
    view.setInt16(21, this.attributes())
    view.setInt32(23, Math.max(0, this.lastDelta))
    view.setBigInt64(27, this.baseTimestamp)
    view.setBigInt64(35, this.maxTimestamp)
    view.setBigInt64(43, producerId ?? -1n)
    view.setInt16(51, producerEpoch ?? -1)
    view.setInt32(53, baseSequence ?? -1)
    view.setInt32(57, this.count)
    updateCrc(batch, 0)
  }

  private attributes(): number {
    const { codec, timestampType, isTransactional, isControl } = this.options
    return (
      codecNumber(codec ?? 'none') |
      (timestampType === 'LogAppendTime' ? attributeBits.logAppendTime : 0) |
      (isTransactional === true ? attributeBits.transactional : 0) |
      (isControl === true ? attributeBits.control : 0)
    )
  }

  private writePart(part: Uint8Array | null): void {
    this.position = writeVarint(this.bytes, this.position, part === null ? -1 : part.length)
    if (part === null) return
    this.bytes.set(part, this.position)
    this.position += part.length
  }

  private reserve(byteCount: number): void {
    const needed = this.position + byteCount
    if (needed <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2))
    grown.set(this.bytes.subarray(0, this.position))
    this.bytes = grown
  }
}

function encodedHeader(header: NonNullable<RecordInput['headers']>[number]): EncodedHeader {
  return { key: typeof header.key === 'string' ? encoder.encode(header.key) : header.key, value: header.value }
}

function contentBytes(record: RecordInput, headers: readonly EncodedHeader[]): number {
  let byteCount = partBytes(record.key) + partBytes(record.value) + varintBytes(headers.length)
  for (const header of headers) byteCount += partBytes(header.key) + partBytes(header.value)
  return byteCount
}

function partBytes(part: Uint8Array | null): number {
  return part === null ? 1 : varintBytes(part.length) + part.length
}

function deltaBytes(delta: bigint): number {
  const small = Number(delta)
  return isSafeVarlong(small) ? safeVarlongBytes(small) : varlongBytes(delta)
}

function writeDelta(bytes: Uint8Array, position: number, delta: bigint): number {
  const small = Number(delta)
  return isSafeVarlong(small) ? writeSafeVarlong(bytes, position, small) : writeVarlong(bytes, position, delta)
}
