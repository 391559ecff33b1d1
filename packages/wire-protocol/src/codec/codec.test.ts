import { execFileSync } from 'node:child_process'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { apis } from '../apis.ts'
import { array, bool, bytes, int32, int64, int8, records, string, struct, uint16, uuid, float64 } from '../schema.ts'
import type { Fields, RequestOf, ResponseInput, ResponseOf } from '../schema.ts'
import { everyMessage, fullMessage, randomStruct, seededRandom } from '../testing.ts'
import { DecodeError, EncodeError, type DecodeErrorCode, type EncodeErrorCode } from './codec-errors.ts'
import { makeCodec, requestCodec, responseCodec, type Codec } from './codec.ts'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

const seed = Number(process.env['MILENA_SEED'] ?? 20261123)
const kinds = ['compiled', 'interpreted'] as const

function encoded(codec: Codec<unknown, unknown>, message: unknown): Buffer {
  const writer = new Writer()
  writer.begin()
  codec.encode(writer, message)
  return Buffer.concat(writer.finish())
}

describe(`Every message in every version (seed ${seed})`, () => {
  test(
    'comes back from its bytes as it was, by compiled and by interpreted codecs, which agree on every byte',
    { timeout: 120_000 },
    () => {
      const random = seededRandom(seed)
      let count = 0
      for (const { name, fields, version, flexible } of everyMessage()) {
        const compiled = makeCodec(name, fields, { version, flexible }, 'compiled')
        const interpreted = makeCodec(name, fields, { version, flexible }, 'interpreted')
        const randoms = Array.from({ length: 4 }, () => randomStruct(fields, version, random))
        for (const message of [fullMessage(fields, version), ...randoms]) {
          const wire = encoded(compiled, message)
          expect(encoded(interpreted, message).equals(wire), name).toBe(true)
          const reader = new Reader(wire)
          expect(compiled.decode(reader), name).toEqual(message)
          expect(reader.remaining, name).toBe(0)
          expect(interpreted.decode(new Reader(wire)), name).toEqual(message)
          count++
        }
      }
      expect(count).toBeGreaterThan(3000)
    }
  )

  test('is refused as truncated when it ends early, wherever that is', { timeout: 120_000 }, () => {
    let count = 0
    for (const { name, fields, version, flexible } of everyMessage()) {
      const codecs = kinds.map(kind => makeCodec(name, fields, { version, flexible }, kind))
      const wire = encoded(codecs[0] as Codec<unknown, unknown>, fullMessage(fields, version))
      const reader = new Reader(wire)
      for (let end = 0; end < wire.length; end++) {
        for (const codec of codecs) {
          reader.reset(wire, 0, end)
          if (decodeErrorOf(() => codec.decode(reader)) !== 'TRUNCATED') expect.fail(`${name} cut at ${end}`)
          count++
        }
      }
    }
    expect(count).toBeGreaterThan(50_000)
  })

  test('reads what follows the cut as somebody else’s: nothing beyond `end` is touched', () => {
    for (const { name, fields, version, flexible } of everyMessage()) {
      const codec = makeCodec(name, fields, { version, flexible })
      const wire = encoded(codec, fullMessage(fields, version))
      const surrounded = Buffer.concat([Buffer.alloc(7, 0xff), wire, Buffer.alloc(50, 0xff)])
      const reader = new Reader(surrounded, 7, 7 + wire.length)
      expect(codec.decode(reader), name).toEqual(codec.decode(new Reader(wire)))
      expect(reader.position, name).toBe(7 + wire.length)
    }
  })
})

