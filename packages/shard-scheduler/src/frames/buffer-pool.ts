/**
 * Memory for large messages on their way out, used again: allocating and freeing 128 KiB for each costs as much as sending it.
 * Buffers come in sizes of four steps per power of two; what is given back is kept up to `KEPT_BYTES_MAX`, the rest is the
 * collector's. Whoever does not give a buffer back loses nothing but the saving.
 */

/** Smaller ones are left to Node's own pool. */
export const POOLED_BYTES_MIN = 16 * 1024
const POOLED_BYTES_MAX = 4 * 1024 * 1024
const KEPT_BYTES_MAX = 16 * 1024 * 1024

export class BufferPool {
  readonly #free = new Map<number, ArrayBuffer[]>()
  #keptBytes = 0

  /** Bytes that wait to be used again. */
  get keptBytes(): number {
    return this.#keptBytes
  }

  /** A buffer of exactly `length` bytes with anything in it. */
  take(length: number): Buffer {
    if (length < POOLED_BYTES_MIN || length > POOLED_BYTES_MAX) return Buffer.allocUnsafe(length)
    const size = sizeFor(length)
    const block = this.#free.get(size)?.pop()
    if (block === undefined) return Buffer.from(Buffer.allocUnsafeSlow(size).buffer, 0, length)
    this.#keptBytes -= size
    return Buffer.from(block, 0, length)
  }

  /** Takes a buffer of `take` back. Nobody may look at it any more. */
  give(buffer: Uint8Array): void {
    if (buffer.length < POOLED_BYTES_MIN || buffer.length > POOLED_BYTES_MAX) return
    const block = buffer.buffer as ArrayBuffer
    const size = block.byteLength
    if (size !== sizeFor(buffer.length) || this.#keptBytes + size > KEPT_BYTES_MAX) return
    this.#keptBytes += size
    const free = this.#free.get(size)
    if (free === undefined) this.#free.set(size, [block])
    else free.push(block)
  }
}

/** `length` rounded up to a quarter of the power of two below it. */
function sizeFor(length: number): number {
  const step = 1 << (29 - Math.clz32(length - 1))
  return Math.ceil(length / step) * step
}
