/**
 * mesh.proto over protobufjs' reader and writer, by hand: the parser, the reflection and the code generator of protobufjs
 * would add 10 ms to the start of every shard for five messages. The test beside this file compares both ways with the
 * schema as protobufjs itself reads it.
 *
 * Decoding checks what it reads: a batch that is not one throws, and costs the link it came on. Decoded payloads are views of
 * the received bytes.
 */
import protobuf from 'protobufjs/minimal.js'
import type { AnswerFrame, AnswerStatus, CallFrame, Frame, MessageFrame } from './frames.ts'

const { Reader, Writer } = protobuf

const STATUSES: readonly AnswerStatus[] = ['ok', 'failed', 'overloaded']
const NO_BYTES: Uint8Array = new Uint8Array(0)

/** Tag of a field: number and wire type. Varint 0, length-delimited 2. */
const FIELD_1_VARINT = (1 << 3) | 0
const FIELD_2_VARINT = (2 << 3) | 0
const FIELD_1_BYTES = (1 << 3) | 2
const FIELD_2_BYTES = (2 << 3) | 2
const FIELD_3_BYTES = (3 << 3) | 2
const FIELD_4_BYTES = (4 << 3) | 2

/** Payloads of messages from this size on are not copied into the encoded batch but stand in it as they are. */
export const SEPARATE_BYTES_MIN = 8 * 1024

/**
 * Encodes a `Batch`: its bytes in pieces, in order. Payloads are copied, except those of messages of `SEPARATE_BYTES_MIN` bytes and
 * more, which are pieces themselves.
 */
export function encodeBatch(frames: readonly Frame[]): Uint8Array[] {
  const pieces: Uint8Array[] = []
  let writer = Writer.create()
  for (const frame of frames) {
    if (frame.kind === 'message' && frame.payload.length >= SEPARATE_BYTES_MIN) {
      writeMessageHead(writer, frame)
      pieces.push(writer.finish(), frame.payload)
      writer = Writer.create()
      continue
    }
    writer.uint32(FIELD_1_BYTES).fork()
    if (frame.kind === 'call') writeCall(writer.uint32(FIELD_1_BYTES).fork(), frame)
    else if (frame.kind === 'answer') writeAnswer(writer.uint32(FIELD_2_BYTES).fork(), frame)
    else writeMessage(writer.uint32(FIELD_3_BYTES).fork(), frame)
    writer.ldelim().ldelim()
  }
  if (writer.len > 0) pieces.push(writer.finish())
  return pieces
}

/** Encodes a `Call` by itself. */
export function encodeCall(call: CallFrame): Uint8Array {
  const writer = Writer.create()
  writeCall(writer, call)
  return writer.finish()
}

/** Encodes an `Answer` by itself. */
export function encodeAnswer(answer: AnswerFrame): Uint8Array {
  const writer = Writer.create()
  writeAnswer(writer, answer)
  return writer.finish()
}

/** Decodes a `Call` by itself. Throws when `bytes` are none; its payload is a view of them. */
export function decodeCall(bytes: Uint8Array): CallFrame {
  return readCall(Reader.create(bytes), bytes.length)
}

/** Decodes an `Answer` by itself. Throws when `bytes` are none; its payload is a view of them. */
export function decodeAnswer(bytes: Uint8Array): AnswerFrame {
  return readAnswer(Reader.create(bytes), bytes.length)
}

/** Decodes a `Batch`. Payloads are views of `bytes`. Throws when `bytes` are not a batch. */
export function decodeBatch(bytes: Uint8Array): Frame[] {
  const reader = Reader.create(bytes)
  const frames: Frame[] = []
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    if (tag === FIELD_1_BYTES) frames.push(readFrame(reader, messageEnd(reader)))
    else reader.skipType(tag & 7)
  }
  return frames
}

function writeCall(writer: protobuf.Writer, call: CallFrame): void {
  writer.uint32(FIELD_1_VARINT).uint32(call.id)
  writer.uint32(FIELD_2_BYTES).string(call.service)
  if (call.payload.length > 0) writer.uint32(FIELD_3_BYTES).bytes(call.payload)
}

