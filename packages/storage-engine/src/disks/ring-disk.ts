/**
 * The disk of production on Linux: io_uring driven from TypeScript over `node:ffi`, O_DIRECT past the page cache,
 * O_DSYNC through the device's cache.
 *
 * Reads and writes of memory from `allocateBuffer` are submitted in place; any other memory (legal on files opened without
 * `direct`) goes through a page-aligned copy, because the kernel needs an address and the garbage collector may move small
 * arrays. Names, sizes and truncation are rare and use the thread pool.
 */
import { PageArena } from './page-memory.ts'
import { PosixDisk } from './posix-disk.ts'
import type { RawIo } from './posix-file.ts'
import { IO_URING, type RingKernel } from './ring/kernel.ts'
import { Ring } from './ring/ring.ts'
import { SystemCallError } from './system-error.ts'

/** Operations in the kernel at a time unless said otherwise; more wait in the process. */
export const RING_DEPTH_DEFAULT = 128

export interface RingDiskOptions {
  /** Real: `loadNative()`. */
  readonly kernel: RingKernel
  /** Operations in the kernel at a time, a power of two in [1, 4096]. Default `RING_DEPTH_DEFAULT`. */
  readonly depth?: number
  /** Puts something between the contract and the ring, for tests of what the system may answer. */
  readonly wrapIo?: (io: RawIo) => RawIo
}

const arenas = new WeakMap<RingKernel, PageArena>()

export class RingDisk extends PosixDisk {
  readonly kind = 'io_uring'
  readonly #ring: Ring

  /** Throws a `DiskError` `UNSUPPORTED` where the kernel (or a container's policy) refuses io_uring. */
  constructor({ kernel, depth = RING_DEPTH_DEFAULT, wrapIo = io => io }: RingDiskOptions) {
    const arena = arenas.get(kernel) ?? new PageArena(bytes => kernel.mapPages(bytes))
    arenas.set(kernel, arena)
    const ring = new Ring(kernel, depth)
    super(wrapIo(new RingIo(ring, kernel, arena)), arena)
    this.#ring = ring
  }

  protected override closeIo(): Promise<void> {
    return this.#ring.close()
  }
}

class RingIo implements RawIo {
  readonly #ring: Ring
  readonly #kernel: RingKernel
  readonly #arena: PageArena

  constructor(ring: Ring, kernel: RingKernel, arena: PageArena) {
    this.#ring = ring
    this.#kernel = kernel
    this.#arena = arena
  }

  read(fd: number, bytes: Uint8Array, position: number): Promise<number> {
    const base = this.#kernel.addressOf(bytes.buffer)
    if (base === undefined) return this.#readCopy(fd, bytes, position)
    return this.#transfer(IO_URING.opcode.read, fd, position, base + bytes.byteOffset, bytes.length).then(checkRead)
  }

  write(fd: number, bytes: Uint8Array, position: number): Promise<number> {
    const base = this.#kernel.addressOf(bytes.buffer)
    if (base === undefined) return this.#writeCopy(fd, bytes, position)
    return this.#transfer(IO_URING.opcode.write, fd, position, base + bytes.byteOffset, bytes.length).then(checkWrite)
  }

  async sync(fd: number): Promise<void> {
    const flags = IO_URING.fsyncDatasync
    const opcode = IO_URING.opcode.fsync
    check('fdatasync', await this.#ring.submit({ opcode, fd, position: 0, address: 0, length: 0, flags }))
  }

  async allocate(fd: number, start: number, length: number): Promise<void> {
    const opcode = IO_URING.opcode.fallocate
    check('fallocate', await this.#ring.submit({ opcode, fd, position: start, address: length, length: 0, flags: 0 }))
  }

  #transfer(opcode: number, fd: number, position: number, address: number, length: number): Promise<number> {
    return this.#ring.submit({ opcode, fd, position, address, length, flags: 0 })
  }

  async #readCopy(fd: number, bytes: Uint8Array, position: number): Promise<number> {
    const copy = this.#arena.allocate(bytes.length)
    try {
      const count = await this.read(fd, copy.bytes.subarray(0, bytes.length), position)
      bytes.set(copy.bytes.subarray(0, count))
      return count
    } finally {
      copy.release()
    }
  }

  async #writeCopy(fd: number, bytes: Uint8Array, position: number): Promise<number> {
    const copy = this.#arena.allocate(bytes.length)
    try {
      copy.bytes.set(bytes)
      return await this.write(fd, copy.bytes.subarray(0, bytes.length), position)
    } finally {
      copy.release()
    }
  }
}

const checkRead = (result: number): number => check('read', result)
const checkWrite = (result: number): number => check('write', result)

function check(call: string, result: number): number {
  if (result < 0) throw new SystemCallError(call, -result)
  return result
}
