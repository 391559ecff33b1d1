/** Whether a set of topic settings is legal, as CreateTopics and AlterConfigs ask; Kafka's order of checks, and its words. */
import { defaultsOf, parseValue, type SettingValue } from './definition.ts'
import { definitionOf } from './parse.ts'
import { topicSettings } from './topic-settings.ts'

/** Why a topic cannot have these settings (all that are its own), or undefined. */
export function topicConfigProblem(configs: Readonly<Record<string, string>>): string | undefined {
  const unknown = Object.keys(configs).find(name => definitionOf(topicSettings, name) === undefined)
  if (unknown !== undefined) return `Unknown topic config name: ${unknown}`
  const values: Record<string, SettingValue> = { ...defaultsOf(topicSettings) }
  for (const [name, text] of Object.entries(configs)) {
    const definition = definitionOf(topicSettings, name)
    const outcome = definition === undefined ? undefined : parseValue(name, definition, text)
    if (outcome === undefined) continue
    if ('problem' in outcome) return outcome.problem
    values[name] = outcome.value
  }
  return contradiction(values)
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
