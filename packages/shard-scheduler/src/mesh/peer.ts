/**
 * One shard as seen from another: the calls that wait for it, the queue of what is to be sent, and the link when there is
 * one. Single-threaded, no I/O: a transport brings links and frames, a `Scheduler` brings time.
 *
 *     submit ──► pending (id -> call) ──► queue ──next turn, while batchesInFlight < max──► link.send
 *                   ▲                      ▲ ▲
 *       answer ─────┘                 send ┘ └ service's answer ◄── receive(call)
 *
 * Invariant: a call is settled exactly once, and it is in `pending` until then.
 * Invariant: answers go out on the link that brought their call, or nowhere: ids mean nothing on another link.
 */
import assert from 'node:assert'
import { MeshError } from '../errors.ts'
import type { BufferPool } from '../frames/buffer-pool.ts'
import { FrameQueue } from '../frames/frame-queue.ts'
import {
  FRAME_OVERHEAD_BYTES,
  frameBytes,
  type AnswerFrame,
  type AnswerStatus,
  type CallFrame,
  type Frame,
  type Lane,
  type Link,
  type MessageFrame
} from '../frames/frames.ts'
import type { Scheduler } from '../scheduler/scheduler.ts'
import type { DeadlineWheel, WheelEntry } from './deadline-wheel.ts'
import type { MeshLimits } from './mesh-limits.ts'

const NO_BYTES: Uint8Array = new Uint8Array(0)

/** A call without an end, at the caller. */
export interface PendingCall extends WheelEntry {
  readonly peer: Peer
  readonly frame: CallFrame
  readonly bytes: number
  /** Handed to the transport: it may have run. */
  sent: boolean
  readonly resolve: (payload: Uint8Array) => void
  readonly reject: (error: MeshError) => void
}

/** Runs a call that came from a peer. */
export type CallRunner = (frame: CallFrame, from: number) => Uint8Array | Promise<Uint8Array>

/** Takes a message that came from a peer. */
export type MessageTaker = (frame: MessageFrame, from: number) => void

/** What a peer needs from its mesh. */
export interface PeerHost {
  /** What a peer is called in reasons of errors: "shard" or "peer". */
  readonly noun: string
  readonly scheduler: Scheduler
  readonly limits: MeshLimits
  readonly wheel: DeadlineWheel<PendingCall>
  /** For messages while they wait and are sent. */
  readonly buffers: BufferPool
  readonly runCall: CallRunner
  readonly takeMessage: MessageTaker
}

export class Peer {
  readonly number: number
  readonly #host: PeerHost
  readonly #pending = new Map<number, PendingCall>()
  #link: Link | undefined
  readonly #queue = new FrameQueue()
  /** Bytes of calls in the queue and in the transport. */
  #callBytes = 0
  /** Bytes of answers in the queue and in the transport. */
  #answerBytes = 0
  /** Bytes of messages in the queue and in the transport, by lane. */
  #messageBytes: Record<Lane, number> = { urgent: 0, bulk: 0 }
  #batchesInFlight = 0
  #flushScheduled = false
  /** Calls of this peer that run here. */
  #runningCount = 0
  #nextId = 1

  constructor(number: number, host: PeerHost) {
    this.number = number
    this.#host = host
  }

  /** There is a link to the shard. */
  get reachable(): boolean {
    return this.#link !== undefined
  }

  /** Calls to the shard without an end. */
  get pendingCallCount(): number {
    return this.#pending.size
  }

  /** Bytes that wait to be sent to the shard: calls, answers and messages. */
  get queuedBytes(): number {
    return this.#callBytes + this.#answerBytes + this.#messageBytes.urgent + this.#messageBytes.bulk
  }

