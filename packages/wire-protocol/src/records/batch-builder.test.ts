import { describe, expect, test } from 'vitest'
import { codecNames } from '../compression/codecs.ts'
import { BatchBuilder } from './batch-builder.ts'
import * as batchHeader from './batch-header.ts'
import { buildEndTransactionMarker, readEndTransactionMarker } from './control-records.ts'
import { iterateRecords } from './iterate-records.ts'
import { BatchError } from './open-batch.ts'
import { validateBatch } from './validate-batch.ts'
import { defaultValidationOptions } from './validation.ts'
import { isSafeVarlong, safeVarlongBytes, varintBytes, varlongBytes } from './varint.ts'
import { writeSafeVarlong, writeVarint, writeVarlong } from './varint.ts'

const empty = { timestamp: 0n, key: null, value: null }

describe('BatchBuilder', () => {
  test.each(codecNames)('what it builds with %s passes validation and reads back', codec => {
    const builder = new BatchBuilder({ codec, producerId: 9n, producerEpoch: 2, baseSequence: 40 })
    for (let index = 0; index < 300; index++) {
      const value = new Uint8Array(index * 3).fill(index)
      builder.append({ timestamp: BigInt(index), key: null, value, headers: [{ key: `h${index}`, value: null }] })
    }
    const batch = builder.build()
    expect(validateBatch(batch, 0, batch.length, defaultValidationOptions)).toMatchObject({
      kind: 'valid',
      recordCount: 300,
      producerId: 9n,
      producerEpoch: 2,
      baseSequence: 40,
      timestampNeedsPatch: false
    })
    let index = 0
    for (const record of iterateRecords(batch)) {
      expect(Buffer.compare(record.value!, new Uint8Array(index * 3).fill(index))).toBe(0)
      expect(new TextDecoder().decode(record.headers()[0]!.key)).toBe(`h${index++}`)
    }
    expect(index).toBe(300)
  })

  test('tells its size before it is built', () => {
    const builder = new BatchBuilder()
    expect([builder.recordCount, builder.byteCount]).toEqual([0, batchHeader.headerBytes])
    builder.append({ ...empty, value: new Uint8Array(5000) })
    const { byteCount } = builder
    expect(builder.recordCount).toBe(1)
    expect(builder.build().length).toBe(byteCount)
  })

  test('timestamps survive at every distance an int64 allows', () => {
    const timestamps = [
      0n,
      -1n,
      2n ** 52n,
      -(2n ** 52n),
      2n ** 53n + 1n,
      2n ** 63n - 1n,
      -(2n ** 63n),
      1_700_000_000_000n
    ]
    for (const first of timestamps) {
      const builder = new BatchBuilder()
      for (const timestamp of [first, ...timestamps]) builder.append({ ...empty, timestamp })
      expect([...iterateRecords(builder.build())].map(record => record.timestamp)).toEqual([first, ...timestamps])
    }
  })

  test('offset deltas must ascend, and a transaction needs a producer id', () => {
    const builder = new BatchBuilder()
    builder.append(empty, 5)
    expect(() => builder.append(empty, 5)).toThrow('ascend')
    expect(() => new BatchBuilder({ isTransactional: true })).toThrow('producer id')
  })
})

describe('end of transaction markers', () => {
  const marker = { producerId: 5n, producerEpoch: 1, timestamp: 77n }

  test('are control batches of one record that belong to the transaction', () => {
    const batch = buildEndTransactionMarker({ ...marker, outcome: 'commit', coordinatorEpoch: 12 })
    expect(batchHeader.isControl(batch, 0)).toBe(true)
    expect(batchHeader.isTransactional(batch, 0)).toBe(true)
    expect(batchHeader.recordCount(batch, 0)).toBe(1)
    expect(batchHeader.baseSequence(batch, 0)).toBe(-1)
    expect(batchHeader.crc(batch, 0)).toBe(batchHeader.computeCrc(batch, 0))
    expect(readEndTransactionMarker(batch, 0)).toEqual({ outcome: 'commit', coordinatorEpoch: 12 })
  })

  test('other control records read as none, other batches and cut-off ones are errors', () => {
    const control = (key: number[], value: number[]): Uint8Array => {
      const builder = new BatchBuilder({ isControl: true })
      builder.append({ ...empty, key: Uint8Array.from(key), value: Uint8Array.from(value) })
      return builder.build()
    }
    expect(readEndTransactionMarker(control([0, 0, 0, 2], [0, 0]), 0)).toBeUndefined()
    expect(readEndTransactionMarker(control([0, 9, 0, 1], [0, 9, 0, 0, 0, 3, 1]), 0)).toEqual({
      outcome: 'commit',
      coordinatorEpoch: 3
    })
    expect(() => readEndTransactionMarker(control([0, 0], [0, 0]), 0)).toThrow(BatchError)
    expect(() => readEndTransactionMarker(control([0, 0, 0, 1], [0, 0]), 0)).toThrow(BatchError)
    expect(() => readEndTransactionMarker(control([255, 255, 0, 1], [0, 0, 0, 0, 0, 0]), 0)).toThrow(BatchError)
    const plain = new BatchBuilder()
    plain.append(empty)
    expect(() => readEndTransactionMarker(plain.build(), 0)).toThrow(BatchError)
  })
})

describe('varints', () => {
  const bytes = new Uint8Array(10)

  test('32-bit ones are the zigzag bytes of the protocol buffers guide', () => {
    const written = (value: number): number[] => [...bytes.subarray(0, writeVarint(bytes, 0, value))]
    expect(written(0)).toEqual([0])
    expect(written(-1)).toEqual([1])
    expect(written(1)).toEqual([2])
    expect(written(150)).toEqual([0xac, 0x02])
    expect(written(0x7fffffff)).toEqual([0xfe, 0xff, 0xff, 0xff, 0x0f])
    expect(written(-0x80000000)).toEqual([0xff, 0xff, 0xff, 0xff, 0x0f])
    for (const value of [0, -1, 63, 64, -64, -65, 8191, 8192, 1 << 20, 1 << 27, -(1 << 27) - 1, 0x7fffffff]) {
      expect(varintBytes(value)).toBe(written(value).length)
    }
  })

  test('64-bit ones are the same bytes with and without a bigint', () => {
    for (let exponent = 0; exponent <= 52; exponent++) {
      for (const value of [2 ** exponent, 2 ** exponent - 1, -(2 ** exponent), 1 - 2 ** exponent]) {
        expect(isSafeVarlong(value)).toBe(true)
        const safe = [...bytes.subarray(0, writeSafeVarlong(bytes, 0, value))]
        expect([...bytes.subarray(0, writeVarlong(bytes, 0, BigInt(value)))]).toEqual(safe)
        expect([safeVarlongBytes(value), varlongBytes(BigInt(value))]).toEqual([safe.length, safe.length])
      }
    }
    expect(isSafeVarlong(2 ** 52 + 1)).toBe(false)
    expect(writeVarlong(bytes, 0, -(2n ** 63n))).toBe(10)
    expect([...bytes]).toEqual([255, 255, 255, 255, 255, 255, 255, 255, 255, 1])
  })
})
