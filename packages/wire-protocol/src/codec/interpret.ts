/**
 * Codecs that walk the schema field by field: some fifty times slower than compiled ones and written to be obviously right.
 * They serve where the platform forbids code generation (`--disallow-code-generation-from-strings`), and the tests as the
 * judge of the compiled ones. Same contract, same errors; positions in errors may differ.
 */
import { defaultOf, inVersions, type BytesInput, type Field, type Fields } from '../schema.ts'
import { elementSizeMin, layoutOf, type Layout } from './layout.ts'
import type { Reader } from './reader.ts'
import {
  COPY_BYTES_MAX,
  byteLengthOf,
  misfit,
  unexpectedNull,
  unsupportedField,
  wrongType,
  type Writer
} from './writer.ts'

/** Decodes a struct. */
export function interpretDecode(reader: Reader, fields: Fields, layout: Layout): Record<string, unknown> {
  const { positional, tagged } = layoutOf(fields, layout.version)
  const message: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(fields)) message[name] = defaultOf(field)
  for (const [name, field] of positional) message[name] = decodeField(reader, field, layout)
  if (!layout.flexible) return message
  const count = reader.readUvarint()
  if (count > reader.remaining >>> 1) reader.truncated(reader.position)
  let previous = -1
  for (let i = 0; i < count; i++) {
    const tag = reader.readUvarint()
    if (tag <= previous) reader.invalidTag(reader.position)
    previous = tag
    const size = reader.readUvarint()
    if (size > reader.remaining) reader.truncated(reader.position)
    const stop = reader.position + size
    const outerEnd = reader.end
    reader.end = stop
    const known = tagged.find(([, field]) => field.tag === tag)
    if (known === undefined) reader.position = stop
    else message[known[0]] = decodeField(reader, known[1], layout)
    if (reader.position !== stop) reader.invalidTag(reader.position)
    reader.end = outerEnd
  }
  return message
}

function decodeField(reader: Reader, field: Field, layout: Layout): unknown {
  const nullable = inVersions(layout.version, field.nullableVersions)
  if (field.type === 'array') return decodeArray(reader, field, layout, nullable)
  if (field.type === 'struct') {
    if (nullable && reader.readInt8() < 0) return null
    return interpretDecode(reader, field.fields ?? {}, layout)
  }
  return decodePrimitive(reader, field.type, layout, nullable)
}

function decodeArray(reader: Reader, field: Field, layout: Layout, nullable: boolean): unknown[] | null {
  const count = decodeLength(reader, 4, layout, nullable)
  if (count < 0) return null
  reader.admit(count, elementSizeMin(field, layout), reader.position)
  const elements: unknown[] = []
  for (let i = 0; i < count; i++) {
    const type = field.elementType ?? 'struct'
    if (type === 'struct') elements.push(interpretDecode(reader, field.fields ?? {}, layout))
    else elements.push(decodePrimitive(reader, type, layout, false))
  }
  return elements
}

function decodePrimitive(reader: Reader, type: string, layout: Layout, nullable: boolean): unknown {
  switch (type) {
    case 'bool':
      return reader.readBool()
    case 'int8':
      return reader.readInt8()
    case 'int16':
      return reader.readInt16()
    case 'uint16':
      return reader.readUint16()
    case 'int32':
      return reader.readInt32()
    case 'int64':
      return reader.readInt64()
    case 'float64':
      return reader.readFloat64()
    case 'uuid':
      return reader.readUuid()
  }
  const length = decodeLength(reader, type === 'string' ? 2 : 4, layout, nullable)
  if (length < 0) return null
  return type === 'string' ? reader.readText(length) : reader.readView(length)
}

/** A length; -1 is null, and only returned where null is allowed. */
function decodeLength(reader: Reader, fixedBytes: 2 | 4, layout: Layout, nullable: boolean): number {
  let length
  if (layout.flexible) length = reader.readUvarint() - 1
  else length = fixedBytes === 2 ? reader.readInt16() : reader.readInt32()
  if (length < -1) reader.invalidLength(reader.position)
  if (length === -1 && !nullable) reader.unexpectedNull(reader.position)
  return length
}

/** Encodes a struct. `label` names it in errors. */
export function interpretEncode(
  writer: Writer,
  fields: Fields,
  layout: Layout,
  message: unknown,
  label = 'message'
): void {
  encodeStruct({ writer, layout, inline: false }, fields, message, label)
}

interface Encoding {
  readonly writer: Writer
  readonly layout: Layout
  /** Inside a tagged field: bytes are copied. */
  readonly inline: boolean
}

