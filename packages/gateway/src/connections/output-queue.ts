/**
 * The responses of one connection on their way out, in order.
 *
 * Responses are lists of views; they are never assembled. Once per turn at most WRITE_BYTES_PER_TURN_MAX go to the socket in
 * one cork/writev; the next portion follows when the kernel took that one. Small responses that leave together are copied
 * into one chunk, which is cheaper than a writev of many tiny ones. What a response pinned (slices of the tail cache) is
 * released when its last byte was written, or when the connection died.
 */
import type net from 'node:net'
import { COALESCE_BYTES_MAX, WRITE_BYTES_PER_TURN_MAX } from '../settings.ts'

interface Queued {
  readonly chunks: readonly Uint8Array[]
  readonly releases: readonly (() => void)[] | null
  /** Value of the byte counter at which the last byte of this response was written. */
  readonly endByte: number
}

export class OutputQueue {
  readonly #socket: net.Socket
  readonly #onWritten: () => void
  #queue: Queued[] = []
  /** First response that is not completely written, and the first not completely handed to the socket. */
  #unwritten = 0
  #unsent = 0
  #chunk = 0
  #chunkOffset = 0
  #queuedByte = 0
  #sentByte = 0
  #writtenByte = 0
  #writing = false
  #closed = false
  #outgoing: Uint8Array[] = []

  /** `onWritten` runs whenever the kernel took a portion: the moment to flush again and to read on. */
  constructor(socket: net.Socket, onWritten: () => void) {
    this.#socket = socket
    this.#onWritten = onWritten
  }

  /** Response bytes that the kernel has not taken. */
  get byteCount(): number {
    return this.#queuedByte - this.#writtenByte
  }

  /** Response bytes handed to the socket since the connection began. */
  get sentByteCount(): number {
    return this.#sentByte
  }

  /** A portion is with the socket. */
  get writing(): boolean {
    return this.#writing
  }

  /** Something waits for `flush`. */
  get waiting(): boolean {
    return this.#sentByte < this.#queuedByte
  }

  /** Appends a response. The chunks must stay untouched until `releases` have run. */
  push(chunks: readonly Uint8Array[], releases: readonly (() => void)[] | null): void {
    if (this.#closed) return runAll(releases)
    let byteCount = 0
    for (const chunk of chunks) byteCount += chunk.length
    this.#queuedByte += byteCount
    this.#queue.push({ chunks, releases, endByte: this.#queuedByte })
  }

  /** Hands the next portion to the socket, unless one is still there. */
  flush(): void {
    if (this.#writing || this.#closed || !this.waiting) return
    const outgoing = this.#gather()
    this.#writing = true
    const socket = this.#socket
    const last = outgoing.length - 1
    if (last > 0) socket.cork()
    for (let i = 0; i < last; i++) socket.write(outgoing[i] as Uint8Array)
    socket.write(outgoing[last] as Uint8Array, this.#onPortionWritten)
    if (last > 0) socket.uncork()
    outgoing.length = 0
  }

  /** The connection died: releases everything. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    const queue = this.#queue
    this.#queue = []
    for (let i = this.#unwritten; i < queue.length; i++) runAll(queue[i]?.releases ?? null)
  }

  #gather(): Uint8Array[] {
    const outgoing = this.#outgoing
    const endByte = this.#sentByte + WRITE_BYTES_PER_TURN_MAX
    let smallFrom = 0
    let smallBytes = 0
    while (this.#sentByte < this.#queuedByte && this.#sentByte < endByte) {
      const view = this.#nextView(endByte - this.#sentByte)
      this.#sentByte += view.length
      if (view.length > COALESCE_BYTES_MAX) {
        coalesce(outgoing, smallFrom, smallBytes)
        outgoing.push(view)
        smallFrom = outgoing.length
        smallBytes = 0
      } else {
        outgoing.push(view)
        smallBytes += view.length
      }
    }
    coalesce(outgoing, smallFrom, smallBytes)
    return outgoing
  }

  #nextView(byteCountMax: number): Uint8Array {
    const queued = this.#queue[this.#unsent] as Queued
    const chunk = queued.chunks[this.#chunk] as Uint8Array
    const rest = chunk.length - this.#chunkOffset
    const byteCount = Math.min(rest, byteCountMax)
    const view = byteCount === chunk.length ? chunk : chunk.subarray(this.#chunkOffset, this.#chunkOffset + byteCount)
    if (byteCount < rest) {
      this.#chunkOffset += byteCount
      return view
    }
    this.#chunkOffset = 0
    this.#chunk++
    if (this.#chunk === queued.chunks.length) {
      this.#chunk = 0
      this.#unsent++
    }
    return view
  }

  readonly #onPortionWritten = (): void => {
    if (this.#closed) return
    this.#writing = false
    this.#writtenByte = this.#sentByte
    while (this.#unwritten < this.#unsent) runAll(this.#queue[this.#unwritten++]?.releases ?? null)
    this.#forgetWritten()
    this.#onWritten()
  }

  #forgetWritten(): void {
    if (this.#unwritten === this.#queue.length) this.#queue.length = 0
    else if (this.#unwritten >= 64) this.#queue.splice(0, this.#unwritten)
    else return
    this.#unsent -= this.#unwritten
    this.#unwritten = 0
  }
}

/** Replaces the small chunks from `from` on by one copy, when there are several. */
function coalesce(outgoing: Uint8Array[], from: number, byteCount: number): void {
  if (outgoing.length - from < 2) return
  const joined = Buffer.allocUnsafe(byteCount)
  let at = 0
  for (let i = from; i < outgoing.length; i++) {
    const chunk = outgoing[i] as Uint8Array
    joined.set(chunk, at)
    at += chunk.length
  }
  outgoing.length = from
  outgoing.push(joined)
}

function runAll(releases: readonly (() => void)[] | null): void {
  if (releases !== null) for (const release of releases) release()
}
