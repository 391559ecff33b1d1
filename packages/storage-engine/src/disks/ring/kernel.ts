/**
 * What a ring needs of the operating system, as a port: the io_uring system calls, mapped memory, and the event loop's
 * notice that a descriptor is readable. `native.ts` is the real one; tests pass kernels that refuse, interrupt or overflow.
 *
 * Calls return what the kernel does: a result, or the negative errno.
 */
export interface RingKernel {
  /** io_uring_setup(2): fills `params` (120 bytes, in and out) and returns the ring's descriptor or -errno. */
  setup(entries: number, params: Uint8Array<ArrayBuffer>): number
  /** Maps a region of the ring. Throws when it cannot. */
  mapRing(ringFd: number, bytes: number, offset: number): ArrayBuffer
  /** Unmaps a region of `mapRing`; every view of it is detached first, so that a late access throws instead of crashing. */
  unmapRing(memory: ArrayBuffer): void
  /** io_uring_enter(2): returns the number of entries consumed or -errno. Does not block when `minComplete` is 0. */
  enter(ringFd: number, toSubmit: number, minComplete: number, flags: number): number
  /**
   * Calls `onReadable` from the event loop whenever `fd` is readable, until stopped. `onReadable` runs outside of JavaScript's
   * turn: microtasks and ticks do not run after it, and an exception kills the process, so it may only call `afterTurn`.
   */
  watch(fd: number, onReadable: () => void): RingWatch
  /** Runs `callback` in a turn of its own as soon as the event loop comes round (setImmediate). */
  afterTurn(callback: () => void): void
  /** Runs `callback` about a millisecond from now: the kernel asked for patience and nothing in flight will wake us. */
  afterPause(callback: () => void): void
  /** Closes the ring's descriptor. */
  close(ringFd: number): void
  /** The address of the first byte of memory that never moves and is never freed; undefined for any other memory. */
  addressOf(memory: ArrayBufferLike): number | undefined
  /** Page-aligned, zeroed memory for ever, with a known address. Throws when there is none. */
  mapPages(bytes: number): ArrayBuffer
}

export interface RingWatch {
  /** Whether the watch keeps the event loop (and so the process) alive. Initially not. */
  keepAlive(on: boolean): void
  /** Ends it. `onReadable` is not called afterwards. */
  stop(): void
}

/** io_uring's numbers, from the kernel's ABI (they never change); the same on x86-64 and arm64. */
export const IO_URING = {
  opcode: { nop: 0, fsync: 3, fallocate: 17, read: 22, write: 23 },
  setup: { cqSize: 1 << 3, clamp: 1 << 4, coopTaskrun: 1 << 8, singleIssuer: 1 << 12 },
  enter: { getEvents: 1 << 0 },
  feature: { singleMmap: 1 << 0, nodrop: 1 << 1 },
  fsyncDatasync: 1,
  sqOverflowFlag: 1 << 1,
  mapOffset: { sqRing: 0, cqRing: 0x800_0000, sqes: 0x1000_0000 },
  paramsBytes: 120,
  sqeBytes: 64,
  cqeBytes: 16
} as const

/** Errnos that a ring treats by itself; the same on x86-64 and arm64. */
export const ERRNO = { EINTR: 4, EAGAIN: 11, EBUSY: 16, EINVAL: 22 } as const
