/**
 * Keeps one link to one peer with a higher number: dials, proves who it is, hands the stream over, and dials again after it ended,
 * with delays that double from `redialMs.min` to `redialMs.max`. A link that was up starts the row anew.
 */
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2'
import type { Scheduler } from '../scheduler/scheduler.ts'
import { connectGrpc, refusalIn, requestHeaders, widenWindow, type GrpcTarget } from './grpc-http2.ts'

/** From dialling to the answer of the other side. */
export const HANDSHAKE_MS = 3_000

export interface DialerHost {
  readonly scheduler: Scheduler
  readonly path: string
  readonly metadata: Readonly<Record<string, string>>
  readonly redialMs: { readonly min: number; readonly max: number }
  /** The other side accepted. Undefined when it is whom we wanted and the stream was taken, else why not. */
  linked(stream: ClientHttp2Stream, headers: IncomingHttpHeaders): string | undefined
  /** It could not be linked, and why; comes again with every attempt. */
  refused(reason: string): void
}

export class GrpcDialer<Target extends GrpcTarget> {
  readonly target: Target
  readonly #host: DialerHost
  #delayMs: number
  #session: ClientHttp2Session | undefined
  #cancelTimer: () => void = () => {}
  #closed = false

  constructor(target: Target, host: DialerHost) {
    this.target = target
    this.#host = host
    this.#delayMs = host.redialMs.min
  }

  dial(): void {
    if (this.#closed) return
    const session = connectGrpc(this.target)
    this.#session = session
    session.on('error', () => {}) // `close` follows
    session.on('close', () => this.#redial())
    session.on('connect', () => widenWindow(session))
    this.#cancelTimer = this.#host.scheduler.after(HANDSHAKE_MS, () => session.destroy())
    const stream = session.request(requestHeaders(this.#host.path, this.#host.metadata))
    stream.on('error', () => {}) // `close` of the session follows
    stream.on('close', () => session.destroy())
    stream.once('response', headers => this.#answered(stream, headers))
  }

  /** Stops for good. A link that is up ends with it. */
  close(): void {
    this.#closed = true
    this.#cancelTimer()
    this.#session?.destroy()
  }

  #answered(stream: ClientHttp2Stream, headers: IncomingHttpHeaders): void {
    this.#cancelTimer()
    const reason = refusalIn(headers) ?? this.#host.linked(stream, headers)
    if (reason === undefined) this.#delayMs = this.#host.redialMs.min
    else {
      this.#host.refused(reason)
      stream.destroy()
    }
  }

  #redial(): void {
    this.#cancelTimer()
    if (this.#closed) return
    this.#cancelTimer = this.#host.scheduler.after(this.#delayMs, () => this.dial())
    this.#delayMs = Math.min(this.#delayMs * 2, this.#host.redialMs.max)
  }
}
