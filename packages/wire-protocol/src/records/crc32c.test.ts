import { describe, expect, test } from 'vitest'
import { crc32c, crc32cImplementation, crc32cTable, nativeFromBytes } from './crc32c.ts'

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

/** Bit by bit, straight from the definition. */
function slowCrc(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  }
  return ~crc >>> 0
}

function pattern(byteCount: number): Uint8Array {
  return Uint8Array.from({ length: byteCount }, (_, index) => (index * 197 + (index >> 3)) & 0xff)
}

describe('crc32c', () => {
  test('gives the check values of RFC 3720', () => {
    expect(crc32c(text('123456789'))).toBe(0xe3069283)
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43)
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, index) => index))).toBe(0x46dd794e)
    expect(crc32c(new Uint8Array(0))).toBe(0)
  })

  test('native and table agree with the definition at every length around their border', () => {
    expect(crc32cImplementation()).toBe('native')
    for (let byteCount = 0; byteCount < nativeFromBytes + 40; byteCount++) {
      const bytes = pattern(byteCount)
      const expected = slowCrc(bytes)
      expect(crc32c(bytes)).toBe(expected)
      expect(crc32cTable(bytes)).toBe(expected)
    }
  })

  test('sums a range of a larger buffer', () => {
    const bytes = pattern(1000)
    for (const [start, end] of [
      [0, 1000],
      [1, 999],
      [17, 20],
      [300, 900],
      [5, 5]
    ] as const) {
      expect(crc32c(bytes, start, end)).toBe(slowCrc(bytes.subarray(start, end)))
    }
  })

  test('continues where an earlier piece ended', () => {
    const bytes = pattern(2000)
    for (const cut of [0, 1, 100, 500, 1999]) {
      expect(crc32c(bytes, cut, 2000, crc32c(bytes, 0, cut))).toBe(crc32c(bytes))
      expect(crc32cTable(bytes, cut, 2000, crc32cTable(bytes, 0, cut))).toBe(crc32c(bytes))
    }
  })
})
