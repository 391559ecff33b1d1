/**
 * gRPC's messages out of the bytes of an HTTP/2 stream, which come in pieces of any size.
 *
 *     | compressed: 1 byte, 0 | length: 4 bytes, big-endian | message | next ...
 *
 * A message that arrived in one piece is a view of that piece; others are put together in a buffer that is used again and again,
 * which saves the allocation of every large message. Memory follows what arrived, never what a length announces.
 */

/** Bytes before each message. */
export const PREFIX_BYTES = 5

/** Buffers up to this size are kept for the next message. */
const KEPT_BYTES_MAX = 2 * 1024 * 1024
const FIRST_BUFFER_BYTES = 16 * 1024

const NO_BYTES = Buffer.alloc(0)

/** What arrived is not gRPC, or above the bound. */
export class GrpcFramingError extends Error {
  readonly code = 'GRPC_FRAMING'
  constructor(message: string) {
    super(message)
    this.name = 'GrpcFramingError'
  }
}

export class GrpcMessageReader {
  readonly #bytesMax: number
  readonly #onMessage: (message: Uint8Array) => void
  readonly #prefix = Buffer.alloc(PREFIX_BYTES)
  #prefixLength = 0
  /** Length of the message that is being read; undefined while its prefix is. */
  #length: number | undefined
  #buffer: Buffer = NO_BYTES
  #received = 0
  #stopped = false

  /** `onMessage` gets messages of at most `bytesMax` bytes, valid until it returns. */
  constructor(bytesMax: number, onMessage: (message: Uint8Array) => void) {
    this.#bytesMax = bytesMax
    this.#onMessage = onMessage
  }

  /** Takes the next piece. Throws `GrpcFramingError`; what comes after that is undefined. */
  push(piece: Buffer): void {
    let position = 0
    while (!this.#stopped && position < piece.length) {
      position = this.#length === undefined ? this.#readPrefix(piece, position) : this.#readMessage(piece, position)
    }
  }

  /** Ignores the rest, also of the piece that is being read. */
  stop(): void {
    this.#stopped = true
    this.#buffer = NO_BYTES
  }

  #readPrefix(piece: Buffer, start: number): number {
    const end = Math.min(start + PREFIX_BYTES - this.#prefixLength, piece.length)
    piece.copy(this.#prefix, this.#prefixLength, start, end)
    this.#prefixLength += end - start
    if (this.#prefixLength < PREFIX_BYTES) return end
    this.#prefixLength = 0
    if (this.#prefix[0] !== 0) throw new GrpcFramingError('compressed messages are not taken')
    const length = this.#prefix.readUInt32BE(1)
    if (length > this.#bytesMax) throw new GrpcFramingError(`a message of ${length} bytes, at most ${this.#bytesMax}`)
    if (length === 0) this.#onMessage(NO_BYTES)
    else this.#length = length
    return end
  }

  #readMessage(piece: Buffer, start: number): number {
    const length = this.#length!
    const end = Math.min(start + length - this.#received, piece.length)
    if (this.#received === 0 && end - start === length) return this.#finish(piece.subarray(start, end), end)
    this.#reserve(this.#received + end - start, length)
    piece.copy(this.#buffer, this.#received, start, end)
    this.#received += end - start
    if (this.#received < length) return end
    return this.#finish(this.#buffer.subarray(0, length), end)
  }

  #finish(message: Buffer, end: number): number {
    this.#length = undefined
    this.#received = 0
    this.#onMessage(message)
    if (this.#buffer.length > KEPT_BYTES_MAX) this.#buffer = NO_BYTES
    return end
  }

  /** Makes room for `bytes`, of `length` that are to come in all. */
  #reserve(bytes: number, length: number): void {
    if (this.#buffer.length >= bytes) return
    const capacity = Math.min(Math.max(2 * bytes, FIRST_BUFFER_BYTES), Math.max(length, FIRST_BUFFER_BYTES))
    const larger = Buffer.allocUnsafeSlow(capacity)
    this.#buffer.copy(larger, 0, 0, this.#received)
    this.#buffer = larger
  }
}
