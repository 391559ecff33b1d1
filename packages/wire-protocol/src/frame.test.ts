import { describe, expect, test } from 'vitest'
import { apis } from './apis.ts'
import { DecodeError, EncodeError } from './codec/codec-errors.ts'
import { requestCodec, responseCodec } from './codec/codec.ts'
import { Reader } from './codec/reader.ts'
import { SLAB_BYTES } from './codec/writer.ts'
import { decodeRequestHeader, decodeResponseHeader, encodeRequest, encodeResponse } from './frame.ts'
import type { Api } from './schema.ts'

const hex = (chunks: Uint8Array[]) => Buffer.concat(chunks).toString('hex')
const bytesOf = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

describe('A request frame', () => {
  test('has its size in front and an untagged header in inflexible versions', () => {
    const frame = encodeRequest(apis.apiVersions, 0, { correlationId: 5, clientId: 'me' }, {})
    expect(hex(frame)).toBe('0000000c 0012 0000 00000005 0002 6d65'.replaceAll(' ', ''))
  })

  test('has a tag section, and still a client id of the old form, in flexible versions', () => {
    const frame = encodeRequest(apis.apiVersions, 3, { correlationId: -1, clientId: null }, { clientSoftwareName: 'x' })
    expect(hex(frame)).toBe('0000000f 0012 0003 ffffffff ffff 00 0278 01 00'.replaceAll(' ', ''))
  })

  test('gives back its header and the place of its body, wherever it lies in a buffer', () => {
    for (const api of Object.values(apis) as Api[]) {
      for (const version of [api.versions.min, api.versions.max]) {
        const frame = Buffer.concat(encodeRequest(api, version, { correlationId: 77, clientId: 'grün' }, {}))
        const buffer = Buffer.concat([Buffer.alloc(3, 0xff), frame, Buffer.alloc(3, 0xff)])
        const header = decodeRequestHeader(buffer, 7, 3 + frame.length)
        expect(header).toMatchObject({ apiKey: api.key, apiVersion: version, correlationId: 77, clientId: 'grün' })
        const reader = new Reader(buffer, header.bodyStart, 3 + frame.length)
        requestCodec(api, version).decode(reader)
        expect(reader.remaining, `${api.name} v${version}`).toBe(0)
      }
    }
  })

  test('is refused for an API key that does not exist', () => {
    for (const key of ['ffff', '270f', '0004', '0007', '7fff']) {
      expect(decodeErrorOf(`${key} 0000 00000001 ffff`)).toBe('UNKNOWN_API')
    }
  })

  test('has its version read even when nobody speaks it, so that ApiVersions can be answered', () => {
    const header = decodeRequestHeader(bytesOf('0012 7fff 00000001 0001 61 00'), 0, 12)
    expect(header).toMatchObject({ apiVersion: 32767, correlationId: 1, clientId: 'a' })
    expect(decodeRequestHeader(bytesOf('0012 ffff 00000001 ffff'), 0, 10)).toMatchObject({
      apiVersion: -1,
      clientId: null
    })
  })

  test('is refused when its client id lies about its length or its tags are malformed', () => {
    expect(decodeErrorOf('0012 0003 00000001 fffe 00')).toBe('INVALID_LENGTH')
    expect(decodeErrorOf('0012 0003 00000001 0005 6162')).toBe('TRUNCATED')
    expect(decodeErrorOf('0012 0003 00000001 ffff ffffffff0f')).toBe('TRUNCATED')
    expect(decodeErrorOf('0012 0003 00000001 ffff 01 00 05 00')).toBe('TRUNCATED')
    expect(decodeErrorOf('0012 0003 00000001 ffff 02 01 00 01 00')).toBe('INVALID_TAG')
    expect(decodeErrorOf('0012 0003 00000001 ffff 02 01 00 00 00')).toBe('INVALID_TAG')
    expect(decodeErrorOf('0012 0003 00000001 ffff 80808080 80808000')).toBe('INVALID_VARINT')
  })

  test('is refused at every length shorter than its header', () => {
    const frame = bytesOf('0012 0003 00000001 0003 616263 01 05 02 aabb')
    for (let end = 0; end < frame.length; end++) {
      expect(decodeErrorOf(frame.subarray(0, end).toString('hex')), `cut at ${end}`).toBe('TRUNCATED')
    }
    expect(decodeRequestHeader(frame, 0, frame.length)).toMatchObject({ clientId: 'abc', bodyStart: frame.length })
  })
})

