/**
 * How a setting is defined, and how text becomes its value.
 *
 * One definition a setting: type, default, unit, range and documentation stand together, and everything else (validation at
 * start, the generated documentation, DescribeConfigs, what may change at run time) is read off it. Values from a file, from
 * `-o key=value`, from CreateTopics and from AlterConfigs all come through `parseValue`, so a wrong one is refused with the same
 * words everywhere (Kafka's words where Kafka has the check: tools show them to people).
 */

export type SettingValue = boolean | number | bigint | string | readonly string[]

export interface Definition<T extends SettingValue> {
  readonly type: 'boolean' | 'int' | 'long' | 'double' | 'string' | 'list'
  readonly default: T
  /** What one step of the number means. */
  readonly unit?: 'bytes' | 'ms' | 'count' | 'percent'
  /** Smallest and largest legal number, both inclusive. */
  readonly min?: number | bigint
  readonly max?: number | bigint
  /** Legal strings, or legal elements of a list. */
  readonly oneOf?: readonly string[]
  /** What type and range do not say: why a value that is otherwise legal is refused, in Kafka's words. */
  check?(value: T): string | undefined
  /**
   * Brokers' settings only: it can be changed while the broker runs, for single brokers as well (`broker`) or for all of them
   * together (`cluster`). Only what is really looked at again may say so; without it a change needs a restart.
   */
  readonly dynamic?: 'broker' | 'cluster'
  readonly doc: string
  /** `effective`: changes what the broker does. `stored`: kept and echoed, has no effect here (the doc says why or since when). */
  readonly effect: 'effective' | 'stored'
}

export type Definitions = { readonly [name: string]: Definition<SettingValue> }

/** The typed values of a table of definitions, under the same names. */
export type ValuesOf<D extends Definitions> = { readonly [K in keyof D]: D[K] extends Definition<infer T> ? T : never }

type Details<T extends SettingValue> = Pick<
  Definition<T>,
  'unit' | 'min' | 'max' | 'oneOf' | 'check' | 'dynamic' | 'doc'
> & { readonly stored?: boolean }

function define<T extends SettingValue>(type: Definition<T>['type'], value: T, details: Details<T>): Definition<T> {
  const { stored, ...rest } = details
  return { type, default: value, ...rest, effect: stored === true ? 'stored' : 'effective' }
}

const INT_MAX = 2_147_483_647
/** Kafka's "never" for durations and counts. */
export const LONG_MAX = 9_223_372_036_854_775_807n

export const boolean = (value: boolean, details: Details<boolean>): Definition<boolean> =>
  define('boolean', value, details)
export const integer = (value: number, details: Details<number>): Definition<number> =>
  define('int', value, { min: -INT_MAX - 1, max: INT_MAX, ...details })
export const long = (value: bigint, details: Details<bigint>): Definition<bigint> =>
  define('long', value, { min: -LONG_MAX - 1n, max: LONG_MAX, ...details })
export const double = (value: number, details: Details<number>): Definition<number> => define('double', value, details)
export const string = (value: string, details: Details<string>): Definition<string> => define('string', value, details)
export const list = (value: readonly string[], details: Details<readonly string[]>): Definition<readonly string[]> =>
  define('list', value, details)

export type ParseOutcome = { readonly value: SettingValue } | { readonly problem: string }

/** Turns text into the value of a setting, or says in one sentence why it cannot be. */
export function parseValue(name: string, definition: Definition<SettingValue>, text: string): ParseOutcome {
  const outcome = parseTyped(name, definition, text)
  const why = 'value' in outcome ? definition.check?.(outcome.value) : undefined
  if (why === undefined || !('value' in outcome)) return outcome
  const shown = typeof outcome.value === 'object' ? `[${outcome.value.join(', ')}]` : String(outcome.value)
  return { problem: `Invalid value ${shown} for configuration ${name}: ${why}` }
}

function parseTyped(name: string, definition: Definition<SettingValue>, text: string): ParseOutcome {
  const refuse = (why: string): ParseOutcome => ({ problem: `Invalid value ${text} for configuration ${name}: ${why}` })
  const trimmed = text.trim()
  switch (definition.type) {
    case 'boolean': {
      const lower = trimmed.toLowerCase()
      if (lower === 'true' || lower === 'false') return { value: lower === 'true' }
      return refuse('Expected value to be either true or false')
    }
    case 'int':
    case 'long': {
      if (!/^[+-]?\d+$/.test(trimmed)) return refuse(`Not a number of type ${definition.type.toUpperCase()}`)
      const exact = BigInt(trimmed)
      if (definition.type === 'int' && (exact > INT_MAX || exact < -INT_MAX - 1))
        return refuse('Not a number of type INT')
      if (definition.type === 'long' && (exact > LONG_MAX || exact < -LONG_MAX - 1n)) {
        return refuse('Not a number of type LONG')
      }
      const range = outOfRange(definition, exact)
      if (range !== undefined) return refuse(range)
      return { value: definition.type === 'int' ? Number(exact) : exact }
    }
    case 'double': {
      const number = Number(trimmed)
      if (trimmed === '' || Number.isNaN(number)) return refuse('Not a number of type DOUBLE')
      const range = outOfRange(definition, number)
      return range === undefined ? { value: number } : refuse(range)
    }
    case 'string': {
      if (definition.oneOf !== undefined && !definition.oneOf.includes(trimmed)) {
        return refuse(`String must be one of: ${definition.oneOf.join(', ')}`)
      }
      return { value: trimmed }
    }
    case 'list': {
      const items = trimmed === '' ? [] : trimmed.split(',').map(item => item.trim())
      if (items.includes('')) return { problem: `Configuration '${name}' values must not be empty.` }
      const stranger = items.find(item => definition.oneOf !== undefined && !definition.oneOf.includes(item))
      if (stranger !== undefined) {
        const words = definition.oneOf?.join(', ')
        return { problem: `Invalid value ${stranger} for configuration ${name}: String must be one of: ${words}` }
      }
      // What is there twice counts once, as in Kafka.
      return { value: [...new Set(items)] }
    }
  }
}

function outOfRange(definition: Definition<SettingValue>, value: number | bigint): string | undefined {
  if (definition.min !== undefined && value < definition.min) return `Value must be at least ${definition.min}`
  if (definition.max !== undefined && value > definition.max) return `Value must be no more than ${definition.max}`
  return undefined
}

/** The text form of a value, as Kafka's tools show it. */
export function formatValue(value: SettingValue): string {
  return typeof value === 'object' ? value.join(',') : String(value)
}

/** The defaults of a table, as values. */
export function defaultsOf<D extends Definitions>(definitions: D): ValuesOf<D> {
  return Object.fromEntries(Object.entries(definitions).map(([name, d]) => [name, d.default])) as ValuesOf<D>
}
