import { BatchBuilder, batchHeader, codecNumber, iterateRecords, type CodecName } from '@milena/wire-protocol'
import { describe, expect, it } from 'vitest'
import { inTopicCodec } from './topic-codec.ts'

const LIMITS = { batchBytesMax: 1_000_000, decompressedBytesMax: 1_000_000 }
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

const settings = (type: string, more: Record<string, number> = {}) => ({
  'compression.type': type,
  'compression.gzip.level': -1,
  'compression.zstd.level': 3,
  ...more
})

function batch(codec: CodecName, value = 'again '.repeat(200)): Uint8Array {
  const builder = new BatchBuilder({ codec })
  for (let i = 0; i < 5; i++) builder.append({ timestamp: 1n, key: null, value: Buffer.from(`${i} ${value}`) })
  return builder.build()
}

function stored(codec: CodecName, type: string, limits = LIMITS, more = {}): ReturnType<typeof inTopicCodec> {
  const input = batch(codec)
  return inTopicCodec(input, { codec, byteCount: input.length }, settings(type, more), limits)
}

const valuesOf = (bytes: Uint8Array): string[] =>
  Array.from(iterateRecords(bytes, 0), record => Buffer.from(record.value ?? []).toString())

describe('the codec of a topic', () => {
  it.each(
    CODECS.flatMap(from => (['uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'] as const).map(to => [from, to] as const))
  )('makes of %s %s, with the same records', (from, type) => {
    const bytes = stored(from, type)
    if ('error' in bytes) throw new Error(bytes.message)
    expect(batchHeader.codec(bytes, 0)).toBe(codecNumber(type === 'uncompressed' ? 'none' : type))
    expect(valuesOf(bytes)).toEqual(valuesOf(batch('none')))
  })

  it.each(CODECS)('leaves %s alone where the producer decides, and where it is what is wanted', codec => {
    const input = batch(codec)
    const told = { codec, byteCount: input.length }
    expect(inTopicCodec(input, told, settings('producer'), LIMITS)).toBe(input)
    expect(inTopicCodec(input, told, settings(codec === 'none' ? 'uncompressed' : codec), LIMITS)).toBe(input)
  })

  it('refuses what is too large without its compression', () => {
    const limits = { ...LIMITS, batchBytesMax: 2000 }
    expect(stored('gzip', 'uncompressed', limits)).toMatchObject({ error: 'MESSAGE_TOO_LARGE' })
    expect(stored('gzip', 'zstd', limits)).not.toHaveProperty('error')
    expect(stored('gzip', 'uncompressed', { ...LIMITS, decompressedBytesMax: 100 })).toMatchObject({
      error: 'MESSAGE_TOO_LARGE'
    })
  })

  it('compresses with the level of the topic', () => {
    const sizeAt = (level: number): number =>
      (stored('none', 'gzip', LIMITS, { 'compression.gzip.level': level }) as Uint8Array).length
    expect(sizeAt(9)).toBeLessThan(sizeAt(1))
  })
})
