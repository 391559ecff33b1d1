import assert from 'node:assert'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import protobuf from 'protobufjs'
import { test } from 'vitest'
import {
  decodeAnswer,
  decodeBatch,
  decodeCall,
  encodeAnswer,
  encodeBatch as encodePieces,
  encodeCall,
  SEPARATE_BYTES_MIN
} from './frame-codec.ts'
import type { Frame } from './frames.ts'

// The reference: protobufjs reads the schema file and encodes by reflection.
const schema = protobuf.parse(readFileSync(new URL('./mesh.proto', import.meta.url), 'utf8')).root
const Batch = schema.lookupType('milena.mesh.v1.Batch')
const Call = schema.lookupType('milena.mesh.v1.Call')
const statuses = { ok: 'OK', failed: 'FAILED', overloaded: 'OVERLOADED' } as const

const encodeBatch = (frames: readonly Frame[]): Buffer => Buffer.concat(encodePieces(frames))

const bytes = fc.uint8Array({ maxLength: 300 })
const id = fc.integer({ min: 1, max: 0xffff_ffff })
const call = fc.record({
  kind: fc.constant('call' as const),
  id,
  service: fc.string(),
  payload: bytes,
  abandoned: fc.constant(false)
})
const answer = fc.record({
  kind: fc.constant('answer' as const),
  id,
  status: fc.constantFrom('ok' as const, 'failed' as const, 'overloaded' as const),
  payload: bytes,
  message: fc.string({ unit: 'grapheme' })
})
const message = fc.record({
  kind: fc.constant('message' as const),
  channel: fc.string({ unit: 'grapheme' }),
  payload: fc.oneof(bytes, fc.integer({ min: SEPARATE_BYTES_MIN - 2, max: 3 * SEPARATE_BYTES_MIN }).map(large)),
  lane: fc.constant('urgent' as const)
})
const batch = fc.array(fc.oneof(call, answer, message), { maxLength: 8 })

function large(length: number): Uint8Array {
  return new Uint8Array(length).fill(length & 0xff)
}

test('A large message is not copied: its payload is a piece of the batch.', () => {
  const payload = new Uint8Array(SEPARATE_BYTES_MIN)
  const pieces = encodePieces([{ kind: 'message', channel: 'entries', payload, lane: 'bulk' }])
  assert.equal(pieces.length, 2)
  assert.equal(pieces[1], payload)
})

test('A call and an answer by themselves come back, and are what the schema file says.', () => {
  fc.assert(
    fc.property(call, answer, (asked, answered) => {
      assert.deepEqual(plain([decodeCall(encodeCall(asked))]), plain([asked]))
      assert.deepEqual(plain([decodeAnswer(encodeAnswer(answered))]), plain([answered]))
      const reference = Call.toObject(Call.decode(encodeCall(asked)), { defaults: true })
      assert.deepEqual([reference.id, reference.service], [asked.id, asked.service])
    })
  )
})

test('Every batch comes back as it was encoded.', () => {
  fc.assert(fc.property(batch, frames => assert.deepEqual(plain(decodeBatch(encodeBatch(frames))), plain(frames))))
})

test('What this codec encodes, protobufjs decodes by the schema file, and the other way round.', () => {
  fc.assert(
    fc.property(batch, frames => {
      const reference = Batch.fromObject({ frames: frames.map(toReference) })
      assert.deepEqual(plain(decodeBatch(Batch.encode(reference).finish())), plain(frames))
      assert.deepEqual(Batch.toObject(Batch.decode(encodeBatch(frames))), Batch.toObject(reference))
    })
  )
})

test('Fields of a later version of the schema are skipped.', () => {
  const later = protobuf.parse(`syntax = "proto3"; message Batch { repeated Frame frames = 1; uint64 epoch = 9; }
    message Frame { Call call = 1; string trace = 7; } message Call { uint32 id = 1; string service = 2; fixed64 at = 8; }`).root
  const encoded = later.lookupType('Batch')
  const message = encoded.fromObject({ epoch: 5, frames: [{ trace: 't', call: { id: 3, service: 's', at: 9 } }] })
  const [frame] = decodeBatch(encoded.encode(message).finish())
  assert.deepEqual(
    plain([frame!]),
    plain([{ kind: 'call', id: 3, service: 's', payload: new Uint8Array(0), abandoned: false }])
  )
})

test('A batch cut short anywhere, or of random bytes, throws or decodes: it never reads past its end or hangs.', () => {
  const first: Frame = {
    kind: 'call',
    id: 300,
    service: 'service',
    payload: new Uint8Array(40).fill(1),
    abandoned: false
  }
  const second: Frame = { kind: 'answer', id: 300, status: 'failed', payload: new Uint8Array(0), message: 'why' }
  const whole = encodeBatch([first, second])
  // Only a cut between the two frames leaves a batch, of one frame.
  const decoded = Array.from({ length: whole.length }, (_, length) =>
    attempt(() => decodeBatch(whole.subarray(0, length)))
  )
  assert.deepEqual(
    decoded.flatMap((frames, length) => (frames === undefined ? [] : [[length, frames.length]])),
    [
      [0, 0],
      [encodeBatch([first]).length, 1]
    ]
  )
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), noise => void attempt(() => decodeBatch(noise))))
})

function attempt<Result>(work: () => Result): Result | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}

function plain(frames: readonly Frame[]): unknown[] {
  return frames.map(frame => ({ ...frame, payload: [...frame.payload] }))
}

function toReference(frame: Frame): object {
  // proto3 omits what equals the default, and so does `toObject` for absent fields: leave empty ones out.
  const payload = frame.payload.length === 0 ? {} : { payload: frame.payload }
  if (frame.kind === 'call') return { call: { id: frame.id, service: frame.service, ...payload } }
  if (frame.kind === 'message') return { message: { channel: frame.channel, ...payload } }
  const status = frame.status === 'ok' ? {} : { status: statuses[frame.status] }
  const message = frame.message === '' ? {} : { message: frame.message }
  return { answer: { id: frame.id, ...status, ...payload, ...message } }
}
