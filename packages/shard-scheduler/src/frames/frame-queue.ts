/**
 * What waits for one link, in two lanes: everything urgent goes before anything bulky; within a lane the order is that of
 * `push`. Takes batches of a bounded size. Frames that were abandoned while they waited are left out.
 */
import { frameBytes, type Frame, type Lane } from './frames.ts'

/** Sent frames that a lane keeps in front of its first waiting one before it moves that to the front. */
const SENT_COUNT_MAX = 1024

export class FrameQueue {
  readonly #urgent = new LaneQueue()
  readonly #bulk = new LaneQueue()

  /** Frames that wait in a lane. */
  count(lane: Lane): number {
    return this.#lane(lane).count
  }

  push(frame: Frame): void {
    this.#lane(laneOf(frame)).push(frame)
  }

  /**
   * The next batch: urgent frames first, then, if `withBulk`, bulky ones; as many as fit in `bytesMax`, at least one. Empty when
   * nothing (of that kind) waits.
   */
  take(bytesMax: number, withBulk: boolean): Frame[] {
    const batch: Frame[] = []
    const left = this.#urgent.moveTo(batch, bytesMax)
    if (withBulk && this.#urgent.count === 0 && left > 0) this.#bulk.moveTo(batch, left)
    return batch
  }

  clear(): void {
    this.#urgent.clear()
    this.#bulk.clear()
  }

  #lane(lane: Lane): LaneQueue {
    return lane === 'urgent' ? this.#urgent : this.#bulk
  }
}

class LaneQueue {
  #frames: Frame[] = []
  #start = 0

  get count(): number {
    return this.#frames.length - this.#start
  }

  push(frame: Frame): void {
    this.#frames.push(frame)
  }

  clear(): void {
    this.#frames.length = 0
    this.#start = 0
  }

  /** Moves frames to `batch` while they fit; the first frame of a batch always does. Returns the bytes left. */
  moveTo(batch: Frame[], bytesMax: number): number {
    let left = bytesMax
    for (; this.#start < this.#frames.length; this.#start++) {
      const frame = this.#frames[this.#start]!
      if (frame.kind === 'call' && frame.abandoned) continue
      const bytes = frameBytes(frame)
      if (bytes > left && batch.length > 0) break
      batch.push(frame)
      left -= bytes
    }
    this.#forgetSent()
    return left
  }

  #forgetSent(): void {
    if (this.#start === this.#frames.length) this.clear()
    else if (this.#start > SENT_COUNT_MAX) {
      this.#frames = this.#frames.slice(this.#start)
      this.#start = 0
    }
  }
}

function laneOf(frame: Frame): Lane {
  return frame.kind === 'message' ? frame.lane : 'urgent'
}
