/** A topic's settings: as clients see them (CreateTopics v5+: value and where it comes from), and as typed values. */
import type { ConfigView } from '@milena/gateway'
import type { BrokerSettings, BrokerSettingName } from './broker-settings.ts'
import { defaultsOf, parseValue, type SettingValue } from './definition.ts'
import { effectiveTopicOrigin, topicOrigins, type SettingLayers } from './setting-chain.ts'
import { topicSettings, topicSettingSynonyms, type TopicSettingName, type TopicSettings } from './topic-settings.ts'

const names = Object.keys(topicSettings) as TopicSettingName[]

/** Every setting of a topic with its effective value. `overrides` were validated before. */
export function describeTopicConfigs(overrides: Readonly<Record<string, string>>, layers: SettingLayers): ConfigView[] {
  return names.map(name => {
    const { value, source } = effectiveTopicOrigin(name, topicOrigins(name, overrides, layers))
    return { name, value, readOnly: false, source, sensitive: false }
  })
}

/** The effective, typed settings of a topic. `settings`: the broker's, as they are now. */
export function resolveTopicSettings(
  overrides: Readonly<Record<string, string>>,
  settings: BrokerSettings
): TopicSettings {
  const values: Record<string, SettingValue> = { ...defaultsOf(topicSettings) }
  for (const name of names) {
    const own = overrides[name]
    const outcome = own === undefined ? undefined : parseValue(name, topicSettings[name], own)
    const synonym = topicSettingSynonyms[name] as BrokerSettingName | undefined
    if (outcome !== undefined && 'value' in outcome) values[name] = outcome.value
    else if (synonym !== undefined) values[name] = settings[synonym]
  }
  return values as unknown as TopicSettings
}
