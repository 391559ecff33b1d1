/**
 * The notation in which Kafka's messages are written down, and the TypeScript types that follow from it.
 *
 * A schema is data. `apis/fetch.ts` lists the fields of Fetch in wire order, each with the versions that carry it, in the
 * words of Kafka's protocol guide:
 *
 *     maxBytes: int32('3+').default(0x7fffffff).ignorable()
 *     rackId:   string('11+').default('').ignorable()
 *     topics:   array('0+', { topic: string('0-12'), partitions: array('0+', int32) })
 *
 * Versions are written '3' (only), '3-5' (inclusive) or '3+' (and later). Codecs are made from schemas elsewhere
 * (`codec.ts`); nothing here reads or writes bytes. Contract: a schema never changes once `api()` has returned it.
 */

const ranges = new Map<string, VersionRange>()

/** Versions as written in a schema: `'4'`, `'0-12'` (inclusive) or `'9+'`. */
export type Versions = `${number}` | `${number}-${number}` | `${number}+`

/** Versions `min` to `max`, both included. */
export interface VersionRange {
  readonly min: number
  readonly max: number
}

/** The largest version number the wire can carry; the end of an open range. */
export const VERSION_MAX = 32767

/** The uuid that means "none": sixteen zero bytes. */
export const ZERO_UUID = 'AAAAAAAAAAAAAAAAAAAAAA'

/** Kafka's types that have no parts. */
export type PrimitiveType =
  'bool' | 'int8' | 'int16' | 'uint16' | 'int32' | 'int64' | 'float64' | 'string' | 'uuid' | 'bytes' | 'records'

/** Every type that a field can have. */
export type FieldType = PrimitiveType | 'array' | 'struct'

/** Fields by name, in wire order. */
export type Fields = Readonly<Record<string, Field>>

/** Bytes to encode: one view, or the views that make them up, in order. */
export type BytesInput = Uint8Array | readonly Uint8Array[]

/** The message that decoding yields: every field of every version; what a version does not carry has its default. */
export type Decoded<F extends Fields> = { -readonly [K in keyof F]: F[K]['~out'] }

/** The message that encoding takes: a decoded one, or less. A field left out has its default, as in Kafka's own classes. */
export type Encodable<F extends Fields> = { readonly [K in keyof F]?: F[K]['~in'] | undefined }

/**
 * One field of a struct. Made by the functions below; the methods refine it while the schema is being written and return the
 * same field. `Out` is its type in a decoded message, `In` what encoding accepts.
 */
export class Field<Out = unknown, In = unknown> {
  /** Types only; there is no such property at run time. */
  declare readonly '~out': Out
  /** Types only; there is no such property at run time. */
  declare readonly '~in': In

  readonly type: FieldType
  /** Versions that carry the field. */
  readonly versions: VersionRange
  /** Of an array: the type of its elements. */
  readonly elementType: PrimitiveType | 'struct' | undefined
  /** Of a struct or an array of structs: their fields. */
  readonly fields: Fields | undefined
  /** Versions in which the value may be null. */
  nullableVersions: VersionRange | undefined
  /** KIP-482 tag; the field then travels in the tag section of its struct, in all versions that carry it. */
  tag: number | undefined
  /** Explicit default. `undefined`: zero, false, the empty string, bytes or array, or a struct of defaults. */
  defaultValue: unknown
  /** Encoding drops the value silently for versions without the field, instead of failing. */
  isIgnorable: boolean

  constructor(type: FieldType, versions: Versions, elementType?: PrimitiveType | 'struct', fields?: Fields) {
    this.type = type
    this.versions = parseVersions(versions)
    this.elementType = elementType
    this.fields = fields
    this.nullableVersions = undefined
    this.tag = undefined
    this.defaultValue = undefined
    this.isIgnorable = false
  }

  /** May be null in these versions (default: wherever the field is). */
  nullable(versions?: Versions): NullableField<this> {
    this.nullableVersions = versions === undefined ? this.versions : parseVersions(versions)
    return this as NullableField<this>
  }

  /** Travels as tagged field number `tag`. */
  tagged(tag: number): this {
    this.tag = tag
    return this
  }

  /** The value of a message whose version does not carry the field, or that leaves it out. */
  default(value: Out): this {
    this.defaultValue = value
    return this
  }

  /** May be lost when the version cannot carry it. */
  ignorable(): this {
    this.isIgnorable = true
    return this
  }
}

/** A field that may be null as well. Interfaces, because they keep the types of messages short where a compiler prints them. */
export interface NullableField<F extends Field> extends Field<F['~out'] | null, F['~in'] | null> {}

/** A field that is a struct of `F`. */
export interface StructField<F extends Fields> extends Field<Decoded<F>, Encodable<F>> {}

/** A field that is an array of structs of `F`. */
export interface StructArrayField<F extends Fields> extends Field<Decoded<F>[], readonly Encodable<F>[]> {}

/** Makes a field of a primitive type, and stands for the type itself in `array('0+', int32)`. */
export interface Primitive<Out, In> {
  (versions: Versions): Field<Out, In>
  readonly type: PrimitiveType
}

