/**
 * Loads the sparse indexes of segments that were written by an earlier run, when a read needs them: from the index file of a
 * sealed segment, or else by walking the segment. Loaded indexes of sealed segments are kept up to `bytesMax`.
 */
import type { AlignedBuffer, Disk } from '../../disk.ts'
import { DiskError } from '../../errors.ts'
import type { EntryFormat } from '../../log-store.ts'
import { SegmentIndex } from '../../segments/segment-index.ts'
import type { SegmentScanner } from '../../segments/segment-scan.ts'
import { pageCeil } from '../../segments/segment-writer.ts'
import type { Segment } from '../../segments/segment.ts'
import type { StoreLog } from '../store-log.ts'

export class SegmentIndexes {
  readonly #disk: Disk
  readonly #scanner: SegmentScanner
  readonly #format: EntryFormat
  readonly #bytesMax: number
  readonly #loading = new Map<Segment, Promise<void>>()
  /** Sealed segments whose index is loaded, the one used longest ago first. */
  readonly #loaded = new Set<Segment>()
  #loadedBytes = 0

  constructor(disk: Disk, scanner: SegmentScanner, format: EntryFormat, bytesMax: number) {
    this.#disk = disk
    this.#scanner = scanner
    this.#format = format
    this.#bytesMax = bytesMax
  }

  /** Resolves when the segment's index covers all of it. */
  load(log: StoreLog, segment: Segment): Promise<void> {
    if (segment.index.coveredFrom === 0) {
      if (this.#loaded.delete(segment)) this.#loaded.add(segment)
      return Promise.resolve()
    }
    let loading = this.#loading.get(segment)
    if (loading === undefined) {
      loading = this.#load(log, segment).finally(() => this.#loading.delete(segment))
      this.#loading.set(segment, loading)
    }
    return loading
  }

  async #load(log: StoreLog, segment: Segment): Promise<void> {
    const { generation } = log
    const index = (segment.finished ? await this.#read(segment) : undefined) ?? (await this.#rebuild(log, segment))
    // What was cut off meanwhile may be among the marks.
    if (log.generation !== generation) return await this.#load(log, segment)
    if (segment.index.coveredFrom === 0) return
    segment.index.prepend(index)
    if (!segment.finished) return
    this.#loaded.add(segment)
    this.#loadedBytes += segment.index.byteCount
    for (const old of this.#loaded) {
      if (this.#loadedBytes <= this.#bytesMax || old === segment) break
      this.#loaded.delete(old)
      this.#loadedBytes -= old.index.byteCount
      if (old.finished) old.index.unload(old.byteCount)
    }
  }

  async #read(segment: Segment): Promise<SegmentIndex | undefined> {
    let buffer: AlignedBuffer | undefined
    try {
      const file = await this.#disk.open(segment.indexPath, { mode: 'read', direct: true, durable: false })
      try {
        const size = await file.size()
        buffer = this.#disk.allocateBuffer(Math.max(1, size))
        const count = await file.read(buffer.bytes.subarray(0, pageCeil(size)), 0)
        return SegmentIndex.decode(buffer.bytes.subarray(0, count), segment.baseOffset, segment.byteCount)
      } finally {
        await file.close()
      }
    } catch (error) {
      if (error instanceof DiskError && error.code !== 'CLOSED') return undefined
      throw error
    } finally {
      buffer?.release()
    }
  }

  /** Walks the segment up to where its own marks begin. Damaged stretches are recorded and skipped. */
  async #rebuild(log: StoreLog, segment: Segment): Promise<SegmentIndex> {
    const index = new SegmentIndex(segment.baseOffset, 0)
    const end = segment.index.coveredFrom
    const format = this.#format
    const { generation } = log
    let offset = segment.baseOffset
    let maxTimestamp = -1n
    for (let position = 0; position < end;) {
      position = await this.#scanner.scan(segment, position, end, offset, (bytes, at, _, filePosition) => {
        if (filePosition - Math.max(0, index.lastPosition) >= log.options.indexIntervalBytes)
          index.add(offset, filePosition, maxTimestamp)
        offset = format.lastOffsetAt(bytes, at) + 1
        const timestamp = format.maxTimestampAt(bytes, at)
        if (timestamp > maxTimestamp) maxTimestamp = timestamp
      })
      if (position >= end) break
      const damagedFrom = offset
      position = await this.#scanner.findNext(segment, position + 1, end, damagedFrom, segment.endOffset + 1)
      if (position < end)
        await this.#scanner.scanBytes(segment, position, position + format.headerBytes, bytes => {
          if (bytes.length === format.headerBytes) offset = format.baseOffsetAt(bytes, 0)
        })
      else offset = segment.index.markAfter(-1)?.offset ?? segment.endOffset
      if (log.generation !== generation) break
      log.addDamage(damagedFrom, Math.max(offset, damagedFrom + 1), `entries of ${segment.path} are not readable`)
      if (position < end && offset > damagedFrom) index.add(offset, position, maxTimestamp)
      else break
    }
    return index
  }
}
