/**
 * What every `DiskFile` owes its callers whatever device is beneath: refusal of misaligned or late calls, poisoning after
 * the first failure that could have lost data, and a `close` that waits for what is in flight.
 */
import type { OpenOptions } from '../disk.ts'
import { DiskError } from '../errors.ts'

const alignedMemory = new WeakMap<ArrayBufferLike, number>()

/** Records that this memory starts at a multiple of `alignment` bytes. Called by `Disk.allocateBuffer` only. */
export function registerAlignedMemory(memory: ArrayBufferLike, alignment: number): void {
  alignedMemory.set(memory, alignment)
}

/** Whether these bytes may take part in direct I/O: from `allocateBuffer`, start and length multiples of `alignment`. */
export function isAligned(bytes: Uint8Array, alignment: number): boolean {
  const known = alignedMemory.get(bytes.buffer) ?? 1
  return known % alignment === 0 && bytes.byteOffset % alignment === 0 && bytes.length % alignment === 0
}

export class FileGuard {
  readonly path: string
  readonly options: OpenOptions
  readonly #alignment: number
  #poison: DiskError | undefined
  #closing: Promise<void> | undefined
  #inFlight = 0
  #whenIdle: (() => void) | undefined

  constructor(path: string, options: OpenOptions, alignment: number) {
    this.path = path
    this.options = options
    this.#alignment = alignment
  }

  /** Runs a read or another operation that cannot lose data. */
  async use<T>(operation: () => Promise<T>): Promise<T> {
    this.#enter()
    try {
      return await operation()
    } finally {
      this.#leave()
    }
  }

  /**
   * Runs a write, flush or change of size. Once poisoned every call rejects with the error that poisoned the file.
   * `promised`: whether a failure means that durable bytes may be gone (a flush, or a write that is its own flush).
   */
  async change<T>(promised: boolean, operation: () => Promise<T>): Promise<T> {
    if (this.options.mode === 'read') throw new DiskError('UNSUPPORTED', this.path, 'the file is open for reading')
    this.#enter()
    try {
      if (this.#poison !== undefined) throw this.#poison
      return await operation()
    } catch (error) {
      if (promised && error instanceof DiskError) this.#poison ??= error
      throw error
    } finally {
      this.#leave()
    }
  }

  /** What the kernel would answer with EINVAL, refused the same way on every disk; undefined when all is well. */
  misalignment(bytes: Uint8Array, position: number): DiskError | undefined {
    if (!Number.isSafeInteger(position) || position < 0) {
      return new DiskError('MISALIGNED', this.path, `position ${position} is not a byte position`)
    }
    if (!this.options.direct || (position % this.#alignment === 0 && isAligned(bytes, this.#alignment)))
      return undefined
    const at = `position ${position}, length ${bytes.length}, offset ${bytes.byteOffset} in its memory`
    return new DiskError('MISALIGNED', this.path, `direct I/O needs multiples of ${this.#alignment}: ${at}`)
  }

  /** Waits for operations in flight, then runs `release` once; later calls share the result. */
  close(release: () => Promise<void> | void): Promise<void> {
    this.#closing ??= this.#drain().then(release)
    return this.#closing
  }

  #enter(): void {
    if (this.#closing !== undefined) throw new DiskError('CLOSED', this.path, 'the file is closed')
    this.#inFlight += 1
  }

  #leave(): void {
    this.#inFlight -= 1
    if (this.#inFlight === 0) this.#whenIdle?.()
  }

  #drain(): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve()
    return new Promise(resolve => (this.#whenIdle = resolve))
  }
}
