/**
 * Where the value of a setting comes from, most significant first (Kafka's synonyms): the topic, the broker at run time, all
 * brokers at run time, the broker at its start, the default.
 */
import type { ConfigDescription } from '@milena/gateway'
import { brokerSettings, type BrokerSettings, type BrokerSettingName } from './broker-settings.ts'
import { formatValue, type Definition, type SettingValue } from './definition.ts'
import type { ChangedSettings } from './dynamic-settings.ts'
import {
  SOURCE_DEFAULT,
  SOURCE_DYNAMIC_BROKER,
  SOURCE_DYNAMIC_CLUSTER,
  SOURCE_STATIC_BROKER,
  SOURCE_TOPIC
} from './sources.ts'
import { topicSettings, topicSettingSynonyms, type TopicSettingName } from './topic-settings.ts'

/** One place where a value stands. */
export type SettingOrigin = ConfigDescription['synonyms'][number]

/** What a broker was started with, and what was changed since. */
export interface SettingLayers extends ChangedSettings {
  readonly start: BrokerSettings
}

/** Values that were given to a setting at run time. */
export function changedOrigins(name: string, { broker, cluster }: ChangedSettings): SettingOrigin[] {
  const own = Object.hasOwn(broker, name) ? broker[name] : undefined
  const shared = Object.hasOwn(cluster, name) ? cluster[name] : undefined
  return [
    ...(own === undefined ? [] : [{ name, value: own, source: SOURCE_DYNAMIC_BROKER }]),
    ...(shared === undefined ? [] : [{ name, value: shared, source: SOURCE_DYNAMIC_CLUSTER }])
  ]
}

/** Origins of a broker's setting; the first one counts. */
export function brokerOrigins(name: BrokerSettingName, layers: SettingLayers): [SettingOrigin, ...SettingOrigin[]] {
  const definition: Definition<SettingValue> = brokerSettings[name]
  const value = formatValue(layers.start[name])
  const byDefault = { name, value: formatValue(definition.default), source: SOURCE_DEFAULT }
  const started = value === byDefault.value ? [] : [{ name, value, source: SOURCE_STATIC_BROKER }]
  const [first, ...rest] = [...changedOrigins(name, layers), ...started]
  return first === undefined ? [byDefault] : [first, ...rest, byDefault]
}

/** Origins of a topic's setting, whose `overrides` were validated; empty when it has its default and brokers have no such setting. */
export function topicOrigins(
  name: TopicSettingName,
  overrides: Readonly<Record<string, string>>,
  layers: SettingLayers
): SettingOrigin[] {
  const own = overrides[name]
  const synonym = topicSettingSynonyms[name] as BrokerSettingName | undefined
  return [
    ...(own === undefined ? [] : [{ name, value: own, source: SOURCE_TOPIC }]),
    ...(synonym === undefined ? [] : brokerOrigins(synonym, layers))
  ]
}

/** The origin that counts. */
export function effectiveTopicOrigin(name: TopicSettingName, origins: readonly SettingOrigin[]): SettingOrigin {
  return origins[0] ?? { name, value: formatValue(topicSettings[name].default), source: SOURCE_DEFAULT }
}
