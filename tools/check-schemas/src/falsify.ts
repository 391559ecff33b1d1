/**
 * Lies about a schema, for the canary: a check that lets one of them pass checks nothing.
 */
import type { Api, schema } from '@milena/wire-protocol'

/** A schema with one wrong fact. */
export interface Falsified {
  /** What is wrong. */
  readonly lie: string
  readonly api: Api
}

/** The wrong facts of a field, or `undefined` where the lie cannot be told. */
type Change = (field: schema.Field) => object | undefined

/** Ways to falsify a field. */
const changes: Readonly<Record<string, Change>> = {
  'type of elements or field': field =>
    field.type === 'array'
      ? { elementType: field.elementType === 'int32' ? 'int16' : 'int32' }
      : { type: field.type === 'int32' ? 'int64' : 'int32' },
  'first version': field => ({ versions: { min: field.versions.min + 1, max: field.versions.max } }),
  'last version': ({ versions: { min, max } }) => (max === 0 ? undefined : { versions: { min, max: max - 1 } }),
  nullability: field => ({ nullableVersions: field.nullableVersions === undefined ? field.versions : undefined }),
  tag: field => ({ tag: field.tag === undefined ? 0 : field.tag + 1 }),
  ignorability: field => ({ isIgnorable: !field.isIgnorable }),
  default: field => ({ defaultValue: field.defaultValue === null ? undefined : null })
}

/** Every lie about an API: its key and versions, and each field missing, renamed, moved or falsified. */
export function* falsifications(api: Api): Generator<Falsified> {
  yield { lie: `${api.name}: key`, api: { ...api, key: api.key + 1 } }
  yield {
    lie: `${api.name}: newest version`,
    api: { ...api, versions: { ...api.versions, max: api.versions.max + 1 } }
  }
  yield { lie: `${api.name}: first flexible version`, api: { ...api, flexibleFrom: api.flexibleFrom === 0 ? 1 : 0 } }
  for (const direction of ['request', 'response'] as const) {
    for (const { lie, fields } of falsifiedFields(api[direction])) {
      yield { lie: `${api.name} ${direction} ${lie}`, api: { ...api, [direction]: fields } }
    }
  }
}

function* falsifiedFields(fields: schema.Fields): Generator<{ lie: string; fields: schema.Fields }> {
  const entries = Object.entries(fields)
  for (const [i, [name, field]] of entries.entries()) {
    const others = (...replacements: [string, schema.Field][]) =>
      Object.fromEntries([...entries.slice(0, i), ...replacements, ...entries.slice(i + 1)])
    yield { lie: `${name}: missing`, fields: others() }
    yield { lie: `${name}: name`, fields: others([`${name}Not`, field]) }
    const next = entries[i + 1]
    if (next !== undefined && meet(field, next[1])) {
      const swapped = [...entries.slice(0, i), next, [name, field] as const, ...entries.slice(i + 2)]
      yield { lie: `${name}: place`, fields: Object.fromEntries(swapped) }
    }
    for (const [what, change] of Object.entries(changes)) {
      const facts = change(field)
      if (facts !== undefined) yield { lie: `${name}: ${what}`, fields: others([name, changed(field, facts)]) }
    }
    for (const inner of falsifiedFields(field.fields ?? {})) {
      yield { lie: `${name}.${inner.lie}`, fields: others([name, changed(field, { fields: inner.fields })]) }
    }
  }
}

/** Whether some version carries both: only then does their order show. */
function meet(a: schema.Field, b: schema.Field): boolean {
  return a.versions.min <= b.versions.max && b.versions.min <= a.versions.max
}

function changed(field: schema.Field, facts: object): schema.Field {
  return Object.assign(Object.create(Object.getPrototypeOf(field) as object) as schema.Field, field, facts)
}
