/**
 * Compares our schemas with Kafka's definitions, fact by fact, in both directions.
 *
 * Two rounds: all versions that the newest Kafka has, against the newest definitions, where the very version ranges must be
 * the same; and the older versions that we also speak, against older definitions, where only what travels in those versions
 * counts (names, order, types, nullability, defaults), because ranges and hints have moved on since.
 */
import { schema, type Api, type VersionRange } from '@milena/wire-protocol'
import { fieldsOf, type KafkaField, type KafkaMessage } from './kafka-messages.ts'

/** What was compared and what was found. */
export interface Comparison {
  apiCount: number
  /** (API, version, direction) triples. */
  versionCount: number
  fieldCount: number
  /** Single facts: a name, a type, a range, ... */
  factCount: number
  readonly differences: string[]
}

type Messages = ReadonlyMap<string, KafkaMessage>

/** Compares all APIs. `newest` decides; `older` is asked for the versions that `newest` no longer has. */
export function compareSchemas(apis: readonly Api[], newest: Messages, older: Messages): Comparison {
  const comparison: Comparison = { apiCount: 0, versionCount: 0, fieldCount: 0, factCount: 0, differences: [] }
  const names = new Set(apis.map(({ name }) => name))
  for (const { name, type } of newest.values()) {
    const apiName = name.replace(/Request$/, '')
    if (type === 'request' && !names.has(apiName)) comparison.differences.push(`${apiName}: we do not have this API`)
  }
  for (const api of apis) {
    comparison.apiCount++
    for (const direction of ['request', 'response'] as const) {
      new MessageComparison(comparison, api, direction).run(newest, older)
    }
  }
  return comparison
}

class MessageComparison {
  readonly #comparison: Comparison
  readonly #api: Api
  readonly #direction: 'request' | 'response'
  readonly #name: string

  constructor(comparison: Comparison, api: Api, direction: 'request' | 'response') {
    this.#comparison = comparison
    this.#api = api
    this.#direction = direction
    this.#name = api.name + (direction === 'request' ? 'Request' : 'Response')
  }

  run(newest: Messages, older: Messages): void {
    const api = this.#api
    const message = newest.get(this.#name)
    if (message === undefined) {
      this.#differ(this.#name, 'Kafka does not have this message')
      return
    }
    this.#comparison.versionCount += api.versions.max - api.versions.min + 1
    const valid = rangeOf(message.validVersions)
    this.#fact(this.#name, 'API key', api.key, message.apiKey)
    this.#fact(this.#name, 'newest version', api.versions.max, valid.max)
    this.#fact(this.#name, 'first flexible version', api.flexibleFrom, rangeOf(message.flexibleVersions).min)
    if (this.#direction === 'request') {
      this.#fact(this.#name, 'latestVersionUnstable', api.latestVersionUnstable, message.latestVersionUnstable ?? false)
    }
    if (api.versions.min > valid.min)
      this.#differ(this.#name, `oldest version ${api.versions.min}, Kafka's ${valid.min}`)
    this.#compareFields({ message, window: valid, exact: true }, this.#name, api[this.#direction], message.fields ?? [])
    this.#findDead(this.#name, api[this.#direction])
    if (api.versions.min < valid.min) this.#runOlder(older, { min: api.versions.min, max: valid.min - 1 })
  }

  /** The versions in `window`, which only an older Kafka knows. */
  #runOlder(older: Messages, window: VersionRange): void {
    const message = older.get(this.#name)
    const valid = message === undefined ? NEVER : rangeOf(message.validVersions)
    if (message === undefined || valid.min > window.min || valid.max < window.max) {
      this.#differ(this.#name, `no definition of versions ${textOf(window)}`)
      return
    }
    this.#fact(this.#name, 'API key (older)', this.#api.key, message.apiKey)
    const fields = this.#api[this.#direction]
    this.#compareFields(
      { message, window, exact: false },
      `${this.#name} v${textOf(window)}`,
      fields,
      message.fields ?? []
    )
  }

