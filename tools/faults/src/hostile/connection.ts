/** Raw connections: send bytes, see what happens within a time limit. */
import { connect, type Socket } from 'node:net'

export type Outcome =
  { readonly kind: 'closed' } | { readonly kind: 'silent' } | { readonly kind: 'answer'; readonly content: Buffer }

/** Opens a connection; resolves when it is established. */
export function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      socket.on('error', () => undefined)
      resolve(socket)
    })
  })
}

/** Reads `count` frames; the last one's content is the answer. */
export function nextAnswer(socket: Socket, count: number, timeoutMs: number): Promise<Outcome> {
  return new Promise(resolve => {
    let received: Buffer = Buffer.alloc(0)
    let left = count
    const end = (outcome: Outcome): void => {
      clearTimeout(timer)
      socket.off('data', onData).off('close', onClose)
      resolve(outcome)
    }
    const onClose = (): void => end({ kind: 'closed' })
    const onData = (chunk: Buffer): void => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
      while (received.length >= 4 && received.length >= 4 + received.readUInt32BE(0)) {
        const content = received.subarray(4, 4 + received.readUInt32BE(0))
        received = received.subarray(4 + content.length)
        if (--left === 0) return end({ kind: 'answer', content })
      }
    }
    const timer = setTimeout(() => end({ kind: 'silent' }), timeoutMs)
    socket.on('data', onData).once('close', onClose)
    if (socket.destroyed) onClose()
  })
}

/** Sends the pieces on a connection of its own and resolves with what the last of them brings. */
export async function exchange(port: number, bytes: Buffer | readonly Buffer[], timeoutMs = 1000): Promise<Outcome> {
  const pieces = Buffer.isBuffer(bytes) ? [bytes] : bytes
  const socket = await open(port)
  try {
    let outcome: Outcome = { kind: 'silent' }
    for (const piece of pieces) {
      const answer = nextAnswer(socket, 1, timeoutMs)
      socket.write(piece)
      outcome = await answer
    }
    return outcome
  } finally {
    socket.destroy()
  }
}

/** A well-behaved client on its own connection: one small request after another, timing each. */
export class GoodClient {
  readonly latenciesMs: number[] = []
  readonly #socket: Socket
  readonly #request: Buffer
  #running = true
  #done: Promise<void>

  private constructor(socket: Socket, request: Buffer) {
    this.#socket = socket
    this.#request = request
    this.#done = this.#loop()
  }

  static async start(port: number, request: Buffer): Promise<GoodClient> {
    return new GoodClient(await open(port), request)
  }

  async #loop(): Promise<void> {
    while (this.#running) {
      const from = performance.now()
      const answer = nextAnswer(this.#socket, 1, 10_000)
      this.#socket.write(this.#request)
      const outcome = await answer
      this.latenciesMs.push(outcome.kind === 'answer' ? performance.now() - from : Infinity)
      if (outcome.kind !== 'answer') return
      await new Promise(done => setTimeout(done, 5))
    }
  }

  /** Ends it; resolves with the 99th percentile in milliseconds, Infinity when it was not served to the end. */
  async stop(): Promise<number> {
    this.#running = false
    await this.#done
    this.#socket.destroy()
    const sorted = this.latenciesMs.toSorted((a, b) => a - b)
    return sorted.at(-1) === Infinity ? Infinity : (sorted[Math.floor(sorted.length * 0.99)] ?? Infinity)
  }
}
