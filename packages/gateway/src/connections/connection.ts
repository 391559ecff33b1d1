/**
 * One client connection: bytes in, requests started in order, responses out in order.
 *
 *     read ─► frames in place ─► may it start? ─► decode ─► handler ─► answered, in order ─► output queue ─► one write a turn
 *                                   │ no
 *                                   └► blocked: stop reading, go on in a later turn
 *
 * Reading stops only while a whole request waits that may not start: too many in flight, the shard's budget spent, the
 * client not reading its answers, an earlier request that must finish first, or this turn's share used up. So the bytes
 * that wait for one connection are bounded by one buffer, and the kernel's window does the rest.
 *
 * A malformed request costs its own connection and nothing else: the socket is destroyed without an answer.
 */
import { DecodeError } from '@milena/wire-protocol'
import type { GatewayRooms } from '../handler.ts'
import { closeConnection, noResponse } from '../handler.ts'
import type { HandlerTable, ServedVersion } from '../handlers/table.ts'
import type { Dial } from '../ports.ts'
import { OWN_BUFFER_IDLE_MS, REQUEST_BYTES_PER_SECOND_MIN, REQUESTS_PER_TURN_MAX } from '../settings.ts'
import type { AdmissionWaiter, RequestAdmission } from './admission.ts'
import type { ConnectionCounters } from './counters.ts'
import { Exchange, type ExchangeOwner } from './exchange.ts'
import { OutputQueue } from './output-queue.ts'
import { ReceiveBuffer } from './receive-buffer.ts'
import type { MemoryWaiter, ReceiveMemory } from './receive-memory.ts'
import { type ReceiveSink, type Receiver, receiveFrom } from './receive.ts'
import { TimerEntry } from './timer-wheel.ts'
import type { TurnTaker } from './turn-queue.ts'
import type net from 'node:net'

/** Smallest request: api key, api version, correlation id. */
const HEADER_BYTES_MIN = 8

const API_VERSIONS_KEY = 18

/** What the connections of one gateway share. */
export interface ConnectionRooms extends GatewayRooms {
  readonly table: HandlerTable
  readonly memory: ReceiveMemory
  readonly admission: RequestAdmission
  readonly counters: ConnectionCounters
}

export class Connection implements ReceiveSink, ExchangeOwner, MemoryWaiter, AdmissionWaiter, TurnTaker {
  readonly rooms: ConnectionRooms
  readonly dial: Dial
  scheduled = false
  closed = false
  readonly #receiver: Receiver
  readonly #input: ReceiveBuffer
  readonly #output: OutputQueue
  readonly #timer = new TimerEntry(() => this.#onTimer())
  readonly #onClosed: (connection: Connection) => void
  #nextTarget: Uint8Array
  #reading = true
  /** A whole request waits that may not start yet. */
  #blocked = false
  #inputEnded = false
  #draining = false
  #ending = false
  /** Requests without a complete answer, in order. */
  #first: Exchange | null = null
  #last: Exchange | null = null
  #pendingCount = 0
  /** One of them, at most, is not pipelined; nothing starts behind it. */
  #barrier = false
  #lastActiveMs: number
  /** When the request that is half received began, 0 when there is none. */
  #partialSinceMs = 0
  #writeSinceMs = 0

