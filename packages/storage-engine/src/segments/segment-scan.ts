/**
 * Reads a segment from disk from front to back, entry by entry: for recovery and for rebuilding indexes. Uses memory of its
 * own for as long as it runs (1 MiB, or the largest entry met), one scan of a store at a time. A file that is missing is one
 * without entries: what should be there is damage, to be found and recorded by whoever scans.
 */
import type { AlignedBuffer, Disk, DiskFile } from '../disk.ts'
import { DiskError } from '../errors.ts'
import type { EntryFormat } from '../log-store.ts'
import { pageBytes } from '../memory/arena.ts'
import { Mutex } from '../store/mutex.ts'
import type { SegmentFiles } from './segment-files.ts'
import type { Segment } from './segment.ts'
import { pageCeil } from './segment-writer.ts'

const windowBytes = 1 << 20
const windowBytesMin = 64 << 10

/** One entry; `bytes` is valid during the call only. Returning false ends the scan before this entry. */
export type EntryVisitor = (bytes: Uint8Array, at: number, length: number, filePosition: number) => boolean | void

export class SegmentScanner {
  readonly #disk: Disk
  readonly #files: SegmentFiles
  readonly #format: EntryFormat
  readonly #turns = new Mutex()

  constructor(disk: Disk, files: SegmentFiles, format: EntryFormat) {
    this.#disk = disk
    this.#files = files
    this.#format = format
  }

  /**
   * Visits the entries in file positions `[from, to)` while each begins with the offset that the one before made due
   * (`offset` for the first). Resolves to the file position where it stopped: `to` when all is in order.
   */
  scan(segment: Segment, from: number, to: number, offset: number, visit: EntryVisitor): Promise<number> {
    return this.#use(segment, from, file => this.#scan(file.read.bind(file), from, to, offset, visit))
  }

  /** The place behind the last of the readable entries from the segment's beginning, or its last mark, that end at or below `offset`. */
  async findEnd(segment: Segment, offset: number): Promise<{ readonly filePosition: number; readonly offset: number }> {
    const mark = segment.index.atOffset(offset)
    let next = mark?.offset ?? segment.baseOffset
    const filePosition = await this.scan(segment, mark?.filePosition ?? 0, segment.byteCount, next, (bytes, at) => {
      const behind = this.#format.lastOffsetAt(bytes, at) + 1
      if (behind > offset) return false
      next = behind
      return true
    })
    return { filePosition, offset: next }
  }

