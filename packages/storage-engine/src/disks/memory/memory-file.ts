/** A handle on a file of the simulated disk: the contract of `DiskFile` over one `Inode`. */
import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import type { DiskFile, OpenOptions } from '../../disk.ts'
import { DiskError } from '../../errors.ts'
import { FileGuard } from '../file-guard.ts'
import type { SeededRandom } from '../seeded-random.ts'
import type { DiskOperation, FaultEffect } from './faults.ts'
import type { Inode, PendingWrite } from './inode.ts'

/** What a handle needs of its disk. */
export interface MemoryHost {
  readonly alignment: number
  readonly random: SeededRandom
  /** Whether to fail loudly when a caller changes a buffer that is being written. */
  readonly strictBuffers: boolean
  /** Runs `onOperation`, then waits for the operation's latency; rejects when the power goes in between. */
  perform(
    kind: DiskOperation['kind'],
    path: string,
    position: number,
    length: number,
    begin?: () => void
  ): Promise<FaultEffect | undefined>
  /** Throws `NO_SPACE` unless this many more sectors fit. */
  claimSectors(path: string, inode: Inode, start: number, end: number): void
  releaseSectors(count: number): void
  inodeAt(path: string): Inode | undefined
  closed(file: MemoryFile, inode: Inode): void
}

export class MemoryFile implements DiskFile {
  readonly path: string
  readonly #host: MemoryHost
  readonly #inode: Inode
  readonly #guard: FileGuard

  constructor(host: MemoryHost, inode: Inode, path: string, options: OpenOptions) {
    this.path = path
    this.#host = host
    this.#inode = inode
    this.#guard = new FileGuard(path, options, host.alignment)
    inode.openCount += 1
  }

  read(buffer: Uint8Array, position: number): Promise<number> {
    return this.#guard.use(async () => {
      const misalignment = this.#guard.misalignment(buffer, position)
      if (misalignment !== undefined) throw misalignment
      const effect = await this.#host.perform('read', this.path, position, buffer.length)
      if (effect?.kind === 'fail') throw this.#ioError('read')
      const count = Math.max(0, Math.min(buffer.length, this.#inode.size - position))
      this.#inode.image.read(buffer.subarray(0, count), position)
      return count
    })
  }

  write(buffer: Uint8Array, position: number): Promise<void> {
    const misalignment = this.#guard.misalignment(buffer, position)
    if (misalignment !== undefined) return Promise.reject(misalignment)
    const durable = this.#guard.options.durable
    return this.#guard.change(durable, async () => {
      this.#host.claimSectors(this.path, this.#inode, position, position + buffer.length)
      const write = this.#inode.beginWrite(buffer, position)
      const effect = await this.#performWrite(write)
      if (effect === undefined) return this.#inode.completeWrite(write, durable)
      this.#inode.inFlight.delete(write)
      if (effect.kind === 'fail') {
        this.#inode.failWrite(write, this.#host.random)
        throw this.#ioError('write')
      }
      if (effect.kind === 'misdirect') this.#misdirect(buffer, effect)
    })
  }

  sync(): Promise<void> {
    return this.#guard.change(true, async () => {
      const scope = this.#inode.beginSync()
      const effect = await this.#host.perform('sync', this.path, 0, 0)
      if (effect?.kind === 'lose') return
      if (effect?.kind === 'fail') {
        this.#inode.failSync(scope, this.#host.random)
        throw this.#ioError('flush')
      }
      this.#inode.completeSync(scope)
    })
  }

  allocate(start: number, end: number): Promise<void> {
    return this.#guard.change(false, async () => {
      this.#host.claimSectors(this.path, this.#inode, start, end)
      const effect = await this.#host.perform('allocate', this.path, start, end - start, () => {
        this.#inode.allocate(start, end)
      })
      if (effect?.kind === 'fail') throw this.#ioError('allocate')
    })
  }

  truncate(length: number): Promise<void> {
    return this.#guard.change(false, async () => {
      const effect = await this.#host.perform('truncate', this.path, 0, length, () => {
        this.#host.releaseSectors(this.#inode.truncate(length))
      })
      if (effect?.kind === 'fail') throw this.#ioError('truncate')
    })
  }

  size(): Promise<number> {
    return this.#guard.use(() => Promise.resolve(this.#inode.size))
  }

  linkCount(): Promise<number> {
    return this.#guard.use(() => Promise.resolve(this.#inode.linkCount))
  }

  close(): Promise<void> {
    return this.#guard.close(() => {
      this.#inode.openCount -= 1
      this.#host.closed(this, this.#inode)
    })
  }

  async #performWrite(write: PendingWrite): Promise<FaultEffect | undefined> {
    const { bytes, position } = write
    const sample = this.#host.strictBuffers ? sampleOf(bytes) : ''
    try {
      const effect = await this.#host.perform('write', this.path, position, bytes.length)
      if (this.#host.strictBuffers) assert(sampleOf(bytes) === sample, `${this.path}: buffer changed during its write`)
      return effect
    } catch (error) {
      this.#inode.inFlight.delete(write)
      throw error
    }
  }

  #ioError(what: string): DiskError {
    return new DiskError('IO', this.path, `${what} failed: EIO`)
  }

  /** The device put the bytes at another place, and says that all is well. */
  #misdirect(buffer: Uint8Array, { path, position }: { path: string; position: number }): void {
    const victim = this.#host.inodeAt(path)
    if (victim === undefined) return
    victim.completeWrite(victim.beginWrite(buffer, position), true)
  }
}

/** A few bytes of a buffer, enough to catch a caller that reuses it too early. */
function sampleOf(buffer: Uint8Array): string {
  const middle = buffer.length >> 1
  const pieces = [buffer.subarray(0, 64), buffer.subarray(middle, middle + 64), buffer.subarray(-64)]
  return Buffer.concat(pieces).toString('latin1')
}
