/**
 * Chooses the disk for a data folder: io_uring when it really works there, the thread pool otherwise, with the reason.
 * "Works" is proven by a write that is read back, O_DIRECT and durable, in the folder itself: containers often forbid
 * io_uring, and file systems differ.
 */
import type { Disk } from '../disk.ts'
import { DiskError } from '../errors.ts'
import type { PosixDisk } from './posix-disk.ts'
import { RingDisk } from './ring-disk.ts'
import type { RingKernel } from './ring/kernel.ts'
import { loadNative } from './ring/native.ts'
import { ThreadDisk } from './thread-disk.ts'

/** Which disk is wanted. */
export interface OpenDiskOptions {
  /** The data folder; made when it is missing. */
  readonly folder: string
  /** `threads` does not try io_uring. Default `io_uring`. */
  readonly prefer?: 'io_uring' | 'threads'
  /** Operations in the kernel at a time; see `RingDiskOptions`. */
  readonly depth?: number
  /** The kernel to try, for tests; or the reason why there is none. Default `loadNative()`. */
  readonly native?: { readonly native: RingKernel } | { readonly reason: string }
}

/** The best disk that there is, and why it is not a better one. */
export interface OpenedDisk {
  readonly disk: Disk
  /** Why io_uring, although preferred, is not used. To be logged once. */
  readonly fallbackReason?: string
  /** Why files go through the page cache although O_DIRECT was asked for. To be logged once. */
  readonly bufferedReason?: string
}

/** Rejects with the `DiskError` of the thread pool's probe when the folder cannot be written at all. */
export async function openDisk(options: OpenDiskOptions): Promise<OpenedDisk> {
  if (options.prefer === 'threads') return openThreads(options.folder)
  try {
    return await openRing(options)
  } catch (error) {
    return { ...(await openThreads(options.folder)), fallbackReason: reasonOf(error) }
  }
}

async function openRing({ folder, depth, native = loadNative() }: OpenDiskOptions): Promise<OpenedDisk> {
  if ('reason' in native) throw new DiskError('UNSUPPORTED', folder, native.reason)
  return probed(new RingDisk({ kernel: native.native, ...(depth === undefined ? {} : { depth }) }), folder)
}

function openThreads(folder: string): Promise<OpenedDisk> {
  return probed(new ThreadDisk(), folder)
}

async function probed(disk: PosixDisk, folder: string): Promise<OpenedDisk> {
  try {
    await probe(disk, folder)
  } catch (error) {
    await disk.close()
    throw error
  }
  if (disk.directRefused === undefined) return { disk }
  return { disk, bufferedReason: `the file system of ${folder} refuses O_DIRECT` }
}

let probeCount = 0

async function probe(disk: Disk, folder: string): Promise<void> {
  await disk.makeDirectory(folder)
  probeCount += 1
  const path = `${folder}/.disk-probe-${process.pid}-${probeCount}`
  const memory = disk.allocateBuffer(2 * disk.alignment)
  const written = memory.bytes.subarray(0, disk.alignment)
  const back = memory.bytes.subarray(disk.alignment)
  for (let index = 0; index < written.length; index++) written[index] = (index * 31 + probeCount) & 0xff
  const file = await disk.open(path, { mode: 'create', direct: true, durable: true })
  try {
    await file.write(written, 0)
    const count = await file.read(back, 0)
    const same = count === written.length && written.every((byte, index) => back[index] === byte)
    if (!same) throw new DiskError('IO', path, 'a probe read back other bytes than it wrote')
  } finally {
    await file.close()
    await disk.remove(path)
    memory.release()
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}
