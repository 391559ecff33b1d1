/**
 * Open files of segments, shared by all logs of a store and bounded in number: the one used longest ago is closed when room
 * is needed. A file in use is never closed. Nobody writes to a file that another store has a name of (own-file.ts).
 */
import type { Disk, DiskFile } from '../disk.ts'
import { DiskError } from '../errors.ts'
import { makeOwn } from './own-file.ts'
import type { Segment } from './segment.ts'

interface OpenFile {
  readonly file: Promise<DiskFile>
  users: number
  /** The next user opens it anew: a write found no space, which poisons a file that promises durability, or the name stands for another file. */
  spoilt: boolean
}

export class SegmentFiles {
  readonly #disk: Disk
  readonly #openFilesMax: number
  /** In order of last use. */
  readonly #open = new Map<Segment, OpenFile>()
  /** Segments whose file, if there is one, has no other name. */
  readonly #own = new WeakSet<Segment>()
  /** Folders known to exist. */
  readonly #directories = new Set<string>()

  constructor(disk: Disk, openFilesMax: number) {
    this.#disk = disk
    this.#openFilesMax = openFilesMax
  }

  /** Runs `use` with the segment's file, opened when necessary and (for writers) made when missing. */
  async use<T>(segment: Segment, mode: 'write' | 'create', use: (file: DiskFile) => Promise<T>): Promise<T> {
    if (mode === 'create' && !this.#own.has(segment)) await this.#makeOwn(segment)
    let entry = this.#open.get(segment)
    if (entry === undefined) entry = { file: this.#openFile(segment, mode), users: 0, spoilt: false }
    else this.#open.delete(segment)
    this.#open.set(segment, entry)
    entry.users++
    try {
      return await use(await entry.file)
    } catch (error) {
      if (
        await entry.file.then(
          () => false,
          () => true
        )
      )
        this.#open.delete(segment)
      else if (error instanceof DiskError && error.code === 'NO_SPACE') this.#spoil(segment, entry)
      throw error
    } finally {
      entry.users--
      if (entry.spoilt && entry.users === 0) await (await entry.file).close()
      await this.#closeExcess()
    }
  }

  /** The segment's file gets other names: it is not written to any more. */
  becomeShared(segment: Segment): void {
    this.#own.delete(segment)
  }

  async #makeOwn(segment: Segment): Promise<void> {
    const isAnother = await makeOwn(this.#disk, segment)
    this.#own.add(segment)
    const entry = this.#open.get(segment)
    if (!isAnother || entry === undefined) return
    this.#spoil(segment, entry)
    if (entry.users === 0) await (await entry.file.catch(() => undefined))?.close()
  }

  #spoil(segment: Segment, entry: OpenFile): void {
    entry.spoilt = true
    if (this.#open.get(segment) === entry) this.#open.delete(segment)
  }

  /** Closes the segment's file, when open, before its removal. Nobody may use the segment any more. */
  async forget(segment: Segment): Promise<void> {
    const entry = this.#open.get(segment)
    this.#open.delete(segment)
    if (entry !== undefined) await (await entry.file.catch(() => undefined))?.close()
  }

  /**
   * Removes the files of segments of one log, durably. Nothing may refer to them any more: failing in the middle costs space
   * only.
   */
  async remove(segments: readonly Segment[]): Promise<void> {
    const written = segments.filter(({ allocatedBytes }) => allocatedBytes !== 0)
    if (written.length === 0) return
    for (const segment of written) {
      await this.forget(segment)
      await this.#disk.remove(segment.path)
      await this.#disk.remove(segment.indexPath)
    }
    await this.#disk.syncDirectory(written[0]!.directory).catch((error: unknown) => {
      // Recovery takes a segment whose file, or whole folder, a power cut had left nothing of for one that may be there.
      if (!(error instanceof DiskError && error.code === 'NOT_FOUND')) throw error
    })
  }

  /** The folder was removed: it must be made again before a file is created in it. */
  forgetDirectory(directory: string): void {
    this.#directories.delete(directory)
  }

  async close(): Promise<void> {
    const entries = [...this.#open.values()]
    this.#open.clear()
    for (const { file } of entries) await (await file.catch(() => undefined))?.close()
  }

  async #openFile(segment: Segment, mode: 'write' | 'create'): Promise<DiskFile> {
    const options = { mode, direct: true, durable: true } as const
    if (mode === 'write') return await this.#disk.open(segment.path, options)
    if (!this.#directories.has(segment.directory)) await this.#disk.makeDirectory(segment.directory)
    this.#directories.add(segment.directory)
    const file = await this.#disk.open(segment.path, options)
    await this.#disk.syncDirectory(segment.directory)
    return file
  }

  async #closeExcess(): Promise<void> {
    if (this.#open.size <= this.#openFilesMax) return
    for (const [segment, entry] of this.#open) {
      if (entry.users > 0) continue
      this.#open.delete(segment)
      await (await entry.file).close()
      if (this.#open.size <= this.#openFilesMax) return
    }
  }
}
