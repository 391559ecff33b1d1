/**
 * A file on a real disk: the contract of `DiskFile` over four raw calls that may be short, interrupted or refused.
 * `RingDisk` makes the raw calls with io_uring, `ThreadDisk` with the thread pool; what is promised is the same.
 */
import type { DiskFile, OpenOptions } from '../disk.ts'
import { DiskError } from '../errors.ts'
import { FileGuard } from './file-guard.ts'
import { PAGE_BYTES, type PageArena } from './page-memory.ts'
import * as names from './posix-names.ts'
import { codeOf, toDiskError } from './system-error.ts'

/** Raw calls on a descriptor. They reject with errors that carry an errno name in `code`. Buffers stay the caller's. */
export interface RawIo {
  /** Bytes read; 0 at the end of the file. May be short. */
  read(fd: number, bytes: Uint8Array, position: number): Promise<number>
  /** Bytes written. May be short. */
  write(fd: number, bytes: Uint8Array, position: number): Promise<number>
  /** fdatasync. */
  sync(fd: number): Promise<void>
  /** Reserves space and extends the file; rejects with EOPNOTSUPP where the file system cannot. */
  allocate(fd: number, start: number, length: number): Promise<void>
}

/** A call that is interrupted this often in a row is broken. */
const RETRIES_MAX = 1000
const ZERO_BYTES = 1 << 20
/** The file system has no fallocate, or it was interrupted: writing reserves as well. */
const CANNOT_ALLOCATE: ReadonlySet<string> = new Set(['EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EINTR', 'EAGAIN'])

export class PosixFile implements DiskFile {
  readonly path: string
  readonly #io: RawIo
  readonly #arena: PageArena
  readonly #fd: number
  readonly #guard: FileGuard
  /** Granule at which an interrupted transfer may be continued. */
  readonly #granule: number
  /** Whether a durable write still needs a flush of its own. */
  readonly #flushAfterWrite: boolean
  readonly #onClose: (file: PosixFile) => void

  constructor(
    host: { io: RawIo; arena: PageArena; alignment: number; onClose: (file: PosixFile) => void },
    path: string,
    options: OpenOptions,
    descriptor: names.Descriptor
  ) {
    this.path = path
    this.#io = host.io
    this.#arena = host.arena
    this.#fd = descriptor.fd
    this.#guard = new FileGuard(path, options, host.alignment)
    this.#granule = options.direct ? host.alignment : 1
    this.#flushAfterWrite = options.durable && !descriptor.synchronous
    this.#onClose = host.onClose
  }

  read(buffer: Uint8Array, position: number): Promise<number> {
    return this.#guard.use(() => {
      const misalignment = this.#guard.misalignment(buffer, position)
      if (misalignment !== undefined) return Promise.reject(misalignment)
      return this.#readAll(buffer, position)
    })
  }

  write(buffer: Uint8Array, position: number): Promise<void> {
    const misalignment = this.#guard.misalignment(buffer, position)
    if (misalignment !== undefined) return Promise.reject(misalignment)
    return this.#guard.change(this.#guard.options.durable, () => this.#writeAll(buffer, position))
  }

  sync(): Promise<void> {
    return this.#guard.change(true, () => this.#wrap('fdatasync', () => this.#io.sync(this.#fd)))
  }

  allocate(start: number, end: number): Promise<void> {
    return this.#guard.change(false, () =>
      this.#wrap('allocate', async () => {
        if (end <= start) return
        try {
          await this.#io.allocate(this.#fd, start, end - start)
        } catch (error) {
          if (!CANNOT_ALLOCATE.has(codeOf(error))) throw error
          await this.#allocateByWriting(start, end)
        }
      })
    )
  }

  truncate(length: number): Promise<void> {
    return this.#guard.change(false, () => this.#wrap('truncate', () => names.truncate(this.#fd, length)))
  }

  size(): Promise<number> {
    return this.#guard.use(() => this.#wrap('fstat', () => names.size(this.#fd)))
  }

  linkCount(): Promise<number> {
    return this.#guard.use(() => this.#wrap('fstat', () => names.linkCount(this.#fd)))
  }

  close(): Promise<void> {
    return this.#guard.close(async () => {
      this.#onClose(this)
      await this.#wrap('close', () => names.close(this.#fd))
    })
  }

  async #readAll(buffer: Uint8Array, position: number): Promise<number> {
    let done = 0
    let interruptions = 0
    while (done < buffer.length) {
      const rest = done === 0 ? buffer : buffer.subarray(done)
      try {
        const count = await this.#io.read(this.#fd, rest, position + done)
        done += count
        // A direct read that stops inside a block stopped at the end of the file; going on there would be misaligned.
        if (count === 0 || count % this.#granule !== 0) break
      } catch (error) {
        this.#continueIfInterrupted('read', error, ++interruptions)
      }
    }
    return done
  }

  async #writeAll(buffer: Uint8Array, position: number): Promise<void> {
    let done = 0
    let interruptions = 0
    while (done < buffer.length) {
      const rest = done === 0 ? buffer : buffer.subarray(done)
      try {
        const count = await this.#io.write(this.#fd, rest, position + done)
        const whole = count - (count % this.#granule)
        if (whole === 0) throw new DiskError('IO', this.path, `the device took ${count} bytes at ${position + done}`)
        done += whole
      } catch (error) {
        this.#continueIfInterrupted('write', error, ++interruptions)
      }
    }
    if (this.#flushAfterWrite) await this.#wrap('fdatasync', () => this.#io.sync(this.#fd))
  }

  #continueIfInterrupted(call: string, error: unknown, interruptions: number): void {
    const code = codeOf(error)
    if ((code !== 'EINTR' && code !== 'EAGAIN') || interruptions >= RETRIES_MAX)
      throw toDiskError(this.path, call, error)
  }

  /** Without fallocate: writes back what is there (zeros in holes), so that every block has its place. */
  async #allocateByWriting(start: number, end: number): Promise<void> {
    const memory = this.#arena.allocate(Math.min(ZERO_BYTES, end - start + 2 * PAGE_BYTES))
    try {
      const { bytes } = memory
      const sizeBefore = await names.size(this.#fd)
      let position = start - (start % this.#granule)
      while (position < end) {
        const step = Math.min(bytes.length, Math.ceil((end - position) / this.#granule) * this.#granule)
        const piece = bytes.subarray(0, step).fill(0)
        await this.#readAll(piece, position)
        await this.#writeAll(piece, position)
        position += step
      }
      if (sizeBefore < end && position > end) await names.truncate(this.#fd, end)
    } finally {
      memory.release()
    }
  }

  async #wrap<T>(what: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (error) {
      throw toDiskError(this.path, what, error)
    }
  }
}
