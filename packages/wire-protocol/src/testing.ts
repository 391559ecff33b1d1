/**
 * Messages for tests, made from the schemas: reproducible from a seed, valid in the version asked for, rich in boundary
 * values. Importable as `@milena/wire-protocol/testing`; has no place in production.
 */
import { apis } from './apis.ts'
import { inVersions, defaultOf, type Api, type Field, type Fields, type PrimitiveType } from './schema.ts'

/** A reproducible stream of numbers in [0, 1). */
export type Random = () => number

/** The stream of a seed (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let word = Math.imul(state ^ (state >>> 15), state | 1)
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61)
    return ((word ^ (word >>> 14)) >>> 0) / 4294967296
  }
}

/** Names that have broken JavaScript programs before, and text of every UTF-8 length. */
export const AWKWARD_TEXTS: readonly string[] = [
  '',
  'orders',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'grün',
  '日本語のトピック',
  '😀'.repeat(15),
  '\u0000\n\t',
  'x'.repeat(42),
  'x'.repeat(43),
  'x'.repeat(300),
  'é'.repeat(126)
]

const INT_BOUNDS: Partial<Record<PrimitiveType, readonly number[]>> = {
  int8: [0, 1, -1, -128, 127],
  int16: [0, 1, -1, -32768, 32767],
  uint16: [0, 1, 9092, 65535],
  int32: [0, 1, -1, -2147483648, 2147483647, 65536],
  float64: [0, 1, -0.5, 1.7976931348623157e308, 5e-324]
}

const INT64_BOUNDS: readonly bigint[] = [
  0n,
  1n,
  -1n,
  2n ** 53n + 1n,
  -(2n ** 53n) - 1n,
  2n ** 63n - 1n,
  -(2n ** 63n),
  4294967296n
]

/** One version of one direction of one API. */
export interface MessageVersion {
  readonly api: Api
  readonly direction: 'request' | 'response'
  readonly version: number
  readonly flexible: boolean
  readonly fields: Fields
  /** E.g. `FetchRequestV17`. */
  readonly name: string
}

/** Every (API, version, direction) there is. */
export function* everyMessage(): Generator<MessageVersion> {
  for (const api of Object.values(apis) as Api[]) {
    for (let version = api.versions.min; version <= api.versions.max; version++) {
      const flexible = version >= api.flexibleFrom
      const common = { api, version, flexible }
      yield { ...common, direction: 'request', fields: api.request, name: `${api.name}RequestV${version}` }
      yield { ...common, direction: 'response', fields: api.response, name: `${api.name}ResponseV${version}` }
    }
  }
}

/** A random request of an API in a version. */
export function randomRequest(api: Api, version: number, random: Random): Record<string, unknown> {
  return randomStruct(api.request, version, random)
}

/** A random response of an API in a version. */
export function randomResponse(api: Api, version: number, random: Random): Record<string, unknown> {
  return randomStruct(api.response, version, random)
}

/** A struct with random values for the fields that the version carries and defaults for the others. */
export function randomStruct(fields: Fields, version: number, random: Random): Record<string, unknown> {
  const struct: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(fields)) {
    struct[name] = inVersions(version, field.versions) ? randomValue(field, version, random) : defaultOf(field)
  }
  return struct
}

function randomValue(field: Field, version: number, random: Random): unknown {
  if (inVersions(version, field.nullableVersions) && random() < 0.15) return null
  if (field.type === 'struct') return randomStruct(field.fields ?? {}, version, random)
  if (field.type !== 'array') return randomPrimitive(field.type, random)
  const { elementType, fields } = field
  const length = Math.floor(random() ** 2 * 4)
  return Array.from({ length }, () => {
    if (elementType === 'struct' || elementType === undefined) return randomStruct(fields ?? {}, version, random)
    return randomPrimitive(elementType, random)
  })
}

function randomPrimitive(type: PrimitiveType, random: Random): unknown {
  switch (type) {
    case 'bool':
      return random() < 0.5
    case 'int64':
      return random() < 0.5 ? pick(INT64_BOUNDS, random) : BigInt(Math.floor((random() - 0.5) * 2 ** 50))
    case 'string':
      return random() < 0.7 ? pick(AWKWARD_TEXTS, random) : `name-${Math.floor(random() * 1000)}`
    case 'uuid':
      return Buffer.from(randomBytes(16, random)).toString('base64url')
    case 'bytes':
    case 'records':
      return randomBytes(Math.floor(random() ** 3 * 400), random)
    default:
      return pick(INT_BOUNDS[type] ?? [0], random)
  }
}

function randomBytes(length: number, random: Random): Uint8Array {
  return Uint8Array.from({ length }, () => Math.floor(random() * 256))
}

function pick<T>(choices: readonly T[], random: Random): T {
  return choices[Math.floor(random() * choices.length)] as T
}

/**
 * The fullest small message of a version: no field null, empty or at its default, every array with two elements. Cutting it
 * anywhere cuts something.
 */
export function fullMessage(fields: Fields, version: number): Record<string, unknown> {
  const counter = { next: 1 }
  return fullStruct(fields, version, counter)
}

function fullStruct(fields: Fields, version: number, counter: { next: number }): Record<string, unknown> {
  const struct: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(fields)) {
    struct[name] = inVersions(version, field.versions) ? fullValue(field, version, counter) : defaultOf(field)
  }
  return struct
}

function fullValue(field: Field, version: number, counter: { next: number }): unknown {
  if (field.type === 'struct') return fullStruct(field.fields ?? {}, version, counter)
  if (field.type !== 'array') return fullPrimitive(field.type, counter, field)
  const { elementType, fields } = field
  return [0, 1].map(() => {
    if (elementType === 'struct' || elementType === undefined) return fullStruct(fields ?? {}, version, counter)
    return fullPrimitive(elementType, counter, field)
  })
}

function fullPrimitive(type: PrimitiveType, counter: { next: number }, field: Field): unknown {
  const number = counter.next++ % 120
  switch (type) {
    case 'bool':
      return field.defaultValue !== true
    case 'int64':
      return BigInt(number) + 2n ** 60n
    case 'string':
      return `s${number}`
    case 'uuid':
      return Buffer.alloc(16, number).toString('base64url')
    case 'bytes':
    case 'records':
      return Uint8Array.of(number, 1, 2)
    default:
      return number
  }
}
