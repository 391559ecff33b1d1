/**
 * The disk as a port: what the storage engine may ask of a device, and nothing more.
 *
 * Three implementations pass one compliance suite (`diskCompliance` in `@milena/storage-engine/testing`):
 * - `RingDisk`: O_DIRECT through io_uring, driven from TypeScript over `node:ffi`; the one for production on Linux.
 * - `ThreadDisk`: `node:fs` on libuv's thread pool, O_DIRECT where the file system has it; the fallback everywhere.
 * - `MemoryDisk`: files in memory that can crash, lose, tear, corrupt, delay, fill up and fail, from a seed.
 *
 * Words:
 * - *written*: `write` resolved. Readers of this process see the bytes; a power cut may still take them.
 * - *durable*: written to a file opened with `durable: true`, or covered by a later `sync()` that resolved. Survives
 *   kill -9 and power loss, through the device's own cache. Includes what is needed to find the bytes again (file size,
 *   extents); a *name* (create, link, rename, remove) is durable only after `syncDirectory` of its folder.
 *
 * Invariant: after the first failed `write` on a durable file or the first failed `sync`, that file is poisoned: every
 * later write, sync or change of size through that `DiskFile` rejects with the same `DiskError`. Nobody retries a flush (fsync
 * may report success the second time although the pages are gone: Rebello et al., ATC '20). Calls that never reached the
 * device (`MISALIGNED`, `CLOSED`, a write to a file opened for reading) poison nothing.
 *
 * Concurrency: any number of operations may be in flight on a file, and they complete in any order. Two writes in flight that
 * overlap leave either one's bytes; whoever needs an order waits. A buffer belongs to the disk until its operation settled.
 */

/** Page-aligned memory that the kernel may read or write during an operation. Allocated once, reused for ever. */
export interface AlignedBuffer {
  /** The bytes. Its start is a multiple of `Disk.alignment`; its length as well. */
  readonly bytes: Uint8Array
  /** Gives the memory back, for the next caller. No operation on it may be in flight; `bytes` must not be touched afterwards. */
  release(): void
}

/** How a file is opened. */
export interface OpenOptions {
  /** `read`: must exist. `write`: read and write, must exist. `create`: read and write, made when missing. */
  readonly mode: 'read' | 'write' | 'create'
  /**
   * Bypass the page cache: positions, lengths and the starts of views must be multiples of `Disk.alignment`, and the memory
   * must come from `Disk.allocateBuffer`; anything else is refused as `MISALIGNED`, on every disk and file system.
   */
  readonly direct: boolean
  /** Every `write` is durable when it resolves (O_DSYNC). */
  readonly durable: boolean
}

/** An open file. */
export interface DiskFile {
  readonly path: string
  /** Reads up to `buffer.length` bytes at `position`; fewer only at the end of the file. Resolves to the count. */
  read(buffer: Uint8Array, position: number): Promise<number>
  /** Writes all of `buffer` at `position` (short writes are continued inside) or rejects. */
  write(buffer: Uint8Array, position: number): Promise<void>
  /** Makes all that was written before this call durable (fdatasync). */
  sync(): Promise<void>
  /** Reserves space for `[start, end)` so that later writes there cannot fail for want of it; extends the file. */
  allocate(start: number, end: number): Promise<void>
  /** Cuts or extends (with zeros) to `length` bytes. Durable after `sync`. */
  truncate(length: number): Promise<void>
  /** Bytes in the file now. */
  size(): Promise<number>
  /** Names that the file has now (`Disk.link`); 0 once it was removed. */
  linkCount(): Promise<number>
  /** Waits for operations in flight, then closes. Further calls reject with `CLOSED`. */
  close(): Promise<void>
}

/** A file system, as far as the store needs it. */
export interface Disk {
  readonly kind: 'io_uring' | 'threads' | 'memory'
  /** Bytes; a power of two, at least 512, at most 4096. */
  readonly alignment: number
  /** Page-aligned memory for direct I/O, zeroed. Throws a `DiskError` `NO_MEMORY`. `bytes` is rounded up. */
  allocateBuffer(bytes: number): AlignedBuffer
  open(path: string, options: OpenOptions): Promise<DiskFile>
  /** Makes `path` and its missing parents; durable (each parent synced) when it resolves. No error if it exists. */
  makeDirectory(path: string): Promise<void>
  /** Names in a folder, sorted; empty when the folder is missing. */
  list(path: string): Promise<string[]>
  /**
   * Gives the file `source` a second name: `target`, which must not exist (`IO`). Both are the same file from then on; it is
   * there until the last name is removed. `UNSUPPORTED` where that cannot be: another file system, one without links, or a file
   * that may not have more of them. Durable after `syncDirectory` of the new name's folder.
   */
  link(source: string, target: string): Promise<void>
  /** Replaces `target` atomically. Durable after `syncDirectory`. */
  rename(source: string, target: string): Promise<void>
  /** Removes a file, or a folder with all that is in it. No error when missing. */
  remove(path: string): Promise<void>
  /** Makes creations, links, renames and removals in this folder durable. */
  syncDirectory(path: string): Promise<void>
  /** Bytes that can still be written on the file system that holds `path`. */
  freeBytes(path: string): Promise<number>
  /** Size of the file system that holds `path`, whatever of it is taken. */
  totalBytes(path: string): Promise<number>
  /** Waits for operations in flight and frees rings, descriptors and memory. */
  close(): Promise<void>
}