describe.each(kinds)('A %s codec', kind => {
  const codecOf = (fields: Fields, { version = 0, flexible = true } = {}) =>
    makeCodec('Test', fields, { version, flexible }, kind)
  const decode = (fields: Fields, hex: string, layout = {}) => {
    return codecOf(fields, layout).decode(new Reader(Buffer.from(hex.replaceAll(' ', ''), 'hex')))
  }
  const hexOf = (fields: Fields, message: unknown, layout = {}) =>
    encoded(codecOf(fields, layout), message).toString('hex')
  const legacy = { flexible: false }

  test('keeps int64 exact at its ends and beyond the safe integers', () => {
    const fields = { a: int64('0+') }
    for (const a of [2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n), -1n]) {
      expect(decode(fields, hexOf(fields, { a }))).toEqual({ a })
    }
    for (const a of [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, -1, 4294967295, -4294967296]) {
      expect(hexOf(fields, { a })).toBe(hexOf(fields, { a: BigInt(a) }))
    }
    expect(encodeErrorOf(() => hexOf(fields, { a: 2 ** 53 }))).toBe('OUT_OF_RANGE')
    expect(encodeErrorOf(() => hexOf(fields, { a: 2n ** 63n }))).toBe('OUT_OF_RANGE')
    expect(encodeErrorOf(() => hexOf(fields, { a: '1' }))).toBe('WRONG_TYPE')
  })

  test('accepts long spellings of small varints, and refuses more than 32 bits', () => {
    const fields = { a: string('0+') }
    expect(decode(fields, '8100 00')).toEqual({ a: '' })
    expect(decode(fields, '828080 8000 61 00')).toEqual({ a: 'a' })
    expect(decodeErrorOf(() => decode(fields, '8280808010 61 00'))).toBe('INVALID_VARINT')
    expect(decodeErrorOf(() => decode(fields, '828080808000 61 00'))).toBe('INVALID_VARINT')
    expect(decodeErrorOf(() => decode(fields, 'ffffffff0f'))).toBe('TRUNCATED')
  })

  test('refuses lengths that the input does not back before it allocates anything for them', () => {
    const hostile = { a: array('0+', int64) }
    for (const hex of ['7fffffff 00000000', '000f4240 0000']) {
      expect(decodeErrorOf(() => decode(hostile, hex, legacy))).toBe('TRUNCATED')
    }
    expect(decodeErrorOf(() => decode(hostile, 'ffffffff0f 00'))).toBe('TRUNCATED')
    expect(decodeErrorOf(() => decode({ a: string('0+') }, '7fff 61', legacy))).toBe('TRUNCATED')
    expect(decodeErrorOf(() => decode({ a: bytes('0+') }, '7fffffff 61', legacy))).toBe('TRUNCATED')
    expect(decodeErrorOf(() => decode({ a: records('0+') }, 'ffffffff07 61'))).toBe('TRUNCATED')
  })

  test('counts the elements of all nested arrays against one budget', () => {
    const fields = { outer: array('0+', { inner: array('0+', { name: string('0+') }) }) }
    const message = { outer: Array.from({ length: 100 }, () => ({ inner: Array.from({ length: 100 }, () => ({})) })) }
    const wire = encoded(codecOf(fields), message)
    expect(codecOf(fields).decode(new Reader(wire, 0, wire.length, 10_100))).toBeTruthy()
    expect(decodeErrorOf(() => codecOf(fields).decode(new Reader(wire, 0, wire.length, 10_099)))).toBe(
      'TOO_MANY_ELEMENTS'
    )
    const empty = { a: array('0+', {}) }
    expect(decodeErrorOf(() => decode(empty, '7fffffff', legacy))).toBe('TRUNCATED')
  })

  test('tells null from negative, and allows it only where the version does', () => {
    for (const field of [array('0+', int32), bytes('0+'), records('0+')]) {
      expect(decodeErrorOf(() => decode({ a: field }, 'ffffffff', legacy))).toBe('UNEXPECTED_NULL')
      expect(decodeErrorOf(() => decode({ a: field }, 'fffffffe', legacy))).toBe('INVALID_LENGTH')
      expect(decodeErrorOf(() => decode({ a: field }, '00 00'))).toBe('UNEXPECTED_NULL')
      field.nullable('1+')
      expect(decode({ a: field }, 'ffffffff', { version: 1, flexible: false })).toEqual({ a: null })
      expect(decodeErrorOf(() => decode({ a: field }, 'ffffffff', legacy))).toBe('UNEXPECTED_NULL')
      expect(decodeErrorOf(() => decode({ a: field }, 'fffffffe', { version: 1, flexible: false }))).toBe(
        'INVALID_LENGTH'
      )
      expect(encodeErrorOf(() => hexOf({ a: field }, { a: null }))).toBe('UNEXPECTED_NULL')
      expect(hexOf({ a: field }, { a: null }, { version: 1, flexible: false })).toBe('ffffffff')
    }
    expect(decodeErrorOf(() => decode({ a: string('0+') }, 'ffff', legacy))).toBe('UNEXPECTED_NULL')
    expect(decodeErrorOf(() => decode({ a: string('0+').nullable() }, 'fffe', legacy))).toBe('INVALID_LENGTH')
    const optional = { a: struct('0+', { b: int8('0+') }).nullable() }
    expect(decode(optional, 'ff', legacy)).toEqual({ a: null })
    expect(decode(optional, '0105', legacy)).toEqual({ a: { b: 5 } })
    expect(hexOf(optional, { a: null })).toBe('ff00')
  })

  test('reads any non-zero byte as true', () => {
    expect(decode({ a: bool('0+'), b: bool('0+'), c: bool('0+') }, '00 02 ff', legacy)).toEqual({
      a: false,
      b: true,
      c: true
    })
  })

  test('replaces invalid UTF-8 and lone surrogates, as Kafka does, and keeps awkward names', () => {
    const fields = { a: string('0+') }
    expect(decode(fields, '03 c328 00')).toEqual({ a: '\ufffd(' })
    expect(decode(fields, hexOf(fields, { a: 'x\ud800y' }))).toEqual({ a: 'x\ufffdy' })
    for (const a of ['__proto__', 'constructor', 'a'.repeat(32767), '\u0000']) {
      expect(decode(fields, hexOf(fields, { a }))).toEqual({ a })
    }
  })

  test('skips unknown tags of any size, and refuses tags that repeat, descend or overrun', () => {
    const fields = { a: int8('0+'), t: int32('0+').tagged(3) }
    expect(decode(fields, '05 02 01 02 aabb 03 04 00000009')).toEqual({ a: 5, t: 9 })
    const large = '0501 09 808040' + 'ab'.repeat(1 << 20)
    expect(decode(fields, large)).toEqual({ a: 5, t: 0 })
    expect(decodeErrorOf(() => decode(fields, '05 02 03 04 00000009 03 04 00000009'))).toBe('INVALID_TAG')
    expect(decodeErrorOf(() => decode(fields, '05 02 04 00 03 04 00000009'))).toBe('INVALID_TAG')
    expect(decodeErrorOf(() => decode(fields, '05 01 03 05 0000000900'))).toBe('INVALID_TAG')
    expect(decodeErrorOf(() => decode(fields, '05 01 03 03 00000009'))).toBe('TRUNCATED')
    expect(decodeErrorOf(() => decode(fields, '05 ffffffff0f 00'))).toBe('TRUNCATED')
    expect(decodeErrorOf(() => decode(fields, '05 01 09 7f 00'))).toBe('TRUNCATED')
    const none = { a: int8('0+') }
    expect(decode(none, '05 01 09 01 00')).toEqual({ a: 5 })
    expect(decodeErrorOf(() => decode(none, '05 02 01 00 01 00'))).toBe('INVALID_TAG')
    expect(decodeErrorOf(() => decode(none, '05 ffffffff0f 00'))).toBe('TRUNCATED')
  })

  test('writes tagged fields in the order of their tags, and only those that are not at their default', () => {
    const fields = {
      b: string('0+').nullable().tagged(1).default(null),
      a: int32('0+').tagged(0).default(7),
      c: struct('0+', { d: array('0+', int32), e: int64('0+').default(-1n) }).tagged(2),
      f: bytes('0+').tagged(3)
    }
    expect(hexOf(fields, {})).toBe('00')
    expect(hexOf(fields, { a: 7, b: null, c: { d: [], e: -1 }, f: [new Uint8Array(0)] })).toBe('00')
    expect(hexOf(fields, { b: 'x', a: 0 })).toBe('02 00 04 00000000 01 02 0278'.replaceAll(' ', ''))
    const message = {
      a: 7,
      b: null,
      c: { d: Array.from({ length: 100 }, (_, i) => i), e: 5n },
      f: new Uint8Array(20_000)
    }
    expect(decode(fields, hexOf(fields, message))).toEqual(message)
  })

  test('gives fields that the version lacks their defaults, and refuses to lose what may not be lost', () => {
    const fields = {
      a: int32('1+').default(-1),
      b: string('1+').ignorable(),
      c: array('1+', int32),
      d: struct('1+', { e: int64('0+').default(9n) }),
      f: bytes('1+'),
      g: uuid('1+')
    }
    const defaults = { a: -1, b: '', c: [], d: { e: 9n }, f: new Uint8Array(0), g: 'AAAAAAAAAAAAAAAAAAAAAA' }
    expect(decode(fields, '', legacy)).toEqual(defaults)
    expect(hexOf(fields, defaults, legacy)).toBe('')
    expect(hexOf(fields, { b: 'lost' }, legacy)).toBe('')
    expect(hexOf(fields, { d: { e: 9 } }, legacy)).toBe('')
    for (const lost of [
      { a: 0 },
      { c: [1] },
      { d: { e: 8n } },
      { d: null },
      { f: Uint8Array.of(1) },
      { g: 'x' },
      { c: null }
    ]) {
      expect(
        encodeErrorOf(() => hexOf(fields, lost, legacy)),
        JSON.stringify(Object.keys(lost))
      ).toBe('UNSUPPORTED_FIELD')
    }
  })

  test('refuses values that do not fit instead of writing others', () => {
    const wrong: [Fields, unknown, EncodeErrorCode][] = [
      [{ a: int8('0+') }, 128, 'OUT_OF_RANGE'],
      [{ a: uint16('0+') }, -1, 'OUT_OF_RANGE'],
      [{ a: uint16('0+') }, 65536, 'OUT_OF_RANGE'],
      [{ a: int32('0+') }, 2147483648, 'OUT_OF_RANGE'],
      [{ a: int32('0+') }, 0.5, 'OUT_OF_RANGE'],
      [{ a: int32('0+') }, NaN, 'OUT_OF_RANGE'],
      [{ a: int32('0+') }, '5', 'WRONG_TYPE'],
      [{ a: int32('0+') }, 5n, 'WRONG_TYPE'],
      [{ a: int32('0+') }, null, 'UNEXPECTED_NULL'],
      [{ a: bool('0+') }, 1, 'WRONG_TYPE'],
      [{ a: float64('0+') }, 5n, 'WRONG_TYPE'],
      [{ a: string('0+') }, 5, 'WRONG_TYPE'],
      [{ a: string('0+') }, 'é'.repeat(16384), 'OUT_OF_RANGE'],
      [{ a: uuid('0+') }, 'short', 'WRONG_TYPE'],
      [{ a: uuid('0+') }, 'AAAAAAAAAAAAAAAAAAAAAB', 'WRONG_TYPE'],
      [{ a: uuid('0+') }, 'AAAAAAAAAAAAAAAAAAAA+A', 'WRONG_TYPE'],
      [{ a: uuid('0+') }, 'AAAAAAAAAAAAAAAAAAAAé€', 'WRONG_TYPE'],
      [{ a: uuid('0+') }, null, 'UNEXPECTED_NULL'],
      [{ a: bytes('0+') }, 'text', 'WRONG_TYPE'],
      [{ a: bytes('0+') }, ['text'], 'WRONG_TYPE'],
      [{ a: array('0+', int32) }, {}, 'WRONG_TYPE'],
      [{ a: array('0+', int32) }, [1, undefined], 'UNEXPECTED_NULL'],
      [{ a: array('0+', string) }, [null], 'UNEXPECTED_NULL'],
      [{ a: array('0+', { b: int8('0+') }) }, [null], 'UNEXPECTED_NULL'],
      [{ a: array('0+', { b: int8('0+') }) }, [5], 'WRONG_TYPE'],
      [{ a: struct('0+', { b: int8('0+') }) }, 5, 'WRONG_TYPE']
    ]
    for (const [fields, a, code] of wrong) {
      for (const layout of [{ flexible: true }, legacy]) {
        expect(
          encodeErrorOf(() => hexOf(fields, { a }, layout)),
          `${Object.values(fields)[0]?.type} ${String(a)}`
        ).toBe(code)
      }
    }
    expect(encodeErrorOf(() => hexOf({}, null))).toBe('UNEXPECTED_NULL')
  })

  test('returns views of the input for bytes and records, and links views of the caller when encoding', () => {
    const fields = { a: bytes('0+'), r: records('0+') }
    const batch = new Uint8Array(300).fill(7)
    const codec = codecOf(fields)
    const writer = new Writer()
    writer.begin()
    codec.encode(writer, { a: [Uint8Array.of(1), Uint8Array.of(2)], r: [batch, batch.subarray(0, 10)] })
    const chunks = writer.finish()
    expect(chunks.map(chunk => chunk.length)).toEqual([5, 300, 10, 1])
    expect(chunks[1]).toBe(batch)
    const wire = Buffer.concat(chunks)
    const message = codec.decode(new Reader(wire)) as { a: Uint8Array; r: Uint8Array }
    expect(message.a).toEqual(Uint8Array.of(1, 2))
    wire[10] = 42
    expect(message.r[10 - message.r.byteOffset + wire.byteOffset]).toBe(42)
    expect(message.r.buffer).toBe(wire.buffer)
  })
})

