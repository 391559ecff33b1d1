import { describe, expect, test } from 'vitest'
import * as batchHeader from './batch-header.ts'
import { BatchBuilder } from './batch-builder.ts'

const lead = 3

/** A batch that starts `lead` bytes into its buffer. */
function shiftedBatch(): Uint8Array {
  const builder = new BatchBuilder({
    baseOffset: 7,
    leaderEpoch: 5,
    producerId: 0x1234_5678_9abc_def0n,
    producerEpoch: 32767,
    baseSequence: 2147483646,
    isTransactional: true
  })
  for (let index = 0; index < 4; index++) {
    builder.append({ timestamp: 1_700_000_000_000n + BigInt(index % 3), key: null, value: new Uint8Array(index) })
  }
  const batch = builder.build()
  const bytes = new Uint8Array(lead + batch.length)
  bytes.set(batch, lead)
  return bytes
}

describe('batchHeader', () => {
  test('reads every field of a batch that lies anywhere in its buffer', () => {
    const bytes = shiftedBatch()
    expect(batchHeader.baseOffset(bytes, lead)).toBe(7)
    expect(batchHeader.baseOffsetBigInt(bytes, lead)).toBe(7n)
    expect(batchHeader.lastOffset(bytes, lead)).toBe(10)
    expect(batchHeader.totalBytes(bytes, lead)).toBe(bytes.length - lead)
    expect(batchHeader.batchLength(bytes, lead)).toBe(bytes.length - lead - 12)
    expect(batchHeader.leaderEpoch(bytes, lead)).toBe(5)
    expect(batchHeader.magic(bytes, lead)).toBe(2)
    expect(batchHeader.crc(bytes, lead)).toBe(batchHeader.computeCrc(bytes, lead))
    expect(batchHeader.attributes(bytes, lead)).toBe(0x10)
    expect(batchHeader.codec(bytes, lead)).toBe(0)
    expect(batchHeader.timestampType(bytes, lead)).toBe('CreateTime')
    expect(batchHeader.isTransactional(bytes, lead)).toBe(true)
    expect(batchHeader.isControl(bytes, lead)).toBe(false)
    expect(batchHeader.hasDeleteHorizon(bytes, lead)).toBe(false)
    expect(batchHeader.lastOffsetDelta(bytes, lead)).toBe(3)
    expect(batchHeader.baseTimestamp(bytes, lead)).toBe(1_700_000_000_000n)
    expect(batchHeader.maxTimestamp(bytes, lead)).toBe(1_700_000_000_002n)
    expect(batchHeader.producerId(bytes, lead)).toBe(0x1234_5678_9abc_def0n)
    expect(batchHeader.hasProducerId(bytes, lead)).toBe(true)
    expect(batchHeader.producerEpoch(bytes, lead)).toBe(32767)
    expect(batchHeader.baseSequence(bytes, lead)).toBe(2147483646)
    expect(batchHeader.recordCount(bytes, lead)).toBe(4)
  })

  test('the sequence of the last record wraps from 2^31 - 1 to 0', () => {
    expect(batchHeader.lastSequence(shiftedBatch(), lead)).toBe(1)
    const plain = new BatchBuilder()
    plain.append({ timestamp: 0n, key: null, value: null })
    expect(batchHeader.lastSequence(plain.build(), 0)).toBe(-1)
  })

  test('reads the extremes of every number as they are', () => {
    const bytes = new Uint8Array(batchHeader.headerBytes)
    const view = new DataView(bytes.buffer)
    for (const value of [0n, -1n, 1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n), -2n]) {
      view.setBigInt64(0, value)
      view.setBigInt64(27, value)
      view.setBigInt64(35, value)
      view.setBigInt64(43, value)
      expect(batchHeader.baseOffsetBigInt(bytes, 0)).toBe(value)
      expect(batchHeader.baseTimestamp(bytes, 0)).toBe(value)
      expect(batchHeader.maxTimestamp(bytes, 0)).toBe(value)
      expect(batchHeader.producerId(bytes, 0)).toBe(value)
      expect(batchHeader.hasProducerId(bytes, 0)).toBe(value >= 0n)
    }
    for (const value of [0, -1, 1, 2 ** 31 - 1, -(2 ** 31), 0x01020304]) {
      for (const position of [8, 12, 23, 53, 57]) view.setInt32(position, value)
      expect(batchHeader.batchLength(bytes, 0)).toBe(value)
      expect(batchHeader.leaderEpoch(bytes, 0)).toBe(value)
      expect(batchHeader.lastOffsetDelta(bytes, 0)).toBe(value)
      expect(batchHeader.baseSequence(bytes, 0)).toBe(value)
      expect(batchHeader.recordCount(bytes, 0)).toBe(value)
    }
    for (const value of [0, -1, 1, 32767, -32768, 0x0102]) {
      view.setInt16(21, value)
      view.setInt16(51, value)
      expect(batchHeader.attributes(bytes, 0)).toBe(value)
      expect(batchHeader.producerEpoch(bytes, 0)).toBe(value)
    }
    view.setInt8(16, -128)
    expect(batchHeader.magic(bytes, 0)).toBe(-128)
    view.setUint32(17, 0xffffffff)
    expect(batchHeader.crc(bytes, 0)).toBe(0xffffffff)
  })

  test('base offsets up to 2^53 - 1 are written and read exactly', () => {
    const bytes = shiftedBatch()
    for (const offset of [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 12345, Number.MAX_SAFE_INTEGER]) {
      batchHeader.setBaseOffset(bytes, lead, offset)
      expect(batchHeader.baseOffset(bytes, lead)).toBe(offset)
      expect(batchHeader.baseOffsetBigInt(bytes, lead)).toBe(BigInt(offset))
    }
  })

  test('base offset and leader epoch are outside the checksum and touch nothing else', () => {
    const bytes = shiftedBatch()
    const before = bytes.slice()
    batchHeader.setBaseOffset(bytes, lead, 2 ** 50)
    batchHeader.setLeaderEpoch(bytes, lead, -1)
    expect(batchHeader.crc(bytes, lead)).toBe(batchHeader.computeCrc(bytes, lead))
    expect(batchHeader.leaderEpoch(bytes, lead)).toBe(-1)
    expect(bytes.subarray(lead + 16)).toEqual(before.subarray(lead + 16))
    expect(bytes.subarray(0, lead)).toEqual(before.subarray(0, lead))
  })

  test('an append time sets the attribute bit, the largest timestamp and a new checksum', () => {
    const bytes = shiftedBatch()
    const crc = batchHeader.crc(bytes, lead)
    batchHeader.setMaxTimestamp(bytes, lead, 'LogAppendTime', 1_800_000_000_000n)
    expect(batchHeader.timestampType(bytes, lead)).toBe('LogAppendTime')
    expect(batchHeader.maxTimestamp(bytes, lead)).toBe(1_800_000_000_000n)
    expect(batchHeader.isTransactional(bytes, lead)).toBe(true)
    expect(batchHeader.crc(bytes, lead)).not.toBe(crc)
    expect(batchHeader.crc(bytes, lead)).toBe(batchHeader.computeCrc(bytes, lead))
    batchHeader.setMaxTimestamp(bytes, lead, 'CreateTime', 1_700_000_000_002n)
    expect(batchHeader.crc(bytes, lead)).toBe(crc)
  })

  test('setting what is there already does not even repair a wrong checksum', () => {
    const bytes = shiftedBatch()
    bytes[lead + 17] = bytes[lead + 17]! ^ 1
    const before = bytes.slice()
    batchHeader.setMaxTimestamp(bytes, lead, 'CreateTime', 1_700_000_000_002n)
    expect(bytes).toEqual(before)
  })
})
