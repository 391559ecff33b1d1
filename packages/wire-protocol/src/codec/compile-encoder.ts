/**
 * Turns a schema in one version into a straight-line encoder, as `compile-decoder.ts` does for decoders. Room is claimed once
 * for neighbouring fields of fixed size; every value is checked against its type on the way (an int32 that does not fit is an
 * EncodeError, not another number); fields that the version lacks must be at their default or ignorable.
 *
 * Contract: the source is made from the schema alone. The writer's `bytes`, `view` and `position` are kept in locals; every
 * call of the writer that may move them is followed by `#reload`.
 */
import { inVersions, EMPTY_BYTES, type Field, type Fields } from '../schema.ts'
import { defaultSource } from './compile-decoder.ts'
import { fixedSize, layoutOf, type Layout } from './layout.ts'
import {
  COPY_BYTES_MAX,
  byteLengthOf,
  misfit,
  setInt64,
  unexpectedNull,
  unsupportedField,
  wrongType,
  type Writer
} from './writer.ts'

/** Makes the encoder of a message. Throws EvalError where code generation is forbidden. */
export function compileEncoder(
  name: string,
  fields: Fields,
  layout: Layout
): (writer: Writer, message: unknown) => void {
  const source = encoderSource(name, fields, layout)
  return new Function(...Object.keys(environment), source)(...Object.values(environment))
}

/** What the generated code may call besides the writer. */
const environment = {
  COPY_BYTES_MAX,
  EMPTY_BYTES,
  byteLengthOf,
  misfit,
  setInt64,
  unexpectedNull,
  unsupportedField,
  wrongType
}

/** The text of the encoder. */
export function encoderSource(name: string, fields: Fields, layout: Layout): string {
  const compiler = new EncoderCompiler(layout)
  compiler.message(fields)
  return [
    `'use strict'`,
    `return function ${name}(w, m) {`,
    `let bytes = w.bytes, view = w.view, p = w.position, v, n = 0`,
    ...compiler.lines,
    `w.position = p`,
    `}`
  ].join('\n')
}

class EncoderCompiler {
  readonly lines: string[] = []
  readonly #layout: Layout
  #names = 0
  #run: string[] = []
  #runBytes = 0
  /** Inside a tagged field: bytes are copied, because its size must be known in front of it. */
  #inline = false

  constructor(layout: Layout) {
    this.#layout = layout
  }

  message(fields: Fields): void {
    this.#struct('m', fields, 'message')
  }

  #struct(object: string, fields: Fields, label: string): void {
    const { version, flexible } = this.#layout
    const { positional, tagged, absent } = layoutOf(fields, version)
    this.lines.push(
      `if (typeof ${object} !== 'object' || ${object} === null) throw misfit(${object}, '${label}', 'object')`
    )
    for (const [name, field] of absent) {
      if (field.isIgnorable) continue
      this.lines.push(`v = ${object}.${name}`)
      this.lines.push(`if (!${isDefaultSource('v', field)}) throw unsupportedField('${name}', ${version})`)
    }
    for (const [name, field] of positional) this.#field(`${object}.${name}`, name, field)
    if (!flexible) this.#flush()
    else if (tagged.length > 0) this.#tagSection(object, tagged)
    else {
      this.#fixed(1, at => `bytes[${at}] = 0`)
      this.#flush()
    }
  }

  #field(access: string, name: string, field: Field): void {
    const size = fixedSize(field.type)
    if (size !== undefined) {
      this.#fixed(size, at => fixedSource(field.type, access, name, at, defaultSource(field)))
      return
    }
    this.#flush()
    const nullable = inVersions(this.#layout.version, field.nullableVersions)
    const value = this.#name()
    this.lines.push(`let ${value} = ${access}`)
    if (field.type !== 'struct' || nullable)
      this.lines.push(`if (${value} === undefined) ${value} = ${defaultSource(field)}`)
    else this.lines.push(`if (${value} === undefined) ${value} = {}`)
    this.lines.push(`if (${value} === null) {`)
    if (nullable) this.#null(field.type)
    else this.lines.push(`throw unexpectedNull('${name}')`)
    this.lines.push(`} else {`)
    if (field.type === 'struct') this.#structValue(value, name, field, nullable)
    else if (field.type === 'array') this.#array(value, name, field)
    else this.#variableSize(value, name, field.type)
    this.#flush()
    this.lines.push(`}`)
  }

  #null(type: string): void {
    if (type === 'struct') this.#fixed(1, at => `bytes[${at}] = 255`)
    else if (this.#layout.flexible) this.#fixed(1, at => `bytes[${at}] = 0`)
    else if (type === 'string') this.#fixed(2, at => `view.setInt16(${at}, -1)`)
    else this.#fixed(4, at => `view.setInt32(${at}, -1)`)
    this.#flush()
  }

  #structValue(value: string, name: string, field: Field, nullable: boolean): void {
    if (nullable) this.#fixed(1, at => `bytes[${at}] = 1`)
    this.#struct(value, field.fields ?? {}, name)
  }

  #variableSize(value: string, name: string, type: string): void {
    const { flexible } = this.#layout
    if (type === 'string') this.lines.push(`p = w.textAt(p, ${value}, ${flexible}, '${name}')`)
    else this.lines.push(`p = w.blobAt(p, ${value}, ${flexible}, ${this.#copies(value, name, type)}, '${name}')`)
    this.#reload()
  }

  /** Source of the decision whether bytes are copied into the writer's slab instead of becoming a chunk of their own. */
  #copies(value: string, name: string, type: string): string {
    if (this.#inline) return 'true'
    return type === 'records' ? 'false' : `byteLengthOf(${value}, '${name}') <= COPY_BYTES_MAX`
  }

  #array(value: string, name: string, field: Field): void {
    const { elementType, fields } = field
    const index = this.#name()
    this.lines.push(
      `if (!Array.isArray(${value})) throw wrongType('${name}', 'an array')`,
      `p = w.lengthAt(p, ${value}.length, ${this.#layout.flexible})`
    )
    this.#reload()
    this.lines.push(`for (let ${index} = 0; ${index} < ${value}.length; ${index}++) {`)
    const type = elementType ?? 'struct'
    const element = `${value}[${index}]`
    const size = fixedSize(type)
    if (size !== undefined) this.#fixed(size, at => fixedSource(type, element, name, at, 'null'))
    else {
      const item = this.#name()
      this.lines.push(`const ${item} = ${element}`)
      if (type === 'struct') this.#struct(item, fields ?? {}, name)
      else {
        this.lines.push(`if (${item} === null) throw unexpectedNull('${name}')`)
        this.#variableSize(item, name, type)
      }
    }
    this.#flush()
    this.lines.push(`}`)
  }

  #tagSection(object: string, tagged: readonly (readonly [string, Field])[]): void {
    this.#flush()
    const present = tagged.map(([name, field]) => {
      const flag = this.#name()
      this.lines.push(`v = ${object}.${name}`, `const ${flag} = !${isDefaultSource('v', field)}`)
      return flag
    })
    this.lines.push(`n = ${present.map(flag => `(${flag} ? 1 : 0)`).join(' + ')}`)
    this.#fixed(1, at => `bytes[${at}] = n`)
    this.#flush()
    const inlineOutside = this.#inline
    this.#inline = true
    for (const [i, [name, field]] of tagged.entries()) {
      const mark = this.#name()
      this.lines.push(`if (${present[i]}) {`)
      this.#room('5')
      this.lines.push(`p = w.uvarintAt(p, ${field.tag})`, `const ${mark} = p - w.start`)
      this.#field(`${object}.${name}`, name, field)
      this.#flush()
      this.lines.push(`p = w.closeTag(${mark}, p)`)
      this.#reload()
      this.lines.push(`}`)
    }
    this.#inline = inlineOutside
  }

  #fixed(size: number, source: (at: string) => string): void {
    this.#run.push(source(this.#runBytes === 0 ? 'p' : `p + ${this.#runBytes}`))
    this.#runBytes += size
  }

  #flush(): void {
    if (this.#runBytes === 0) return
    this.#room(String(this.#runBytes))
    this.lines.push(...this.#run, `p += ${this.#runBytes}`)
    this.#run = []
    this.#runBytes = 0
  }

  #room(byteCount: string): void {
    this.lines.push(
      `if (bytes.length - p < ${byteCount}) { p = w.grow(p, ${byteCount}); bytes = w.bytes; view = w.view }`
    )
  }

  #reload(): void {
    this.lines.push(`bytes = w.bytes; view = w.view`)
  }

  #name(): string {
    return `v${++this.#names}`
  }
}