  /** Takes over an accepted, paused socket and starts reading. `onClosed` runs once. */
  constructor(rooms: ConnectionRooms, accepted: net.Socket, dial: Dial, onClosed: (connection: Connection) => void) {
    this.rooms = rooms
    this.dial = dial
    this.#onClosed = onClosed
    this.#input = new ReceiveBuffer(rooms.memory, this, rooms.settings.requestBytesMax)
    this.#nextTarget = this.#input.targetWhilePaused()
    this.#lastActiveMs = rooms.host.clock.monotonic()
    this.#receiver = receiveFrom(accepted, this, rooms.settings.receive)
    const socket = this.#receiver.socket
    this.#output = new OutputQueue(socket, () => this.#onWritten())
    socket.on('end', () => this.#onEnd())
    socket.on('error', () => this.destroy('socket error'))
    socket.on('close', () => this.destroy('socket closed'))
    this.#armTimer(this.#idleMs())
    this.#receiver.resume()
  }

  /** Starts no further request; closes when the answers of the started ones are out. */
  drain(): void {
    this.#draining = true
    this.#hurry()
    this.rooms.turns.schedule(this)
  }

  /** Closes at once. Whatever was borrowed for unwritten answers is released, whoever still works on one is told. */
  destroy(reason: string): void {
    if (this.closed) return
    this.closed = true
    this.rooms.host.log.debug(
      { remote: this.dial.remoteAddress, listener: this.dial.listener, reason },
      'connection closed'
    )
    this.rooms.timers.disarm(this.#timer)
    this.#nextTarget = this.#input.targetWhilePaused()
    this.#receiver.socket.destroy()
    this.#output.close()
    for (let exchange = this.#first; exchange !== null; exchange = exchange.next) {
      if (!exchange.answered) this.rooms.admission.leave(exchange.byteCount)
      exchange.abandon()
    }
    this.#first = null
    this.#last = null
    this.#input.releaseOwn()
    this.rooms.memory.forget(this)
    this.rooms.admission.forget(this)
    this.#onClosed(this)
  }

  target(): Uint8Array {
    return this.#nextTarget
  }

  received(byteCount: number): boolean {
    if (this.closed) return false
    this.rooms.counters.bytesReceived += byteCount
    this.#lastActiveMs = this.rooms.host.clock.monotonic()
    if (!this.#input.received(byteCount)) return this.#outOfMemory()
    this.#pump()
    if (this.closed) return false
    if (!this.#input.settle()) return this.#outOfMemory()
    this.#watchPartial()
    return this.#aimNextRead()
  }

  turn(): void {
    if (this.closed) return
    if (this.#blocked) this.#pump()
    if (this.closed) return
    this.#flush()
    if (!this.#reading && !this.#blocked) this.#readOn()
    this.#endWhenDone()
  }

  onMemory(): void {
    this.rooms.turns.schedule(this)
  }

  onAdmission(): void {
    this.rooms.turns.schedule(this)
  }

  /** Starts every request that is there and may start. */
  #pump(): void {
    const input = this.#input
    this.#blocked = false
    for (let startable = REQUESTS_PER_TURN_MAX; !this.closed; startable--) {
      const state = input.peek()
      if (state === 'partial') return
      if (state === 'invalid') return this.#malformed('frame size')
      if (input.frameEnd - input.frameStart < HEADER_BYTES_MIN) return this.#malformed('frame shorter than a header')
      if (startable === 0 || !this.#mayStart()) {
        this.#blocked = true
        if (startable === 0) this.rooms.turns.schedule(this)
        return
      }
      this.#partialSinceMs = 0
      this.#start()
    }
  }

  #mayStart(): boolean {
    const { settings, admission, table } = this.rooms
    const { bytes, frameStart, frameEnd } = this.#input
    if (this.#draining || this.#output.byteCount >= settings.outputQueueBytesMax) return false
    const apiKey = int16At(bytes, frameStart)
    const handler = table.handler(apiKey)
    if (this.#first !== null) {
      if (this.#barrier || this.#pendingCount >= settings.inFlightRequestsMax) return false
      if (handler?.pipelined !== true) return false
    }
    // ApiVersions costs nothing and tells a client that we are alive, so it waits for nobody.
    if (apiKey === API_VERSIONS_KEY) return true
    if (admission.mayEnter(frameEnd - frameStart, handler?.carriesData === true)) return true
    admission.wait(this)
    return false
  }

  #start(): void {
    const { bytes, frameStart, frameEnd } = this.#input
    const apiKey = int16At(bytes, frameStart)
    const apiVersion = int16At(bytes, frameStart + 2)
    const served = this.rooms.table.served(apiKey, apiVersion)
    this.#input.consume()
    this.rooms.counters.requests++
    if (served !== undefined) return this.#decodeAndHandle(served, apiVersion, bytes, frameStart, frameEnd)
    if (apiKey !== API_VERSIONS_KEY) return this.#malformed(`api ${apiKey} version ${apiVersion} is not served`)
    const fallback = this.rooms.table.unsupportedApiVersions
    this.#handle(fallback, 0, int32At(bytes, frameStart + 4), null, undefined, frameEnd - frameStart)
  }

  #decodeAndHandle(served: ServedVersion, apiVersion: number, bytes: Uint8Array, start: number, end: number): void {
    let header
    let request
    try {
      header = this.rooms.table.readHeader(bytes, start, end)
      request = served.decodeBody()
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      return this.#malformed(`${served.handler.api.name} request: ${error.code}`)
    }
    this.#handle(served, apiVersion, header.correlationId, header.clientId, request, end - start)
  }

  #handle(
    served: ServedVersion,
    apiVersion: number,
    correlationId: number,
    clientId: string | null,
    request: unknown,
    byteCount: number
  ): void {
    const { handler } = served
    const exchange = new Exchange(this, handler, apiVersion, correlationId, clientId, request, byteCount)
    if (this.#last === null) this.#first = exchange
    else this.#last.next = exchange
    this.#last = exchange
    this.#pendingCount++
    this.rooms.admission.enter(byteCount)
    let outcome: unknown
    try {
      outcome = handler.handle(exchange, request)
    } catch (error) {
      return this.#fail(exchange, error)
    }
    if (!(outcome instanceof Promise)) return this.#answer(exchange, outcome)
    if (handler.pipelined !== true) this.#barrier = true
    outcome.then(
      later => this.#answer(exchange, later),
      error => this.#fail(exchange, error)
    )
  }

  /** A handler threw: a defect of ours, not the client's. */
  #fail(exchange: Exchange, error: unknown): void {
    this.rooms.counters.handlerErrors++
    const { handler, apiVersion } = exchange
    this.rooms.host.log.error({ err: error, api: handler.api.name, apiVersion }, 'request failed')
    try {
      this.#answer(exchange, handler.refuse(exchange, exchange.request, 'UNKNOWN_SERVER_ERROR'))
    } catch (again) {
      this.rooms.host.log.error({ err: again, api: handler.api.name, apiVersion }, 'refusal failed')
      this.destroy('handler error')
    }
  }

  #answer(exchange: Exchange, outcome: unknown): void {
    if (this.closed) return exchange.abandon()
    exchange.waiting = null
    if (outcome === closeConnection) return this.destroy('handler hung up')
    if (outcome !== noResponse) {
      try {
        exchange.chunks = this.rooms.table.encode(exchange, outcome)
      } catch (error) {
        this.rooms.host.log.error({ err: error, api: exchange.handler.api.name }, 'response cannot be encoded')
        return this.destroy('response cannot be encoded')
      }
    }
    exchange.answered = true
    this.rooms.admission.leave(exchange.byteCount)
    if (exchange.handler.pipelined !== true) this.#barrier = false
    this.#collectAnswers()
    this.rooms.turns.schedule(this)
  }

  /** Moves answers to the output queue, up to the first request that has none yet. */
  #collectAnswers(): void {
    for (let exchange = this.#first; exchange !== null && exchange.answered; exchange = exchange.next) {
      this.#first = exchange.next
      this.#pendingCount--
      if (exchange.chunks !== null) this.#output.push(exchange.chunks, exchange.releases)
      else if (exchange.releases !== null) for (const release of exchange.releases) release()
    }
    if (this.#first === null) this.#last = null
  }

  #flush(): void {
    if (this.#output.writing || !this.#output.waiting) return
    this.#lastActiveMs = this.rooms.host.clock.monotonic()
    this.#writeSinceMs = this.#lastActiveMs
    this.#armTimer(this.rooms.settings.outputStallTimeoutMs)
    const sentBefore = this.#output.sentByteCount
    this.#output.flush()
    this.rooms.counters.bytesSent += this.#output.sentByteCount - sentBefore
  }

  #onWritten(): void {
    if (this.#output.waiting || this.#blocked || this.#inputEnded || this.#draining) this.rooms.turns.schedule(this)
  }

  /** Sets the target of the next read; false when reading has to stop. */
  #aimNextRead(): boolean {
    const target = this.#blocked ? null : this.#input.target()
    if (target !== null) {
      this.#nextTarget = target
      return true
    }
    if (!this.#blocked) this.rooms.memory.wait(this)
    this.#nextTarget = this.#input.targetWhilePaused()
    this.#reading = false
    return false
  }

  /** Reading was stopped and may go on. The paused handle still has the landing buffer as its target. */
  #readOn(): void {
    if (!this.#input.settle()) {
      this.#outOfMemory()
      return
    }
    if (this.#input.target() === null) return this.rooms.memory.wait(this)
    this.rooms.memory.passOn()
    this.#nextTarget = this.#input.targetWhilePaused()
    this.#reading = true
    this.#partialSinceMs = 0
    this.#watchPartial()
    this.#receiver.resume()
  }

  #onEnd(): void {
    this.#inputEnded = true
    this.#hurry()
    this.#endWhenDone()
  }

  #hurry(): void {
    for (let exchange = this.#first; exchange !== null; exchange = exchange.next) exchange.hurry()
  }

  /** Closes our side when the client closed its own, or we drain, and nothing is left to answer. */
  #endWhenDone(): void {
    if (this.closed || this.#ending || !(this.#inputEnded || this.#draining)) return
    if (this.#first !== null || this.#output.byteCount > 0) return
    this.#ending = true
    // Some clients take the end of a stream that never carried an answer for a missing TLS or SASL setting, and give up for
    // good (franz-go does); a reset they try again.
    if (this.#draining && this.#output.sentByteCount === 0) this.#receiver.socket.resetAndDestroy()
    else this.#receiver.socket.end(() => this.destroy('done'))
  }

  #malformed(reason: string): void {
    this.rooms.counters.malformedRequests++
    this.destroy(reason)
  }

  #outOfMemory(): false {
    this.rooms.host.log.warn({ remote: this.dial.remoteAddress }, 'no memory for received bytes: connection closed')
    this.destroy('receive memory spent')
    return false
  }

  #watchPartial(): void {
    if (this.#input.ownBytes > 0)
      this.#armTimer(Math.min(OWN_BUFFER_IDLE_MS, this.rooms.settings.requestAssemblyTimeoutMs))
    if (this.#blocked || this.#input.byteCount === 0) this.#partialSinceMs = 0
    else if (this.#partialSinceMs === 0) this.#partialSinceMs = this.#lastActiveMs
  }

  #idleMs(): number {
    const { connectionsMaxIdleMs } = this.rooms.settings
    return connectionsMaxIdleMs < 0 ? Infinity : connectionsMaxIdleMs
  }

  #armTimer(delayMs: number): void {
    if (delayMs === Infinity) return
    const timer = this.#timer
    if (timer.armed && timer.deadline <= this.rooms.host.clock.monotonic() + delayMs) return
    this.rooms.timers.arm(timer, delayMs)
  }

  /** Looks at every timeout of the connection and sleeps until the nearest one. */
  #onTimer(): void {
    const now = this.rooms.host.clock.monotonic()
    const stallMs = this.#output.writing
      ? this.#writeSinceMs + this.rooms.settings.outputStallTimeoutMs - now
      : Infinity
    if (stallMs <= 0) return this.destroy('client does not read its responses')
    const partialMs = this.#partialSinceMs > 0 && this.#reading ? this.#assemblyDeadline() - now : Infinity
    if (partialMs <= 0) return this.destroy('request arrives too slowly')
    const busy = this.#first !== null || this.#output.byteCount > 0
    const idleMs = busy ? this.#idleMs() : this.#lastActiveMs + this.#idleMs() - now
    if (idleMs <= 0) return this.destroy('idle')
    const ownMs = this.#input.ownBytes > 0 ? this.#releaseIdleBuffer(now) : Infinity
    this.#armTimer(Math.min(stallMs, partialMs, idleMs, ownMs))
  }

  #assemblyDeadline(): number {
    const allowanceMs = (this.#input.byteCount / REQUEST_BYTES_PER_SECOND_MIN) * 1000
    return this.#partialSinceMs + this.rooms.settings.requestAssemblyTimeoutMs + allowanceMs
  }

  /** Gives an unused own buffer back; returns when to look again. */
  #releaseIdleBuffer(now: number): number {
    const idleMs = this.#lastActiveMs + OWN_BUFFER_IDLE_MS - now
    if (!this.#input.holdsIdleBuffer || !this.#reading) return OWN_BUFFER_IDLE_MS
    if (idleMs > 0) return idleMs
    this.#nextTarget = this.#input.targetWhilePaused()
    // Until the handle has its new target the old one must stay ours; plain 'data' events have no target in advance.
    this.#receiver.retarget()
    this.#input.releaseOwn()
    return Infinity
  }
}

function int16At(bytes: Uint8Array, at: number): number {
  return (((bytes[at] ?? 0) << 24) >> 16) | (bytes[at + 1] ?? 0)
}

function int32At(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)
}