function writeAnswer(writer: protobuf.Writer, answer: AnswerFrame): void {
  writer.uint32(FIELD_1_VARINT).uint32(answer.id)
  if (answer.status !== 'ok') writer.uint32(FIELD_2_VARINT).uint32(STATUSES.indexOf(answer.status))
  if (answer.payload.length > 0) writer.uint32(FIELD_3_BYTES).bytes(answer.payload)
  if (answer.message !== '') writer.uint32(FIELD_4_BYTES).string(answer.message)
}

function writeMessage(writer: protobuf.Writer, message: MessageFrame): void {
  writer.uint32(FIELD_1_BYTES).string(message.channel)
  if (message.payload.length > 0) writer.uint32(FIELD_2_BYTES).bytes(message.payload)
}

/** Everything of a message's frame that stands before its payload, which is its last field. */
function writeMessageHead(writer: protobuf.Writer, { channel, payload }: MessageFrame): void {
  const channelLength = Buffer.byteLength(channel)
  const messageLength = sizeOfBytes(channelLength) + sizeOfBytes(payload.length)
  writer.uint32(FIELD_1_BYTES).uint32(sizeOfBytes(messageLength))
  writer.uint32(FIELD_3_BYTES).uint32(messageLength)
  writer.uint32(FIELD_1_BYTES).string(channel)
  writer.uint32(FIELD_2_BYTES).uint32(payload.length)
}

/** Encoded size of a field of `length` bytes: tag, length, bytes. */
function sizeOfBytes(length: number): number {
  let size = 2 + length
  for (let rest = length >>> 7; rest > 0; rest >>>= 7) size++
  return size
}

function readFrame(reader: protobuf.Reader, end: number): Frame {
  let frame: Frame | undefined
  while (reader.pos < end) {
    const tag = reader.uint32()
    if (tag === FIELD_1_BYTES) frame = readCall(reader, messageEnd(reader))
    else if (tag === FIELD_2_BYTES) frame = readAnswer(reader, messageEnd(reader))
    else if (tag === FIELD_3_BYTES) frame = readMessage(reader, messageEnd(reader))
    else reader.skipType(tag & 7)
  }
  if (frame === undefined) throw new RangeError('a frame is a call, an answer or a message')
  return frame
}

function readCall(reader: protobuf.Reader, end: number): CallFrame {
  let id = 0
  let service = ''
  let payload: Uint8Array = NO_BYTES
  while (reader.pos < end) {
    const tag = reader.uint32()
    if (tag === FIELD_1_VARINT) id = reader.uint32()
    else if (tag === FIELD_2_BYTES) service = reader.string()
    else if (tag === FIELD_3_BYTES) payload = reader.bytes()
    else reader.skipType(tag & 7)
  }
  return { kind: 'call', id, service, payload, abandoned: false }
}

function readAnswer(reader: protobuf.Reader, end: number): AnswerFrame {
  let id = 0
  let status = 0
  let payload: Uint8Array = NO_BYTES
  let message = ''
  while (reader.pos < end) {
    const tag = reader.uint32()
    if (tag === FIELD_1_VARINT) id = reader.uint32()
    else if (tag === FIELD_2_VARINT) status = reader.uint32()
    else if (tag === FIELD_3_BYTES) payload = reader.bytes()
    else if (tag === FIELD_4_BYTES) message = reader.string()
    else reader.skipType(tag & 7)
  }
  const known = STATUSES[status]
  if (known === undefined) throw new RangeError(`answer status ${status} is unknown`)
  return { kind: 'answer', id, status: known, payload, message }
}

function readMessage(reader: protobuf.Reader, end: number): MessageFrame {
  let channel = ''
  let payload: Uint8Array = NO_BYTES
  while (reader.pos < end) {
    const tag = reader.uint32()
    if (tag === FIELD_1_BYTES) channel = reader.string()
    else if (tag === FIELD_2_BYTES) payload = reader.bytes()
    else reader.skipType(tag & 7)
  }
  return { kind: 'message', channel, payload, lane: 'urgent' }
}

/** Reads a length and returns where the message ends; throws when that is behind the bytes received. */
function messageEnd(reader: protobuf.Reader): number {
  const length = reader.uint32()
  const end = reader.pos + length
  if (end > reader.len) throw new RangeError(`a message of ${length} bytes where ${reader.len - reader.pos} are left`)
  return end
}
