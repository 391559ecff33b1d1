/**
 * A gateway without sockets, for hosts that bring time of their own (a simulator): request frames go in and response frames come
 * out through the production handlers, codecs, fetch sessions and admission. What is left out is the connection: bytes that
 * arrive in pieces, responses in the order of requests, limits of a connection. A request starts when it is given.
 *
 * Memory of a request is overwritten once its handler has returned, so that whoever keeps a view of it is found out.
 */
import { RequestAdmission } from '../connections/admission.ts'
import { ConnectionCounters } from '../connections/counters.ts'
import { Exchange, type ExchangeOwner } from '../connections/exchange.ts'
import { TimerWheel } from '../connections/timer-wheel.ts'
import { TurnQueue } from '../connections/turn-queue.ts'
import { FetchSessionCache } from '../fetch/fetch-sessions.ts'
import { closeConnection, type GatewayRooms, noResponse } from '../handler.ts'
import { handlersFor } from '../handlers/all.ts'
import { HandlerTable } from '../handlers/table.ts'
import type { Dial, GatewayHost } from '../ports.ts'
import { type GatewaySettings, gatewaySettings } from '../settings.ts'

const SIZE_PREFIX_BYTES = 4
const OVERWRITTEN = 0xdb

export interface SocketlessGatewayOptions {
  readonly host: GatewayHost
  readonly settings?: Partial<GatewaySettings>
  /** Runs `callback` in a later turn of the host's loop. */
  readonly soon: (callback: () => void) => void
}

export class SocketlessGateway {
  /** What handlers threw: defects of ours. */
  readonly defects: unknown[] = []
  readonly rooms: GatewayRooms
  readonly #table: HandlerTable
  readonly #admission: RequestAdmission

  constructor({ host, settings: overrides, soon }: SocketlessGatewayOptions) {
    const settings = gatewaySettings(overrides)
    this.#table = new HandlerTable(handlersFor(host), new ConnectionCounters())
    this.#admission = new RequestAdmission(host.admission, settings.queuedRequestBytesMax)
    this.rooms = {
      host,
      settings,
      timers: new TimerWheel(host.clock),
      fetchSessions: new FetchSessionCache(host.clock, settings.fetchSessionsMax),
      turns: new TurnQueue(soon)
    }
  }

  connect(dial: Dial): SocketlessConnection {
    return new SocketlessConnection(this, dial)
  }

  /** For connections: see `SocketlessConnection.request`. */
  async answer(owner: SocketlessConnection, frame: Uint8Array): Promise<Uint8Array | null> {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
    const served = this.#table.served(view.getInt16(SIZE_PREFIX_BYTES), view.getInt16(SIZE_PREFIX_BYTES + 2))
    if (served === undefined) return null
    const { handler } = served
    while (!this.#admission.mayEnter(frame.length, handler.carriesData === true)) {
      await new Promise<void>(resolve => this.#admission.wait({ onAdmission: resolve }))
    }
    if (owner.closed) return null
    const { correlationId, clientId } = this.#table.readHeader(frame, SIZE_PREFIX_BYTES, frame.length)
    const request = served.decodeBody()
    const apiVersion = view.getInt16(SIZE_PREFIX_BYTES + 2)
    const exchange = new Exchange(owner, handler, apiVersion, correlationId, clientId, request, frame.length)
    this.#admission.enter(frame.length)
    owner.started(exchange)
    try {
      const outcome = await this.#run(exchange, frame)
      if (owner.closed || outcome === closeConnection || outcome === noResponse) return null
      return Buffer.concat(this.#table.encode(exchange, outcome))
    } finally {
      this.#admission.leave(frame.length)
      owner.ended(exchange)
    }
  }

  async #run(exchange: Exchange, frame: Uint8Array): Promise<unknown> {
    try {
      const outcome = exchange.handler.handle(exchange, exchange.request)
      frame.fill(OVERWRITTEN)
      return await outcome
    } catch (error) {
      this.defects.push(error)
      return exchange.handler.refuse(exchange, exchange.request, 'UNKNOWN_SERVER_ERROR')
    }
  }
}

/** What one client sends. */
export class SocketlessConnection implements ExchangeOwner {
  readonly dial: Dial
  closed = false
  readonly #gateway: SocketlessGateway
  readonly #exchanges = new Set<Exchange>()

  constructor(gateway: SocketlessGateway, dial: Dial) {
    this.#gateway = gateway
    this.dial = dial
  }

  get rooms(): GatewayRooms {
    return this.#gateway.rooms
  }

  /**
   * Handles a request frame, size prefix included; the frame belongs to the gateway from now on. Resolves with the response frame,
   * size prefix included, or with null when there is none: acks=0, or the connection is closed instead.
   */
  request(frame: Uint8Array): Promise<Uint8Array | null> {
    return this.#gateway.answer(this, frame)
  }

  /** The client is gone: whoever still works on an answer is told. */
  close(): void {
    if (this.closed) return
    this.closed = true
    for (const exchange of [...this.#exchanges]) exchange.abandon()
  }

  /** For the gateway. */
  started(exchange: Exchange): void {
    this.#exchanges.add(exchange)
  }

  /** For the gateway: what the answer borrowed is given back. */
  ended(exchange: Exchange): void {
    exchange.answered = true
    this.#exchanges.delete(exchange)
    const { releases } = exchange
    exchange.releases = null
    if (releases !== null) for (const release of releases) release()
  }
}
