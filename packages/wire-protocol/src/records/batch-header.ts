/**
 * The header of a record batch v2 (magic 2, KIP-98), read and patched where it lies.
 *
 *      0 ┌──────────────────────────────┐
 *        │ baseOffset             int64 │  set by the broker, outside the checksum
 *      8 │ batchLength            int32 │  bytes after this field, outside
 *     12 │ partitionLeaderEpoch   int32 │  set by the broker, outside
 *     16 │ magic                  int8  │  outside
 *     17 │ crc                    uint32│  CRC-32C of everything from 21 to the end
 *     21 │ attributes             int16 │  bits 0-2 codec, 3 LogAppendTime, 4 transactional, 5 control, 6 delete horizon
 *     23 │ lastOffsetDelta        int32 │
 *     27 │ baseTimestamp          int64 │  ms; the delete horizon, too, when bit 6 is set
 *     35 │ maxTimestamp           int64 │  ms
 *     43 │ producerId             int64 │  -1 none
 *     51 │ producerEpoch          int16 │  -1 none
 *     53 │ baseSequence           int32 │  -1 none
 *     57 │ recordCount            int32 │
 *     61 └──────────────────────────────┘  records, compressed as one piece when a codec is set
 *
 * Every function takes the bytes and the position of the batch in them, allocates nothing (but the bigint it returns) and
 * checks nothing: the caller made sure that `headerBytes` bytes are there, or ran `validateBatch`.
 */
import { crc32c } from './crc32c.ts'

/** Bytes of a batch before its first record. */
export const headerBytes = 61

/** Bytes before the range that `batchLength` counts: base offset and the length itself. */
export const logOverheadBytes = 12

/** First byte that the checksum covers. */
export const checksummedFrom = 21

/** The only record batch format since Kafka 4.0. */
export const magicV2 = 2

/** Bits of the attributes field. */
export const attributeBits = {
  codec: 0x07,
  logAppendTime: 0x08,
  transactional: 0x10,
  control: 0x20,
  deleteHorizon: 0x40
} as const

/** Who set the timestamps of a batch: its producer, or the broker at the time of the append. */
export type TimestampType = 'CreateTime' | 'LogAppendTime'

const scratch = new DataView(new ArrayBuffer(8))
const two32 = 4294967296

function int16At(bytes: Uint8Array, position: number): number {
  return ((bytes[position]! << 24) >> 16) | bytes[position + 1]!
}

function int32At(bytes: Uint8Array, position: number): number {
  return (bytes[position]! << 24) | (bytes[position + 1]! << 16) | (bytes[position + 2]! << 8) | bytes[position + 3]!
}

function int64At(bytes: Uint8Array, position: number): bigint {
  scratch.setInt32(0, int32At(bytes, position))
  scratch.setInt32(4, int32At(bytes, position + 4))
  return scratch.getBigInt64(0)
}

function writeInt32(bytes: Uint8Array, position: number, value: number): void {
  bytes[position] = value >>> 24
  bytes[position + 1] = value >>> 16
  bytes[position + 2] = value >>> 8
  bytes[position + 3] = value
}

function writeInt64(bytes: Uint8Array, position: number, value: bigint): void {
  scratch.setBigInt64(0, value)
  writeInt32(bytes, position, scratch.getInt32(0))
  writeInt32(bytes, position + 4, scratch.getInt32(4))
}

/** Offset of the first record, as a number: exact up to 2^53 - 1, which is further than Milena's logs grow. */
export function baseOffset(bytes: Uint8Array, start: number): number {
  return int32At(bytes, start) * two32 + (int32At(bytes, start + 4) >>> 0)
}

/** Offset of the first record, exact for every int64. */
export function baseOffsetBigInt(bytes: Uint8Array, start: number): bigint {
  return int64At(bytes, start)
}

/** Offset of the last record, as a number (see `baseOffset`). */
export function lastOffset(bytes: Uint8Array, start: number): number {
  return baseOffset(bytes, start) + lastOffsetDelta(bytes, start)
}

/** Bytes that follow the length field; as the sender claims, possibly negative. */
export function batchLength(bytes: Uint8Array, start: number): number {
  return int32At(bytes, start + 8)
}

/** Bytes of the whole batch, as its length field claims. */
export function totalBytes(bytes: Uint8Array, start: number): number {
  return int32At(bytes, start + 8) + logOverheadBytes
}

/** Leader epoch (Raft term) under which the batch was appended; -1 on the way from a producer. */
export function leaderEpoch(bytes: Uint8Array, start: number): number {
  return int32At(bytes, start + 12)
}

/** Format version, int8; 2 for everything that Kafka 4 stores. */
export function magic(bytes: Uint8Array, start: number): number {
  return (bytes[start + 16]! << 24) >> 24
}

/** The stored CRC-32C, unsigned. */
export function crc(bytes: Uint8Array, start: number): number {
  return int32At(bytes, start + 17) >>> 0
}

/** The int16 attributes field; see `attributeBits`. */
export function attributes(bytes: Uint8Array, start: number): number {
  return int16At(bytes, start + 21)
}

