/**
 * Frames: what travels on a connection. A size (int32, without itself), a header, a body.
 *
 *     request:   size | apiKey apiVersion correlationId clientId [tags] | body
 *     response:  size | correlationId [tags]                            | body
 *
 * Headers have tags from an API's first flexible version on (KIP-482), with two exceptions: the client id never becomes
 * compact, and ApiVersions responses never have tags, so that any client can read the answer to its first question (KIP-511).
 */
import { apiByKey, apis } from './apis.ts'
import { DecodeError, EncodeError } from './codec/codec-errors.ts'
import { requestCodec, responseCodec } from './codec/codec.ts'
import { Reader } from './codec/reader.ts'
import { Writer } from './codec/writer.ts'
import type { Api, RequestInput, ResponseInput } from './schema.ts'

/** Encoding runs to its end without interruption, so one writer serves all frames of this thread. */
const writer = new Writer()

/** The largest size that a frame can announce. */
const FRAME_BYTES_MAX = 0x7fffffff

/** The header of a request. */
export interface RequestHeader {
  readonly apiKey: number
  /** As sent: may be out of the API's range, then the body cannot be decoded. */
  readonly apiVersion: number
  readonly correlationId: number
  readonly clientId: string | null
  /** Where the body starts, an index of the bytes that were decoded. */
  readonly bodyStart: number
}

/** The header of a response. */
export interface ResponseHeader {
  readonly correlationId: number
  /** Where the body starts, an index of the bytes that were decoded. */
  readonly bodyStart: number
}

/**
 * Decodes the header of the request in `bytes[start, end)` (without the frame's size).
 * Throws DecodeError: UNKNOWN_API for a key that Kafka 4.3 does not have, otherwise as any decoding.
 */
export function decodeRequestHeader(bytes: Uint8Array, start: number, end: number): RequestHeader {
  return readRequestHeader(new Reader(bytes, start, end))
}

/** The same from a reader, which is left at the body. */
export function readRequestHeader(reader: Reader): RequestHeader {
  const start = reader.position
  const apiKey = reader.readInt16()
  const apiVersion = reader.readInt16()
  const correlationId = reader.readInt32()
  const api = apiByKey(apiKey)
  if (api === undefined) throw new DecodeError('UNKNOWN_API', start, `API key ${apiKey}`)
  const length = reader.readInt16()
  if (length < -1) reader.invalidLength(reader.position)
  const clientId = length < 0 ? null : reader.readText(length)
  if (apiVersion >= api.flexibleFrom) reader.skipTags()
  return { apiKey, apiVersion, correlationId, clientId, bodyStart: reader.position }
}

/** Decodes the header of the response to a request of `api` and `version` in `bytes[start, end)`. */
export function decodeResponseHeader(
  api: Api,
  version: number,
  bytes: Uint8Array,
  start: number,
  end: number
): ResponseHeader {
  return readResponseHeader(api, version, new Reader(bytes, start, end))
}

/** The same from a reader, which is left at the body. */
export function readResponseHeader(api: Api, version: number, reader: Reader): ResponseHeader {
  const correlationId = reader.readInt32()
  if (hasResponseTags(api, version)) reader.skipTags()
  return { correlationId, bodyStart: reader.position }
}

/**
 * A complete request frame, as chunks to be sent in order. Record bytes in the message are among them as they are: they must
 * not change until they have been sent.
 */
export function encodeRequest<A extends Api>(
  api: A,
  version: number,
  header: { readonly correlationId: number; readonly clientId: string | null },
  message: RequestInput<A>
): Uint8Array[] {
  const codec = requestCodec(api, version)
  writer.begin()
  writer.writeInt32(0)
  writer.writeInt16(api.key)
  writer.writeInt16(version)
  writer.writeInt32(header.correlationId)
  if (header.clientId === null) writer.writeInt16(-1)
  else writer.position = writer.textAt(writer.position, header.clientId, false, 'clientId')
  if (version >= api.flexibleFrom) writer.writeUvarint(0)
  codec.encode(writer, message)
  return finishFrame()
}

/**
 * A complete response frame, as chunks to be sent in order. Record bytes in the message are among them as they are: they must
 * not change until they have been sent.
 */
export function encodeResponse<A extends Api>(
  api: A,
  version: number,
  correlationId: number,
  message: ResponseInput<A>
): Uint8Array[] {
  const codec = responseCodec(api, version)
  writer.begin()
  writer.writeInt32(0)
  writer.writeInt32(correlationId)
  if (hasResponseTags(api, version)) writer.writeUvarint(0)
  codec.encode(writer, message)
  return finishFrame()
}

function hasResponseTags(api: Api, version: number): boolean {
  return version >= api.flexibleFrom && api.key !== apis.apiVersions.key
}

/** Ends the frame in `writer` and puts its size into the first four bytes. */
function finishFrame(): Uint8Array[] {
  const size = writer.byteCount - 4
  if (size > FRAME_BYTES_MAX) throw new EncodeError('OUT_OF_RANGE', `a frame of ${size} bytes`)
  const chunks = writer.finish()
  const first = chunks[0]
  if (first !== undefined) {
    first[0] = size >>> 24
    first[1] = size >>> 16
    first[2] = size >>> 8
    first[3] = size
  }
  return chunks
}
