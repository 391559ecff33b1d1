/**
 * The journal: a ring of files of equal length into which group commits are written, one frame after another.
 *
 * Contract: `append` resolves when the frame is durable. Every byte of a file has been written (zeros, or frames of an
 * earlier lap) before the first frame goes there, so a commit never waits for the file system to convert extents, and never
 * loses what the device has kept because such a conversion was lost. The first file is prepared by `open`, the others one
 * after another in the background. A file is reused when no frame in it is needed any more (`releaseBelow`); until then
 * `room` is false and commits wait, which makes the store destage.
 *
 * Frames of an earlier lap stay in a file until they are overwritten; their sequence is lower, so they are never mistaken.
 */
import { assert } from '../assert.ts'
import type { AlignedBuffer, Disk, DiskFile } from '../disk.ts'

const zeroBytes = 1 << 20

interface RingFile {
  file: DiskFile | undefined
  /** Written in full once, ready for frames. */
  prepared: boolean
  /** Sequences of the frames in it that may still be needed; 0 when none. */
  firstSequence: number
  lastSequence: number
}

export class Journal {
  readonly #disk: Disk
  readonly #directory: string
  readonly #fileBytes: number
  readonly #ring: RingFile[]
  #current = 0
  #position = 0
  #serial = 0
  #preparing: Promise<void> | undefined
  #closed = false
  /** Bytes of frames written since `releaseBelow` last freed them, roughly: whole files count as full. */
  #liveBefore = 0
  /** Runs when `room` may have become true. */
  onRoom: () => void = () => {}
  /** Runs when preparing a file failed. */
  onFailed: (error: Error) => void = () => {}

  constructor(disk: Disk, directory: string, fileBytes: number, fileCount: number) {
    this.#disk = disk
    this.#directory = directory
    this.#fileBytes = fileBytes
    this.#ring = Array.from({ length: fileCount }, () => ({
      file: undefined,
      prepared: false,
      firstSequence: 0,
      lastSequence: 0
    }))
  }

  static fileName(index: number): string {
    return `${String(index).padStart(4, '0')}.journal`
  }

  /** Bytes of the ring. */
  get byteCount(): number {
    return this.#fileBytes * this.#ring.length
  }

  /** Bytes of files that hold frames which recovery would need. */
  get liveBytes(): number {
    return this.#liveBefore + (this.#ring[this.#current]!.firstSequence > 0 ? this.#position : 0)
  }

  /** Sequence that splits the live files in half: destaging everything below it frees the older ones. */
  get middleSequence(): number {
    const live = this.#ring.filter(({ firstSequence }) => firstSequence > 0).map(({ lastSequence }) => lastSequence + 1)
    live.sort((one, other) => one - other)
    return live[Math.floor((live.length - 1) / 2)] ?? Infinity
  }

  /**
   * Opens the ring with `start` as the file that the next frame goes to. No frame of an earlier run may be needed any more.
   * Resolves when that file is ready; the rest is prepared afterwards.
   */
  async open(start: number): Promise<void> {
    this.#current = start % this.#ring.length
    await this.#prepare(this.#current)
    this.prepareAgain()
  }

  /** Goes on preparing files after that failed for want of space. */
  prepareAgain(): void {
    this.#preparing = this.#prepareRest().catch((error: Error) => {
      if (!this.#closed) this.onFailed(error)
    })
  }

  /** Whether a frame of this length can be appended now. */
  room(frameBytes: number): boolean {
    assert(frameBytes <= this.#fileBytes, 'a frame fits into a journal file')
    if (this.#position + frameBytes <= this.#fileBytes) return true
    const next = this.#ring[(this.#current + 1) % this.#ring.length]!
    return next.prepared && next.firstSequence === 0
  }

  /** True when a frame of this length begins a file: it must then name the logs that it speaks of. */
  beginsFile(frameBytes: number): boolean {
    return this.#position === 0 || this.#position + frameBytes > this.#fileBytes
  }

  /** Counts the files used since open: the serial of the one that a frame of this length would go to. */
  fileSerialFor(frameBytes: number): number {
    return this.#position + frameBytes > this.#fileBytes ? this.#serial + 1 : this.#serial
  }

  /** Writes a frame; durable when it resolves. One at a time; `room` must hold. */
  append(frame: Uint8Array, sequence: number): Promise<void> {
    assert(this.room(frame.length), 'the journal has room')
    if (this.#position + frame.length > this.#fileBytes) {
      this.#current = (this.#current + 1) % this.#ring.length
      this.#liveBefore += this.#fileBytes
      this.#serial++
      this.#position = 0
    }
    const entry = this.#ring[this.#current]!
    if (entry.firstSequence === 0) entry.firstSequence = sequence
    entry.lastSequence = sequence
    const position = this.#position
    this.#position += frame.length
    return entry.file!.write(frame, position)
  }

  /** Frames below `sequence` are durably not needed: files that hold nothing else become free. */
  releaseBelow(sequence: number): void {
    for (const [index, entry] of this.#ring.entries()) {
      if (entry.firstSequence === 0 || entry.lastSequence >= sequence || index === this.#current) continue
      entry.firstSequence = entry.lastSequence = 0
      this.#liveBefore -= this.#fileBytes
    }
    this.onRoom()
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#preparing
    for (const { file } of this.#ring) await file?.close()
  }

  async #prepareRest(): Promise<void> {
    // Commits move on to prepared files meanwhile: the order is that of the ring as it stood at the beginning.
    const start = this.#current
    for (let step = 1; step < this.#ring.length && !this.#closed; step++) {
      const index = (start + step) % this.#ring.length
      if (this.#ring[index]!.prepared) continue
      await this.#prepare(index)
      this.onRoom()
    }
  }

  /** Opens a file and fills it with zeros unless it has its full length (then an earlier run wrote it). */
  async #prepare(index: number): Promise<void> {
    const path = `${this.#directory}/${Journal.fileName(index)}`
    const entry = this.#ring[index]!
    entry.file ??= await this.#disk.open(path, { mode: 'create', direct: true, durable: true })
    const { file } = entry
    const size = await file.size()
    try {
      if (size !== this.#fileBytes) await this.#zero(file, size)
    } catch (error) {
      entry.file = undefined
      await file.close()
      throw error
    }
    await this.#disk.syncDirectory(this.#directory)
    entry.prepared = true
  }

  /**
   * The length that tells a prepared file from a half-prepared one is reached last: zeros are written from the start, so the
   * file grows with them and has its full length only when all of it is written.
   */
  async #zero(file: DiskFile, size: number): Promise<void> {
    if (size > 0) {
      await file.truncate(0)
      await file.sync()
    }
    const zeros: AlignedBuffer = this.#disk.allocateBuffer(Math.min(zeroBytes, this.#fileBytes))
    try {
      for (let position = 0; position < this.#fileBytes && !this.#closed; position += zeros.bytes.length)
        await file.write(zeros.bytes.subarray(0, Math.min(zeros.bytes.length, this.#fileBytes - position)), position)
    } finally {
      zeros.release()
    }
  }
}
