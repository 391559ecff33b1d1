/**
 * What the two real disks have in common: open files, names, page-aligned memory, an orderly end. They differ in how bytes
 * reach the device (`RawIo`).
 */
import type { AlignedBuffer, Disk, DiskFile, OpenOptions } from '../disk.ts'
import { DiskError } from '../errors.ts'
import { PAGE_BYTES, type PageArena } from './page-memory.ts'
import { PosixFile, type RawIo } from './posix-file.ts'
import * as names from './posix-names.ts'

export abstract class PosixDisk implements Disk {
  abstract readonly kind: 'io_uring' | 'threads'
  readonly alignment = PAGE_BYTES
  readonly #io: RawIo
  readonly #arena: PageArena
  readonly #files = new Set<PosixFile>()
  #directRefused: string | undefined
  #closing: Promise<void> | undefined

  protected constructor(io: RawIo, arena: PageArena) {
    this.#io = io
    this.#arena = arena
  }

  /** The first file for which the file system refused O_DIRECT (it went through the page cache); undefined if none. */
  get directRefused(): string | undefined {
    return this.#directRefused
  }

  allocateBuffer(bytes: number): AlignedBuffer {
    return this.#arena.allocate(bytes)
  }

  async open(path: string, options: OpenOptions): Promise<DiskFile> {
    this.#assertOpen(path)
    const descriptor = await names.openDescriptor(path, options)
    if (this.#closing !== undefined) {
      await names.close(descriptor.fd)
      this.#assertOpen(path)
    }
    if (options.direct && !descriptor.direct) this.#directRefused ??= path
    const onClose = (closed: PosixFile): void => void this.#files.delete(closed)
    const host = { io: this.#io, arena: this.#arena, alignment: this.alignment, onClose }
    const file = new PosixFile(host, path, options, descriptor)
    this.#files.add(file)
    return file
  }

  async makeDirectory(path: string): Promise<void> {
    this.#assertOpen(path)
    return names.makeDirectory(path)
  }

  async list(path: string): Promise<string[]> {
    this.#assertOpen(path)
    return names.list(path)
  }

  async link(source: string, target: string): Promise<void> {
    this.#assertOpen(source)
    return names.link(source, target)
  }

  async rename(source: string, target: string): Promise<void> {
    this.#assertOpen(source)
    return names.rename(source, target)
  }

  async remove(path: string): Promise<void> {
    this.#assertOpen(path)
    return names.remove(path)
  }

  async syncDirectory(path: string): Promise<void> {
    this.#assertOpen(path)
    return names.syncDirectory(path)
  }

  async freeBytes(path: string): Promise<number> {
    this.#assertOpen(path)
    return names.freeBytes(path)
  }

  async totalBytes(path: string): Promise<number> {
    this.#assertOpen(path)
    return names.totalBytes(path)
  }

  /** Closes every file, then what carries the operations. Buffers stay valid until their owners release them. */
  close(): Promise<void> {
    this.#closing ??= Promise.all([...this.#files].map(file => file.close())).then(() => this.closeIo())
    return this.#closing
  }

  protected abstract closeIo(): Promise<void>

  #assertOpen(path: string): void {
    if (this.#closing !== undefined) throw new DiskError('CLOSED', path, 'the disk is closed')
  }
}
