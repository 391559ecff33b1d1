/**
 * Settings of brokers that change while they run: in the cluster's metadata there is what was set for all brokers and what was
 * set for single ones; the latter wins, then the former, then what the broker was started with.
 *
 * Two kinds: settings of `brokerSettings` that are marked `dynamic`, and those below, which exist only there (Kafka's
 * replication quotas are no settings that a broker could be started with either). All others need a restart and are refused.
 */
import { shownBrokerId, type ClusterState } from '../controller/metadata/cluster-state.ts'
import { brokerSettings, type BrokerSettings, type BrokerSettingName } from './broker-settings.ts'
import { long, LONG_MAX, parseValue, type Definition, type SettingValue } from './definition.ts'
import { definitionOf } from './parse.ts'

/** Only ever set at run time; unset they have no value and mean "no limit". */
export const throttleSettings = {
  'leader.replication.throttled.rate': long(LONG_MAX, {
    unit: 'bytes',
    min: 0,
    dynamic: 'broker',
    doc: 'Bytes a second that this broker sends, as leader, to replicas that are not in sync, of partitions whose topic says so in leader.replication.throttled.replicas.'
  }),
  'follower.replication.throttled.rate': long(LONG_MAX, {
    unit: 'bytes',
    min: 0,
    dynamic: 'broker',
    doc: 'Bytes a second that replicas on this broker that are not in sync are sent, if their topic says so in follower.replication.throttled.replicas.'
  }),
  'replica.alter.log.dirs.io.max.bytes.per.second': long(LONG_MAX, {
    unit: 'bytes',
    min: 0,
    dynamic: 'broker',
    doc: 'Bytes a second between data folders of this broker. It has one, so nothing moves between any.',
    stored: true
  })
} as const

export type ThrottleSettingName = keyof typeof throttleSettings

/** Settings as text by name. */
export type Changed = Readonly<Record<string, string>>
const NOTHING: Changed = {}

/** What was changed at run time, as one broker sees it. */
export interface ChangedSettings {
  readonly broker: Changed
  readonly cluster: Changed
}

export function changedSettings(state: ClusterState, brokerId: number): ChangedSettings {
  return { broker: state.brokerConfigs.get(brokerId) ?? NOTHING, cluster: state.configs }
}

/** The definition of a setting that may be changed at run time for one broker (`broker`) or for all; undefined for others. */
export function dynamicDefinition(name: string, scope: 'broker' | 'cluster'): Definition<SettingValue> | undefined {
  const definition = definitionOf(brokerSettings, name) ?? definitionOf(throttleSettings, name)
  if (definition?.dynamic === undefined) return undefined
  return scope === 'cluster' || definition.dynamic === 'broker' ? definition : undefined
}

/** Bytes a second that one of the rates allows a broker; undefined: no limit. */
export function throttledRate(state: ClusterState, brokerId: number, name: ThrottleSettingName): number | undefined {
  const text = state.brokerConfigs.get(brokerId)?.[name] ?? state.configs[name]
  if (text === undefined) return undefined
  const outcome = parseValue(name, throttleSettings[name], text)
  return 'value' in outcome && outcome.value !== LONG_MAX ? Number(outcome.value) : undefined
}

/** The settings of one broker as they are now. */
export class LiveSettings {
  readonly #start: BrokerSettings
  readonly #brokerId: number
  #seen: ChangedSettings | undefined
  #now: BrokerSettings

  /** `start`: what the shard `brokerId` was started with. */
  constructor(start: BrokerSettings, brokerId: number) {
    this.#start = start
    this.#brokerId = shownBrokerId(brokerId, start.addressing === 'node')
    this.#now = start
  }

  /** With what `state` says was changed. The same object as long as nothing of that is another. */
  at(state: ClusterState): BrokerSettings {
    const changed = changedSettings(state, this.#brokerId)
    if (changed.broker !== this.#seen?.broker || changed.cluster !== this.#seen.cluster) {
      this.#seen = changed
      this.#now = withChanges(this.#start, changed)
    }
    return this.#now
  }
}

function withChanges(start: BrokerSettings, { broker, cluster }: ChangedSettings): BrokerSettings {
  const values: Record<string, SettingValue> = { ...start }
  for (const [name, text] of Object.entries({ ...cluster, ...broker })) {
    const definition = Object.hasOwn(start, name) ? brokerSettings[name as BrokerSettingName] : undefined
    const outcome = definition === undefined ? undefined : parseValue(name, definition, text)
    if (outcome !== undefined && 'value' in outcome) values[name] = outcome.value
  }
  return values as unknown as BrokerSettings
}