describe('A response frame', () => {
  test('has a tag section in its header in flexible versions, except that of ApiVersions', () => {
    expect(hex(encodeResponse(apis.heartbeat, 3, 9, {}))).toBe('0000000a00000009' + '000000000000')
    expect(hex(encodeResponse(apis.heartbeat, 4, 9, {}))).toBe('0000000c00000009' + '00' + '00000000000000')
    expect(hex(encodeResponse(apis.apiVersions, 3, 9, {}))).toBe('0000000c00000009' + '0000010000000000')
  })

  test('gives back its header and the place of its body', () => {
    for (const api of Object.values(apis) as Api[]) {
      for (const version of [api.versions.min, api.versions.max]) {
        const frame = Buffer.concat(encodeResponse(api, version, -77, {}))
        expect(frame.readInt32BE(0)).toBe(frame.length - 4)
        const { correlationId, bodyStart } = decodeResponseHeader(api, version, frame, 4, frame.length)
        expect(correlationId).toBe(-77)
        const reader = new Reader(frame, bodyStart)
        responseCodec(api, version).decode(reader)
        expect(reader.remaining, `${api.name} v${version}`).toBe(0)
      }
    }
  })

  test('carries record bytes as the caller’s own views, in their places', () => {
    const batches = [new Uint8Array(100).fill(1), new Uint8Array(1000).fill(2), new Uint8Array(10).fill(3)]
    const partitions = [
      { partitionIndex: 0, records: batches[0] },
      { partitionIndex: 1, records: [batches[1], batches[2]] as Uint8Array[] },
      { partitionIndex: 2, records: [] },
      { partitionIndex: 3, records: null }
    ]
    const chunks = encodeResponse(apis.fetch, 11, 1, { responses: [{ topic: 't', partitions }] })
    for (const batch of batches) expect(chunks).toContain(batch)
    expect(chunks).toHaveLength(6)
    const frame = Buffer.concat(chunks)
    expect(frame.readInt32BE(0)).toBe(frame.length - 4)
    const message = responseCodec(apis.fetch, 11).decode(new Reader(frame, 8))
    const decoded = message.responses[0]?.partitions.map(({ records }) => (records === null ? null : records.length))
    expect(decoded).toEqual([100, 1010, 0, null])
  })

  test('stays as it is while later frames are written, and may outgrow a slab', () => {
    const messages = Array.from({ length: 200 }, (_, i) => ({
      topics: Array.from({ length: (i * 37) % 300 }, (__, j) => ({ name: `topic-${i}-${j}-${'x'.repeat(i)}` }))
    }))
    const frames = messages.map((message, i) => encodeResponse(apis.metadata, 12, i, message))
    expect(Math.max(...frames.map(frame => Buffer.concat(frame).length))).toBeGreaterThan(SLAB_BYTES)
    for (const [i, chunks] of frames.entries()) {
      const frame = Buffer.concat(chunks)
      const { correlationId, bodyStart } = decodeResponseHeader(apis.metadata, 12, frame, 4, frame.length)
      expect(correlationId).toBe(i)
      const names = responseCodec(apis.metadata, 12)
        .decode(new Reader(frame, bodyStart))
        .topics.map(({ name }) => name)
      expect(names).toEqual(messages[i]?.topics.map(({ name }) => name))
    }
  })

  test('that fails half-way leaves nothing behind in the next one', () => {
    const good = hex(encodeResponse(apis.fetch, 11, 1, { errorCode: 3 }))
    const records = new Uint8Array(50)
    const bad = { responses: [{ topic: 't', partitions: [{ records }, { errorCode: 1e9 }] }] }
    expect(() => encodeResponse(apis.fetch, 11, 1, bad)).toThrow(EncodeError)
    expect(hex(encodeResponse(apis.fetch, 11, 1, { errorCode: 3 }))).toBe(good)
  })
})

function decodeErrorOf(text: string): string | undefined {
  const bytes = bytesOf(text)
  try {
    decodeRequestHeader(bytes, 0, bytes.length)
  } catch (error) {
    if (error instanceof DecodeError) return error.code
    throw error
  }
  return undefined
}
