/**
 * The gateway's configs port: settings as DescribeConfigs shows them (value, type, meaning, where the value comes from), and
 * their changes, which go to the controller.
 */
import type {
  ConfigAlteration,
  ConfigAlterationResult,
  ConfigDescription,
  ConfigResource,
  ConfigsPort,
  ConfigsView,
  ConfigType
} from '@milena/gateway'
import { ControllerUnavailableError, type ControllerClient } from '../controller/controller-client.ts'
import type { ClusterState } from '../controller/metadata/cluster-state.ts'
import { brokerSettings, type BrokerSettingName, type BrokerSettings } from './broker-settings.ts'
import type { Definition, SettingValue } from './definition.ts'
import { changedSettings, dynamicDefinition, throttleSettings, type ThrottleSettingName } from './dynamic-settings.ts'
import {
  brokerOrigins,
  changedOrigins,
  effectiveTopicOrigin,
  topicOrigins,
  type SettingLayers,
  type SettingOrigin
} from './setting-chain.ts'
import { topicSettings, type TopicSettingName } from './topic-settings.ts'

/** How long a change may take, ms; the requests say nothing of it. */
const ALTER_DEADLINE_MS = 10_000

const TYPES: Readonly<Record<Definition<SettingValue>['type'], ConfigType>> = {
  boolean: 1,
  string: 2,
  int: 3,
  long: 5,
  double: 6,
  list: 7
}

const topicNames = Object.keys(topicSettings) as TopicSettingName[]
const brokerNames = Object.keys(brokerSettings) as BrokerSettingName[]
const throttleNames = Object.keys(throttleSettings) as ThrottleSettingName[]

export interface ShardConfigsOptions {
  /** What this broker was started with. */
  readonly settings: BrokerSettings
  /** As clients know it. */
  readonly brokerId: number
  readonly state: () => ClusterState
  readonly controller: ControllerClient
}

export class ShardConfigs implements ConfigsPort {
  readonly #options: ShardConfigsOptions

  constructor(options: ShardConfigsOptions) {
    this.#options = options
  }

  describe(resources: readonly ConfigResource[]): Promise<readonly ConfigsView[]> {
    const { settings: start, brokerId, state } = this.#options
    const layers = { start, ...changedSettings(state(), brokerId) }
    return Promise.resolve(resources.map(resource => this.#describe(resource, layers)))
  }

  async alter(
    alterations: readonly ConfigAlteration[],
    { validateOnly }: { validateOnly: boolean }
  ): Promise<readonly ConfigAlterationResult[]> {
    try {
      return await this.#options.controller.ask('alterConfigs', { alterations, validateOnly }, ALTER_DEADLINE_MS)
    } catch (error) {
      if (!(error instanceof ControllerUnavailableError)) throw error
      const message = 'The controller could not be reached in time.'
      return alterations.map(() => ({ kind: 'refused', error: 'REQUEST_TIMED_OUT', message }))
    }
  }

  #describe({ type, name }: ConfigResource, layers: SettingLayers): ConfigsView {
    switch (type) {
      case 'topic': {
        const topic = this.#options.state().topics.get(name)
        if (topic === undefined) return { kind: 'refused', error: 'UNKNOWN_TOPIC_OR_PARTITION', message: null }
        return { kind: 'done', configs: topicNames.map(each => describeTopicSetting(each, topic.configs, layers)) }
      }
      case 'broker':
        return { kind: 'done', configs: name === '' ? describeCluster(layers) : describeBroker(layers) }
      case 'brokerLogger':
      case 'clientMetrics':
      case 'group':
        return { kind: 'done', configs: [] }
    }
  }
}

function describeTopicSetting(
  name: TopicSettingName,
  overrides: Readonly<Record<string, string>>,
  layers: SettingLayers
): ConfigDescription {
  const origins = topicOrigins(name, overrides, layers)
  return describeOne(name, topicSettings[name], effectiveTopicOrigin(name, origins), origins, false)
}

function describeBroker(layers: SettingLayers): ConfigDescription[] {
  const standing = brokerNames.map(name => {
    const origins = brokerOrigins(name, layers)
    return describeOne(
      name,
      brokerSettings[name],
      origins[0],
      origins,
      dynamicDefinition(name, 'cluster') === undefined
    )
  })
  return [...standing, ...throttleNames.flatMap(name => describeChanged(name, layers))]
}

/** What was set for all brokers, and nothing else. */
function describeCluster({ cluster }: SettingLayers): ConfigDescription[] {
  return [...brokerNames, ...throttleNames].flatMap(name => describeChanged(name, { broker: {}, cluster }))
}

/** A setting with only what it was given at run time; nothing when it was not. */
function describeChanged(name: string, changed: Pick<SettingLayers, 'broker' | 'cluster'>): [ConfigDescription] | [] {
  const origins = changedOrigins(name, changed)
  const definition = dynamicDefinition(name, 'cluster')
  const [effective] = origins
  return effective === undefined || definition === undefined
    ? []
    : [describeOne(name, definition, effective, origins, false)]
}

function describeOne(
  name: string,
  definition: Definition<SettingValue>,
  { value, source }: SettingOrigin,
  synonyms: readonly SettingOrigin[],
  readOnly: boolean
): ConfigDescription {
  const { doc } = definition
  return { name, value, source, readOnly, sensitive: false, type: TYPES[definition.type], documentation: doc, synonyms }
}
