/**
 * Where encoded bytes go: a list of chunks. Small fields are written into slabs of the writer's own; record bytes that the
 * caller passes in become chunks of their own and are never copied.
 *
 *     encode:  |frame size, header, fields...| records (caller's view) |fields...| records |fields...|
 *     chunks:  [slab view,                     view,                     slab view, view,    slab view]
 *
 * Contract: bytes that `finish()` has returned belong to the caller and are never written again; the rest of the slab serves
 * the next message. The caller must not change the views it passed in until the chunks have left. An encode
 * that throws leaves nothing behind once the next `begin()` has run.
 */
import type { BytesInput } from '../schema.ts'
import { EncodeError } from './codec-errors.ts'

/** Fresh slabs have this many bytes, or what one field needs if that is more. */
export const SLAB_BYTES = 16 * 1024

/** `bytes` fields up to this size are copied next to their neighbours: cheaper than a chunk of their own. */
export const COPY_BYTES_MAX = 256

export class Writer {
  /** The current slab. Compiled encoders write to it directly. */
  bytes: Buffer
  view: DataView
  /** Next byte to write, an index of `bytes`. */
  position: number
  /** Where the current chunk starts in `bytes`. */
  start: number
  #chunks: Uint8Array[]
  #byteCount: number

  constructor() {
    this.bytes = Buffer.allocUnsafeSlow(SLAB_BYTES)
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length)
    this.position = 0
    this.start = 0
    this.#chunks = []
    this.#byteCount = 0
  }

  /** Starts a message; one that was begun and not finished is forgotten. */
  begin(): void {
    if (this.#chunks.length > 0) this.#chunks = []
    this.#byteCount = 0
    this.position = this.start
  }

  /** The chunks of the message, in order, now the caller's. */
  finish(): Uint8Array[] {
    this.#cut(this.position)
    const chunks = this.#chunks
    this.#chunks = []
    this.#byteCount = 0
    return chunks
  }

  /** Bytes written since `begin()`, chunks of the caller included. */
  get byteCount(): number {
    return this.#byteCount + this.position - this.start
  }

  /** Makes room for `byteCount` bytes at `at`; returns where `at` is now. The slab may be another one afterwards. */
  grow(at: number, byteCount: number): number {
    const { bytes, start } = this
    if (byteCount <= bytes.length - at) return at
    const used = at - start
    const needed = used + byteCount
    const slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, used > 0 ? needed * 2 : needed))
    if (used > 0) bytes.copy(slab, 0, start, at)
    this.bytes = slab
    this.view = new DataView(slab.buffer, slab.byteOffset, slab.length)
    this.start = 0
    return used
  }

  /** Claims `byteCount` bytes of the slab and returns where they start. */
  claim(byteCount: number): number {
    const at = this.grow(this.position, byteCount)
    this.position = at + byteCount
    return at
  }

  writeInt8(value: number): void {
    const at = this.claim(1)
    this.bytes[at] = value
  }

  writeInt16(value: number): void {
    const at = this.claim(2)
    this.view.setInt16(at, value)
  }

  writeInt32(value: number): void {
    const at = this.claim(4)
    this.view.setInt32(at, value)
  }

  writeInt64(value: bigint | number): void {
    const at = this.claim(8)
    setInt64(this.view, at, value)
  }

  writeFloat64(value: number): void {
    const at = this.claim(8)
    this.view.setFloat64(at, value)
  }

  writeUvarint(value: number): void {
    this.position = this.uvarintAt(this.grow(this.position, 5), value)
  }

  writeUuid(value: string): void {
    this.position = this.uuidAt(this.grow(this.position, 16), value, 'uuid')
  }

  /** Bytes of a chunk that somebody else owns: linked in, not copied. */
  link(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    this.#cut(this.position)
    this.#chunks.push(chunk)
    this.#byteCount += chunk.length
  }

  /** Copies bytes. */
  writeBytes(chunk: Uint8Array): void {
    const at = this.claim(chunk.length)
    this.bytes.set(chunk, at)
  }

  /** Writes a uvarint at `at`, where 5 bytes are free; returns the position behind it. */
  uvarintAt(at: number, value: number): number {
    const { bytes } = this
    while (value > 0x7f) {
      bytes[at++] = (value & 0x7f) | 0x80
      value >>>= 7
    }
    bytes[at++] = value
    return at
  }

  /** Writes a uuid at `at`, where 16 bytes are free; returns the position behind it. */
  uuidAt(at: number, value: string, field: string): number {
    if (typeof value !== 'string' || value.length !== 22) throw wrongUuid(field)
    const { bytes } = this
    let word = 0
    for (let i = 0; i < 22; i++) {
      const sextet = SEXTETS[value.charCodeAt(i)]
      if (sextet === undefined || sextet > 63) throw wrongUuid(field)
      word = (word << 6) | sextet
      if ((i & 3) === 3) {
        bytes[at++] = word >>> 16
        bytes[at++] = word >>> 8
        bytes[at++] = word
        word = 0
      }
    }
    if ((word & 15) !== 0) throw wrongUuid(field)
    bytes[at++] = word >>> 4
    return at
  }

  /** Writes a string with its length at `at`; returns the position behind it. `compact`: KIP-482 lengths. */
  textAt(at: number, value: string, compact: boolean, field: string): number {
    if (typeof value !== 'string') throw wrongType(field, 'a string')
    const { length } = value
    // Three bytes hold any UTF-16 unit, so one varint byte will do for a length of up to 42 units.
    if (length > SHORT_TEXT) return this.#longTextAt(at, value, compact, field)
    at = this.grow(at, 3 * SHORT_TEXT + 2)
    const { bytes } = this
    const start = at + (compact ? 1 : 2)
    for (let i = 0; i < length; i++) {
      const unit = value.charCodeAt(i)
      if (unit > 0x7f) return this.#longTextAt(at, value, compact, field)
      bytes[start + i] = unit
    }
    if (!compact) bytes[at++] = 0
    bytes[at] = compact ? length + 1 : length
    return start + length
  }

  /** Writes a length (-1: null) at `at`, as int32 or compact; returns the position behind it. */
  lengthAt(at: number, length: number, compact: boolean): number {
    at = this.grow(at, 5)
    if (compact) return this.uvarintAt(at, length + 1)
    this.view.setInt32(at, length)
    return at + 4
  }

  /** Writes bytes with their length at `at`; returns the position behind them. `inline`: copy them whatever their size. */
  blobAt(at: number, value: BytesInput, compact: boolean, inline: boolean, field: string): number {
    const length = byteLengthOf(value, field)
    if (length > LENGTH_MAX) throw outOfRange(field)
    this.position = this.lengthAt(at, length, compact)
    if (value instanceof Uint8Array) {
      if (inline) this.writeBytes(value)
      else this.link(value)
    } else {
      for (const part of value) {
        if (inline) this.writeBytes(part)
        else this.link(part)
      }
    }
    return this.position
  }

  /** Puts the size in front of a tagged field that was written from `mark` (relative to `start`) on. */
  closeTag(mark: number, at: number): number {
    const size = at - this.start - mark
    let prefix = 1
    for (let rest = size >>> 7; rest > 0; rest >>>= 7) prefix++
    at = this.grow(at, prefix)
    const from = this.start + mark
    this.bytes.copyWithin(from + prefix, from, at)
    this.uvarintAt(from, size)
    return at + prefix
  }

  #longTextAt(at: number, value: string, compact: boolean, field: string): number {
    const length = Buffer.byteLength(value)
    if (length > 32767) throw outOfRange(field)
    at = this.grow(at, length + 5)
    if (compact) at = this.uvarintAt(at, length + 1)
    else {
      this.view.setInt16(at, length)
      at += 2
    }
    return at + this.bytes.write(value, at, length, 'utf8')
  }

  /** Ends the current chunk at `end`. */
  #cut(end: number): void {
    const { start } = this
    if (end > start) {
      this.#chunks.push(new Uint8Array(this.bytes.buffer, this.bytes.byteOffset + start, end - start))
      this.#byteCount += end - start
    }
    this.start = end
    this.position = end
  }
}

