/**
 * The bytes of one connection that were received and not yet handled, cut into frames where they lie.
 *
 *     source  |....consumed....|== whole frame ==|== part of a frame ==|......free......|
 *                              start                                  end
 *
 * `source` is the gateway's shared landing buffer while a read is being handled, or the connection's own buffer. `target`
 * says where the next read must go; a read that has its target in the own buffer lies right behind what is there already, so
 * large requests are assembled without a copy. While reading is paused the target is the landing buffer, because the own one
 * may move meanwhile; what arrives there is copied behind the rest.
 *
 * For a large frame the target ends where the frame ends: the next frame then starts at the front of an empty buffer and
 * nothing ever has to be moved down.
 */
import { FIRST_READ_BYTES } from '../settings.ts'
import type { MemoryWaiter, ReceiveMemory } from './receive-memory.ts'

/** Below this, what is missing of a frame is not worth a read of its own. */
const EXACT_READ_BYTES_MIN = 32 * 1024

const SIZE_PREFIX_BYTES = 4

export type FrameState = 'whole' | 'partial' | 'invalid'

export class ReceiveBuffer {
  readonly #memory: ReceiveMemory
  readonly #owner: MemoryWaiter
  readonly #frameBytesMax: number
  #own: Uint8Array | null = null
  #source: Uint8Array
  #start = 0
  #end = 0
  #targetInOwn = false
  #lastFrameBytes = 0
  /** The last read filled its target: the client sends much, larger reads pay off. */
  #fullRead = false
  #targetBytes: number
  /** Where the frame seen by `peek` begins (behind its size) and ends. */
  frameStart = 0
  frameEnd = 0

  /** `owner` stands in line at `memory` when a buffer cannot grow; `frameBytesMax` excludes the size prefix. */
  constructor(memory: ReceiveMemory, owner: MemoryWaiter, frameBytesMax: number) {
    this.#memory = memory
    this.#owner = owner
    this.#frameBytesMax = frameBytesMax
    this.#source = memory.landing
    this.#targetBytes = memory.landing.length
  }

  /** The array that `frameStart` and `frameEnd` are positions of. */
  get bytes(): Uint8Array {
    return this.#source
  }

  /** Received bytes not consumed yet. */
  get byteCount(): number {
    return this.#end - this.#start
  }

  /** Capacity of the connection's own buffer, 0 when it has none. */
  get ownBytes(): number {
    return this.#own === null ? 0 : this.#own.length
  }

  /** True when an own buffer is held although nothing is in it. */
  get holdsIdleBuffer(): boolean {
    return this.#own !== null && this.#start === this.#end
  }

