/**
 * Codecs of messages, one for each (API, direction, version), made on first use and kept. Making one takes well under a
 * millisecond; using one involves neither schema nor version any more.
 */
import {
  inVersions,
  type Api,
  type Fields,
  type RequestInput,
  type RequestOf,
  type ResponseInput,
  type ResponseOf
} from '../schema.ts'
import { EncodeError } from './codec-errors.ts'
import { compileDecoder } from './compile-decoder.ts'
import { compileEncoder } from './compile-encoder.ts'
import { interpretDecode, interpretEncode } from './interpret.ts'
import type { Layout } from './layout.ts'
import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

/** Reads and writes one message in one version. */
export interface Codec<Message, Input> {
  /** Reads a message at the reader's position and leaves the position behind it; what follows is the caller's business. */
  decode(reader: Reader): Message
  /** Writes a message at the writer's position. */
  encode(writer: Writer, message: Input): void
}

/** How codecs come about. Compiled ones need a platform that lets code be generated; others get interpreted ones. */
export type CodecKind = 'compiled' | 'interpreted'

type AnyCodec = Codec<unknown, unknown>

const requestCodecs = new WeakMap<Api, AnyCodec[]>()
const responseCodecs = new WeakMap<Api, AnyCodec[]>()

/** The codec of an API's requests in a version. Throws EncodeError UNSUPPORTED_VERSION when out of range. */
export function requestCodec<A extends Api>(api: A, version: number): Codec<RequestOf<A>, RequestInput<A>> {
  const codec = requestCodecs.get(api)?.[version] ?? makeAndKeep(requestCodecs, api, 'Request', api.request, version)
  return codec as Codec<RequestOf<A>, RequestInput<A>>
}

/** The codec of an API's responses in a version. Throws EncodeError UNSUPPORTED_VERSION when out of range. */
export function responseCodec<A extends Api>(api: A, version: number): Codec<ResponseOf<A>, ResponseInput<A>> {
  const codec =
    responseCodecs.get(api)?.[version] ?? makeAndKeep(responseCodecs, api, 'Response', api.response, version)
  return codec as Codec<ResponseOf<A>, ResponseInput<A>>
}

/** Makes a codec from fields, uncached: for messages that belong to no API, and for tests. `name` must be an identifier. */
export function makeCodec(name: string, fields: Fields, layout: Layout, kind: CodecKind = platformKind()): AnyCodec {
  if (kind === 'interpreted') {
    return {
      decode: reader => interpretDecode(reader, fields, layout),
      encode: (writer, message) => interpretEncode(writer, fields, layout, message)
    }
  }
  // Most processes use one half of a codec; the other half is compiled when it is needed.
  const codec: { decode: AnyCodec['decode']; encode: AnyCodec['encode'] } = {
    decode(reader) {
      codec.decode = compileDecoder(`decode${name}`, fields, layout)
      return codec.decode(reader)
    },
    encode(writer, message) {
      codec.encode = compileEncoder(`encode${name}`, fields, layout)
      codec.encode(writer, message)
    }
  }
  return codec
}

function makeAndKeep(
  cache: WeakMap<Api, AnyCodec[]>,
  api: Api,
  direction: 'Request' | 'Response',
  fields: Fields,
  version: number
): AnyCodec {
  if (!Number.isInteger(version) || !inVersions(version, api.versions)) {
    throw new EncodeError('UNSUPPORTED_VERSION', `${api.name} has no version ${version}`)
  }
  const codec = makeCodec(`${api.name}${direction}V${version}`, fields, {
    version,
    flexible: version >= api.flexibleFrom
  })
  const codecs = cache.get(api) ?? []
  codecs[version] = codec
  cache.set(api, codecs)
  return codec
}

let kindOfPlatform: CodecKind | undefined

/** What this platform allows; found out once. */
function platformKind(): CodecKind {
  if (kindOfPlatform === undefined) {
    try {
      new Function('')
      kindOfPlatform = 'compiled'
    } catch {
      kindOfPlatform = 'interpreted'
    }
  }
  return kindOfPlatform
}
