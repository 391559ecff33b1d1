/**
 * Compressed bytes made to hurt: sizes that lie, bombs, references to what is not there. Each must end in a typed error,
 * quickly, and without taking memory beyond the limit.
 */
import { describe, expect, test } from 'vitest'
import { codecNames, CompressionError, type CodecName, type CompressionErrorCode } from './codecs.ts'
import { compress, decompress } from './compression.ts'
import { xxhash32 } from './xxhash32.ts'

const mebibyte = 1024 * 1024
const compressing = codecNames.slice(1)
const contents = new TextEncoder().encode('twenty bytes of text')

function errorOf(codec: CodecName, bytes: ArrayLike<number>, outputBytesMax = mebibyte): CompressionErrorCode | 'none' {
  try {
    decompress(codec, Uint8Array.from(bytes), { outputBytesMax })
    return 'none'
  } catch (error) {
    if (error instanceof CompressionError) return error.code
    throw error
  }
}

function textOf(codec: CodecName, bytes: ArrayLike<number>): string {
  return new TextDecoder().decode(decompress(codec, Uint8Array.from(bytes), { outputBytesMax: mebibyte }))
}

const int32 = (value: number): number[] => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]
const int32Little = (value: number): number[] => int32(value).reverse()

/** Memory of the process outside the heap and in it, MiB. */
function residentMebibytes(): number {
  return process.memoryUsage().rss / mebibyte
}

/** Processor time of the fastest of five runs, ms: what else the machine does has no part in it. */
function cpuMs(work: () => void): number {
  const runs = Array.from({ length: 5 }, () => {
    const start = process.cpuUsage()
    work()
    return process.cpuUsage(start).user / 1000
  })
  return Math.min(...runs)
}

describe('bombs', () => {
  const bombMebibytes = 256

  /** Streams of 256 MiB of zeros, made without holding them. */
  const bombs: Record<Exclude<CodecName, 'none'>, () => Uint8Array> = {
    gzip: () => Buffer.concat(new Array(bombMebibytes / 8).fill(compress('gzip', new Uint8Array(8 * mebibyte)))),
    snappy: () => {
      const block = compress('snappy', new Uint8Array(32 * 1024)).subarray(16)
      return Buffer.concat([compress('snappy', new Uint8Array(0)), ...new Array(bombMebibytes * 32).fill(block)])
    },
    lz4: () => {
      const frame = compress('lz4', new Uint8Array(65536))
      const block = frame.subarray(7, frame.length - 4)
      const blocks: Uint8Array[] = new Array(bombMebibytes * 16).fill(block)
      return Buffer.concat([frame.subarray(0, 7), ...blocks, new Uint8Array(4)])
    },
    zstd: () => Buffer.concat(new Array(bombMebibytes / 8).fill(compress('zstd', new Uint8Array(8 * mebibyte))))
  }

  test.each(compressing)('256 MiB of zeros in %s are refused without the memory for them', codec => {
    const bomb = bombs[codec as Exclude<CodecName, 'none'>]()
    const outputBytesMax = 4 * mebibyte
    expect(errorOf(codec, bomb, outputBytesMax)).toBe('TOO_LARGE')
    const before = residentMebibytes()
    const refuse = (): void =>
      expect(() => decompress(codec, bomb, { outputBytesMax })).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }))
    expect(cpuMs(refuse)).toBeLessThan(1000)
    expect(residentMebibytes() - before).toBeLessThan(64)
  })

  test('a zstd frame of repeated blocks, 32,000 to 1, is refused by its structure', () => {
    const blocks = Array.from({ length: 2048 }, (_, index) => rleBlock(128 * 1024, index === 2047)).flat()
    const before = residentMebibytes()
    expect(errorOf('zstd', [...zstdHeader(17), ...blocks])).toBe('TOO_LARGE')
    expect(residentMebibytes() - before).toBeLessThan(32)
  })
})

