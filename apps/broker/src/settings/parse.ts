/**
 * From raw text to typed settings. Collects every problem before it refuses, so that one start tells all.
 */
import { brokerSettings, type BrokerSettings } from './broker-settings.ts'
import { defaultsOf, parseValue, type Definition, type Definitions, type SettingValue } from './definition.ts'

/** Settings were refused; `problems` has one sentence each. */
export class SettingsError extends Error {
  readonly code = 'INVALID_SETTINGS'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.name = 'SettingsError'
    this.problems = problems
  }
}

/** Raw settings: what a file or the command line holds before it is checked. */
export type RawSettings = ReadonlyMap<string, string>

/** The full set of broker settings: defaults, overridden by `raw`. Throws a `SettingsError` that names all that is wrong. */
export function parseBrokerSettings(raw: RawSettings): BrokerSettings {
  const values: Record<string, SettingValue> = { ...defaultsOf(brokerSettings) }
  const problems: string[] = []
  for (const [name, text] of raw) {
    const definition = definitionOf(brokerSettings, name)
    if (definition === undefined) {
      problems.push(`Unknown setting ${name}${suggestion(name, Object.keys(brokerSettings))}`)
      continue
    }
    const outcome = parseValue(name, definition, text)
    if ('problem' in outcome) problems.push(outcome.problem)
    else values[name] = outcome.value
  }
  if (problems.length > 0) throw new SettingsError(problems)
  return values as unknown as BrokerSettings
}

/** The definition of `name` in a table, without falling for inherited names such as `constructor`. */
export function definitionOf(table: Definitions, name: string): Definition<SettingValue> | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined
}

/** ` (did you mean x?)` when a known name is at most two edits away. */
function suggestion(name: string, known: readonly string[]): string {
  const near = known.find(candidate => editDistance(name, candidate) <= 2)
  return near === undefined ? '' : ` (did you mean ${near}?)`
}

function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replace = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replace, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