  /** Runs `work` with the segment's file, `missing` when there is none. */
  #use<T>(segment: Segment, missing: T, work: (file: DiskFile) => Promise<T>): Promise<T> {
    return this.#turns.run(async () => {
      try {
        return await this.#files.use(segment, 'write', work)
      } catch (error) {
        if (error instanceof DiskError && error.code === 'NOT_FOUND') return missing
        throw error
      }
    })
  }

  /** The bytes `[from, to)` in pieces of at most 1 MiB, in order. */
  scanBytes(segment: Segment, from: number, to: number, visit: (bytes: Uint8Array) => void): Promise<void> {
    return this.#use(segment, undefined, async file => {
      const buffer = this.#disk.allocateBuffer(windowBytes)
      try {
        for (let position = from; position < to;) {
          const start = Math.floor(position / pageBytes) * pageBytes
          const count = await file.read(buffer.bytes.subarray(0, Math.min(windowBytes, pageCeil(to - start))), start)
          const end = Math.min(to, start + count)
          if (end <= position) return
          visit(buffer.bytes.subarray(position - start, end - start))
          position = end
        }
      } finally {
        buffer.release()
      }
    })
  }

  /** The file position of the first intact entry at or behind `from` whose base offset is in `(after, before)`, or `to`. */
  findNext(segment: Segment, from: number, to: number, after: number, before: number): Promise<number> {
    const { headerBytes } = this.#format
    return this.#use(segment, to, async file => {
      let buffer = this.#disk.allocateBuffer(windowBytes)
      try {
        let position = from
        while (position + headerBytes <= to) {
          const start = Math.floor(position / pageBytes) * pageBytes
          const count = await file.read(
            buffer.bytes.subarray(0, Math.min(buffer.bytes.length, pageCeil(to - start))),
            start
          )
          const valid = Math.min(count, to - start)
          if (valid < position - start + headerBytes) return to
          let larger = 0
          let at = position - start
          for (; at + headerBytes <= valid && larger === 0; at++) {
            const length = this.#plausible(buffer.bytes, at, to - start, after, before)
            if (length === 0) continue
            if (at + length > valid) larger = length + pageBytes
            else if (this.#format.isIntact(buffer.bytes, at, length)) return start + at
          }
          position = start + at - (larger > 0 ? 1 : 0)
          if (larger > buffer.bytes.length) buffer = this.#replace(buffer, larger)
          else if (larger > 0 && Math.floor(position / pageBytes) * pageBytes === start) position++
        }
        return to
      } finally {
        buffer.release()
      }
    })
  }

  #plausible(bytes: Uint8Array, at: number, end: number, after: number, before: number): number {
    const length = this.#format.lengthAt(bytes, at)
    if (length < this.#format.headerBytes || length > this.#format.entryBytesMax || at + length > end) return 0
    const baseOffset = this.#format.baseOffsetAt(bytes, at)
    const lastOffset = this.#format.lastOffsetAt(bytes, at)
    return baseOffset > after && lastOffset >= baseOffset && lastOffset < before ? length : 0
  }

  #replace(buffer: AlignedBuffer, byteCount: number): AlignedBuffer {
    buffer.release()
    return this.#window(byteCount)
  }

  /** Memory for at least so many bytes, in few sizes: what is released is used again for its own size only. */
  #window(byteCount: number): AlignedBuffer {
    return this.#disk.allocateBuffer(Math.max(windowBytesMin, 2 ** Math.ceil(Math.log2(byteCount))))
  }

  async #scan(
    read: (buffer: Uint8Array, position: number) => Promise<number>,
    from: number,
    to: number,
    offset: number,
    visit: EntryVisitor
  ): Promise<number> {
    const format = this.#format
    const firstPage = Math.floor(from / pageBytes) * pageBytes
    let buffer = this.#window(Math.min(windowBytes, Math.max(1, to - firstPage)))
    try {
      let position = from
      let next = offset
      while (position < to) {
        const start = Math.floor(position / pageBytes) * pageBytes
        const count = await read(buffer.bytes.subarray(0, Math.min(buffer.bytes.length, pageCeil(to - start))), start)
        const valid = Math.min(count, to - start)
        let at = position - start
        let needed = format.headerBytes
        while (at + format.headerBytes <= valid) {
          const length = this.#entryAt(buffer.bytes, at, next)
          if (length === 0 || start + at + length > to) return start + at
          needed = length
          if (at + length > valid) break
          if (visit(buffer.bytes, at, length, start + at) === false) return start + at
          next = format.lastOffsetAt(buffer.bytes, at) + 1
          at += length
          needed = format.headerBytes
        }
        const reached = start + at
        if (reached < to && start + valid >= to) return reached
        if (reached === position && needed <= valid - at) return reached
        if (reached === position && valid < Math.min(buffer.bytes.length, to - start)) return reached
        position = reached
        if (needed + pageBytes > buffer.bytes.length) buffer = this.#replace(buffer, needed + pageBytes)
      }
      return position
    } finally {
      buffer.release()
    }
  }

  #entryAt(bytes: Uint8Array, at: number, offset: number): number {
    const length = this.#format.lengthAt(bytes, at)
    if (length < this.#format.headerBytes || length > this.#format.entryBytesMax) return 0
    if (this.#format.baseOffsetAt(bytes, at) !== offset) return 0
    return this.#format.lastOffsetAt(bytes, at) < offset ? 0 : length
  }
}