function encodeStruct(encoding: Encoding, fields: Fields, message: unknown, label: string): void {
  if (!isObject(message)) throw misfit(message, label, 'object')
  const { writer, layout } = encoding
  const { positional, tagged, absent } = layoutOf(fields, layout.version)
  for (const [name, field] of absent) {
    if (!field.isIgnorable && !isDefault(message[name], field)) throw unsupportedField(name, layout.version)
  }
  for (const [name, field] of positional) encodeField(encoding, name, field, message[name])
  if (!layout.flexible) return
  const present = tagged.filter(([name, field]) => !isDefault(message[name], field))
  writer.writeUvarint(present.length)
  for (const [name, field] of present) {
    writer.writeUvarint(field.tag ?? 0)
    const mark = writer.position - writer.start
    encodeField({ writer, layout, inline: true }, name, field, message[name])
    writer.position = writer.closeTag(mark, writer.position)
  }
}

function encodeField(encoding: Encoding, name: string, field: Field, given: unknown): void {
  const { writer, layout } = encoding
  const value = given === undefined ? defaultOf(field) : given
  const nullable = inVersions(layout.version, field.nullableVersions)
  if (value === null) {
    if (!nullable) throw unexpectedNull(name)
    if (field.type === 'struct') writer.writeInt8(-1)
    else if (field.type === 'string' && !layout.flexible) writer.writeInt16(-1)
    else writer.position = writer.lengthAt(writer.position, -1, layout.flexible)
  } else if (field.type === 'struct') {
    if (nullable) writer.writeInt8(1)
    encodeStruct(encoding, field.fields ?? {}, value, name)
  } else if (field.type === 'array') {
    if (!Array.isArray(value)) throw wrongType(name, 'an array')
    writer.position = writer.lengthAt(writer.position, value.length, layout.flexible)
    for (const element of value) {
      if (field.elementType === 'struct') encodeStruct(encoding, field.fields ?? {}, element, name)
      else encodePrimitive(encoding, name, field.elementType ?? 'bytes', element)
    }
  } else encodePrimitive(encoding, name, field.type, value)
}

function encodePrimitive(encoding: Encoding, name: string, type: string, value: unknown): void {
  const { writer, layout } = encoding
  if (value === null || value === undefined) throw unexpectedNull(name)
  switch (type) {
    case 'bool':
      if (typeof value !== 'boolean') throw misfit(value, name, 'boolean')
      return writer.writeInt8(value ? 1 : 0)
    case 'int8':
      return writer.writeInt8(checkedInt(value, name, -128, 127))
    case 'int16':
      return writer.writeInt16(checkedInt(value, name, -32768, 32767))
    case 'uint16':
      return writer.writeInt16(checkedInt(value, name, 0, 65535))
    case 'int32':
      return writer.writeInt32(checkedInt(value, name, -2147483648, 2147483647))
    case 'int64':
      if (typeof value === 'bigint' && BigInt.asIntN(64, value) === value) return writer.writeInt64(value)
      if (typeof value === 'number' && Number.isSafeInteger(value)) return writer.writeInt64(value)
      throw misfit(value, name, 'int64')
    case 'float64':
      if (typeof value !== 'number') throw misfit(value, name, 'number')
      return writer.writeFloat64(value)
    case 'uuid':
      writer.position = writer.uuidAt(writer.grow(writer.position, 16), value as string, name)
      return
    case 'string':
      writer.position = writer.textAt(writer.position, value as string, layout.flexible, name)
      return
  }
  const blob = value as BytesInput
  const inline = encoding.inline || (type === 'bytes' && byteLengthOf(blob, name) <= COPY_BYTES_MAX)
  writer.position = writer.blobAt(writer.position, blob, layout.flexible, inline, name)
}

function checkedInt(value: unknown, name: string, min: number, max: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
  throw misfit(value, name, 'number')
}

/** Whether a value is its field's default; left out counts as default. */
export function isDefault(value: unknown, field: Field): boolean {
  if (value === undefined) return true
  if (field.defaultValue === null || value === null) return value === field.defaultValue
  switch (field.type) {
    case 'array':
      return Array.isArray(value) && value.length === 0
    case 'bytes':
    case 'records':
      return byteLengthOf(value as BytesInput, '') === 0
    case 'struct':
      return (
        isObject(value) && Object.entries(field.fields ?? {}).every(([name, inner]) => isDefault(value[name], inner))
      )
    case 'int64':
      return value === defaultOf(field) || (Number.isInteger(value) && BigInt(value as number) === defaultOf(field))
    default:
      return value === defaultOf(field)
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
