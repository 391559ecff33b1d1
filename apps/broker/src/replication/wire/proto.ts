/**
 * raft.proto over protobufjs' reader and writer, by hand, for what is both sent and kept: memberships and marks; and the seal of
 * what is kept. The test beside this file compares with the schema as protobufjs itself reads it.
 *
 * Decoding throws `RangeError` on bytes that are not what they should be.
 */
import type { Membership } from '@milena/raft'
import { crc32c } from '@milena/wire-protocol'
import protobuf from 'protobufjs/minimal.js'
import { Marks, type Mark } from '../kept/marks.ts'

export const { Reader, Writer } = protobuf
export type Reader = protobuf.Reader
export type Writer = protobuf.Writer

/** Wire types: the low three bits of a field's tag. */
const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const FIXED32 = 5

export const varintTag = (field: number): number => (field << 3) | VARINT
export const doubleTag = (field: number): number => (field << 3) | FIXED64
export const bytesTag = (field: number): number => (field << 3) | BYTES
export const fixed32Tag = (field: number): number => (field << 3) | FIXED32

const noMembership: Membership = { kind: 'simple', voters: [], learners: [] }

/** Writes `membership` as field `field`. */
export function writeMembership(writer: Writer, field: number, membership: Membership): void {
  writer.uint32(bytesTag(field)).fork()
  writeIds(writer, 1, membership.kind === 'simple' ? membership.voters : membership.incoming)
  writeIds(writer, 2, membership.learners)
  if (membership.kind === 'joint') {
    writeIds(writer, 3, membership.outgoing)
    writeIds(writer, 4, membership.learnersNext)
  }
  writer.ldelim()
}

function writeIds(writer: Writer, field: number, ids: readonly number[]): void {
  if (ids.length === 0) return
  writer.uint32(bytesTag(field)).fork()
  for (const id of ids) writer.double(id)
  writer.ldelim()
}

export function readMembership(reader: Reader): Membership {
  const end = messageEnd(reader)
  const lists: number[][] = [[], [], [], []]
  while (reader.pos < end) {
    const tag = reader.uint32()
    const list = (tag & 7) === BYTES ? lists[(tag >>> 3) - 1] : undefined
    if (list === undefined) reader.skipType(tag & 7)
    else for (const listEnd = messageEnd(reader); reader.pos < listEnd;) list.push(reader.double())
  }
  const [voters, learners, outgoing, learnersNext] = lists as [number[], number[], number[], number[]]
  if (outgoing.length === 0) return { kind: 'simple', voters, learners }
  return { kind: 'joint', incoming: voters, outgoing, learners, learnersNext }
}

/** Writes `marks` as field `field`, or, without one, as the whole message. */
export function writeMarks(writer: Writer, marks: Marks, field?: number): void {
  if (field !== undefined) writer.uint32(bytesTag(field)).fork()
  const { base } = marks
  writer.uint32(doubleTag(1)).double(base.offset)
  writer.uint32(doubleTag(2)).double(base.count)
  writer.uint32(varintTag(3)).uint32(base.term)
  if (base.membership !== undefined) writeMembership(writer, 4, base.membership)
  for (const mark of marks.items) {
    writer.uint32(bytesTag(5)).fork()
    writer.uint32(doubleTag(1)).double(mark.offset)
    writer.uint32(varintTag(2)).uint32(mark.term)
    if (mark.membership !== undefined) writeMembership(writer, 3, mark.membership)
    writer.ldelim()
  }
  if (field !== undefined) writer.ldelim()
}

/** Reads marks up to `end` of the bytes. */
export function readMarks(reader: Reader, end: number): Marks {
  let offset = 0
  let count = 0
  let term = 0
  let membership: Membership | undefined
  const items: Mark[] = []
  while (reader.pos < end) {
    const tag = reader.uint32()
    if (tag === doubleTag(1)) offset = reader.double()
    else if (tag === doubleTag(2)) count = reader.double()
    else if (tag === varintTag(3)) term = reader.uint32()
    else if (tag === bytesTag(4)) membership = readMembership(reader)
    else if (tag === bytesTag(5)) items.push(readMark(reader))
    else reader.skipType(tag & 7)
  }
  return new Marks({ offset, count, term, membership }, items)
}

function readMark(reader: Reader): Mark {
  const end = messageEnd(reader)
  let offset = 0
  let term = 0
  let membership: Membership = noMembership
  while (reader.pos < end) {
    const tag = reader.uint32()
    if (tag === doubleTag(1)) offset = reader.double()
    else if (tag === varintTag(2)) term = reader.uint32()
    else if (tag === bytesTag(3)) membership = readMembership(reader)
    else reader.skipType(tag & 7)
  }
  return membership === noMembership ? { offset, term } : { offset, term, membership }
}

/** Reads a length and returns where the message ends; throws when that is behind the bytes there are. */
export function messageEnd(reader: Reader): number {
  const length = reader.uint32()
  const end = reader.pos + length
  if (end > reader.len) throw new RangeError(`a message of ${length} bytes where ${reader.len - reader.pos} are left`)
  return end
}

/*
 * What is kept: version u8 | CRC-32C of the body u32 | body. The state store has checksums and copies of its own; this one also
 * covers what lies between it and us.
 */
const SEAL_VERSION = 1
const SEAL_BYTES = 5

/** The bytes of a message as they are kept. */
export function seal(writer: Writer): Uint8Array {
  const body = writer.finish()
  const sealed = new Uint8Array(SEAL_BYTES + body.length)
  sealed[0] = SEAL_VERSION
  sealed.set(body, SEAL_BYTES)
  new DataView(sealed.buffer).setUint32(1, crc32c(sealed, SEAL_BYTES, sealed.length))
  return sealed
}

/** A reader of what was sealed. */
export function unseal(sealed: Uint8Array): Reader {
  const view = new DataView(sealed.buffer, sealed.byteOffset, sealed.byteLength)
  if (sealed.length < SEAL_BYTES || view.getUint8(0) !== SEAL_VERSION)
    throw new RangeError(`kept state has version ${sealed[0]}, this broker knows ${SEAL_VERSION}`)
  if (view.getUint32(1) !== crc32c(sealed, SEAL_BYTES, sealed.length)) throw new RangeError('kept state is damaged')
  return Reader.create(sealed.subarray(SEAL_BYTES))
}