/** Source that checks a value of fixed size and writes it at `at`. */
function fixedSource(type: string, access: string, name: string, at: string, fallback: string): string {
  const checked = (misfits: string, kind: string) =>
    `v = ${access}; if (v === undefined) v = ${fallback}; if (${misfits}) throw misfit(v, '${name}', '${kind}')\n`
  switch (type) {
    case 'bool':
      return checked(`typeof v !== 'boolean'`, 'boolean') + `bytes[${at}] = v ? 1 : 0`
    case 'int8':
      return checked(`typeof v !== 'number' || v !== v << 24 >> 24`, 'number') + `bytes[${at}] = v`
    case 'int16':
      return checked(`typeof v !== 'number' || v !== v << 16 >> 16`, 'number') + `view.setInt16(${at}, v)`
    case 'uint16':
      return checked(`typeof v !== 'number' || v !== (v & 65535)`, 'number') + `view.setUint16(${at}, v)`
    case 'int32':
      return checked(`typeof v !== 'number' || v !== (v | 0)`, 'number') + `view.setInt32(${at}, v)`
    case 'int64':
      return (
        checked(`typeof v === 'bigint' ? BigInt.asIntN(64, v) !== v : !Number.isSafeInteger(v)`, 'int64') +
        `if (typeof v === 'bigint') view.setBigInt64(${at}, v); else setInt64(view, ${at}, v)`
      )
    case 'float64':
      return checked(`typeof v !== 'number'`, 'number') + `view.setFloat64(${at}, v)`
    default:
      return (
        `v = ${access}; if (v === undefined) bytes.fill(0, ${at}, ${at} + 16)\n` +
        `else { if (v === null) throw unexpectedNull('${name}'); w.uuidAt(${at}, v, '${name}') }`
      )
  }
}

/** Source of a test whether `value` is a field's default; left out counts as default. */
function isDefaultSource(value: string, field: Field): string {
  const { defaultValue, type } = field
  const left = `${value} === undefined`
  if (defaultValue === null) return `(${left} || ${value} === null)`
  if (type === 'array') return `(${left} || Array.isArray(${value}) && ${value}.length === 0)`
  if (type === 'bytes' || type === 'records') {
    return `(${left} || ${value} !== null && byteLengthOf(${value}, '') === 0)`
  }
  if (type === 'struct') {
    const inner = Object.entries(field.fields ?? {}).map(([name, f]) => isDefaultSource(`${value}.${name}`, f))
    return `(${left} || ${value} !== null && ${inner.join(' && ')})`
  }
  // Loose on purpose: an int64 may be given as a bigint or as a number.
  const same = type === 'int64' ? '==' : '==='
  return `(${left} || ${value} ${same} ${defaultSource(field)})`
}
