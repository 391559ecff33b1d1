/** A topic's settings as clients see them (CreateTopics v5+, DescribeConfigs): value and where it comes from. */
import type { ConfigView } from '@milena/gateway'
import type { BrokerSettings, BrokerSettingName } from './broker-settings.ts'
import { brokerSettings } from './broker-settings.ts'
import { defaultsOf, formatValue, parseValue, type SettingValue } from './definition.ts'
import { SOURCE_DEFAULT, SOURCE_STATIC_BROKER, SOURCE_TOPIC } from './sources.ts'
import { topicSettings, topicSettingSynonyms, type TopicSettingName, type TopicSettings } from './topic-settings.ts'

const names = Object.keys(topicSettings) as TopicSettingName[]

/** Every setting of a topic with its effective value. `overrides` were validated before. */
export function describeTopicConfigs(
  overrides: Readonly<Record<string, string>>,
  settings: BrokerSettings
): ConfigView[] {
  return names.map(name => {
    const own = overrides[name]
    const inherited = inheritedValue(name, settings)
    return {
      name,
      value: own ?? formatValue(inherited.value),
      readOnly: false,
      source: own !== undefined ? SOURCE_TOPIC : inherited.source,
      sensitive: false
    }
  })
}

/** The effective, typed settings of a topic. */
export function resolveTopicSettings(
  overrides: Readonly<Record<string, string>>,
  settings: BrokerSettings
): TopicSettings {
  const values: Record<string, SettingValue> = { ...defaultsOf(topicSettings) }
  for (const name of names) {
    const own = overrides[name]
    const outcome = own === undefined ? undefined : parseValue(name, topicSettings[name], own)
    values[name] = outcome !== undefined && 'value' in outcome ? outcome.value : inheritedValue(name, settings).value
  }
  return values as unknown as TopicSettings
}

function inheritedValue(name: TopicSettingName, settings: BrokerSettings): { value: SettingValue; source: number } {
  const synonym = topicSettingSynonyms[name] as BrokerSettingName | undefined
  if (synonym === undefined) return { value: topicSettings[name].default, source: SOURCE_DEFAULT }
  const value = settings[synonym]
  return { value, source: value === brokerSettings[synonym].default ? SOURCE_DEFAULT : SOURCE_STATIC_BROKER }
}
