/**
 * One request and its place in the order of responses.
 *
 * Made when the request starts, linked behind the requests of the same connection that are not answered yet, done when its
 * response went to the output queue. It is the handler's `RequestContext` too, so that a request costs one object.
 */
import type { AnyHandler, GatewayRooms, RequestContext, Waiting } from '../handler.ts'
import type { Dial, GatewayHost } from '../ports.ts'

/** What an exchange needs of its connection. */
export interface ExchangeOwner {
  readonly rooms: GatewayRooms
  readonly dial: Dial
  readonly closed: boolean
}

export class Exchange implements RequestContext {
  readonly owner: ExchangeOwner
  readonly handler: AnyHandler
  readonly apiVersion: number
  readonly correlationId: number
  readonly clientId: string | null
  readonly request: unknown
  /** Bytes that count as in flight until the answer is there. */
  readonly byteCount: number
  /** Encoded response; null until answered, and for answers that are none. */
  chunks: Uint8Array[] | null = null
  answered = false
  releases: (() => void)[] | null = null
  waiting: Waiting | null = null
  next: Exchange | null = null

  constructor(
    owner: ExchangeOwner,
    handler: AnyHandler,
    apiVersion: number,
    correlationId: number,
    clientId: string | null,
    request: unknown,
    byteCount: number
  ) {
    this.owner = owner
    this.handler = handler
    this.apiVersion = apiVersion
    this.correlationId = correlationId
    this.clientId = clientId
    this.request = request
    this.byteCount = byteCount
  }

  get rooms(): GatewayRooms {
    return this.owner.rooms
  }

  get host(): GatewayHost {
    return this.owner.rooms.host
  }

  get dial(): Dial {
    return this.owner.dial
  }

  releaseLater(release: () => void): void {
    if (this.owner.closed) return release()
    if (this.releases === null) this.releases = [release]
    else this.releases.push(release)
  }

  onWaiting(waiting: Waiting): void {
    this.waiting = waiting
  }

  /** The answer should come now rather than later. */
  hurry(): void {
    const { waiting } = this
    this.waiting = null
    if (!this.answered) waiting?.hurry()
  }

  /** The connection died first: nobody waits for this answer. */
  abandon(): void {
    const { waiting, releases } = this
    this.waiting = null
    this.releases = null
    waiting?.abandon()
    if (releases !== null) for (const release of releases) release()
  }
}
