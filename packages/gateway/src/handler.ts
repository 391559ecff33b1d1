/**
 * What a handler is, and what it is given.
 *
 * One file per API in `handlers/`, named as the API's schema in wire-protocol. A handler says which versions it serves and
 * turns a decoded request into a response, at once or later. ApiVersions is derived from the table of handlers
 * (`handlers/table.ts`).
 *
 * Contract of `handle`:
 * - Byte views in the request (records) point into the receive buffer: they are valid until `handle` returns. A handler that
 *   answers later must have handed them on (append copies) or copied them by then. Strings and numbers stay valid.
 * - A thrown error or rejected promise is a defect of ours: it is logged and the request answered by `refuse` with
 *   UNKNOWN_SERVER_ERROR. Ordinary errors are response fields.
 * - Requests of one connection start in order. One that answers later holds up those behind it, as in Kafka, unless both are
 *   `pipelined`.
 */
import type { Api, ErrorName, RequestOf, ResponseInput, VersionRange } from '@milena/wire-protocol'
import type { TimerWheel } from './connections/timer-wheel.ts'
import type { TurnQueue } from './connections/turn-queue.ts'
import type { FetchSessionCache } from './fetch/fetch-sessions.ts'
import type { Dial, GatewayHost } from './ports.ts'
import type { GatewaySettings } from './settings.ts'

/** An answer that is none: `noResponse` for acks=0, `closeConnection` where Kafka hangs up. */
export const noResponse = Symbol('no response')
/** Outcome of a handler: no answer, the connection ends. */
export const closeConnection = Symbol('close connection')

/** What a handler makes of a request. */
export type Outcome<A extends Api> = ResponseInput<A> | typeof noResponse | typeof closeConnection

/** What the handlers of one gateway share. */
export interface GatewayRooms {
  readonly host: GatewayHost
  readonly settings: GatewaySettings
  readonly timers: TimerWheel
  readonly turns: TurnQueue
  readonly fetchSessions: FetchSessionCache
}

/** One request being handled: who asks, and what the answer may lean on. */
export interface RequestContext {
  readonly rooms: GatewayRooms
  readonly host: GatewayHost
  readonly dial: Dial
  readonly apiVersion: number
  readonly clientId: string | null
  /**
   * Runs `release` when the response was written or the connection is gone; for bytes that the response borrows. Never lost:
   * on a connection that is gone already it runs at once.
   */
  releaseLater(release: () => void): void
  /** A handler that waits for something to happen says so here, to be told when waiting makes no sense any more. */
  onWaiting(waiting: Waiting): void
}

/** A request that waits, as Fetch does for data. At most one of the two is called, unless the answer came first. */
export interface Waiting {
  /** Nobody needs the answer any more: the connection is gone. The outcome is ignored, but there must be one. */
  abandon(): void
  /** The client has closed its side, or the gateway shuts down: answer now, with what there is. */
  hurry(): void
}

/** The behaviour of one API. */
export interface Handler<A extends Api = Api> {
  readonly api: A
  /** Versions that ApiVersions lists. */
  readonly versions: VersionRange
  /** Lowest version that is really served, when ApiVersions must list lower ones (KAFKA-18659). */
  readonly servedFrom?: number
  /** May run beside other pipelined requests of the same connection, because its effects happen before `handle` returns. */
  readonly pipelined?: boolean
  /** Its requests carry data that the host has to keep: they wait while the host's admission is closed. */
  readonly carriesData?: boolean
  handle(context: RequestContext, request: RequestOf<A>): Outcome<A> | Promise<Outcome<A>>
  /** The response that says `error` for everything asked. */
  refuse(context: RequestContext, request: RequestOf<A>, error: ErrorName): Outcome<A>
}

/** A handler whose API is not known statically, as the table holds it. */
export interface AnyHandler {
  readonly api: Api
  readonly versions: VersionRange
  readonly servedFrom?: number
  readonly pipelined?: boolean
  readonly carriesData?: boolean
  handle(context: RequestContext, request: unknown): unknown
  refuse(context: RequestContext, request: unknown, error: ErrorName): unknown
}

/** Forgets the message types of a handler; the table pairs it with the codec of its own API only. */
export function anyHandler<A extends Api>(handler: Handler<A>): AnyHandler {
  return handler as unknown as AnyHandler
}
