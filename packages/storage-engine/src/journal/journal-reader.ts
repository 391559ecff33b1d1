/**
 * Reads the journal at recovery: finds where replay begins, follows the chain of frames through the ring, and decides what a
 * break in it means.
 *
 * One commit is in flight at a time, so when any later frame of this store exists, or a checkpoint says so, the broken one had
 * been complete: that is damage, replay goes on behind it. A broken frame with nothing behind it is a torn tail: never
 * acknowledged, dropped.
 */
import type { AlignedBuffer, Disk, DiskFile } from '../disk.ts'
import { pageBytes } from '../memory/arena.ts'
import { parseFrame, peekSequence, type Frame } from './frame.ts'

interface RingFile {
  readonly name: string
  readonly file: DiskFile
  readonly byteCount: number
  /** Sequence in its first page, 0 when there is no frame. */
  readonly firstSequence: number
}

/** A frame in order of sequence. */
export interface FoundFrame {
  readonly frame: Frame
  /** Bytes of the journal file; valid until the next frame is asked for. */
  readonly bytes: Uint8Array
  readonly at: number
  /** A later commit or a checkpoint says that this one was complete. */
  readonly proven: boolean
  /** Sequence of the first of the frames directly before this one that were complete but are damaged; 0 for none. */
  readonly lostFrom: number
}

export interface JournalEnd {
  /** The last sequence that was seen, whole or torn. */
  readonly lastSequence: number
  /** Number of the journal file behind the last one that was used. */
  readonly nextFile: number
  /** Commits known complete that end the journal but cannot be read: [from, to]; undefined when there are none. */
  readonly lost: { readonly from: number; readonly to: number } | undefined
}

export class JournalReader {
  readonly #disk: Disk
  readonly #directory: string
  readonly #identity: Uint8Array
  #files: RingFile[] = []
  #buffer: AlignedBuffer | undefined

  constructor(disk: Disk, directory: string, identity: Uint8Array) {
    this.#disk = disk
    this.#directory = directory
    this.#identity = identity
  }

  /** Visits frames from `replayFrom` on (0: from the oldest that exists). `complete`: what the checkpoint knows complete. */
  async replay(replayFrom: number, complete: number, visit: (found: FoundFrame) => Promise<void>): Promise<JournalEnd> {
    try {
      await this.#open()
      return await this.#walk(replayFrom, complete, visit)
    } finally {
      this.#buffer?.release()
      for (const { file } of this.#files.splice(0)) await file.close()
    }
  }

  async #open(): Promise<void> {
    const page = this.#disk.allocateBuffer(pageBytes)
    let largest = pageBytes
    for (const name of await this.#disk.list(this.#directory)) {
      if (!/^\d{4}\.journal$/.test(name)) continue
      const file = await this.#disk.open(`${this.#directory}/${name}`, { mode: 'read', direct: true, durable: false })
      const byteCount = Math.floor((await file.size()) / pageBytes) * pageBytes
      page.bytes.fill(0)
      if (byteCount > 0) await file.read(page.bytes.subarray(0, pageBytes), 0)
      this.#files.push({ name, file, byteCount, firstSequence: peekSequence(page.bytes, 0, this.#identity) })
      largest = Math.max(largest, byteCount)
    }
    page.release()
    this.#buffer = this.#disk.allocateBuffer(largest)
  }

