/**
 * gRPC over Node's own HTTP/2, as far as long-lived streams of raw messages need it: headers and statuses by the protocol
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md), so that any gRPC library can be the other end;
 * peers/grpc-peer-network.test.ts proves it with @grpc/grpc-js, both ways. Written because grpc-js costs about twice the CPU a byte
 * (it allocates, joins and copies each message several times) and 60 ms at the start of every shard.
 */
import {
  connect,
  type ClientHttp2Session,
  type Http2Session,
  type Http2Stream,
  type ServerHttp2Stream
} from 'node:http2'
import { connect as connectSocket, type Socket } from 'node:net'
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2'
import { PREFIX_BYTES } from './message-reader.ts'

/** How much may be under way on a link before its receiver has looked at it. */
export const FLOW_CONTROL_WINDOW_BYTES = 16 * 1024 * 1024

/** Pieces up to this size are joined with what precedes them, larger ones are handed to the socket as they are. */
const JOINED_BYTES_MAX = 16 * 1024

/** gRPC's status codes, as far as they are used here. */
export const grpcStatus = {
  ok: 0,
  invalidArgument: 3,
  resourceExhausted: 8,
  failedPrecondition: 9,
  unimplemented: 12,
  unavailable: 14,
  unauthenticated: 16
} as const

export type GrpcStatus = (typeof grpcStatus)[keyof typeof grpcStatus]

/** Where to connect to: TCP or a Unix socket. */
export type GrpcTarget = { readonly host: string; readonly port: number } | { readonly path: string }

const CONTENT_TYPE = 'application/grpc'

/** Opens a connection. Errors come as `error` of the session; listen for it at once. */
export function connectGrpc(target: GrpcTarget): ClientHttp2Session {
  const authority = 'path' in target ? 'localhost' : authorityOf(target)
  return connect(`http://${authority}`, {
    createConnection: () => tuned(connectSocket('path' in target ? { path: target.path } : { ...target })),
    settings: { enablePush: false, initialWindowSize: FLOW_CONTROL_WINDOW_BYTES }
  })
}

/** Small messages must not wait for more to join them. */
export function tuned(socket: Socket): Socket {
  socket.setNoDelay(true)
  socket.setKeepAlive(true, 10_000)
  return socket
}

/** Lets the other side send up to the whole window before this one has read. For connections that proved who they are. */
export function widenWindow(session: Http2Session): void {
  session.settings({ initialWindowSize: FLOW_CONTROL_WINDOW_BYTES })
  session.setLocalWindowSize(FLOW_CONTROL_WINDOW_BYTES)
}

/** Headers of a request for the method at `path` with `metadata`. */
export function requestHeaders(path: string, metadata: Readonly<Record<string, string>>): OutgoingHttpHeaders {
  return { ':method': 'POST', ':path': path, 'content-type': CONTENT_TYPE, te: 'trailers', ...metadata }
}

/** Whether these are headers of a gRPC request. */
export function isGrpcRequest(headers: IncomingHttpHeaders): boolean {
  return headers[':method'] === 'POST' && headers['content-type']?.startsWith(CONTENT_TYPE) === true
}

/** Begins the answer to a request. */
export function acceptRequest(stream: ServerHttp2Stream, metadata: Readonly<Record<string, string>>): void {
  stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(grpcStatus.ok) }))
  stream.respond({ ':status': 200, 'content-type': CONTENT_TYPE, ...metadata }, { waitForTrailers: true })
}

/** Answers a request with a status and nothing else. */
export function refuseRequest(stream: ServerHttp2Stream, status: GrpcStatus, reason: string): void {
  if (stream.destroyed || stream.headersSent) return
  const headers = { ':status': 200, 'content-type': CONTENT_TYPE, 'grpc-status': String(status) }
  stream.respond({ ...headers, 'grpc-message': encodeURIComponent(reason) }, { endStream: true })
}

/** What the other side answered instead of accepting, or undefined when it accepted. */
export function refusalIn(headers: IncomingHttpHeaders): string | undefined {
  const status = headers['grpc-status']
  const http = Number(headers[':status'])
  if (http !== 200) return `HTTP status ${http}`
  if (status === undefined || status === '0') return undefined
  return decodeReason(String(headers['grpc-message'] ?? '')) || `gRPC status ${String(status)}`
}

/** Writes one message made of `pieces`. `written` is called, with an error or without, when their memory is not read any more. */
export function writeMessage(
  stream: Http2Stream,
  pieces: readonly Uint8Array[],
  written: (error?: Error | null) => void
): void {
  let length = 0
  for (const piece of pieces) length += piece.length
  const first = pieces[0]
  const joins = first !== undefined && first.length <= JOINED_BYTES_MAX
  const head = Buffer.allocUnsafe(PREFIX_BYTES + (joins ? first.length : 0))
  head[0] = 0
  head.writeUInt32BE(length, 1)
  if (joins) head.set(first, PREFIX_BYTES)
  const rest = joins ? pieces.slice(1) : pieces
  const last = rest.length - 1
  if (last < 0) return void stream.write(head, written)
  stream.cork()
  stream.write(head)
  for (const [index, piece] of rest.entries()) {
    if (index === last) stream.write(piece, written)
    else stream.write(piece)
  }
  stream.uncork()
}

/** An address as it stands in a URL: IPv6 in brackets. */
export function authorityOf(target: { readonly host: string; readonly port: number }): string {
  return target.host.includes(':') ? `[${target.host}]:${target.port}` : `${target.host}:${target.port}`
}

function decodeReason(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
