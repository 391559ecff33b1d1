/** Settings as DescribeConfigs shows them: value, type, meaning, and where the value comes from. */
import type { ConfigDescription, ConfigResource, ConfigsPort, ConfigsView, ConfigType } from '@milena/gateway'
import type { ClusterState } from '../controller/cluster-state.ts'
import { brokerSettings, type BrokerSettingName, type BrokerSettings } from './broker-settings.ts'
import { formatValue, type Definition, type SettingValue } from './definition.ts'
import { SOURCE_DEFAULT, SOURCE_DYNAMIC_CLUSTER, SOURCE_STATIC_BROKER, SOURCE_TOPIC } from './sources.ts'
import { topicSettings, topicSettingSynonyms, type TopicSettingName } from './topic-settings.ts'

const TYPES: Readonly<Record<Definition<SettingValue>['type'], ConfigType>> = {
  boolean: 1,
  string: 2,
  int: 3,
  long: 5,
  double: 6,
  list: 7
}

type Synonym = ConfigDescription['synonyms'][number]

export class ShardConfigs implements ConfigsPort {
  readonly #settings: BrokerSettings
  readonly #state: () => ClusterState

  constructor(settings: BrokerSettings, state: () => ClusterState) {
    this.#settings = settings
    this.#state = state
  }

  describe(resources: readonly ConfigResource[]): Promise<readonly ConfigsView[]> {
    return Promise.resolve(resources.map(resource => this.#describe(resource)))
  }

  #describe({ type, name }: ConfigResource): ConfigsView {
    switch (type) {
      case 'topic': {
        const topic = this.#state().topics.get(name)
        if (topic === undefined) return { kind: 'refused', error: 'UNKNOWN_TOPIC_OR_PARTITION', message: null }
        const names = Object.keys(topicSettings) as TopicSettingName[]
        return { kind: 'done', configs: names.map(setting => this.#topicSetting(setting, topic.configs)) }
      }
      case 'broker': {
        const names = Object.keys(brokerSettings) as BrokerSettingName[]
        if (name !== '') return { kind: 'done', configs: names.map(setting => this.#brokerSetting(setting)) }
        const changed = names.filter(setting => this.#state().configs[setting] !== undefined)
        return { kind: 'done', configs: changed.map(setting => this.#brokerSetting(setting)) }
      }
      case 'brokerLogger':
      case 'clientMetrics':
      case 'group':
        return { kind: 'done', configs: [] }
    }
  }

  #topicSetting(name: TopicSettingName, overrides: Readonly<Record<string, string>>): ConfigDescription {
    const definition: Definition<SettingValue> = topicSettings[name]
    const own = overrides[name]
    const synonym = topicSettingSynonyms[name] as BrokerSettingName | undefined
    const inherited = synonym === undefined ? [] : this.#brokerSynonyms(synonym)
    const fallback = { name, value: formatValue(definition.default), source: SOURCE_DEFAULT }
    const chain: Synonym[] = [...(own === undefined ? [] : [{ name, value: own, source: SOURCE_TOPIC }]), ...inherited]
    return describeOne(name, definition, chain[0] ?? fallback, chain, false)
  }

  #brokerSetting(name: BrokerSettingName): ConfigDescription {
    const definition: Definition<SettingValue> = brokerSettings[name]
    const chain = this.#brokerSynonyms(name)
    const fallback = { name, value: formatValue(definition.default), source: SOURCE_DEFAULT }
    return describeOne(name, definition, chain[0] ?? fallback, chain, true)
  }

  /** The setting of a broker: changed for the cluster, given at its start, default. */
  #brokerSynonyms(name: BrokerSettingName): Synonym[] {
    const definition: Definition<SettingValue> = brokerSettings[name]
    const changed = this.#state().configs[name]
    const value = formatValue(this.#settings[name])
    const byDefault = formatValue(definition.default)
    return [
      ...(changed === undefined ? [] : [{ name, value: changed, source: SOURCE_DYNAMIC_CLUSTER }]),
      ...(value === byDefault ? [] : [{ name, value, source: SOURCE_STATIC_BROKER }]),
      { name, value: byDefault, source: SOURCE_DEFAULT }
    ]
  }
}

function describeOne(
  name: string,
  definition: Definition<SettingValue>,
  effective: Synonym,
  synonyms: readonly Synonym[],
  readOnly: boolean
): ConfigDescription {
  const { value, source } = effective
  const { doc } = definition
  return { name, value, source, readOnly, sensitive: false, type: TYPES[definition.type], documentation: doc, synonyms }
}
