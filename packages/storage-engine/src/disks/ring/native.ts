/* Real implementation of a port: libc, libuv and io_uring through `node:ffi`. */
/**
 * The only room that touches `node:ffi` (experimental: its names may change). It is loaded lazily and may be missing: other
 * platforms, a Node without it, a permission model that forbids it. `loadNative` then says why, and nothing else happens.
 *
 * Pitfalls that shape this file:
 * - libuv and the kernel hold raw addresses that the garbage collector knows nothing of: libraries, callbacks, poll handles
 *   and pages are kept for ever. Only a drained ring's own mappings are given back.
 * - errno is read from its address (constant per thread) at once after the call, before anything else can change it.
 * - 64-bit parameters want BigInt; the hot call (`enter`) gets its constants prebuilt and returns int32.
 */
import fs from 'node:fs'
import { isMainThread } from 'node:worker_threads'
import type { RingKernel, RingWatch } from './kernel.ts'

type Ffi = typeof import('node:ffi')

const SYS_IO_URING_SETUP = 425n
const SYS_IO_URING_ENTER = 426n
const PROT_READ_WRITE = 3
const MAP_SHARED = 1
const MAP_PRIVATE_ANONYMOUS = 0x22
const MAP_POPULATE = 0x8000
const MAP_FAILED = 0xffff_ffff_ffff_ffffn
const UV_POLL = 8
const UV_READABLE = 1
const RETRY_MS = 1

/** What the machine offers through FFI. */
export interface Native extends RingKernel {
  /** fallocate(2), synchronous; 0 or -errno. */
  fallocate(fd: number, start: number, length: number): number
}

const retained: unknown[] = []
let loaded: { native: Native } | { reason: string } | undefined

/** The native calls, or why there are none. The answer is the same for the life of the process. */
export function loadNative(): { native: Native } | { reason: string } {
  loaded ??= load()
  return loaded
}

function load(): { native: Native } | { reason: string } {
  if (process.platform !== 'linux') return { reason: `io_uring needs Linux, this is ${process.platform}` }
  // Handles on a worker's own event loop would outlive it.
  if (!isMainThread) return { reason: 'io_uring is used from the main thread only' }
  try {
    const ffi = process.getBuiltinModule('node:ffi') as Ffi | undefined
    if (ffi === undefined) return { reason: 'this Node has no node:ffi' }
    return { native: bind(ffi) }
  } catch (error) {
    return { reason: `node:ffi does not work here: ${error instanceof Error ? error.message : String(error)}` }
  }
}

function bindLibc(ffi: Ffi) {
  return ffi.dlopen(null, {
    mmap: { arguments: ['uint64', 'uint64', 'int32', 'int32', 'int32', 'int64'], return: 'uint64' },
    munmap: { arguments: ['uint64', 'uint64'], return: 'int32' },
    fallocate: { arguments: ['int32', 'int32', 'int64', 'int64'], return: 'int32' },
    __errno_location: { arguments: [], return: 'uint64' },
    syscall: { arguments: ['int64', 'int32', 'uint32', 'uint32', 'uint32', 'int64', 'int64'], return: 'int32' }
  } as const)
}

/** The process image again, because one symbol can have one signature only. */
function bindSetup(ffi: Ffi) {
  return ffi.dlopen(null, {
    syscall: { arguments: ['int64', 'uint32', 'uint64'], return: 'int32' }
  } as const)
}

function bindLibuv(ffi: Ffi) {
  return ffi.dlopen(null, {
    uv_handle_size: { arguments: ['int32'], return: 'uint64' },
    uv_poll_init: { arguments: ['uint64', 'uint64', 'int32'], return: 'int32' },
    uv_poll_start: { arguments: ['uint64', 'int32', 'uint64'], return: 'int32' },
    uv_poll_stop: { arguments: ['uint64'], return: 'int32' },
    uv_close: { arguments: ['uint64', 'uint64'], return: 'void' },
    uv_ref: { arguments: ['uint64'], return: 'void' },
    uv_unref: { arguments: ['uint64'], return: 'void' }
  } as const)
}

