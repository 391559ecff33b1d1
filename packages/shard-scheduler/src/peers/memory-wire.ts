/**
 * One direction of a connection between two nodes in memory: when what is sent arrives, if it does.
 *
 * It behaves as TCP does unless told otherwise: everything arrives, once, in order. Latency, jitter, a narrow path and hiccups
 * delay what is behind as well. While the wire is blocked everything is held back and the sender's queue fills; the owner
 * decides when that ends the connection. `lose`, `repeat` and `reorder` are worse than TCP and meant for protocols that claim to
 * bear that: they break the promises of the peer network on purpose, for single messages and, `lose` only, for calls.
 */
import assert from 'node:assert'
import { frameBytes, type Frame } from '../frames/frames.ts'
import type { Scheduler } from '../scheduler/scheduler.ts'

/** What a path between two nodes is like, in one direction. */
export interface MemoryPath {
  /** From sender to receiver, milliseconds. Default 0: the next turn. */
  readonly latencyMs: number
  /** Up to this much more, evenly distributed. Default 0. */
  readonly jitterMs: number
  /** Bytes a second that fit through. Default `Infinity`. */
  readonly bytesPerSecond: number
  /** Share of batches, 0 to 1, that take `hiccupMs` longer, as a lost packet that TCP repeats does. Default 0. */
  readonly hiccup: number
  readonly hiccupMs: number
  /** Share of frames, 0 to 1, that never arrive though the link stays up. Default 0. */
  readonly lose: number
  /** Share of messages that arrive a second time, up to `disorderMs` later. Default 0. */
  readonly repeat: number
  /** Share of messages that arrive up to `disorderMs` after their place. Default 0. */
  readonly reorder: number
  readonly disorderMs: number
}

export const idealPath: MemoryPath = {
  latencyMs: 0,
  jitterMs: 0,
  bytesPerSecond: Infinity,
  hiccup: 0,
  hiccupMs: 200,
  lose: 0,
  repeat: 0,
  reorder: 0,
  disorderMs: 20
}

/** What a wire needs from its network. */
export interface WireHost {
  readonly scheduler: Scheduler
  /** Evenly distributed in [0, 1). */
  readonly random: () => number
  /** The path at the moment of sending. */
  path(): MemoryPath
  /** Nothing passes now. */
  blocked(): boolean
  /** The sender is alive: what a process sends after its end goes nowhere. */
  alive(): boolean
  /** Frames are there. */
  arrive(frames: readonly Frame[]): void
}

interface Arrival {
  readonly dueMs: number
  readonly deliver: () => void
}

export class MemoryWire {
  readonly #host: WireHost
  #held: (() => void)[] = []
  readonly #arrivals: Arrival[] = []
  /** When the narrow part of the path is free again, and when the last frame in order arrives. */
  #freeMs = 0
  #lastArrivalMs = 0
  #cut = false

  constructor(host: WireHost) {
    this.#host = host
  }

  /** Sends `frames`; `taken` is called when they left the sender. */
  carry(frames: readonly Frame[], taken: () => void): void {
    if (this.#cut || !this.#host.alive()) return
    // Copied as by a kernel: the sender may use the memory again once they are taken.
    const copies = frames.map(copyOf)
    const pass = (): void => this.#pass(copies, taken)
    if (this.#host.blocked()) this.#held.push(pass)
    else pass()
  }

  /** What was held back goes on, in order, if the way is free. */
  release(): void {
    if (this.#host.blocked()) return
    for (const pass of this.#held.splice(0)) pass()
  }

  /** Loses everything under way; nothing arrives any more. */
  cut(): void {
    this.#cut = true
    this.#held = []
    this.#arrivals.length = 0
  }

  #pass(frames: readonly Frame[], taken: () => void): void {
    const { scheduler } = this.#host
    const path = this.#host.path()
    const nowMs = scheduler.now()
    const bytes = frames.reduce((sum, frame) => sum + frameBytes(frame), 0)
    this.#freeMs = Math.max(this.#freeMs, nowMs) + (bytes / path.bytesPerSecond) * 1000
    const delayMs = path.latencyMs + this.#upTo(path.jitterMs) + (this.#happens(path.hiccup) ? path.hiccupMs : 0)
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, this.#freeMs + delayMs)
    const inOrder = frames.filter(frame => this.#survives(frame, path))
    this.#at(this.#freeMs, () => {
      if (!this.#cut) taken()
    })
    this.#arrivals.push({ dueMs: this.#lastArrivalMs, deliver: () => this.#host.arrive(inOrder) })
    this.#at(this.#lastArrivalMs, this.#deliverDue)
  }

  /** Timers only say that it is time: what arrives is the queue's head, so that equal times keep the order. */
  readonly #deliverDue = (): void => {
    const nowMs = this.#host.scheduler.now()
    while (this.#arrivals.length > 0 && this.#arrivals[0]!.dueMs <= nowMs) this.#arrivals.shift()!.deliver()
  }

  /** Whether `frame` arrives in its place; if not, it is lost or comes by itself later. */
  #survives(frame: Frame, path: MemoryPath): boolean {
    if (this.#happens(path.lose)) return false
    if (frame.kind !== 'message') return true
    if (this.#happens(path.repeat)) this.#straggle(frame, path)
    if (!this.#happens(path.reorder)) return true
    this.#straggle(frame, path)
    return false
  }

  #straggle(frame: Frame, path: MemoryPath): void {
    const copy = copyOf(frame)
    this.#at(this.#lastArrivalMs + this.#upTo(path.disorderMs), () => {
      if (!this.#cut) this.#host.arrive([copy])
    })
  }

  #at(dueMs: number, task: () => void): void {
    const { scheduler } = this.#host
    const delayMs = dueMs - scheduler.now()
    if (delayMs > 0) scheduler.after(delayMs, task)
    else scheduler.nextTurn(task)
  }

  // Without a chance nothing is drawn: a path that is ideal needs no random source and leaves the sequence of one alone.
  #happens(share: number): boolean {
    return share > 0 && this.#host.random() < share
  }

  #upTo(bound: number): number {
    return bound > 0 ? this.#host.random() * bound : 0
  }
}

function copyOf(frame: Frame): Frame {
  return { ...frame, payload: new Uint8Array(frame.payload) }
}

/** The random source of a network that was given none. */
export function noRandom(): number {
  assert.fail('paths that depend on chance need the option `random`')
}
