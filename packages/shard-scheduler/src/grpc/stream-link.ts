/**
 * A link over an HTTP/2 stream that speaks gRPC, either side of it: frames out as batches, batches in as frames. Ends with its
 * stream, with the first batch that is none, or by `close`; then it takes the connection with it, because a pair has one each.
 */
import type { ServerHttp2Stream, ClientHttp2Stream } from 'node:http2'
import { decodeBatch, encodeBatch } from '../frames/frame-codec.ts'
import type { Frame, Link } from '../frames/frames.ts'
import { writeMessage } from './grpc-http2.ts'
import { GrpcFramingError, GrpcMessageReader } from './message-reader.ts'

/** What a link needs to know of who uses it. */
export interface StreamLinkHost {
  /** Bound of a received batch, bytes. */
  readonly batchBytesMax: number
  /** Frames arrived. Messages are valid until it returns; calls and answers have memory of their own. */
  receive(link: Link, frames: readonly Frame[]): void
  /** The link has ended, once. */
  down(link: Link, reason: string): void
}

export class StreamLink implements Link {
  readonly #stream: ServerHttp2Stream | ClientHttp2Stream
  readonly #host: StreamLinkHost
  readonly #reader: GrpcMessageReader
  #ended = false
  /** Something arrived since it was last set to false: the other side lives. */
  heard = true

  constructor(stream: ServerHttp2Stream | ClientHttp2Stream, host: StreamLinkHost) {
    this.#stream = stream
    this.#host = host
    this.#reader = new GrpcMessageReader(host.batchBytesMax, this.#receiveBatch)
    stream.on('data', this.#receivePiece)
    stream.on('error', error => this.end(`failed (${error.message})`))
    stream.on('end', () => this.end('was ended by the other side'))
    stream.on('close', () => this.end('was closed'))
  }

  send(frames: readonly Frame[], taken: () => void): void {
    if (this.#ended) return
    writeMessage(this.#stream, encodeBatch(frames), error => {
      if (error === undefined || error === null) taken()
    })
  }

  close(): void {
    this.end('was closed here')
  }

  /** Asks the other side for a sign of life. */
  ping(): void {
    const { session } = this.#stream
    if (session === undefined || session.destroyed) return
    session.ping(error => {
      if (error === null) this.heard = true
    })
  }

  /** Ends the link and its connection. */
  end(reason: string): void {
    if (this.#ended) return
    this.#ended = true
    this.#reader.stop()
    const { session } = this.#stream
    this.#stream.destroy()
    session?.destroy()
    this.#host.down(this, reason)
  }

  readonly #receivePiece = (piece: Buffer): void => {
    this.heard = true
    try {
      this.#reader.push(piece)
    } catch (error) {
      if (!(error instanceof GrpcFramingError)) throw error
      this.end(`carried what is not gRPC (${error.message})`)
    }
  }

  readonly #receiveBatch = (batch: Uint8Array): void => {
    let frames: Frame[]
    try {
      frames = decodeBatch(batch).map(ownedFrame)
    } catch (error) {
      this.end(`carried what is no batch (${String(error)})`)
      return
    }
    this.#host.receive(this, frames)
  }
}

/** Messages are handled at once, where they are; calls and answers outlive the buffer that they arrived in. */
function ownedFrame(frame: Frame): Frame {
  return frame.kind === 'message' ? frame : { ...frame, payload: new Uint8Array(frame.payload) }
}
