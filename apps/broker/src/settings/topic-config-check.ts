/** Whether a set of topic settings is legal, as CreateTopics and AlterConfigs ask; Kafka's order of checks, and its words. */
import { defaultsOf, formatValue, parseValue, type SettingValue } from './definition.ts'
import { definitionOf } from './parse.ts'
import { topicSettings } from './topic-settings.ts'

/** Legal settings in their usual form (no spaces, no element twice), or why they are not. */
export type TopicConfigCheck = { readonly configs: Readonly<Record<string, string>> } | { readonly problem: string }

/** `configs`: all that are the topic's own. */
export function checkTopicConfigs(configs: Readonly<Record<string, string>>): TopicConfigCheck {
  const unknown = Object.keys(configs).find(name => definitionOf(topicSettings, name) === undefined)
  if (unknown !== undefined) return { problem: `Unknown topic config name: ${unknown}` }
  const values: Record<string, SettingValue> = { ...defaultsOf(topicSettings) }
  const checked: Record<string, string> = {}
  for (const [name, text] of Object.entries(configs)) {
    const definition = definitionOf(topicSettings, name)
    const outcome = definition === undefined ? undefined : parseValue(name, definition, text)
    if (outcome === undefined) continue
    if ('problem' in outcome) return outcome
    values[name] = outcome.value
    checked[name] = formatValue(outcome.value)
  }
  const problem = contradiction(values)
  return problem === undefined ? { configs: checked } : { problem }
}

function contradiction(values: Readonly<Record<string, SettingValue>>): string | undefined {
  const { 'min.compaction.lag.ms': min, 'max.compaction.lag.ms': max } = values
  if (min !== undefined && max !== undefined && min > max) {
    return `conflict topic config setting min.compaction.lag.ms (${String(min)}) > max.compaction.lag.ms (${String(max)})`
  }
  if (values['remote.storage.enable'] === true) {
    return 'Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.'
  }
  return undefined
}
