import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { codecName, codecNames, codecNumber, CompressionError } from './codecs.ts'
import { compress, decompress } from './compression.ts'

const compressing = codecNames.slice(1)

function pattern(byteCount: number): Uint8Array {
  return Uint8Array.from({ length: byteCount }, (_, index) => (index % 7 === 0 ? (index * 31) >> 4 : 97 + (index % 23)))
}

function noise(byteCount: number): Uint8Array {
  let state = 1
  return Uint8Array.from({ length: byteCount }, () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24)
}

/** Lengths on both sides of the borders of snappy blocks (32 KiB) and lz4 blocks (64 KiB). */
const lengths = [0, 1, 2, 13, 255, 4096, 32767, 32768, 32769, 65535, 65536, 65537, 131072, 200_000]

describe('compression', () => {
  test('codec numbers are those of the attributes field', () => {
    expect(codecNames.map(codecNumber)).toEqual([0, 1, 2, 3, 4])
    expect([0, 1, 2, 3, 4, 5, 6, 7].map(codecName)).toEqual([...codecNames, undefined, undefined, undefined])
  })

  test.each(codecNames)('%s gives back what it was given, compressible or not', codec => {
    for (const length of lengths) {
      for (const bytes of [pattern(length), noise(length), new Uint8Array(length)]) {
        const packed = compress(codec, bytes)
        expect(Buffer.compare(decompress(codec, packed, { outputBytesMax: length }), bytes)).toBe(0)
      }
    }
  })

  test.each(codecNames)('%s leaves its input alone and reads it anywhere in a buffer', codec => {
    const bytes = pattern(50_000)
    const packed = compress(codec, bytes)
    const shifted = Buffer.alloc(packed.length + 10, 0xee)
    shifted.set(packed, 5)
    const before = Uint8Array.from(shifted)
    const contents = decompress(codec, shifted.subarray(5, 5 + packed.length), { outputBytesMax: 50_000 })
    expect(Buffer.compare(contents, bytes)).toBe(0)
    expect(Buffer.compare(shifted, before)).toBe(0)
    expect(bytes).toEqual(pattern(50_000))
  })

  test.each(compressing)('%s stops one byte above the limit', codec => {
    for (const length of [1, 100, 32769, 65537, 200_000]) {
      const packed = compress(codec, pattern(length))
      expect(decompress(codec, packed, { outputBytesMax: length }).length).toBe(length)
      const attempt = (): Uint8Array => decompress(codec, packed, { outputBytesMax: length - 1 })
      expect(attempt).toThrow(CompressionError)
      expect(attempt).toThrow(expect.objectContaining({ code: 'TOO_LARGE', codec }))
    }
  })

  test.each(compressing)('%s hands out plain arrays whose slice is a copy', codec => {
    const packed = compress(codec, pattern(1000))
    expect(packed.constructor).toBe(Uint8Array)
    expect(decompress(codec, packed, { outputBytesMax: 1000 }).constructor).toBe(Uint8Array)
  })

  test('gzip and zstd are what other implementations read and write, at every level', () => {
    const orders = Array.from({ length: 900 }, (_, id) => ({ id, amount: (id * id) % 10007, name: `order ${id % 97}` }))
    const bytes = new TextEncoder().encode(JSON.stringify(orders))
    for (const level of [-1, 1, 6, 9]) expect(gunzipSync(compress('gzip', bytes, level)).equals(bytes)).toBe(true)
    for (const level of [1, 3, 10, 19])
      expect(zstdDecompressSync(compress('zstd', bytes, level)).equals(bytes)).toBe(true)
    const limit = { outputBytesMax: bytes.length }
    expect(Buffer.compare(decompress('gzip', gzipSync(bytes), limit), bytes)).toBe(0)
    expect(Buffer.compare(decompress('zstd', zstdCompressSync(bytes), limit), bytes)).toBe(0)
    expect(compress('zstd', bytes, 19).length).toBeLessThan(compress('zstd', bytes, 1).length)
  })

  test.each(compressing)('every truncation of a %s stream is refused with a typed error', codec => {
    const bytes = pattern(3000)
    const packed = compress(codec, bytes)
    for (let length = 0; length < packed.length; length++) {
      try {
        decompress(codec, packed.subarray(0, length), { outputBytesMax: 3000 })
      } catch (error) {
        expect(error).toBeInstanceOf(CompressionError)
        continue
      }
      // No zstd frames at all and a xerial header without blocks are complete streams of nothing.
      expect([
        ['zstd', 0],
        ['snappy', 16]
      ]).toContainEqual([codec, length])
    }
  })
})
