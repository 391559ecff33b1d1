/**
 * What a schema means in one version: which fields travel, where, and how small they can be. Shared by the compilers and the
 * interpreter so that they differ in how they move bytes and in nothing else.
 */
import { inVersions, type Field, type Fields, type PrimitiveType } from '../schema.ts'

/** One version of one message. */
export interface Layout {
  readonly version: number
  /** Compact lengths and tag sections (KIP-482). */
  readonly flexible: boolean
}

export type Entry = readonly [name: string, field: Field]

/** The fields of a struct in one version. */
export interface StructLayout {
  /** Fields on the wire, in order. */
  readonly positional: readonly Entry[]
  /** Fields in the tag section, by tag. */
  readonly tagged: readonly Entry[]
  /** Fields that this version does not carry. */
  readonly absent: readonly Entry[]
}

/** Sizes of the types that always take the same room. */
const fixedSizes: Partial<Record<string, number>> = {
  bool: 1,
  int8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  int64: 8,
  float64: 8,
  uuid: 16
}

/** Bytes of a type of constant size; `undefined` for the others. */
export function fixedSize(type: string): number | undefined {
  return fixedSizes[type]
}

/** Splits the fields of a struct by how they travel in a version. */
export function layoutOf(fields: Fields, version: number): StructLayout {
  const entries = Object.entries(fields)
  const present = entries.filter(([, field]) => inVersions(version, field.versions))
  const tagged = present.filter(([, field]) => field.tag !== undefined)
  tagged.sort(([, a], [, b]) => (a.tag ?? 0) - (b.tag ?? 0))
  return {
    positional: present.filter(([, field]) => field.tag === undefined),
    tagged,
    absent: entries.filter(([, field]) => !inVersions(version, field.versions))
  }
}

/** Least number of bytes that an element of an array takes; at least 1, so that a length is always backed by bytes. */
export function elementSizeMin(field: Field, layout: Layout): number {
  const size =
    field.elementType === 'struct' ? structSizeMin(field.fields ?? {}, layout) : sizeMin(field.elementType, layout)
  return Math.max(1, size)
}

function structSizeMin(fields: Fields, layout: Layout): number {
  let size = layout.flexible ? 1 : 0
  for (const [, field] of layoutOf(fields, layout.version).positional) {
    if (field.type !== 'struct') size += sizeMin(field.type, layout)
    else if (inVersions(layout.version, field.nullableVersions)) size += 1
    else size += structSizeMin(field.fields ?? {}, layout)
  }
  return size
}

function sizeMin(type: PrimitiveType | 'array' | 'struct' | undefined, layout: Layout): number {
  const fixed = fixedSizes[type ?? 'struct']
  if (fixed !== undefined) return fixed
  if (layout.flexible) return 1
  return type === 'string' ? 2 : 4
}
