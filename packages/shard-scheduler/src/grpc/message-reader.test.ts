import assert from 'node:assert'
import fc from 'fast-check'
import { test } from 'vitest'
import { GrpcFramingError, GrpcMessageReader } from './message-reader.ts'

function framed(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

const messages = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.integer({ min: 0, max: 90_000 }).map(length => new Uint8Array(length).fill(length & 0xff))
  ),
  { maxLength: 8 }
)
const cuts = fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 10 })

test('However the bytes are cut into pieces, the same messages come out.', () => {
  fc.assert(
    fc.property(messages, cuts, (sent, lengths) => {
      const received: number[][] = []
      const reader = new GrpcMessageReader(100_000, message => received.push([...message]))
      const bytes = Buffer.concat(sent.map(framed))
      for (let start = 0, cut = 0; start < bytes.length; cut++) {
        const end = start + lengths[cut % lengths.length]!
        reader.push(bytes.subarray(start, end))
        start = end
      }
      assert.deepEqual(
        received,
        sent.map(message => [...message])
      )
    }),
    { numRuns: 50 }
  )
})

test('A message above the bound and a compressed one are refused at their prefix.', () => {
  const reader = new GrpcMessageReader(100, () => assert.fail('nothing came'))
  assert.throws(() => reader.push(Buffer.from([0, 0, 0, 0, 101])), GrpcFramingError)
  const other = new GrpcMessageReader(100, () => assert.fail('nothing came'))
  assert.throws(() => other.push(Buffer.from([1, 0, 0, 0, 1, 7])), GrpcFramingError)
})

test('A length alone reserves nothing: memory follows the bytes that came.', () => {
  const reader = new GrpcMessageReader(1024 * 1024 * 1024, () => assert.fail('nothing came'))
  const before = process.memoryUsage().arrayBuffers
  reader.push(Buffer.from([0, 0x3f, 0xff, 0xff, 0xff]))
  for (let piece = 0; piece < 10; piece++) reader.push(Buffer.alloc(1000))
  assert.ok(process.memoryUsage().arrayBuffers - before < 1024 * 1024)
})

test('A reader that is stopped by its receiver hands nothing on, not even of the same piece.', () => {
  let count = 0
  const reader = new GrpcMessageReader(100, () => {
    count++
    reader.stop()
  })
  reader.push(Buffer.concat([framed(Uint8Array.of(1)), framed(Uint8Array.of(2))]))
  reader.push(framed(Uint8Array.of(3)))
  assert.equal(count, 1)
})
