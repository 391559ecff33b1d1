/** Listener addresses: `NAME://host:port` as in Kafka's `listeners` and `advertised.listeners`. */
import { SettingsError } from './parse.ts'

export interface ListenerAddress {
  readonly name: string
  /** Empty: all interfaces. */
  readonly host: string
  readonly port: number
}

const PATTERN = /^([A-Za-z][A-Za-z0-9_.-]*):\/\/(\[[0-9A-Fa-f:.]+\]|[^[\]/:]*):(-?\d{1,5})$/

/** Parses the elements of a `listeners` setting. Throws a `SettingsError` naming the setting. */
export function parseListeners(setting: string, values: readonly string[]): ListenerAddress[] {
  const problems: string[] = []
  const names = new Set<string>()
  const listeners: ListenerAddress[] = []
  for (const value of values) {
    const match = PATTERN.exec(value)
    const port = Number(match?.[3])
    if (match === null || port < 0 || port > 65_535) {
      problems.push(`Invalid value ${value} for configuration ${setting}: expected NAME://host:port`)
      continue
    }
    const name = (match[1] ?? '').toUpperCase()
    if (name !== 'PLAINTEXT' && /SSL|SASL/.test(name)) {
      problems.push(`Invalid value ${value} for configuration ${setting}: only plaintext listeners are supported yet`)
    }
    if (names.has(name))
      problems.push(`Invalid value ${value} for configuration ${setting}: listener ${name} is named twice`)
    names.add(name)
    listeners.push({ name, host: (match[2] ?? '').replace(/^\[|\]$/g, ''), port })
  }
  if (problems.length > 0) throw new SettingsError(problems)
  return listeners
}

/** Parses `host:port`; port -1 means "off". */
export function parseHostPort(setting: string, value: string): { host: string; port: number } {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[^[\]/:]*):(-1|\d{1,5})$/.exec(value)
  const port = Number(match?.[2])
  if (match === null || port > 65_535) {
    throw new SettingsError([`Invalid value ${value} for configuration ${setting}: expected host:port`])
  }
  return { host: (match[1] ?? '').replace(/^\[|\]$/g, ''), port }
}
