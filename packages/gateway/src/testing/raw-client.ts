/**
 * A client that speaks frames: sends exactly the bytes it is told and shows exactly what comes back.
 *
 * Works against any broker, Kafka included; for comparing two of them, and for input that no well-behaved client would send.
 * `request` is the comfortable way; `sendBytes` and `nextFrame` are the raw one. Responses arrive in order.
 */
/* Real implementation of a port: opens sockets. */
import net from 'node:net'
import {
  type Api,
  decodeResponseHeader,
  encodeRequest,
  Reader,
  type RequestInput,
  responseCodec,
  type ResponseOf
} from '@milena/wire-protocol'

const SIZE_PREFIX_BYTES = 4

interface Waiter {
  resolve(frame: Buffer | null): void
}

export class RawClient {
  readonly socket: net.Socket
  /** The connection ended or was reset. */
  closed = false
  readonly #whenClosed: Promise<void>
  #chunks: Buffer[] = []
  #chunkBytes = 0
  /** Bytes that must be there before looking at them makes sense. */
  #neededBytes = SIZE_PREFIX_BYTES
  readonly #frames: Buffer[] = []
  readonly #waiters: Waiter[] = []
  #lastCorrelationId = 0

  private constructor(socket: net.Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', chunk => this.#receive(chunk as Buffer))
    // A reset is one of the ways in which a broker hangs up.
    socket.on('error', () => {})
    socket.on('end', () => this.#giveUp())
    this.#whenClosed = new Promise(resolve => {
      socket.on('close', () => {
        this.#giveUp()
        resolve()
      })
    })
  }

  /** Connects; `options` as for `net.connect`, e.g. allowHalfOpen. */
  static connect(
    port: number,
    host = '127.0.0.1',
    options: Partial<net.SocketConstructorOpts> = {}
  ): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ port, host, ...options } as net.NetConnectOpts)
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new RawClient(socket))
      })
    })
  }

  /** Sends one request and resolves with its decoded response; rejects when the connection closes instead. */
  async request<A extends Api>(api: A, version: number, message: RequestInput<A>): Promise<ResponseOf<A>> {
    this.sendBytes(this.encode(api, version, message))
    const frame = await this.nextFrame()
    if (frame === null) throw new Error(`the connection closed instead of answering ${api.name} v${version}`)
    return this.decode(api, version, frame)
  }

  /** A complete request frame, not sent. */
  encode<A extends Api>(api: A, version: number, message: RequestInput<A>, clientId: string | null = 'raw'): Buffer {
    const header = { correlationId: ++this.#lastCorrelationId, clientId }
    return Buffer.concat(encodeRequest(api, version, header, message))
  }

  /** The message in a response frame (without its size). */
  decode<A extends Api>(api: A, version: number, frame: Uint8Array): ResponseOf<A> {
    const { bodyStart } = decodeResponseHeader(api, version, frame, 0, frame.length)
    return responseCodec(api, version).decode(new Reader(frame, bodyStart))
  }

  sendBytes(bytes: Uint8Array): void {
    this.socket.write(bytes)
  }

  /** The next response without its size, or null when the connection ended first. */
  nextFrame(): Promise<Buffer | null> {
    const frame = this.#frames.shift()
    if (frame !== undefined) return Promise.resolve(frame)
    if (this.closed) return Promise.resolve(null)
    return new Promise(resolve => this.#waiters.push({ resolve }))
  }

  /** Resolves when the connection is closed on both sides. */
  whenClosed(): Promise<void> {
    return this.#whenClosed
  }

  /** Closes without any courtesy. */
  close(): void {
    this.socket.destroy()
  }

  /** Chunks are joined only when a whole frame is there, so that large answers cost their size once. */
  #receive(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#chunkBytes += chunk.length
    if (this.#chunkBytes < this.#neededBytes) return
    const received = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks)
    let at = 0
    this.#neededBytes = SIZE_PREFIX_BYTES
    while (received.length - at >= SIZE_PREFIX_BYTES) {
      const end = at + SIZE_PREFIX_BYTES + received.readInt32BE(at)
      this.#neededBytes = end - at
      if (end > received.length) break
      this.#deliver(received.subarray(at + SIZE_PREFIX_BYTES, end))
      this.#neededBytes = SIZE_PREFIX_BYTES
      at = end
    }
    this.#chunkBytes = received.length - at
    this.#chunks = this.#chunkBytes === 0 ? [] : [received.subarray(at)]
  }

  #deliver(frame: Buffer): void {
    const waiter = this.#waiters.shift()
    if (waiter === undefined) this.#frames.push(frame)
    else waiter.resolve(frame)
  }

  #giveUp(): void {
    this.closed = true
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(null)
  }
}
