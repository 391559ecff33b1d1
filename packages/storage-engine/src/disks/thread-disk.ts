/* Real implementation of a port: `node:fs` on libuv's thread pool. */
/**
 * The disk everywhere io_uring is not: the same O_DIRECT and O_DSYNC descriptors, each call on a thread of libuv's pool
 * (4 unless UV_THREADPOOL_SIZE says otherwise, so at most as many calls at once). About the same latency at depth 1 and
 * 40 to 90 % more CPU per call than io_uring.
 *
 * Memory is page-aligned: mapped through FFI where that exists, otherwise WebAssembly memory (see `page-memory.ts`).
 * Where the file system refuses O_DIRECT, files go through the page cache and `directRefused` names the first.
 * Outside Linux a durable write is a write followed by a flush.
 */
import fs from 'node:fs'
import { promisify } from 'node:util'
import { PageArena, webAssemblyPages } from './page-memory.ts'
import { PosixDisk } from './posix-disk.ts'
import type { RawIo } from './posix-file.ts'
import { loadNative, type Native } from './ring/native.ts'
import { SystemCallError } from './system-error.ts'

const syncData = promisify(fs.fdatasync)
const webAssemblyArena = new PageArena(webAssemblyPages)
const nativeArenas = new WeakMap<Native, PageArena>()

function nativeArena(native: Native): PageArena {
  const arena = nativeArenas.get(native) ?? new PageArena(bytes => native.mapPages(bytes))
  nativeArenas.set(native, arena)
  return arena
}

export interface ThreadDiskOptions {
  /** Puts something between the contract and the system's calls, for tests of what the system may answer. */
  readonly wrapIo?: (io: RawIo) => RawIo
  /** The native calls, or why there are none. Default `loadNative()`. */
  readonly native?: ReturnType<typeof loadNative>
}

export class ThreadDisk extends PosixDisk {
  readonly kind = 'threads'

  constructor({ wrapIo = io => io, native: loaded = loadNative() }: ThreadDiskOptions = {}) {
    const native = 'native' in loaded ? loaded.native : undefined
    super(wrapIo(new ThreadIo(native)), native === undefined ? webAssemblyArena : nativeArena(native))
  }

  protected override closeIo(): Promise<void> {
    return Promise.resolve()
  }
}

class ThreadIo implements RawIo {
  readonly #native: Native | undefined

  constructor(native: Native | undefined) {
    this.#native = native
  }

  read(fd: number, bytes: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.read(fd, bytes, 0, bytes.length, position, (error, count) => (error === null ? resolve(count) : reject(error)))
    })
  }

  write(fd: number, bytes: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.write(fd, bytes, 0, bytes.length, position, (error, count) =>
        error === null ? resolve(count) : reject(error)
      )
    })
  }

  sync(fd: number): Promise<void> {
    return syncData(fd)
  }

  /** One synchronous call: reserving extents takes the file system microseconds, `node:fs` has no asynchronous one. */
  allocate(fd: number, start: number, length: number): Promise<void> {
    const result = this.#native?.fallocate(fd, start, length)
    if (result === undefined) return Promise.reject(new SystemCallError('fallocate', EOPNOTSUPP))
    return result === 0 ? Promise.resolve() : Promise.reject(new SystemCallError('fallocate', -result))
  }
}

const EOPNOTSUPP = 95