  async #walk(replayFrom: number, complete: number, visit: (found: FoundFrame) => Promise<void>): Promise<JournalEnd> {
    const start = this.#startFile(replayFrom)
    if (start === undefined) {
      const lost = complete >= replayFrom && replayFrom > 0 ? { from: replayFrom, to: complete } : undefined
      return { lastSequence: Math.max(complete, replayFrom - 1, 0), nextFile: 0, lost }
    }
    let ring: RingFile = start
    let bytes = await this.#load(ring)
    let at = 0
    let expected = replayFrom === 0 ? ring.firstSequence : Math.min(ring.firstSequence, replayFrom)
    let lostFrom = 0
    for (;;) {
      let frame = parseFrame(bytes, at, this.#identity)
      if (frame?.sequence !== expected && at > 0) {
        const next = this.#files.find(file => file.firstSequence === expected && file !== ring)
        if (next !== undefined) {
          ring = next
          bytes = await this.#load(ring)
          at = 0
          frame = parseFrame(bytes, at, this.#identity)
        }
      }
      if (frame !== undefined && frame.sequence === expected) {
        if (expected >= replayFrom) {
          const proven = expected <= complete || this.#existsBehind(expected, bytes, at + frame.frameBytes)
          await visit({ frame, bytes, at, proven, lostFrom })
          lostFrom = 0
        }
        at += frame.frameBytes
        expected++
        continue
      }
      const later = await this.#findLater(expected, ring, bytes, at)
      if (later === undefined) return this.#end(ring, bytes, at, expected, replayFrom, complete)
      if (lostFrom === 0) lostFrom = Math.max(expected, replayFrom)
      if (later.ring !== ring) bytes = await this.#load(later.ring)
      ring = later.ring
      at = later.at
      expected = later.sequence
    }
  }

  #end(
    ring: RingFile,
    bytes: Uint8Array,
    at: number,
    expected: number,
    replayFrom: number,
    complete: number
  ): JournalEnd {
    const torn = peekSequence(bytes, at, this.#identity) === expected
    const from = Math.max(expected, replayFrom)
    return {
      lastSequence: Math.max(expected, complete),
      nextFile: Number(ring.name.slice(0, 4)) + (torn || at > 0 ? 1 : 0),
      lost: complete >= from ? { from, to: complete } : undefined
    }
  }

  /** The file in which frame `replayFrom` is or would be: the one with the largest first sequence not above it. */
  #startFile(replayFrom: number): RingFile | undefined {
    let best: RingFile | undefined
    let oldest: RingFile | undefined
    for (const file of this.#files) {
      const { firstSequence } = file
      if (firstSequence === 0) continue
      if (oldest === undefined || firstSequence < oldest.firstSequence) oldest = file
      if (firstSequence <= replayFrom && (best === undefined || firstSequence > best.firstSequence)) best = file
    }
    return best ?? oldest
  }

  #existsBehind(sequence: number, bytes: Uint8Array, at: number): boolean {
    return peekSequence(bytes, at, this.#identity) > sequence || this.#files.some(file => file.firstSequence > sequence)
  }

  /** The first readable frame with a sequence above `expected`, in this file behind `at` or at the start of another. */
  async #findLater(
    expected: number,
    ring: RingFile,
    bytes: Uint8Array,
    at: number
  ): Promise<{ ring: RingFile; at: number; sequence: number } | undefined> {
    for (let next = at; next < ring.byteCount; next += pageBytes) {
      const sequence = peekSequence(bytes, next, this.#identity)
      if (sequence > expected && parseFrame(bytes, next, this.#identity) !== undefined)
        return { ring, at: next, sequence }
    }
    const others = this.#files.filter(file => file.firstSequence > expected && file !== ring)
    others.sort((one, other) => one.firstSequence - other.firstSequence)
    for (const other of others) {
      const head = await this.#load(other)
      const frame = parseFrame(head, 0, this.#identity)
      await this.#load(ring)
      if (frame !== undefined) return { ring: other, at: 0, sequence: frame.sequence }
    }
    return undefined
  }

  async #load(ring: RingFile): Promise<Uint8Array> {
    const bytes = this.#buffer!.bytes.subarray(0, ring.byteCount)
    const step = 1 << 20
    const reads: Promise<number>[] = []
    for (let position = 0; position < ring.byteCount; position += step)
      reads.push(ring.file.read(bytes.subarray(position, Math.min(ring.byteCount, position + step)), position))
    await Promise.all(reads)
    return bytes
  }
}