export const bool = primitive<boolean>('bool')
export const int8 = primitive<number>('int8')
export const int16 = primitive<number>('int16')
export const uint16 = primitive<number>('uint16')
export const int32 = primitive<number>('int32')
/** Exact: a bigint when decoded; encoding also takes a safe integer. */
export const int64 = primitive<bigint, bigint | number>('int64')
export const float64 = primitive<number>('float64')
export const string = primitive<string>('string')
/** Kafka's own text: 22 characters of base64url. */
export const uuid = primitive<string>('uuid')
/** A view of the received bytes. */
export const bytes = primitive<Uint8Array, BytesInput>('bytes')
/** Record batches: a view of the received bytes; never copied when encoded. */
export const records = primitive<Uint8Array, BytesInput>('records')

/** A struct inside a struct. */
export function struct<F extends Fields>(versions: Versions, fields: F): StructField<F> {
  return new Field('struct', versions, undefined, fields) as StructField<F>
}

/** An array of a primitive type or, given fields, of structs. */
export function array<Out, In>(versions: Versions, element: Primitive<Out, In>): Field<Out[], readonly In[]>
export function array<F extends Fields>(versions: Versions, fields: F): StructArrayField<F>
export function array(versions: Versions, element: Primitive<unknown, unknown> | Fields): Field {
  if (typeof element === 'function') return new Field('array', versions, element.type)
  return new Field('array', versions, 'struct', element)
}

/** One Kafka API: its number and the layout of its requests and responses in all versions. */
export interface Api<Request extends Fields = Fields, Response extends Fields = Fields> {
  readonly key: number
  /** Kafka's name, e.g. `ListOffsets`. */
  readonly name: string
  /** Versions this package speaks: from the oldest still in use by clients to the newest of Kafka 4.3. */
  readonly versions: VersionRange
  /** First version with compact lengths and tagged fields (KIP-482); `Infinity` when there is none. */
  readonly flexibleFrom: number
  /** Kafka has not released the newest version yet: brokers do not advertise it unless told to. */
  readonly latestVersionUnstable: boolean
  readonly request: Request
  readonly response: Response
}

/** A decoded request of an API: `RequestOf<typeof fetch>`. */
export type RequestOf<A extends Api> = Decoded<A['request']>
/** A decoded response of an API. */
export type ResponseOf<A extends Api> = Decoded<A['response']>
/** What encoding a request takes. */
export type RequestInput<A extends Api> = Encodable<A['request']>
/** What encoding a response takes. */
export type ResponseInput<A extends Api> = Encodable<A['response']>

/** Declares an API. `flexible` is the first flexible version, `'none'` when there is none. */
export function api<Request extends Fields, Response extends Fields>(definition: {
  key: number
  name: string
  versions: Versions
  flexible: `${number}+` | 'none'
  latestVersionUnstable?: true
  request: Request
  response: Response
}): Api<Request, Response> {
  const { key, name, versions, flexible, latestVersionUnstable, request, response } = definition
  return {
    key,
    name,
    versions: parseVersions(versions),
    flexibleFrom: flexible === 'none' ? Infinity : parseVersions(flexible).min,
    latestVersionUnstable: latestVersionUnstable ?? false,
    request,
    response
  }
}

/** `'3-5'` to `{min: 3, max: 5}`. */
export function parseVersions(text: Versions): VersionRange {
  const known = ranges.get(text)
  if (known !== undefined) return known
  const parts = /^(\d+)(?:(\+)|-(\d+))?$/.exec(text)
  if (parts === null) throw new TypeError(`not a version range: ${text}`)
  const min = Number(parts[1])
  const max = parts[2] === '+' ? VERSION_MAX : Number(parts[3] ?? min)
  const range = Object.freeze({ min, max })
  ranges.set(text, range)
  return range
}

/** Whether `version` lies in `range`; no range holds no version. */
export function inVersions(version: number, range: VersionRange | undefined): boolean {
  return range !== undefined && version >= range.min && version <= range.max
}

/** The value a field has when nothing was said about it; a new one for arrays and structs. */
export function defaultOf(field: Field): unknown {
  if (field.defaultValue !== undefined) return field.defaultValue
  switch (field.type) {
    case 'bool':
      return false
    case 'int64':
      return 0n
    case 'string':
      return ''
    case 'uuid':
      return ZERO_UUID
    case 'bytes':
    case 'records':
      return EMPTY_BYTES
    case 'array':
      return []
    case 'struct':
      return Object.fromEntries(Object.entries(field.fields ?? {}).map(([name, inner]) => [name, defaultOf(inner)]))
    default:
      return 0
  }
}

/** The one empty view that all empty defaults share. */
export const EMPTY_BYTES: Uint8Array = new Uint8Array(0)

function primitive<Out, In = Out>(type: PrimitiveType): Primitive<Out, In> {
  return Object.assign((versions: Versions) => new Field(type, versions) as Field<Out, In>, { type })
}