  /** `byteCount` bytes arrived at the last target. False: they cannot be kept, close the connection. */
  received(byteCount: number): boolean {
    this.#fullRead = byteCount === this.#targetBytes
    if (this.#targetInOwn) {
      this.#end += byteCount
      return true
    }
    if (this.#start < this.#end) return this.#appendFromLanding(byteCount)
    this.#source = this.#memory.landing
    this.#start = 0
    this.#end = byteCount
    return true
  }

  /** Looks at the next frame; `whole` sets `frameStart` and `frameEnd`, `invalid` means a size that no request has. */
  peek(): FrameState {
    if (this.#end - this.#start < SIZE_PREFIX_BYTES) return 'partial'
    const size = readInt32(this.#source, this.#start)
    if (size <= 0 || size > this.#frameBytesMax) return 'invalid'
    this.frameStart = this.#start + SIZE_PREFIX_BYTES
    this.frameEnd = this.frameStart + size
    return this.frameEnd <= this.#end ? 'whole' : 'partial'
  }

  /** The frame seen by the last `peek` has been handled: its bytes may be overwritten. */
  consume(): void {
    this.#lastFrameBytes = this.frameEnd - this.#start
    this.#start = this.frameEnd
  }

  /**
   * Must run before a read callback returns: bytes left in the landing buffer move to the own one. False: they cannot be
   * kept, close the connection.
   */
  settle(): boolean {
    if (this.#start === this.#end) {
      this.#start = 0
      this.#end = 0
      this.#source = this.#own ?? this.#memory.landing
      if (this.#own !== null && !this.#wantsOwnWhenEmpty()) this.releaseOwn()
      return true
    }
    if (this.#source === this.#own) return true
    return this.#moveToOwn()
  }

  /** Where the next read goes, when reading goes on. Null: the own buffer is full and the memory budget is spent. */
  target(): Uint8Array | null {
    const target = this.#target()
    if (target !== null) this.#targetBytes = target.length
    return target
  }

  /** Where the next read goes after a pause, and the first one: never the own buffer. */
  targetWhilePaused(): Uint8Array {
    this.#targetInOwn = false
    this.#targetBytes = FIRST_READ_BYTES
    return this.#memory.landing.subarray(0, FIRST_READ_BYTES)
  }

  #target(): Uint8Array | null {
    this.#targetInOwn = false
    if (this.#start === this.#end) {
      const landingBytes = this.#fullRead ? this.#memory.landingBytes : FIRST_READ_BYTES
      if (this.#own === null) return this.#memory.landing.subarray(0, landingBytes)
      this.#targetInOwn = true
      this.#source = this.#own
      this.#start = 0
      this.#end = 0
      return this.#own.subarray(0, Math.min(this.#own.length, this.#lastFrameBytes))
    }
    if (!this.#makeRoom()) return null
    this.#targetInOwn = true
    return this.#source.subarray(this.#end, this.#readEnd())
  }

  /** Gives an own buffer back. Only when empty, and when no read can land in it any more. */
  releaseOwn(): void {
    if (this.#own === null) return
    this.#memory.give(this.#own, this.#owner)
    this.#own = null
    this.#source = this.#memory.landing
    this.#start = 0
    this.#end = 0
    this.#targetInOwn = false
  }

  #wantsOwnWhenEmpty(): boolean {
    return this.#lastFrameBytes > this.#memory.landing.length / 4 && !this.#memory.short
  }

  #readEnd(): number {
    if (this.#end - this.#start < SIZE_PREFIX_BYTES) return this.#source.length
    const frameEnd = this.#start + SIZE_PREFIX_BYTES + readInt32(this.#source, this.#start)
    const missing = frameEnd - this.#end
    const exact = missing >= EXACT_READ_BYTES_MIN || this.#lastFrameBytes > this.#memory.landing.length / 4
    return exact && missing > 0 ? Math.min(this.#source.length, frameEnd) : this.#source.length
  }

  /** Free space behind `end` of the own buffer: move down first, grow when that is not enough. */
  #makeRoom(): boolean {
    const source = this.#source
    if (this.#end < source.length) {
      if (this.#start === 0 || this.#readEnd() < source.length) return true
    }
    const byteCount = this.#end - this.#start
    if (this.#start > 0 && byteCount <= source.length / 2) {
      source.copyWithin(0, this.#start, this.#end)
      this.#start = 0
      this.#end = byteCount
      return true
    }
    if (this.#end < source.length) return true
    const larger = this.#memory.take(source.length * 2, this.#owner, false)
    if (larger === null) return false
    this.#replaceOwn(larger)
    return true
  }

  #appendFromLanding(byteCount: number): boolean {
    const kept = this.#end - this.#start
    if (this.#end + byteCount > this.#source.length) {
      if (kept + byteCount <= this.#source.length) {
        this.#source.copyWithin(0, this.#start, this.#end)
        this.#start = 0
        this.#end = kept
      } else {
        const larger = this.#memory.take(kept + byteCount, this.#owner, true)
        if (larger === null) return false
        this.#replaceOwn(larger)
      }
    }
    this.#source.set(this.#memory.landing.subarray(0, byteCount), this.#end)
    this.#end += byteCount
    return true
  }

  #moveToOwn(): boolean {
    const byteCount = this.#end - this.#start
    if (this.#own === null || this.#own.length <= byteCount) {
      const buffer = this.#memory.take(byteCount + 1, this.#owner, true)
      if (buffer === null) return false
      if (this.#own !== null) this.#memory.give(this.#own, this.#owner)
      this.#own = buffer
    }
    this.#own.set(this.#source.subarray(this.#start, this.#end), 0)
    this.#source = this.#own
    this.#start = 0
    this.#end = byteCount
    return true
  }

  #replaceOwn(larger: Uint8Array): void {
    const byteCount = this.#end - this.#start
    larger.set(this.#source.subarray(this.#start, this.#end), 0)
    if (this.#own !== null) this.#memory.give(this.#own, this.#owner)
    this.#own = larger
    this.#source = larger
    this.#start = 0
    this.#end = byteCount
  }
}

function readInt32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)
}
