/**
 * A position in received bytes, and the checked reads that move it.
 *
 * Contract: no read goes past `end`; nothing is allocated in proportion to a length before that many bytes are known to be
 * there; array elements are also counted against a budget, because an element of two bytes may become an object of a hundred.
 * Strings are copies; everything else that is made of bytes is a view of the input and lives as long as the input does.
 * A reader is single-use state of one shard; after a DecodeError its position means nothing, `reset()` makes it new.
 */
import { DecodeError } from './codec-errors.ts'

/**
 * Array elements that one message may hold unless the reader is told otherwise. An element of 2 bytes on the wire can become an
 * object of 100 to 200 bytes, so this bounds what a message costs at 25 to 50 MB, whatever its frame may say. Requests stay far
 * below; a client that reads the metadata of a very large cluster raises it.
 */
export const ELEMENTS_MAX = 250_000

export class Reader {
  /** The input. Compiled decoders read it directly. */
  bytes: Buffer
  /** The same memory, for fields of 16 bits and more. */
  view: DataView
  /** Next byte to read, an index of `bytes`. */
  position: number
  /** First byte that is not ours. */
  end: number
  /** Array elements that may still be decoded. */
  elementsLeft: number
  #source: Uint8Array

  /** Reads `bytes[start, end)`. */
  constructor(bytes: Uint8Array, start = 0, end = bytes.length, elementsMax = ELEMENTS_MAX) {
    this.#source = bytes
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.position = start
    this.end = end
    this.elementsLeft = elementsMax
    this.#checkBounds()
  }

  /** Starts over on other bytes; cheap when they are the same array, as with a connection's static buffer. */
  reset(bytes: Uint8Array, start = 0, end = bytes.length, elementsMax = ELEMENTS_MAX): this {
    if (bytes !== this.#source) {
      this.#source = bytes
      this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    }
    this.position = start
    this.end = end
    this.elementsLeft = elementsMax
    this.#checkBounds()
    return this
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.end - this.position
  }

  readBool(): boolean {
    return this.bytes[this.take(1)] !== 0
  }

  readInt8(): number {
    return this.view.getInt8(this.take(1))
  }

  readInt16(): number {
    return this.view.getInt16(this.take(2))
  }

  readUint16(): number {
    return this.view.getUint16(this.take(2))
  }

  readInt32(): number {
    return this.view.getInt32(this.take(4))
  }

  readInt64(): bigint {
    return this.view.getBigInt64(this.take(8))
  }

  readFloat64(): number {
    return this.view.getFloat64(this.take(8))
  }

  /** 16 bytes as 22 characters of base64url. */
  readUuid(): string {
    return uuidAt(this.bytes, this.take(16))
  }

  /** An unsigned varint of at most 32 bits in at most 5 bytes; longer spellings of a small number are accepted. */
  readUvarint(): number {
    return this.uvarintAt(this.position)
  }

  /** UTF-8 of `length` bytes; invalid sequences become U+FFFD, as in Kafka. */
  readText(length: number): string {
    const start = this.take(length)
    return this.bytes.toString('utf8', start, start + length)
  }

  /** A view of `length` bytes. */
  readView(length: number): Uint8Array {
    return viewAt(this.bytes, this.take(length), length)
  }

  /** Skips a tag section (KIP-482): tags must ascend, sizes must stay inside. */
  skipTags(): void {
    const count = this.readUvarint()
    if (count > this.remaining >>> 1) this.truncated(this.position)
    let previous = -1
    for (let i = 0; i < count; i++) {
      const tag = this.readUvarint()
      if (tag <= previous) this.invalidTag(this.position)
      previous = tag
      this.take(this.readUvarint())
    }
  }

  /** Claims `byteCount` bytes and returns where they start. */
  take(byteCount: number): number {
    const start = this.position
    if (byteCount > this.end - start) this.truncated(start)
    this.position = start + byteCount
    return start
  }

  /** The varint at `at`; moves `position` behind it. Compiled decoders call this when a varint has more than one byte. */
  uvarintAt(at: number): number {
    const { bytes, end } = this
    let value = 0
    for (let i = 0; i < 5; i++) {
      if (at >= end) this.truncated(at)
      const byte = bytes[at++] as number
      if (byte < 0x80) {
        if (i === 4 && byte > 0x0f) break
        this.position = at
        return (value | (byte << (7 * i))) >>> 0
      }
      value |= (byte & 0x7f) << (7 * i)
    }
    throw new DecodeError('INVALID_VARINT', at, 'more than 32 bits')
  }

  /** Admits an array of `count` elements of at least `sizeMin` bytes each at `at`, or throws. */
  admit(count: number, sizeMin: number, at: number): void {
    if (count * sizeMin > this.end - at) this.truncated(at)
    if (count > this.elementsLeft) throw new DecodeError('TOO_MANY_ELEMENTS', at, `${count} more`)
    this.elementsLeft -= count
  }

  truncated(at: number): never {
    throw new DecodeError('TRUNCATED', at, 'the input ends before the field does')
  }

  invalidLength(at: number): never {
    throw new DecodeError('INVALID_LENGTH', at, 'negative')
  }

  unexpectedNull(at: number): never {
    throw new DecodeError('UNEXPECTED_NULL', at, 'null where this version does not allow it')
  }

  invalidTag(at: number): never {
    throw new DecodeError('INVALID_TAG', at, 'tags out of order, or a size that does not fit its field')
  }

  #checkBounds(): void {
    const { position, end, bytes } = this
    if (!(position >= 0 && position <= end && end <= bytes.length)) {
      throw new RangeError(`[${position}, ${end}) is not inside ${bytes.length} bytes`)
    }
  }
}

/** The uuid at `at` as text. The caller has checked that 16 bytes are there. */
export function uuidAt(bytes: Buffer, at: number): string {
  return bytes.toString('base64url', at, at + 16)
}

/** A plain view into the memory of `bytes`. */
export function viewAt(bytes: Uint8Array, at: number, length: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + at, length)
}
