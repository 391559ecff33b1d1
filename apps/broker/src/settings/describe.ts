/** The settings as text: every name with default, unit, range and meaning, for `milena settings` and the documentation. */
import { brokerSettings } from './broker-settings.ts'
import { formatValue, type Definition, type SettingValue } from './definition.ts'
import { throttleSettings } from './dynamic-settings.ts'
import { topicSettings } from './topic-settings.ts'

export function settingsText(): string {
  const parts = [
    `Broker settings\n\n${describeTable(brokerSettings)}`,
    `Broker settings that are only ever set while brokers run\n\n${describeTable(throttleSettings)}`,
    `Topic settings\n\n${describeTable(topicSettings)}`
  ]
  return parts.join('\n')
}

function describeTable(table: { readonly [name: string]: Definition<SettingValue> }): string {
  return Object.entries(table)
    .map(([name, definition]) => `${name} = ${formatValue(definition.default)}\n${describeOne(definition)}\n`)
    .join('\n')
}

const DYNAMIC = {
  broker: 'can be changed while brokers run',
  cluster: 'can be changed for all brokers while they run'
} as const

function describeOne(definition: Definition<SettingValue>): string {
  const facts = [
    definition.unit === undefined ? definition.type : `${definition.type}, ${definition.unit}`,
    definition.oneOf === undefined ? rangeText(definition) : `one of: ${definition.oneOf.join(', ')}`,
    definition.dynamic === undefined ? '' : DYNAMIC[definition.dynamic],
    definition.effect === 'stored' ? 'kept and echoed, no effect yet' : ''
  ]
  return `  ${definition.doc}\n  (${facts.filter(fact => fact !== '').join('; ')})`
}

function rangeText({ type, min, max }: Definition<SettingValue>): string {
  if (type !== 'int' && type !== 'long' && type !== 'double') return ''
  return [min === undefined ? '' : `at least ${min}`, max === undefined ? '' : `at most ${max}`]
    .filter(Boolean)
    .join(', ')
}