function bind(ffi: Ffi): Native {
  const libc = bindLibc(ffi)
  const setup = bindSetup(ffi)
  const libuv = bindLibuv(ffi)
  retained.push(libc, setup, libuv)
  const errnoMemory = ffi.toArrayBuffer(libc.functions.__errno_location(), 4, false)
  const errno = new Int32Array(errnoMemory)
  const result = (value: number): number => (value < 0 ? -(errno[0] ?? 0) : value)
  const { mmap, munmap, syscall, fallocate } = libc.functions
  const addresses = new WeakMap<ArrayBufferLike, number>()

  const map = (bytes: number, flags: number, fd: number, offset: number): ArrayBuffer => {
    const address = mmap(0n, BigInt(bytes), PROT_READ_WRITE, flags, fd, BigInt(offset))
    if (address === MAP_FAILED) throw new Error(`mmap of ${bytes} bytes: errno ${errno[0]}`)
    const memory = ffi.toArrayBuffer(address, bytes, false)
    addresses.set(memory, Number(address))
    return memory
  }
  const mapPages = (bytes: number): ArrayBuffer => {
    const memory = map(bytes, MAP_PRIVATE_ANONYMOUS, -1, 0)
    retained.push(memory)
    return memory
  }
  const watch = bindWatches(ffi, libuv, mapPages)

  return {
    setup: (entries, params) =>
      result(setup.functions.syscall(SYS_IO_URING_SETUP, entries, ffi.getRawPointer(params.buffer))),
    mapRing: (ringFd, bytes, offset) => map(bytes, MAP_SHARED | MAP_POPULATE, ringFd, offset),
    enter: (ringFd, toSubmit, minComplete, flags) =>
      result(syscall(SYS_IO_URING_ENTER, ringFd, toSubmit, minComplete, flags, 0n, 0n)),
    unmapRing: memory => {
      const address = BigInt(addresses.get(memory) ?? 0)
      const bytes = BigInt(memory.byteLength)
      memory.transfer()
      if (address !== 0n) munmap(address, bytes)
    },
    watch,
    afterTurn: callback => void setImmediate(callback),
    afterPause: callback => void setTimeout(callback, RETRY_MS),
    close: ringFd => fs.closeSync(ringFd),
    addressOf: memory => addresses.get(memory),
    mapPages,
    fallocate: (fd, start, length) => result(fallocate(fd, 0, BigInt(start), BigInt(length)))
  }
}

/**
 * `uv_poll_t` handles on Node's own loop. They poll the ring's descriptor itself (readable while completions wait): no eventfd
 * to be read, one system call less per wake-up. All share one callback; their memory is used again once libuv has closed them.
 */
function bindWatches(
  ffi: Ffi,
  { lib, functions: uv }: ReturnType<typeof bindLibuv>,
  mapPages: (bytes: number) => ArrayBuffer
): RingKernel['watch'] {
  const watched = new Map<bigint, () => void>()
  const free: bigint[] = []
  const onPoll = lib.registerCallback({ arguments: ['uint64', 'int32', 'int32'], return: 'void' }, handle => {
    watched.get(handle)?.()
  })
  const onClosed = lib.registerCallback({ arguments: ['uint64'], return: 'void' }, handle => {
    free.push(handle)
  })
  const bytes = Number(uv.uv_handle_size(UV_POLL))

  return (fd, onReadable): RingWatch => {
    const handle = free.pop() ?? ffi.getRawPointer(mapPages(bytes))
    const initialised = uv.uv_poll_init(ffi.getCurrentEventLoop(), handle, fd)
    if (initialised !== 0) throw new Error(`uv_poll_init: ${initialised}`)
    const stop = (): void => {
      watched.delete(handle)
      uv.uv_poll_stop(handle)
      uv.uv_close(handle, onClosed)
    }
    watched.set(handle, onReadable)
    const started = uv.uv_poll_start(handle, UV_READABLE, onPoll)
    if (started !== 0) {
      stop()
      throw new Error(`uv_poll_start: ${started}`)
    }
    uv.uv_unref(handle)
    return { keepAlive: on => (on ? uv.uv_ref(handle) : uv.uv_unref(handle)), stop }
  }
}
