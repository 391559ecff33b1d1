/**
 * Planning of AlterConfigs and IncrementalAlterConfigs: from what a client asked to the changes that a command will carry, or the
 * reason why not. Pure; checks, their order and their words are Kafka's. What it comes to is decided here, so that a command says
 * nothing but "set these, unset those".
 *
 * One departure: Kafka takes settings of brokers that it does not know, for plug-ins. There are none here, so a name that nothing
 * would ever look at is refused like one that needs a restart. Removing it is always possible.
 */
import type { ConfigAlteration, ConfigAlterationResult, ConfigOperation } from '@milena/gateway'
import type { ErrorName } from '@milena/wire-protocol'
import { formatValue, parseValue, type Definition, type SettingValue } from '../../settings/definition.ts'
import { dynamicDefinition } from '../../settings/dynamic-settings.ts'
import { definitionOf } from '../../settings/parse.ts'
import { checkTopicConfigs } from '../../settings/topic-config-check.ts'
import { topicSettings } from '../../settings/topic-settings.ts'
import type { ClusterState } from '../metadata/cluster-state.ts'
import type { ConfigChange } from '../metadata/commands.ts'

/** Characters of a setting's text: of a list (of throttled replicas, say), and of anything else. */
export const LIST_LENGTH_MAX = 1024 * 1024
export const VALUE_LENGTH_MAX = 1024

export interface ConfigPlan {
  /** What the command should carry; empty when nothing changes. */
  readonly changes: readonly ConfigChange[]
  /** One an alteration, in order; those that are done hold if the command is carried out. */
  readonly results: readonly ConfigAlterationResult[]
}

type Configs = Readonly<Record<string, string>>

class Refusal extends Error {
  readonly error: ErrorName
  constructor(error: ErrorName, message: string) {
    super(message)
    this.error = error
  }
}

/** Plans all alterations of one request; no resource is in it twice. */
export function planConfigChanges(state: ClusterState, alterations: readonly ConfigAlteration[]): ConfigPlan {
  const changes: ConfigChange[] = []
  const results = alterations.map((alteration): ConfigAlterationResult => {
    try {
      const change = planOne(state, alteration)
      if (change !== undefined) changes.push(change)
      return { kind: 'done' }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return { kind: 'refused', error: error.error, message: error.message }
    }
  })
  return { changes, results }
}

function planOne(state: ClusterState, alteration: ConfigAlteration): ConfigChange | undefined {
  const { resource, operations } = alteration
  switch (resource.type) {
    case 'topic':
      return planTopic(state, alteration)
    case 'broker':
      return planBroker(state, alteration)
    case 'group':
      return refuseAllSet(operations, name => new Refusal('INVALID_CONFIG', `Unknown group config name: ${name}`))
    case 'clientMetrics':
      return refuseAllSet(
        operations,
        name => new Refusal('INVALID_REQUEST', `Unknown client metrics configuration: ${name}`)
      )
    case 'brokerLogger':
      return refuseAllSet(operations, name => new Refusal('INVALID_CONFIG', `Logger ${name} does not exist!`))
  }
}

/** Resources that have no settings here: nothing can be set, and removing what is not there is done at once. */
function refuseAllSet(operations: readonly ConfigOperation[], refusal: (name: string) => Refusal): undefined {
  const set = operations.find(({ kind }) => kind !== 'delete')
  if (set !== undefined) throw refusal(set.name)
}

function planTopic(state: ClusterState, alteration: ConfigAlteration): ConfigChange | undefined {
  const { name } = alteration.resource
  const topic = state.topics.get(name)
  const before = topic?.configs ?? {}
  const checked = checkTopicConfigs(outcomeOf(before, alteration, key => definitionOf(topicSettings, key)))
  if ('problem' in checked) throw new Refusal('INVALID_CONFIG', checked.problem)
  if (topic === undefined) throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION', `The topic '${name}' does not exist.`)
  return difference({ type: 'topic', topicId: topic.topicId }, before, checked.configs)
}

function planBroker(state: ClusterState, alteration: ConfigAlteration): ConfigChange | undefined {
  const { name } = alteration.resource
  const scope = name === '' ? 'cluster' : 'broker'
  const brokerId = Number(name)
  const before = scope === 'cluster' ? state.configs : (state.brokerConfigs.get(brokerId) ?? {})
  const fixed = alteration.operations.filter(
    operation => operation.kind !== 'delete' && dynamicDefinition(operation.name, scope) === undefined
  )
  if (fixed.length > 0) {
    const names = fixed.map(operation => operation.name).join(', ')
    throw new Refusal('INVALID_REQUEST', `Cannot update these configs dynamically: [${names}]`)
  }
  const after: Record<string, string> = {}
  for (const [key, text] of Object.entries(outcomeOf(before, alteration, each => dynamicDefinition(each, scope)))) {
    const definition = dynamicDefinition(key, scope)
    const outcome = definition === undefined ? undefined : parseValue(key, definition, text)
    if (outcome !== undefined && 'problem' in outcome) throw new Refusal('INVALID_REQUEST', outcome.problem)
    after[key] = outcome === undefined ? text : formatValue(outcome.value)
  }
  return difference(scope === 'cluster' ? { type: 'cluster' } : { type: 'broker', brokerId }, before, after)
}

/** The settings of a resource after all operations. */
function outcomeOf(
  before: Configs,
  { mode, operations }: ConfigAlteration,
  definitionFor: (name: string) => Definition<SettingValue> | undefined
): Configs {
  const after = new Map(mode === 'replace' ? [] : Object.entries(before))
  for (const operation of operations) {
    const { kind, name } = operation
    const definition = definitionFor(name)
    if (kind === 'delete') after.delete(name)
    else if (kind === 'set') after.set(name, operation.value.trim())
    else if (definition?.type === 'list') after.set(name, changeList(operation, after.get(name), definition))
    else {
      const word = kind.toUpperCase()
      throw new Refusal('INVALID_CONFIG', `Can't ${word} to key ${name} because its type is not LIST.`)
    }
    checkLength(name, after.get(name), definition)
  }
  return Object.fromEntries(after)
}

/** Elements added behind or taken away. What was not set begins as the default. */
function changeList(
  { kind, value }: Extract<ConfigOperation, { value: string }>,
  before: string | undefined,
  definition: Definition<SettingValue>
): string {
  const items = new Set(partsOf(before ?? formatValue(definition.default)))
  for (const part of partsOf(value)) {
    if (kind === 'append') items.add(part)
    else items.delete(part)
  }
  return [...items].join(',')
}

function partsOf(text: string): string[] {
  return text
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '')
}

function checkLength(name: string, value: string | undefined, definition: Definition<SettingValue> | undefined): void {
  const max = definition?.type === 'list' ? LIST_LENGTH_MAX : VALUE_LENGTH_MAX
  if ((value?.length ?? 0) <= max) return
  throw new Refusal('INVALID_CONFIG', `The value of ${name} is longer than ${max} characters.`)
}

function difference(resource: ConfigChange['resource'], before: Configs, after: Configs): ConfigChange | undefined {
  const set = Object.entries(after).filter(([name, text]) => !Object.hasOwn(before, name) || before[name] !== text)
  const unset = Object.keys(before).filter(name => !Object.hasOwn(after, name))
  return set.length + unset.length === 0 ? undefined : { resource, set: Object.fromEntries(set), unset }
}
