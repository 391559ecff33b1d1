/**
 * Turns a schema in one version into a straight-line decoder: JavaScript source with every field, version check and default
 * resolved, made into a function once. Neighbouring fields of fixed size share one bounds check; `p` (position) and `end` live
 * in locals; structs come out as object literals of one shape, whatever the version. For Fetch v17 the text begins
 *
 *     if (end - p < 13) r.truncated(p)
 *     const v1 = view.getInt32(p), v2 = view.getInt32(p + 4), ...
 *     p += 13
 *
 * Contract: the source is made from the schema alone, never from input. `interpret.ts` is the same thing written plainly.
 */
import { EMPTY_BYTES, inVersions, type Field, type Fields } from '../schema.ts'
import { elementSizeMin, fixedSize, layoutOf, type Layout } from './layout.ts'
import { uuidAt, viewAt, type Reader } from './reader.ts'

/** Makes the decoder of a message. Throws EvalError where code generation is forbidden. */
export function compileDecoder(name: string, fields: Fields, layout: Layout): (reader: Reader) => unknown {
  const source = decoderSource(name, fields, layout)
  return new Function('EMPTY_BYTES', 'viewAt', 'uuidAt', source)(EMPTY_BYTES, viewAt, uuidAt)
}

/** The text of the decoder, for those who like to read it. */
export function decoderSource(name: string, fields: Fields, layout: Layout): string {
  const compiler = new DecoderCompiler(layout)
  const message = compiler.struct(fields)
  return [
    `'use strict'`,
    `return function ${name}(r) {`,
    `const bytes = r.bytes, view = r.view`,
    `let end = r.end, p = r.position, n = 0`,
    ...compiler.lines,
    `r.position = p`,
    `return ${message}`,
    `}`
  ].join('\n')
}

class DecoderCompiler {
  readonly lines: string[] = []
  readonly #layout: Layout
  #names = 0
  /** Fields of fixed size that wait for their common bounds check. */
  #run: string[] = []
  #runBytes = 0

  constructor(layout: Layout) {
    this.#layout = layout
  }

  /** Emits the reads of a struct; returns the object literal. */
  struct(fields: Fields): string {
    const { positional, tagged } = layoutOf(fields, this.#layout.version)
    const values = new Map<string, string>()
    for (const [name, field] of positional) values.set(name, this.#field(field))
    this.#flush()
    for (const [name, field] of tagged) values.set(name, this.#variable(defaultSource(field)))
    if (this.#layout.flexible) this.#tagSection(tagged.map(([name, field]) => [values.get(name) ?? '', field]))
    const properties = Object.entries(fields).map(
      ([name, field]) => `${name}: ${values.get(name) ?? defaultSource(field)}`
    )
    return `{ ${properties.join(', ')} }`
  }

  /** Emits the read of one field; returns the variable that holds it. */
  #field(field: Field): string {
    const size = fixedSize(field.type)
    if (size !== undefined) return this.#fixed(field.type, size)
    this.#flush()
    const nullable = inVersions(this.#layout.version, field.nullableVersions)
    if (field.type === 'struct') return this.#structField(field, nullable)
    if (field.type === 'array') return this.#array(field, nullable)
    return this.#variableSize(field.type, nullable)
  }

  #fixed(type: string, size: number): string {
    const name = this.#name()
    this.#run.push(`${name} = ${fixedSource(type, this.#runBytes === 0 ? 'p' : `p + ${this.#runBytes}`)}`)
    this.#runBytes += size
    return name
  }

  /** A string, bytes or records. */
  #variableSize(type: string, nullable: boolean): string {
    const value = this.#variable()
    this.#length(type === 'string' ? 2 : 4)
    this.lines.push(
      this.#ifNull(value, nullable),
      `if (n > end - p) r.truncated(p)`,
      type === 'string'
        ? `${value} = n === 0 ? '' : bytes.toString('utf8', p, p + n)`
        : `${value} = n === 0 ? EMPTY_BYTES : viewAt(bytes, p, n)`,
      `p += n`,
      `}`
    )
    return value
  }

  #array(field: Field, nullable: boolean): string {
    const { elementType, fields } = field
    const value = this.#variable()
    const count = this.#name()
    const index = this.#name()
    this.#length(4)
    this.lines.push(
      this.#ifNull(value, nullable),
      `const ${count} = n`,
      `r.admit(${count}, ${elementSizeMin(field, this.#layout)}, p)`,
      `${value} = new Array(${count})`
    )
    const size = fixedSize(elementType ?? 'struct')
    if (size !== undefined) {
      const element = fixedSource(elementType ?? 'struct', 'p')
      this.lines.push(
        `for (let ${index} = 0; ${index} < ${count}; ${index}++, p += ${size}) ${value}[${index}] = ${element}`
      )
    } else {
      this.lines.push(`for (let ${index} = 0; ${index} < ${count}; ${index}++) {`)
      const element =
        elementType === 'struct' ? this.struct(fields ?? {}) : this.#variableSize(elementType ?? 'bytes', false)
      this.lines.push(`${value}[${index}] = ${element}`, `}`)
    }
    this.lines.push(`}`)
    return value
  }