describe('Codecs', () => {
  test('are made once for each API, direction and version', () => {
    expect(requestCodec(apis.fetch, 17)).toBe(requestCodec(apis.fetch, 17))
    expect(requestCodec(apis.fetch, 17)).not.toBe(requestCodec(apis.fetch, 16))
    expect(requestCodec(apis.fetch, 17)).not.toBe(responseCodec(apis.fetch, 17))
  })

  test('do not exist for versions that the API does not have', () => {
    for (const version of [-1, 19, 32767, 1.5, NaN]) {
      expect(encodeErrorOf(() => requestCodec(apis.fetch, version))).toBe('UNSUPPORTED_VERSION')
    }
  })

  test('know the types of their messages', () => {
    expectTypeOf<RequestOf<typeof apis.fetch>['topics'][0]['partitions'][0]['fetchOffset']>().toEqualTypeOf<bigint>()
    expectTypeOf<RequestOf<typeof apis.fetch>['clusterId']>().toEqualTypeOf<string | null>()
    expectTypeOf<ResponseOf<typeof apis.produce>['nodeEndpoints'][0]['rack']>().toEqualTypeOf<string | null>()
    const input: ResponseInput<typeof apis.fetch> = {
      responses: [
        { topic: 't', partitions: [{ highWatermark: 5, lastStableOffset: 5n, records: [new Uint8Array(1)] }] }
      ]
    }
    expectTypeOf(responseCodec(apis.fetch, 4).encode).parameter(1).toEqualTypeOf<ResponseInput<typeof apis.fetch>>()
    expectTypeOf<ResponseOf<typeof apis.fetch>>().toExtend<ResponseInput<typeof apis.fetch>>()
    expect(responseCodec(apis.fetch, 4).encode(new Writer(), input)).toBeUndefined()
  })

  test('give messages of one shape in all versions', () => {
    const keys = [4, 11, 17].map(version => {
      const wire = encoded(requestCodec(apis.fetch, version) as Codec<unknown, unknown>, {})
      return Object.keys(requestCodec(apis.fetch, version).decode(new Reader(wire)))
    })
    expect(keys[1]).toEqual(keys[0])
    expect(keys[2]).toEqual(Object.keys(apis.fetch.request))
  })

  test('are interpreted where the platform forbids code generation', () => {
    const script = `
      import { apis, decodeRequestHeader, encodeRequest, Reader, requestCodec } from '@milena/wire-protocol'
      try { new Function('') } catch { console.log('forbidden') }
      const wire = Buffer.concat(encodeRequest(apis.metadata, 12, { correlationId: 1, clientId: 'c' }, { topics: [{ name: 't' }] }))
      const { bodyStart } = decodeRequestHeader(wire, 4, wire.length)
      console.log(requestCodec(apis.metadata, 12).decode(new Reader(wire, bodyStart)).topics[0].name)`
    const args = [
      '--disallow-code-generation-from-strings',
      '--conditions=@milena/source',
      '--input-type=module',
      '-e',
      script
    ]
    expect(execFileSync(process.execPath, args, { cwd: import.meta.dirname, encoding: 'utf8' })).toBe('forbidden\nt\n')
  })
})

function decodeErrorOf(work: () => unknown): DecodeErrorCode | undefined {
  try {
    work()
  } catch (error) {
    if (error instanceof DecodeError) return error.code
    throw error
  }
  return undefined
}

function encodeErrorOf(work: () => unknown): EncodeErrorCode | undefined {
  try {
    work()
  } catch (error) {
    if (error instanceof EncodeError) return error.code
    throw error
  }
  return undefined
}