describe('streams of tiny blocks', () => {
  /** `count` times the same block behind a header. */
  const repeated = (
    header: ArrayLike<number>,
    block: readonly number[],
    count: number,
    end: readonly number[]
  ): Uint8Array =>
    Buffer.concat([
      Uint8Array.from(header),
      ...new Array<Uint8Array>(count).fill(Uint8Array.from(block)),
      Uint8Array.from(end)
    ])
  const snappyHeader = compress('snappy', new Uint8Array(0))
  const lz4Header = compress('lz4', new Uint8Array(0)).subarray(0, 7)
  const tiny: [string, CodecName, (count: number) => Uint8Array][] = [
    ['snappy', 'snappy', count => repeated(snappyHeader, [0, 0, 0, 3, 1, 0, 120], count, [])],
    ['lz4', 'lz4', count => repeated(lz4Header, [2, 0, 0, 0, 0x10, 120], count, [0, 0, 0, 0])],
    ['stored lz4', 'lz4', count => repeated(lz4Header, [1, 0, 0, 0x80, 120], count, [0, 0, 0, 0])]
  ]

  test.each(tiny)('a few in %s read, a megabyte of them is refused in no time', (_, codec, make) => {
    expect(textOf(codec, make(64))).toBe('x'.repeat(64))
    const hostile = make(150_000)
    expect(cpuMs(() => expect(errorOf(codec, hostile)).toBe('CORRUPT'))).toBeLessThan(500)
  })

  test('a megabyte of empty zstd frames, zstd blocks and gzip members takes no time either', () => {
    const streams: [CodecName, Uint8Array][] = [
      ['zstd', repeated([], [0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0], 110_000, [])],
      ['zstd', repeated(zstdHeader(17), [0, 0, 0], 340_000, [1, 0, 0])],
      ['gzip', repeated([], [...compress('gzip', new Uint8Array(0))], 52_000, [])]
    ]
    for (const [codec, bytes] of streams) {
      expect(cpuMs(() => expect(decompress(codec, bytes, { outputBytesMax: 0 })).toHaveLength(0))).toBeLessThan(500)
    }
  })
})

describe('gzip', () => {
  const packed = compress('gzip', contents)

  test('members after each other read as one', () => {
    expect(textOf('gzip', [...packed, ...packed])).toBe('twenty bytes of text'.repeat(2))
  })

  test('every byte of the trailer must be there and right', () => {
    for (let missing = 1; missing <= 8; missing++) {
      expect(errorOf('gzip', packed.subarray(0, packed.length - missing))).toBe('CORRUPT')
    }
    for (let index = packed.length - 8; index < packed.length; index++) {
      const wrong = Uint8Array.from(packed)
      wrong[index] = wrong[index]! ^ 0x40
      expect(errorOf('gzip', wrong)).toBe('CORRUPT')
    }
  })

  test('a size that lies in the trailer costs no memory', () => {
    const lying = Uint8Array.from(packed)
    lying.set([0xff, 0xff, 0xff, 0xff], lying.length - 4)
    const before = residentMebibytes()
    expect(errorOf('gzip', lying, 2 ** 30)).toBe('CORRUPT')
    expect(residentMebibytes() - before).toBeLessThan(16)
  })

  test('a deflate stream without a gzip header is refused', () => {
    expect(errorOf('gzip', packed.subarray(10))).toBe('CORRUPT')
    expect(errorOf('gzip', new Uint8Array(0))).toBe('CORRUPT')
  })
})