  #compareFields(reference: Reference, path: string, ours: schema.Fields, theirs: readonly KafkaField[]): void {
    const { window } = reference
    const ourEntries = Object.entries(ours).filter(([, field]) => isAlive(field.versions, window))
    const theirEntries = theirs.filter(({ versions }) => isAlive(rangeOf(versions), window))
    const ourNames = ourEntries.map(([name]) => name)
    const theirNames = theirEntries.map(({ name }) => camelCase(name))
    this.#fact(path, 'fields in order', ourNames.join(' '), theirNames.join(' '))
    for (const [name, field] of ourEntries) {
      const their = theirEntries[theirNames.indexOf(name)]
      if (their !== undefined) this.#compareField(reference, `${path}.${name}`, field, their)
    }
  }

  #compareField(reference: Reference, path: string, ours: schema.Field, theirs: KafkaField): void {
    const { message, window, exact } = reference
    this.#comparison.fieldCount++
    const inner = fieldsOf(message, theirs)
    const isArray = theirs.type.startsWith('[]')
    const structType = isArray ? '[]struct' : 'struct'
    const theirType = inner === undefined ? theirs.type : structType
    const range = (versions: VersionRange) => textOf(exact ? versions : clip(versions, window))
    const theirVersions = rangeOf(theirs.versions)
    this.#fact(path, 'type', ours.type === 'array' ? `[]${ours.elementType}` : ours.type, theirType)
    this.#fact(path, 'versions', range(ours.versions), range(theirVersions))
    const nullable = ours.nullableVersions ?? NEVER
    this.#fact(path, 'nullable versions', range(nullable), range(rangeOf(theirs.nullableVersions)))
    this.#fact(path, 'tag', String(ours.tag), String(theirs.tag))
    const tagged = ours.tag === undefined ? NEVER : ours.versions
    this.#fact(path, 'tagged versions', range(tagged), range(rangeOf(theirs.taggedVersions)))
    this.#fact(path, 'default', defaultText(schema.defaultOf(ours)), theirDefault(theirs))
    // Whether a field may be lost matters where it cannot travel; for a field that is still in use, the newest Kafka says so.
    if (exact || ours.versions.max <= window.max)
      this.#fact(path, 'ignorable', ours.isIgnorable, String(theirs.ignorable) === 'true')
    this.#fact(path, 'flexible versions of its own', undefined, theirs.flexibleVersions)
    if (inner !== undefined) this.#compareFields(reference, path, ours.fields ?? {}, inner)
  }

  /** Fields that no version we speak carries. */
  #findDead(path: string, fields: schema.Fields): void {
    for (const [name, field] of Object.entries(fields)) {
      if (!isAlive(field.versions, this.#api.versions)) this.#differ(`${path}.${name}`, 'no version carries it')
      else if (field.fields !== undefined) this.#findDead(`${path}.${name}`, field.fields)
    }
  }

  #fact(path: string, what: string, ours: unknown, theirs: unknown): void {
    this.#comparison.factCount++
    if (ours !== theirs) this.#differ(path, `${what}: ours ${String(ours)}, Kafka's ${String(theirs)}`)
  }

  #differ(path: string, text: string): void {
    this.#comparison.differences.push(`${path}: ${text}`)
  }
}

/** What a message of ours is held against. */
interface Reference {
  readonly message: KafkaMessage
  /** The versions in question. */
  readonly window: VersionRange
  /** Whether ranges must be equal, or only their parts inside the window. */
  readonly exact: boolean
}

/** The range that holds no version. Its `min` is also Kafka's "never flexible". */
const NEVER: VersionRange = { min: Infinity, max: -Infinity }

function rangeOf(text: string | undefined): VersionRange {
  return text === undefined || text === 'none' ? NEVER : schema.parseVersions(text as schema.Versions)
}

function clip(range: VersionRange, window: VersionRange): VersionRange {
  const min = Math.max(range.min, window.min)
  const max = Math.min(range.max, window.max)
  return min > max ? NEVER : { min, max }
}

function isAlive(versions: VersionRange, window: VersionRange): boolean {
  return clip(versions, window) !== NEVER
}

function textOf({ min, max }: VersionRange): string {
  if (min > max) return 'none'
  return max === schema.VERSION_MAX ? `${min}+` : `${min}-${max}`
}

function camelCase(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1)
}

/** The default that Kafka's generator gives a field, in the form of `defaultText`. */
function theirDefault(field: KafkaField): string {
  const { type } = field
  const given = field.default === undefined ? '' : String(field.default)
  if (given === 'null') return 'null'
  if (type.startsWith('[]')) return '[]'
  if (/^(u?int\d+|float64)$/.test(type)) return type === 'int64' ? `${BigInt(given)}n` : String(Number(given))
  switch (type) {
    case 'bool':
      return given === '' ? 'false' : given
    case 'string':
      return JSON.stringify(given)
    case 'uuid':
      return JSON.stringify(given === '' ? schema.ZERO_UUID : given)
    case 'bytes':
    case 'records':
      return 'no bytes'
    default:
      return 'struct'
  }
}

function defaultText(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'string') return JSON.stringify(value)
  if (Array.isArray(value)) return '[]'
  if (value instanceof Uint8Array) return 'no bytes'
  return typeof value === 'object' && value !== null ? 'struct' : String(value)
}
