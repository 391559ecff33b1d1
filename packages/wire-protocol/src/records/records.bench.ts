/**
 * What a broker pays per batch: header access, checksum, validation, patches, and what tools pay: iteration, building,
 * compression. Prints one line per case with a checksum of the work, so that nothing can be optimised away. Times are CPU
 * times of the process, garbage collection included: steadier than the clock on a busy machine.
 *
 *     node --conditions=@milena/source packages/wire-protocol/src/records/records.bench.ts
 */
import { codecNames, type CodecName } from '../compression/codecs.ts'
import { compress, decompress } from '../compression/compression.ts'
import { BatchBuilder } from './batch-builder.ts'
import * as batchHeader from './batch-header.ts'
import { crc32c, crc32cImplementation, crc32cTable } from './crc32c.ts'
import { iterateRecords } from './iterate-records.ts'
import { findRecordByTimestamp } from './search-timestamp.ts'
import { validateBatch } from './validate-batch.ts'
import { defaultValidationOptions, type ValidationOptions } from './validation.ts'

const runMs = 300
const nowMs = 1_700_000_000_000
const options: ValidationOptions = { ...defaultValidationOptions, nowMs }

/** Half-compressible text-like bytes, the same at every run. */
function sampleBytes(byteCount: number): Uint8Array {
  const bytes = new Uint8Array(byteCount)
  let state = 12345
  for (let index = 0; index < byteCount; index++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    bytes[index] = (state >>> 16) % 3 === 0 ? (state >>> 8) & 0xff : 97 + (index % 23)
  }
  return bytes
}

function makeBatch(recordCount: number, valueBytes: number, codec: CodecName): Uint8Array {
  const builder = new BatchBuilder({ codec })
  const sample = sampleBytes(valueBytes + recordCount)
  for (let index = 0; index < recordCount; index++) {
    builder.append({
      timestamp: BigInt(nowMs + index),
      key: sample.subarray(index, index + 8),
      value: sample.subarray(index, index + valueBytes)
    })
  }
  return builder.build()
}

/** Runs `work` for a while and prints its rate; `work` returns something that depends on all it did. */
function measure(title: string, byteCount: number, work: () => number): void {
  let checksum = 0
  for (let warm = 0; warm < 20; warm++) checksum = (checksum + work()) % 1_000_000_007
  let runs = 0
  const start = process.cpuUsage()
  let elapsedUs = 0
  while (elapsedUs < runMs * 1000) {
    for (let index = 0; index < 64; index++) checksum = (checksum * 31 + work()) % 1_000_000_007
    runs += 64
    const { user, system } = process.cpuUsage(start)
    elapsedUs = user + system
  }
  const nanoseconds = (elapsedUs * 1000) / runs
  const rate = byteCount > 0 ? `${((byteCount * 1e3) / nanoseconds).toFixed(0).padStart(7)} MB/s` : ''.padStart(12)
  console.log(`${title.padEnd(46)} ${nanoseconds.toFixed(0).padStart(10)} ns ${rate}   checksum ${checksum}`)
}

function benchChecksum(): void {
  console.log(`crc32c of long inputs: ${crc32cImplementation()}`)
  for (const byteCount of [64, 128, 160, 192, 256, 512, 1100, 16_384, 131_072]) {
    const bytes = sampleBytes(byteCount)
    measure(`crc32c chosen, ${byteCount} B`, byteCount, () => crc32c(bytes))
    measure(`crc32c JavaScript, ${byteCount} B`, byteCount, () => crc32cTable(bytes))
  }
}

function benchBroker(): void {
  for (const [recordCount, valueBytes] of [
    [1, 100],
    [1, 1024],
    [127, 1024],
    [1200, 100]
  ] as const) {
    const batch = makeBatch(recordCount, valueBytes, 'none')
    const name = `${recordCount} x ${valueBytes} B`
    measure(`validateBatch, ${name}`, batch.length, () => {
      const result = validateBatch(batch, 0, batch.length, options)
      return result.kind === 'valid' ? result.recordCount : -1
    })
    measure(`setMaxTimestamp and checksum, ${name}`, batch.length, () => {
      batchHeader.setMaxTimestamp(batch, 0, 'CreateTime', batchHeader.maxTimestamp(batch, 0) ^ 1n)
      return batchHeader.crc(batch, 0)
    })
  }
  const batch = makeBatch(10, 100, 'none')
  measure('setBaseOffset and setLeaderEpoch', 0, () => {
    const next = batchHeader.baseOffset(batch, 0) + 10
    batchHeader.setBaseOffset(batch, 0, next)
    batchHeader.setLeaderEpoch(batch, 0, 7)
    return next
  })
  measure('all number fields of a header', 0, () => {
    const h = batchHeader
    return (
      (h.baseOffset(batch, 0) +
        h.totalBytes(batch, 0) +
        h.leaderEpoch(batch, 0) +
        h.magic(batch, 0) +
        h.crc(batch, 0)) *
        2 +
      (h.attributes(batch, 0) + h.lastOffsetDelta(batch, 0) + h.producerEpoch(batch, 0) + h.baseSequence(batch, 0)) +
      h.recordCount(batch, 0)
    )
  })
  measure('the three bigint fields of a header', 0, () =>
    batchHeader.baseTimestamp(batch, 0) <= batchHeader.maxTimestamp(batch, 0) && batchHeader.producerId(batch, 0) < 0n
      ? 1
      : 0
  )
}

function benchTools(): void {
  for (const codec of codecNames) {
    const batch = makeBatch(127, 1024, codec)
    const records = makeBatch(127, 1024, 'none').subarray(batchHeader.headerBytes)
    const packed = compress(codec, records)
    const limit = { outputBytesMax: records.length }
    measure(`compress ${codec}, 130 KB to ${(packed.length / 1e3).toFixed(0)} KB`, records.length, () => {
      return compress(codec, records).length
    })
    measure(`decompress ${codec}`, records.length, () => decompress(codec, packed, limit)[77]!)
    measure(`validateBatch ${codec}, 127 x 1024 B`, records.length, () => {
      const result = validateBatch(batch, 0, batch.length, options)
      return result.kind === 'valid' ? result.recordCount : -1
    })
  }
  const batch = makeBatch(1200, 100, 'none')
  measure('iterateRecords, 1200 x 100 B', batch.length, () => {
    let sum = 0
    for (const record of iterateRecords(batch)) sum += record.offset + (record.value?.length ?? 0)
    return sum
  })
  measure('findRecordByTimestamp, last of 1200', batch.length, () => {
    return findRecordByTimestamp(batch, 0, BigInt(nowMs + 1199))?.offset ?? -1
  })
  measure('BatchBuilder, 1200 x 100 B', batch.length, () => makeBatch(1200, 100, 'none').length)
}

benchChecksum()
benchBroker()
benchTools()