describe('snappy', () => {
  const xerial = compress('snappy', contents)
  const header = xerial.subarray(0, 16)
  const raw = xerial.subarray(20)

  test('a raw block reads like a framed one', () => {
    expect(textOf('snappy', raw)).toBe('twenty bytes of text')
  })

  test('streams that were joined, header and all, read as one', () => {
    expect(textOf('snappy', [...xerial, ...xerial])).toBe('twenty bytes of text'.repeat(2))
  })

  test.each([0x7fffffff, -1, -0x80000000, 0, raw.length + 1])('a block length of %d is refused', length => {
    expect(errorOf('snappy', [...header, ...int32(length), ...raw], 2 ** 31)).toBe('CORRUPT')
  })

  test('a length that is cut off behind the last block is refused', () => {
    for (const rest of [[0], [0, 0], [0, 0, 0]]) expect(errorOf('snappy', [...xerial, ...rest])).toBe('CORRUPT')
  })

  test('a stated size beyond what the bytes can hold is refused before memory is taken', () => {
    const before = residentMebibytes()
    const lying = [0xff, 0xff, 0xff, 0xff, 0x07, ...raw.subarray(1)]
    expect(errorOf('snappy', lying, 2 ** 31)).toBe('CORRUPT')
    expect(errorOf('snappy', [...header, ...int32(lying.length), ...lying], 2 ** 31)).toBe('CORRUPT')
    expect(errorOf('snappy', [0xff, 0xff, 0xff, 0xff, 0xff, 0x01])).toBe('CORRUPT')
    expect(residentMebibytes() - before).toBeLessThan(16)
  })

  test('a copy from before the beginning is refused', () => {
    expect(errorOf('snappy', [8, 0x01 | (4 << 2), 0xff])).toBe('CORRUPT')
  })
})

describe('lz4', () => {
  const frame = compress('lz4', contents)
  const blocks = [...frame.subarray(7)]

  /** The frame with another descriptor, its checksum right. */
  const withDescriptor = (...descriptor: number[]): number[] => [
    ...frame.subarray(0, 4),
    ...descriptor,
    (xxhash32(Uint8Array.from(descriptor)) >>> 8) & 255,
    ...blocks
  ]
  const flipped = (index: number): Uint8Array => {
    const wrong = Uint8Array.from(frame)
    wrong[index] = wrong[index]! ^ 1
    return wrong
  }

  test('the magic and the header checksum must be right', () => {
    expect(textOf('lz4', withDescriptor(0x60, 0x40))).toBe('twenty bytes of text')
    for (const index of [0, 1, 2, 3, 6]) expect(errorOf('lz4', flipped(index))).toBe('CORRUPT')
  })

  test('dictionaries and linked blocks are refused, as by Kafka', () => {
    expect(errorOf('lz4', withDescriptor(0x61, 0x40, 1, 2, 3, 4))).toBe('CORRUPT')
    expect(errorOf('lz4', withDescriptor(0x40, 0x40))).toBe('CORRUPT')
  })

  test('reserved bits, other versions and unknown block sizes are refused', () => {
    for (const descriptor of [
      [0x62, 0x40],
      [0x60, 0x41],
      [0x60, 0xc0],
      [0xa0, 0x40],
      [0x20, 0x40],
      [0x60, 0x30]
    ]) {
      expect(errorOf('lz4', withDescriptor(...descriptor))).toBe('CORRUPT')
    }
    for (const size of [0x50, 0x60, 0x70]) expect(textOf('lz4', withDescriptor(0x60, size))).toHaveLength(20)
  })

  test('a declared content size must be the real one', () => {
    expect(textOf('lz4', withDescriptor(0x68, 0x40, 20, 0, 0, 0, 0, 0, 0, 0))).toBe('twenty bytes of text')
    expect(errorOf('lz4', withDescriptor(0x68, 0x40, 21, 0, 0, 0, 0, 0, 0, 0))).toBe('CORRUPT')
    expect(errorOf('lz4', withDescriptor(0x68, 0x40, 255, 255, 255, 255, 255, 255, 255, 255))).toBe('CORRUPT')
  })

  test('checksums of blocks and contents are verified where there are any', () => {
    const hash = int32Little(xxhash32(contents))
    const withContent = [...withDescriptor(0x64, 0x40), ...hash]
    expect(textOf('lz4', withContent)).toBe('twenty bytes of text')
    expect(errorOf('lz4', withContent.with(-1, withContent.at(-1)! ^ 1))).toBe('CORRUPT')
    expect(errorOf('lz4', withContent.slice(0, -1))).toBe('CORRUPT')
    const block = frame.subarray(11, frame.length - 4)
    const withBlock = [
      ...withDescriptor(0x70, 0x40).slice(0, 11),
      ...block,
      ...int32Little(xxhash32(block)),
      0,
      0,
      0,
      0
    ]
    expect(textOf('lz4', withBlock)).toBe('twenty bytes of text')
    expect(errorOf('lz4', withBlock.with(-5, withBlock.at(-5)! ^ 1))).toBe('CORRUPT')
  })

  test('block sizes that lie are refused', () => {
    const stored = 0x80000000
    for (const size of [0x7fffffff, 65537, blocks.length, 1, stored + 0x7fffffff, stored + 65537, stored + 21]) {
      const wrong = Uint8Array.from(frame)
      wrong.set(int32Little(size), 7)
      expect(errorOf('lz4', wrong)).toBe('CORRUPT')
    }
  })

  test('a block that unpacks beyond the declared block size is refused', () => {
    // One literal, then a match whose length goes on for 300 bytes of 255: 76 KB out of a block of 64 KiB.
    const block = [0x1f, 0x61, 0x01, 0x00, ...new Array<number>(300).fill(255), 0, 0x50, 1, 2, 3, 4, 5]
    const bytes = [...frame.subarray(0, 7), ...int32Little(block.length), ...block, 0, 0, 0, 0]
    expect(errorOf('lz4', bytes)).toBe('CORRUPT')
  })

  test('a match from before the beginning of its block is refused', () => {
    const block = [0x10, 0x61, 0xff, 0x00, 0x50, 1, 2, 3, 4, 5]
    expect(errorOf('lz4', [...frame.subarray(0, 7), ...int32Little(block.length), ...block, 0, 0, 0, 0])).toBe(
      'CORRUPT'
    )
  })

  test('a frame without an end and bytes behind the end are refused', () => {
    expect(errorOf('lz4', frame.subarray(0, frame.length - 4))).toBe('CORRUPT')
    expect(errorOf('lz4', [...frame, 0])).toBe('CORRUPT')
    expect(errorOf('lz4', [...frame, ...frame])).toBe('CORRUPT')
  })
})

