/**
 * What is going to happen, ordered by time; at the same time, in the order in which it was asked for. A binary heap; an event
 * that was called off stays until its time comes and is skipped then.
 */

/** Something that happens at a time. */
export interface Event {
  /** Simulated milliseconds. */
  readonly timeMs: number
  /** Counts up; decides between events of the same time. */
  readonly order: number
  /** Undefined once it was called off or ran. */
  task: (() => void) | undefined
}

export class EventHeap {
  readonly #events: Event[] = []
  #order = 0

  /** Events that wait, those called off included. */
  get size(): number {
    return this.#events.length
  }

  /** When the next one is due; `Infinity` when nothing waits. */
  get nextTimeMs(): number {
    return this.#events[0]?.timeMs ?? Infinity
  }

  add(timeMs: number, task: () => void): Event {
    const event = { timeMs, order: this.#order++, task }
    const events = this.#events
    let at = events.length
    while (at > 0) {
      const parentAt = (at - 1) >> 1
      const parent = events[parentAt] as Event
      if (parent.timeMs <= timeMs) break
      events[at] = parent
      at = parentAt
    }
    events[at] = event
    return event
  }

  /** Takes the next event off the heap. */
  take(): Event | undefined {
    const events = this.#events
    const first = events[0]
    const last = events.pop()
    if (first === undefined || last === undefined || events.length === 0) return first
    this.#sink(last)
    return first
  }

  /** Puts `event` where it belongs, beginning at the root, which is free. */
  #sink(event: Event): void {
    const events = this.#events
    const count = events.length
    let at = 0
    for (let childAt = 1; childAt < count; childAt = 2 * at + 1) {
      let child = events[childAt] as Event
      const right = events[childAt + 1]
      if (right !== undefined && isBefore(right, child)) {
        child = right
        childAt++
      }
      if (!isBefore(child, event)) break
      events[at] = child
      at = childAt
    }
    events[at] = event
  }
}

function isBefore(left: Event, right: Event): boolean {
  return left.timeMs < right.timeMs || (left.timeMs === right.timeMs && left.order < right.order)
}