/** Number of the compression codec, 0 to 7; `codecName` turns it into a name. */
export function codec(bytes: Uint8Array, start: number): number {
  return bytes[start + 22]! & attributeBits.codec
}

/** Who set the timestamps. */
export function timestampType(bytes: Uint8Array, start: number): TimestampType {
  return (bytes[start + 22]! & attributeBits.logAppendTime) === 0 ? 'CreateTime' : 'LogAppendTime'
}

/** Whether the batch belongs to a transaction. */
export function isTransactional(bytes: Uint8Array, start: number): boolean {
  return (bytes[start + 22]! & attributeBits.transactional) !== 0
}

/** Whether the batch holds control records (transaction markers and the like), which consumers never see. */
export function isControl(bytes: Uint8Array, start: number): boolean {
  return (bytes[start + 22]! & attributeBits.control) !== 0
}

/** Whether `baseTimestamp` holds the time at which compaction may drop the batch's tombstones (KIP-534). */
export function hasDeleteHorizon(bytes: Uint8Array, start: number): boolean {
  return (bytes[start + 22]! & attributeBits.deleteHorizon) !== 0
}

/** Offset of the last record relative to the base offset. */
export function lastOffsetDelta(bytes: Uint8Array, start: number): number {
  return int32At(bytes, start + 23)
}

/** Timestamp that the records' deltas count from, ms; it is the delete horizon as well when `hasDeleteHorizon`. */
export function baseTimestamp(bytes: Uint8Array, start: number): bigint {
  return int64At(bytes, start + 27)
}

/** Largest timestamp in the batch, ms, or the time of the append; -1 when the records carry none. */
export function maxTimestamp(bytes: Uint8Array, start: number): bigint {
  return int64At(bytes, start + 35)
}

/** Producer id of an idempotent or transactional producer, -1 (or anything negative) for others. */
export function producerId(bytes: Uint8Array, start: number): bigint {
  return int64At(bytes, start + 43)
}

/** Whether the batch comes from an idempotent or transactional producer; cheaper than comparing `producerId`. */
export function hasProducerId(bytes: Uint8Array, start: number): boolean {
  return bytes[start + 43]! < 0x80
}

/** Epoch of the producer id, -1 without one. */
export function producerEpoch(bytes: Uint8Array, start: number): number {
  return int16At(bytes, start + 51)
}

/** Sequence number of the first record, -1 without a producer id; counts modulo 2^31. */
export function baseSequence(bytes: Uint8Array, start: number): number {
  return int32At(bytes, start + 53)
}

/** Sequence number of the last record: base plus delta, wrapping from 2^31 - 1 to 0; -1 without a producer id. */
export function lastSequence(bytes: Uint8Array, start: number): number {
  const base = baseSequence(bytes, start)
  return base < 0 ? base : (base + lastOffsetDelta(bytes, start)) & 0x7fffffff
}

/** Number of records, as the sender claims. */
export function recordCount(bytes: Uint8Array, start: number): number {
  return int32At(bytes, start + 57)
}

/** CRC-32C of the bytes as they are; equals `crc` in an intact batch. The whole batch must be there. */
export function computeCrc(bytes: Uint8Array, start: number): number {
  return crc32c(bytes, start + checksummedFrom, start + totalBytes(bytes, start))
}

/** Gives the batch its place in the log; a safe integer >= 0. The checksum does not cover it. */
export function setBaseOffset(bytes: Uint8Array, start: number, offset: number): void {
  writeInt32(bytes, start, Math.floor(offset / two32))
  writeInt32(bytes, start + 4, offset >>> 0)
}

/** Writes the length field for a batch of `byteCount` bytes. The checksum does not cover it. */
export function setTotalBytes(bytes: Uint8Array, start: number, byteCount: number): void {
  writeInt32(bytes, start + 8, byteCount - logOverheadBytes)
}

/** Writes the number of the codec; `updateCrc` afterwards, when the records are in place. */
export function setCodec(bytes: Uint8Array, start: number, number: number): void {
  bytes[start + 22] = (bytes[start + 22]! & ~attributeBits.codec) | number
}

/** Writes the leader epoch (Raft term). The checksum does not cover it. */
export function setLeaderEpoch(bytes: Uint8Array, start: number, epoch: number): void {
  writeInt32(bytes, start + 12, epoch)
}

/**
 * Writes who set the timestamps and the largest of them, ms, then the checksum anew when one of the two changed (one pass
 * over the batch). For LogAppendTime every record of the batch reads as having `timestamp`.
 */
export function setMaxTimestamp(bytes: Uint8Array, start: number, type: TimestampType, timestamp: bigint): void {
  if (timestampType(bytes, start) === type && maxTimestamp(bytes, start) === timestamp) return
  const flags = bytes[start + 22]! & ~attributeBits.logAppendTime
  bytes[start + 22] = type === 'LogAppendTime' ? flags | attributeBits.logAppendTime : flags
  writeInt64(bytes, start + 35, timestamp)
  updateCrc(bytes, start)
}

/** Computes the checksum and stores it. The whole batch must be there. */
export function updateCrc(bytes: Uint8Array, start: number): void {
  writeInt32(bytes, start + 17, computeCrc(bytes, start))
}