/** Header of a zstd frame that states a window of 2^log and no content size. */
function zstdHeader(log: number): number[] {
  return [0x28, 0xb5, 0x2f, 0xfd, 0x00, (log - 10) << 3]
}

function zstdBlock(type: number, size: number, isLast: boolean): number[] {
  return int32Little((size << 3) | (type << 1) | (isLast ? 1 : 0)).slice(0, 3)
}

function rleBlock(size: number, isLast: boolean): number[] {
  return [...zstdBlock(1, size, isLast), 0x61]
}

describe('zstd', () => {
  const rawBlock = [...zstdBlock(0, contents.length, true), ...contents]
  const frame = [...zstdHeader(17), ...rawBlock]

  test('windows up to 128 MiB are accepted, and cost no more than the contents', () => {
    const before = residentMebibytes()
    for (let log = 10; log <= 27; log++) expect(textOf('zstd', [...zstdHeader(log), ...rawBlock])).toHaveLength(20)
    expect(residentMebibytes() - before).toBeLessThan(32)
  })

  test('what a producer at level 22 writes is read', () => {
    const bytes = new Uint8Array(3 * mebibyte).map((_, index) => (index * index) >> 7)
    const packed = compress('zstd', bytes, 22)
    expect(Buffer.compare(decompress('zstd', packed, { outputBytesMax: 4 * mebibyte }), bytes)).toBe(0)
  })

  test('larger windows are refused, up to the largest that the format knows', () => {
    for (const log of [28, 30, 31, 41]) expect(errorOf('zstd', [...zstdHeader(log), ...rawBlock])).toBe('CORRUPT')
    expect(errorOf('zstd', [...frame.slice(0, 5), ((27 - 10) << 3) | 1, ...rawBlock])).toBe('CORRUPT')
  })

  test('skippable frames are skipped, several frames are joined, also ones without content size', () => {
    const skippable = [0x5f, 0x2a, 0x4d, 0x18, ...int32Little(3), 1, 2, 3]
    expect(textOf('zstd', [...skippable, ...frame, ...skippable, ...frame])).toBe('twenty bytes of text'.repeat(2))
    expect(decompress('zstd', Uint8Array.from(skippable), { outputBytesMax: 0 })).toHaveLength(0)
    expect(errorOf('zstd', [...frame, ...skippable.slice(0, -1)])).toBe('CORRUPT')
    expect(errorOf('zstd', [0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff])).toBe('CORRUPT')
  })

  test('a content size that lies is refused, without memory for it', () => {
    const before = residentMebibytes()
    // Single segment, content size of 8 bytes.
    for (const size of [2 ** 30, 2 ** 31 - 1]) {
      const lying = [...frame.slice(0, 4), 0xe0, ...int32Little(size), 0, 0, 0, 0, ...rawBlock]
      expect(errorOf('zstd', lying, 2 ** 31)).toBe('CORRUPT')
    }
    expect(residentMebibytes() - before).toBeLessThan(16)
    expect(errorOf('zstd', [...frame.slice(0, 4), 0x20, 19, ...rawBlock])).toBe('CORRUPT')
    expect(textOf('zstd', [...frame.slice(0, 4), 0x20, 20, ...rawBlock])).toBe('twenty bytes of text')
  })

  test('dictionaries, reserved bits and reserved block types are refused', () => {
    expect(errorOf('zstd', [...frame.slice(0, 4), 0x01, 56, 9, ...rawBlock])).toBe('CORRUPT')
    expect(textOf('zstd', [...frame.slice(0, 4), 0x01, 56, 0, ...rawBlock])).toBe('twenty bytes of text')
    expect(errorOf('zstd', [...frame.slice(0, 4), 0x08, 56, ...rawBlock])).toBe('CORRUPT')
    expect(errorOf('zstd', [...zstdHeader(17), ...zstdBlock(3, 20, true), ...contents])).toBe('CORRUPT')
  })

  test('a frame without a last block, a wrong checksum and bytes behind the frame are refused', () => {
    expect(errorOf('zstd', [...zstdHeader(17), ...zstdBlock(0, 20, false), ...contents])).toBe('CORRUPT')
    expect(errorOf('zstd', [...frame.slice(0, 4), 0x04, 56, ...rawBlock, 1, 2, 3, 4])).toBe('CORRUPT')
    for (const rest of [[1], [1, 2, 3, 4], new Array<number>(40).fill(7)]) {
      expect(errorOf('zstd', [...frame, ...rest])).toBe('CORRUPT')
    }
  })
})

describe('damage', () => {
  const seed = Number(process.env['FUZZ_SEED'] ?? 20_261_123)
  const rounds = Number(process.env['FUZZ_ROUNDS'] ?? 3000)

  test.each(compressing)(
    `any damage to a %s stream ends in a typed error or within the limit (seed ${seed})`,
    codec => {
      let state = seed
      const below = (bound: number): number => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0
        return Math.floor((state / 2 ** 32) * bound)
      }
      const original = compress(
        codec,
        Uint8Array.from({ length: 2000 }, (_, index) => (index * 7) ^ (index >> 3))
      )
      let refused = 0
      for (let round = 0; round < rounds; round++) {
        const damaged = new Uint8Array(original)
        for (let count = 1 + below(4); count > 0; count--) damaged[below(Math.min(damaged.length, 200))] = below(256)
        const cut = below(4) === 0 ? damaged.subarray(0, below(damaged.length)) : damaged
        try {
          expect(decompress(codec, cut, { outputBytesMax: 5000 }).length).toBeLessThanOrEqual(5000)
        } catch (error) {
          expect(error).toBeInstanceOf(CompressionError)
          refused++
        }
      }
      expect(refused).toBeGreaterThan(rounds / 4)
    }
  )
})
