/** Record batches for tests: valid ones, uncompressed, made without any of the code under test. */
import { crc32c } from '@milena/wire-protocol'

export interface TestBatchOptions {
  readonly recordCount?: number
  readonly valueBytes?: number
  readonly timestamp?: bigint
}

/** A batch of records without keys, whose values are all the same byte. */
export function testBatch({
  recordCount = 1,
  valueBytes = 10,
  timestamp = 1_700_000_000_000n
}: TestBatchOptions = {}): Buffer {
  const records: Buffer[] = []
  for (let i = 0; i < recordCount; i++) records.push(testRecord(i, valueBytes))
  const body = Buffer.concat(records)
  const batch = Buffer.alloc(61 + body.length)
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt8(2, 16)
  batch.writeInt32BE(recordCount - 1, 23)
  batch.writeBigInt64BE(timestamp, 27)
  batch.writeBigInt64BE(timestamp, 35)
  batch.writeBigInt64BE(-1n, 43)
  batch.writeInt16BE(-1, 51)
  batch.writeInt32BE(-1, 53)
  batch.writeInt32BE(recordCount, 57)
  body.copy(batch, 61)
  batch.writeUInt32BE(crc32c(batch, 21, batch.length), 17)
  return batch
}

function testRecord(offsetDelta: number, valueBytes: number): Buffer {
  const content = Buffer.concat([
    Buffer.from([0, 0]),
    zigzag(offsetDelta),
    zigzag(-1),
    zigzag(valueBytes),
    Buffer.alloc(valueBytes, 0x61),
    zigzag(0)
  ])
  return Buffer.concat([zigzag(content.length), content])
}

function zigzag(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = (value << 1) ^ (value >> 31); ; rest >>>= 7) {
    if (rest < 0x80 && rest >= 0) return Buffer.from([...bytes, rest])
    bytes.push((rest & 0x7f) | 0x80)
  }
}
