/**
 * What AlterConfigs and IncrementalAlterConfigs have in common: which resources can be changed at all, in Kafka's order of
 * checks and with its words, and the answers. What becomes of the settings themselves is the host's.
 *
 *     resource twice ─► setting twice ─► value missing ─► unknown type ─► bad name ─► the host
 *
 * Each resource is refused or done for itself.
 */
import { errorCode, type ErrorName, errorMessage } from '@milena/wire-protocol'
import type { RequestContext } from '../../handler.ts'
import type { ConfigAlteration, ConfigOperation, ConfigResource, ConfigResourceType, ConfigsPort } from '../../ports.ts'
import { topicNameProblem } from '../../topic-names.ts'
import { configResourceTypes, isBrokerId } from './config-resources.ts'

/** A resource of either request with what shall become of its settings. */
export interface RequestedAlteration {
  readonly resourceType: number
  readonly resourceName: string
  readonly mode: ConfigAlteration['mode']
  readonly configs: readonly RequestedOperation[]
}

export interface RequestedOperation {
  readonly name: string
  /** Undefined: a number that stands for nothing. */
  readonly kind: ConfigOperation['kind'] | undefined
  readonly value: string | null
}

interface Problem {
  readonly error: ErrorName
  readonly message: string | null
}

interface Answer {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly resourceType: number
  readonly resourceName: string
}

type Named = Pick<RequestedAlteration, 'resourceType' | 'resourceName'>

/** Changes what can be changed; one answer a resource, in order. */
export async function alterConfigs(
  context: RequestContext,
  configs: ConfigsPort,
  requested: readonly RequestedAlteration[],
  validateOnly: boolean
): Promise<Answer[]> {
  const twice = namedTwice(requested)
  const checked = requested.map(one => (twice.has(keyOf(one)) ? ONCE : check(context, one)))
  const wanted = checked.filter((one): one is ConfigAlteration => !('error' in one))
  const outcomes = wanted.length > 0 ? await configs.alter(wanted, { validateOnly }) : []
  let next = 0
  return requested.map((one, i) => {
    const problem = checked[i] as ConfigAlteration | Problem
    if ('error' in problem) return refused(one, problem.error, problem.message)
    const outcome = outcomes[next++]
    if (outcome === undefined) return refused(one, 'UNKNOWN_SERVER_ERROR', null)
    return outcome.kind === 'refused' ? refused(one, outcome.error, outcome.message) : done(one)
  })
}

/** The answer that refuses a resource. */
export function refused({ resourceType, resourceName }: Named, error: ErrorName, message: string | null): Answer {
  return {
    errorCode: errorCode(error),
    errorMessage: message ?? errorMessage(error),
    resourceType,
    resourceName
  }
}

function done({ resourceType, resourceName }: Named): Answer {
  return { errorCode: 0, errorMessage: null, resourceType, resourceName }
}

const invalid = (message: string): Problem => ({ error: 'INVALID_REQUEST', message })
const ONCE = invalid('Each resource must appear at most once.')

const keyOf = ({ resourceType, resourceName }: Named): string => `${resourceType} ${resourceName}`

function namedTwice(requested: readonly Named[]): ReadonlySet<string> {
  const seen = new Set<string>()
  const twice = new Set<string>()
  for (const one of requested) (seen.has(keyOf(one)) ? twice : seen).add(keyOf(one))
  return twice
}

function check(context: RequestContext, requested: RequestedAlteration): ConfigAlteration | Problem {
  const { resourceType, resourceName: name, mode, configs } = requested
  if (new Set(configs.map(config => config.name)).size !== configs.length) {
    return invalid('Error due to duplicate config keys')
  }
  const withoutValue = configs.filter(({ kind, value }) => kind !== 'delete' && value === null)
  if (withoutValue.length > 0) {
    return invalid(`Null value not supported for : ${withoutValue.map(config => config.name).join(', ')}`)
  }
  const type = configResourceTypes.get(resourceType)
  if (type === undefined || (type === 'brokerLogger' && mode === 'replace')) {
    return invalid(`Unknown resource type ${resourceType}`)
  }
  const resource = resourceOf(context, type, name)
  if ('error' in resource) return resource
  const operations = configs.map(operationOf)
  const unknown = operations.indexOf(undefined)
  if (unknown >= 0) return invalid(`Unknown operation for config key: ${configs[unknown]?.name}`)
  return { resource, mode, operations: operations.filter(one => one !== undefined) }
}

function operationOf({ kind, name, value }: RequestedOperation): ConfigOperation | undefined {
  if (kind === undefined) return undefined
  return kind === 'delete' ? { kind, name } : { kind, name, value: value ?? '' }
}

function resourceOf(context: RequestContext, type: ConfigResourceType, name: string): ConfigResource | Problem {
  const { brokerId } = context.host
  switch (type) {
    case 'topic': {
      if (name === '') return invalid('Default topic resources are not allowed.')
      const problem = topicNameProblem(name)
      return problem === null ? { type, name } : { error: 'INVALID_TOPIC_EXCEPTION', message: problem }
    }
    case 'broker':
      if (name === '') return { type, name }
      if (!isBrokerId(name)) return invalid(`Node id must be an integer, but it is: ${name}`)
      if (Number(name) !== brokerId) {
        return invalid(`Unexpected broker id, expected ${brokerId}, but received ${name}`)
      }
      return { type, name: String(brokerId) }
    case 'brokerLogger':
      if (!isBrokerId(name)) return invalid(`Node id must be an integer, but it is: ${name}`)
      if (Number(name) !== brokerId) return invalid(`Unexpected node id. Expected ${brokerId}, but received ${name}`)
      return { type, name: String(brokerId) }
    case 'clientMetrics':
      return name === '' ? invalid("Subscription name can't be empty") : { type, name }
    case 'group':
      return name === '' ? invalid('Default group resources are not allowed.') : { type, name }
  }
}
