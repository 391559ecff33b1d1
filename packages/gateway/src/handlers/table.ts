/**
 * The handler table: which APIs this gateway serves, in which versions, and how their bytes are read and written.
 *
 * The one list of handlers is in `all.ts`; ApiVersions answers with what is in it and nothing is written
 * twice. Codecs come ready-made per version, so that starting a request is two array look-ups.
 */
import {
  type Codec,
  encodeResponse,
  Reader,
  readRequestHeader,
  requestCodec,
  type RequestHeader
} from '@milena/wire-protocol'
import type { ConnectionCounters } from '../connections/counters.ts'
import type { Exchange } from '../connections/exchange.ts'
import { type AnyHandler, anyHandler } from '../handler.ts'
import { REQUEST_ITEMS_MAX } from '../settings.ts'
import { apiVersionsHandler, unsupportedVersionHandler } from './api-versions.ts'

/** One version of an API with its handler and decoder. */
export interface ServedVersion {
  readonly handler: AnyHandler
  /** The body, behind the header that was read last. Throws DecodeError. */
  decodeBody(): unknown
}

export class HandlerTable {
  /** ApiVersions asked in a version that nobody knows: answered in version 0 with error 35 (KIP-511). */
  readonly unsupportedApiVersions: ServedVersion
  readonly #handlers: (AnyHandler | undefined)[] = []
  readonly #served: (ServedVersion | undefined)[][] = []
  /** Decoding runs to its end without interruption, so one reader serves all connections. */
  readonly #reader = new Reader(new Uint8Array(0))

  /** `handlers` without ApiVersions, which the table adds itself. */
  constructor(handlers: readonly AnyHandler[], counters: ConnectionCounters) {
    const advertised = handlers.map(({ api, versions }) => ({
      apiKey: api.key,
      minVersion: versions.min,
      maxVersion: versions.max
    }))
    const own = apiVersionsHandler(advertised)
    for (const handler of [...handlers, anyHandler(own)]) this.#add(handler, counters)
    const unsupported = anyHandler(unsupportedVersionHandler(own.versions))
    this.unsupportedApiVersions = { handler: unsupported, decodeBody: () => undefined }
  }

  handler(apiKey: number): AnyHandler | undefined {
    return this.#handlers[apiKey]
  }

  /** Undefined when the API is unknown or the version is not served. */
  served(apiKey: number, apiVersion: number): ServedVersion | undefined {
    return this.#served[apiKey]?.[apiVersion]
  }

  /** The header of the request in `bytes[start, end)`; its body is next for `decodeBody`. Throws DecodeError. */
  readHeader(bytes: Uint8Array, start: number, end: number): RequestHeader {
    return readRequestHeader(this.#reader.reset(bytes, start, end, REQUEST_ITEMS_MAX))
  }

  /** The response frame of `exchange`, size prefix included. Throws EncodeError for a message its version cannot carry. */
  encode(exchange: Exchange, message: unknown): Uint8Array[] {
    return encodeResponse(exchange.handler.api, exchange.apiVersion, exchange.correlationId, message as object)
  }

  #add(handler: AnyHandler, counters: ConnectionCounters): void {
    const { api, versions } = handler
    const byVersion: (ServedVersion | undefined)[] = []
    for (let version = handler.servedFrom ?? versions.min; version <= versions.max; version++) {
      const codec = requestCodec(api, version)
      byVersion[version] = { handler, decodeBody: () => this.#decodeBody(codec, counters) }
    }
    this.#handlers[api.key] = handler
    this.#served[api.key] = byVersion
  }

  #decodeBody(codec: Codec<unknown, unknown>, counters: ConnectionCounters): unknown {
    const request = codec.decode(this.#reader)
    // Kafka ignores what follows the last field; so do we, but it is counted: it tells of a client that is out of step.
    if (this.#reader.remaining > 0) counters.trailingBytesRequests++
    return request
  }
}