  /** Starts to use `link`. The one before, if any, must have been lost first. */
  attach(link: Link): void {
    assert(this.#link === undefined, 'a peer has one link at a time')
    this.#link = link
  }

  /** The link is gone: whatever was under way on it ends with `UNREACHABLE`, what was to be sent on it is dropped. */
  detach(reason: string): void {
    this.#link = undefined
    this.#queue.clear()
    this.#callBytes = 0
    this.#answerBytes = 0
    this.#messageBytes = { urgent: 0, bulk: 0 }
    this.#batchesInFlight = 0
    this.#runningCount = 0
    const lost = [...this.#pending.values()]
    this.#pending.clear()
    for (const call of lost) {
      this.#host.wheel.remove(call)
      call.frame.payload = NO_BYTES
      call.reject(new MeshError('UNREACHABLE', `${reason}, while ${call.frame.service} on ${this.#name} was under way`))
    }
  }

  /** Calls `service` on the shard. Settles exactly once. */
  submit(service: string, payload: Uint8Array, deadlineMs: number): Promise<Uint8Array> {
    const { limits } = this.#host
    const target = `${service} on ${this.#name}`
    if (payload.length > limits.payloadBytesMax) {
      return refuse('TOO_LARGE', `${payload.length} bytes for ${target}, at most ${limits.payloadBytesMax}`)
    }
    if (this.#link === undefined) return refuse('UNREACHABLE', `no link for ${target}`)
    if (this.#pending.size >= limits.pendingCallCountMax) {
      return refuse('OVERLOADED', `${this.#pending.size} calls under way before ${target}`)
    }
    const frame: CallFrame = { kind: 'call', id: this.#takeId(), service, payload, abandoned: false }
    const bytes = frameBytes(frame)
    if (this.#callBytes > 0 && this.#callBytes + bytes > limits.pendingBytesMax) {
      return refuse('OVERLOADED', `${this.#callBytes} bytes wait before ${target}`)
    }
    return new Promise((resolve, reject) => {
      const call: PendingCall = {
        peer: this,
        frame,
        bytes,
        sent: false,
        resolve,
        reject,
        dueSlot: -1,
        next: undefined,
        previous: undefined
      }
      this.#pending.set(frame.id, call)
      this.#host.wheel.add(call, deadlineMs)
      this.#callBytes += bytes
      this.#enqueue(frame)
    })
  }

  /**
   * Sends a message made of `parts`, which are copied. False: no link, or over the lane's bound. Throws `MeshError` (`TOO_LARGE`)
   * for a message that will never be taken.
   */
  send(channel: string, parts: readonly Uint8Array[], lane: Lane): boolean {
    const { limits } = this.#host
    let length = 0
    for (const part of parts) length += part.length
    if (length > limits.payloadBytesMax) {
      const target = `${channel} of ${this.#name}`
      throw new MeshError('TOO_LARGE', `${length} bytes for ${target}, at most ${limits.payloadBytesMax}`)
    }
    if (this.#link === undefined) return false
    const bytes = length + channel.length + FRAME_OVERHEAD_BYTES
    const waiting = this.#messageBytes[lane]
    const bytesMax = lane === 'bulk' ? limits.bulkBytesMax : limits.pendingBytesMax
    if (waiting > 0 && waiting + bytes > bytesMax) return false
    this.#messageBytes[lane] = waiting + bytes
    this.#enqueue({ kind: 'message', channel, payload: this.#joined(parts, length), lane })
    return true
  }

  /** Ends `call` because its time is up. A call that still waits here is never sent. */
  expire(call: PendingCall): void {
    this.#pending.delete(call.frame.id)
    if (!call.sent) {
      call.frame.abandoned = true
      call.frame.payload = NO_BYTES
      this.#callBytes -= call.bytes
    }
    const state = call.sent ? 'no answer in time' : 'not sent in time'
    call.reject(new MeshError('DEADLINE', `${state} from ${call.frame.service} on ${this.#name}`))
  }

  /** Takes frames that arrived on `link`, in their order. Frames of a link that is no longer used are ignored. */
  receive(link: Link, frames: readonly Frame[]): void {
    for (const frame of frames) {
      if (this.#link !== link) return
      if (frame.kind === 'message') this.#host.takeMessage(frame, this.number)
      else if (frame.kind === 'call') this.#run(link, frame)
      else this.#complete(frame)
    }
  }

  #complete(answer: AnswerFrame): void {
    const call = this.#pending.get(answer.id)
    if (call === undefined) return // its deadline came first
    this.#pending.delete(answer.id)
    this.#host.wheel.remove(call)
    if (answer.status === 'ok') call.resolve(answer.payload)
    else call.reject(new MeshError(answer.status === 'failed' ? 'REMOTE' : 'OVERLOADED', answer.message))
  }

  #run(link: Link, frame: CallFrame): void {
    const { limits } = this.#host
    if (this.#runningCount >= limits.pendingCallCountMax || this.#answerBytes >= limits.pendingBytesMax) {
      const load = `${this.#runningCount} calls and ${this.#answerBytes} bytes of answers under way`
      this.#answer(link, frame.id, 'overloaded', NO_BYTES, load)
      return
    }
    this.#runningCount++
    let outcome: Uint8Array | Promise<Uint8Array>
    try {
      outcome = this.#host.runCall(frame, this.number)
    } catch (error) {
      this.#finish(link, frame, 'failed', NO_BYTES, messageOf(error))
      return
    }
    if (outcome instanceof Uint8Array) this.#finish(link, frame, 'ok', outcome, '')
    else {
      outcome.then(
        payload => this.#finish(link, frame, 'ok', payload, ''),
        (error: unknown) => this.#finish(link, frame, 'failed', NO_BYTES, messageOf(error))
      )
    }
  }

  #finish(link: Link, frame: CallFrame, status: AnswerStatus, payload: Uint8Array, message: string): void {
    if (this.#link !== link) return
    this.#runningCount--
    const { limits } = this.#host
    if (!(payload instanceof Uint8Array)) {
      this.#answer(link, frame.id, 'failed', NO_BYTES, `${frame.service} answered with something that is not bytes`)
    } else if (payload.length > limits.payloadBytesMax) {
      const size = `its answer has ${payload.length} bytes, at most ${limits.payloadBytesMax}`
      this.#answer(link, frame.id, 'failed', NO_BYTES, `${frame.service} ran, but ${size}`)
    } else if (this.#answerBytes > 0 && this.#answerBytes + payload.length > 2 * limits.pendingBytesMax) {
      const queue = `${this.#answerBytes} bytes of answers wait before its own`
      this.#answer(link, frame.id, 'failed', NO_BYTES, `${frame.service} ran, but ${queue}`)
    } else this.#answer(link, frame.id, status, payload, message)
  }

  #answer(link: Link, id: number, status: AnswerStatus, payload: Uint8Array, message: string): void {
    if (this.#link !== link) return
    const frame: AnswerFrame = { kind: 'answer', id, status, payload, message }
    this.#answerBytes += frameBytes(frame)
    this.#enqueue(frame)
  }

  #enqueue(frame: Frame): void {
    this.#queue.push(frame)
    this.#scheduleFlush()
  }

  #scheduleFlush(): void {
    const { batchesInFlightMax } = this.#host.limits
    if (this.#flushScheduled || this.#batchesInFlight >= batchesInFlightMax) return
    const bulkMayGo = this.#batchesInFlight < batchesInFlightMax / 2
    if (this.#queue.count('urgent') === 0 && !(bulkMayGo && this.#queue.count('bulk') > 0)) return
    this.#flushScheduled = true
    this.#host.scheduler.nextTurn(this.#flush)
  }

  readonly #flush = (): void => {
    this.#flushScheduled = false
    const link = this.#link
    const { batchBytesMax, batchesInFlightMax } = this.#host.limits
    // A link may be lost inside `send`; then the queue was cleared with it.
    while (link !== undefined && this.#link === link && this.#batchesInFlight < batchesInFlightMax) {
      const batch = this.#queue.take(batchBytesMax, this.#batchesInFlight < batchesInFlightMax / 2)
      if (batch.length === 0) break
      this.#send(link, batch)
    }
  }

  #send(link: Link, batch: readonly Frame[]): void {
    let callBytes = 0
    let answerBytes = 0
    let urgentBytes = 0
    let bulkBytes = 0
    for (const frame of batch) {
      const bytes = frameBytes(frame)
      if (frame.kind === 'answer') answerBytes += bytes
      else if (frame.kind === 'message') {
        if (frame.lane === 'urgent') urgentBytes += bytes
        else bulkBytes += bytes
      } else {
        callBytes += bytes
        const call = this.#pending.get(frame.id)
        if (call !== undefined) call.sent = true
      }
    }
    this.#batchesInFlight++
    link.send(batch, () => {
      if (this.#link !== link) return
      this.#batchesInFlight--
      this.#callBytes -= callBytes
      this.#answerBytes -= answerBytes
      this.#messageBytes.urgent -= urgentBytes
      this.#messageBytes.bulk -= bulkBytes
      for (const frame of batch) if (frame.kind === 'message') this.#host.buffers.give(frame.payload)
      this.#scheduleFlush()
    })
  }

  /** `parts` one after another, in memory of their own. */
  #joined(parts: readonly Uint8Array[], length: number): Uint8Array {
    const bytes = this.#host.buffers.take(length)
    let position = 0
    for (const part of parts) {
      bytes.set(part, position)
      position += part.length
    }
    return bytes
  }

  get #name(): string {
    return `${this.#host.noun} ${this.number}`
  }

  #takeId(): number {
    // 2^32 calls later an id may still be taken by a call that waits: skip it.
    do this.#nextId = this.#nextId === 0xffff_ffff ? 1 : this.#nextId + 1
    while (this.#pending.has(this.#nextId))
    return this.#nextId
  }
}

function refuse(code: 'TOO_LARGE' | 'UNREACHABLE' | 'OVERLOADED', message: string): Promise<never> {
  return Promise.reject(new MeshError(code, message))
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