  #structField(field: Field, nullable: boolean): string {
    if (!nullable) return this.#variable(this.struct(field.fields ?? {}))
    const value = this.#variable('null')
    this.lines.push(`if (p >= end) r.truncated(p)`, `if (view.getInt8(p++) >= 0) {`)
    this.lines.push(`${value} = ${this.struct(field.fields ?? {})}`, `}`)
    return value
  }

  #tagSection(tagged: readonly (readonly [string, Field])[]): void {
    this.lines.push(`if (p < end && bytes[p] === 0) p++`, `else {`)
    if (tagged.length === 0) {
      this.lines.push(`r.position = p`, `r.skipTags()`, `p = r.position`, `}`)
      return
    }
    const [count, last, tag, stop, outerEnd] = [this.#name(), this.#name(), this.#name(), this.#name(), this.#name()]
    this.#uvarint()
    this.lines.push(
      `if (n > (end - p) >>> 1) r.truncated(p)`,
      `let ${last} = -1`,
      `for (let ${count} = n; ${count} > 0; ${count}--) {`
    )
    this.#uvarint()
    this.lines.push(`const ${tag} = n`, `if (${tag} <= ${last}) r.invalidTag(p)`, `${last} = ${tag}`)
    this.#uvarint()
    this.lines.push(
      `if (n > end - p) r.truncated(p)`,
      `const ${stop} = p + n, ${outerEnd} = end`,
      `r.end = end = ${stop}`,
      `switch (${tag}) {`
    )
    for (const [value, field] of tagged) {
      this.lines.push(`case ${field.tag}: {`)
      const decoded = this.#field(field)
      this.#flush()
      this.lines.push(`${value} = ${decoded}`, `break`, `}`)
    }
    this.lines.push(
      `default: p = ${stop}`,
      `}`,
      `if (p !== ${stop}) r.invalidTag(p)`,
      `r.end = end = ${outerEnd}`,
      `}`,
      `}`
    )
  }

  /** Reads a length into `n`; null is -1. */
  #length(fixedBytes: 2 | 4): void {
    if (this.#layout.flexible) {
      this.#uvarint()
      this.lines.push(`n--`)
      return
    }
    this.lines.push(
      `if (end - p < ${fixedBytes}) r.truncated(p)`,
      `n = view.getInt${fixedBytes * 8}(p)`,
      `p += ${fixedBytes}`,
      `if (n < -1) r.invalidLength(p)`
    )
  }

  #ifNull(value: string, nullable: boolean): string {
    return `if (n < 0) ${nullable ? `${value} = null` : `r.unexpectedNull(p)`}\nelse {`
  }

  #uvarint(): void {
    this.lines.push(`if (p < end && (n = bytes[p]) < 128) p++`, `else { n = r.uvarintAt(p); p = r.position }`)
  }

  /** Emits the waiting reads of fixed size behind one bounds check. */
  #flush(): void {
    if (this.#runBytes === 0) return
    this.lines.push(
      `if (end - p < ${this.#runBytes}) r.truncated(p)`,
      `const ${this.#run.join(', ')}`,
      `p += ${this.#runBytes}`
    )
    this.#run = []
    this.#runBytes = 0
  }

  #variable(initial?: string): string {
    const name = this.#name()
    this.lines.push(initial === undefined ? `let ${name}` : `let ${name} = ${initial}`)
    return name
  }

  #name(): string {
    return `v${++this.#names}`
  }
}

function fixedSource(type: string, at: string): string {
  switch (type) {
    case 'bool':
      return `bytes[${at}] !== 0`
    case 'int8':
      return `view.getInt8(${at})`
    case 'int16':
      return `view.getInt16(${at})`
    case 'uint16':
      return `view.getUint16(${at})`
    case 'int32':
      return `view.getInt32(${at})`
    case 'int64':
      return `view.getBigInt64(${at})`
    case 'float64':
      return `view.getFloat64(${at})`
    default:
      return `uuidAt(bytes, ${at})`
  }
}

/** Source text of a field's default. */
export function defaultSource(field: Field): string {
  const { defaultValue } = field
  if (typeof defaultValue === 'bigint') return `${defaultValue}n`
  if (defaultValue !== undefined) return JSON.stringify(defaultValue)
  switch (field.type) {
    case 'bool':
      return 'false'
    case 'int64':
      return '0n'
    case 'string':
      return `''`
    case 'uuid':
      return `'AAAAAAAAAAAAAAAAAAAAAA'`
    case 'bytes':
    case 'records':
      return 'EMPTY_BYTES'
    case 'array':
      return '[]'
    case 'struct':
      return `{ ${Object.entries(field.fields ?? {}).map(([name, inner]) => `${name}: ${defaultSource(inner)}`)} }`
    default:
      return '0'
  }
}
