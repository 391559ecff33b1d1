/**
 * An HTTP/2 listener for gRPC that strangers may reach. Whoever connects has `STRANGER_MS` to show that it is a member or to have
 * an open call under way, may announce little and open few streams; there are at most `STRANGERS_MAX` such connections. All of it
 * costs strangers and nobody else: one too many ends the oldest. What a request means is its owner's: `onRequest`.
 */
import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream
} from 'node:http2'
import type { Socket } from 'node:net'
import type { Scheduler } from '../scheduler/scheduler.ts'
import { grpcStatus, isGrpcRequest, refuseRequest, tuned, widenWindow, type GrpcTarget } from './grpc-http2.ts'

/** How long a connection may be without a link or an open call, milliseconds. */
export const STRANGER_MS = 5_000
/** Connections without a link at a time. */
export const STRANGERS_MAX = 64
/** Streams that one connection may have at a time. */
const STREAMS_MAX = 8
/** Bytes of headers of one request. */
const HEADER_BYTES_MAX = 8 * 1024

export interface GrpcServerOptions {
  readonly scheduler: Scheduler
  /** A request for gRPC came; it is answered with `acceptRequest` or `refuseRequest`. */
  onRequest(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, guest: Guest): void
  /** Something came that is no such request; `from` is an address. */
  onNonsense(from: string, reason: string): void
}

/** A connection that has shown nothing yet. */
export class Guest {
  readonly session: ServerHttp2Session
  readonly address: string
  readonly #scheduler: Scheduler
  #cancelEnd: () => void = () => {}
  #member = false

  constructor(session: ServerHttp2Session, address: string, scheduler: Scheduler) {
    this.session = session
    this.address = address
    this.#scheduler = scheduler
    this.release()
  }

  get isMember(): boolean {
    return this.#member
  }

  /** It may stay, and send much at a time. */
  becomeMember(): void {
    this.hold()
    this.#member = true
    widenWindow(this.session)
  }

  /** It may stay until `release`: a call of it is under way. */
  hold(): void {
    this.#cancelEnd()
  }

  /** It has to show something from now on. */
  release(): void {
    this.hold()
    if (this.#member || this.session.destroyed) return
    this.#cancelEnd = this.#scheduler.after(STRANGER_MS, () => this.session.destroy())
  }
}

export class GrpcServer {
  readonly #options: GrpcServerOptions
  readonly #server: Http2Server
  readonly #sockets = new Set<Socket>()
  readonly #guests = new Map<ServerHttp2Session, Guest>()

  constructor(options: GrpcServerOptions) {
    this.#options = options
    this.#server = createServer({
      settings: { enablePush: false, maxConcurrentStreams: STREAMS_MAX, maxHeaderListSize: HEADER_BYTES_MAX },
      unknownProtocolTimeout: STRANGER_MS
    })
    this.#server.on('connection', (socket: Socket) => this.#connected(socket))
    this.#server.on('session', session => this.#admit(session))
    this.#server.on('sessionError', (error: Error, session: ServerHttp2Session) => this.#failed(error, session))
    this.#server.on('stream', (stream: ServerHttp2Stream, headers) => this.#requested(stream, headers))
  }

  /** Ends when it listens, with the port (0 for a Unix socket); rejects when it cannot. */
  listen(target: GrpcTarget): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(target, () => {
        this.#server.off('error', reject)
        const address = this.#server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : 0)
      })
    })
  }

  /** Ends every connection and the listening. */
  close(): Promise<void> {
    for (const guest of this.#guests.values()) guest.hold()
    for (const socket of this.#sockets) socket.destroy()
    return new Promise(resolve => {
      if (this.#server.listening) this.#server.close(() => resolve())
      else resolve()
    })
  }

  #connected(socket: Socket): void {
    tuned(socket)
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
  }

  #admit(session: ServerHttp2Session): void {
    const address = String(session.socket.remoteAddress ?? 'a local process')
    const strangers = [...this.#guests.values()].filter(guest => !guest.isMember)
    if (strangers.length >= STRANGERS_MAX) {
      // The oldest goes, not the newest: a member proves itself within a round trip, whatever crowd is waiting.
      this.#options.onNonsense(address, 'too many connections of strangers are open')
      strangers[0]?.session.destroy()
    }
    const guest = new Guest(session, address, this.#options.scheduler)
    this.#guests.set(session, guest)
    session.on('close', () => {
      guest.hold()
      this.#guests.delete(session)
    })
  }

  #failed(error: Error, session: ServerHttp2Session): void {
    this.#options.onNonsense(this.#guests.get(session)?.address ?? 'unknown', error.message)
  }

  #requested(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on('error', () => {}) // who uses the stream listens, too; a reset must not end the process
    const guest = stream.session === undefined ? undefined : this.#guests.get(stream.session as ServerHttp2Session)
    if (guest === undefined) stream.destroy()
    else if (isGrpcRequest(headers)) this.#options.onRequest(stream, headers, guest)
    else {
      this.#options.onNonsense(guest.address, `${headers[':method']} ${headers[':path']} is no gRPC`)
      refuseRequest(stream, grpcStatus.unimplemented, 'only gRPC is served here')
    }
  }
}