/** Bytes of a `bytes` or `records` value. */
export function byteLengthOf(value: BytesInput, field: string): number {
  if (value instanceof Uint8Array) return value.length
  if (!Array.isArray(value)) throw wrongType(field, 'bytes or a list of bytes')
  let length = 0
  for (const part of value) {
    if (!(part instanceof Uint8Array)) throw wrongType(field, 'bytes or a list of bytes')
    length += part.length
  }
  return length
}

/** Writes an int64 given as a bigint or as a safe integer. */
export function setInt64(view: DataView, at: number, value: bigint | number): void {
  if (typeof value === 'number') {
    view.setInt32(at, Math.floor(value / 4294967296))
    view.setUint32(at + 4, value >>> 0)
  } else {
    view.setBigInt64(at, value)
  }
}

export function outOfRange(field: string): EncodeError {
  return new EncodeError('OUT_OF_RANGE', 'the value does not fit its type', field)
}

export function wrongType(field: string, expected: string): EncodeError {
  return new EncodeError('WRONG_TYPE', `not ${expected}`, field)
}

export function unexpectedNull(field: string): EncodeError {
  return new EncodeError('UNEXPECTED_NULL', 'null where this version does not allow it', field)
}

export function unsupportedField(field: string, version: number): EncodeError {
  return new EncodeError('UNSUPPORTED_FIELD', `version ${version} cannot carry it`, field)
}

/** The error for a value that a field of its kind cannot hold. */
export function misfit(
  value: unknown,
  field: string,
  expected: 'number' | 'int64' | 'boolean' | 'object'
): EncodeError {
  if (value === null) return unexpectedNull(field)
  const kind = typeof value
  if (expected === 'int64' ? kind === 'bigint' || kind === 'number' : kind === expected) return outOfRange(field)
  return wrongType(field, expected === 'int64' ? 'a bigint or a number' : `of type ${expected}`)
}

function wrongUuid(field: string): EncodeError {
  return wrongType(field, '22 characters of base64url')
}

const SHORT_TEXT = 42
const LENGTH_MAX = 0x7fffffff - 1
const SEXTETS = new Uint8Array(128).fill(255)
for (let i = 0; i < 64; i++) {
  SEXTETS['ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'.charCodeAt(i)] = i
}
