/**
 * DescribeConfigs: settings of topics, brokers and others, where each value comes from and what it means (KIP-133, KIP-226,
 * KIP-569). Here: which resources can be asked for, and picking what was; the settings themselves are the host's.
 */
import {
  apis,
  errorCode,
  type ErrorName,
  errorMessage,
  type RequestOf,
  type ResponseInput
} from '@milena/wire-protocol'
import type { Handler, RequestContext } from '../../handler.ts'
import type { ConfigDescription, ConfigResource, ConfigsPort } from '../../ports.ts'
import { topicNameProblem } from '../../topic-names.ts'
import { configResourceTypes, isBrokerId } from './config-resources.ts'

type Request = RequestOf<typeof apis.describeConfigs>
type RequestedResource = Request['resources'][number]
type Response = ResponseInput<typeof apis.describeConfigs>
type Result = NonNullable<Response['results']>[number]
type Config = NonNullable<Result['configs']>[number]

interface Problem {
  readonly error: ErrorName
  readonly message: string | null
}

export function describeConfigsHandler(configs: ConfigsPort): Handler<typeof apis.describeConfigs> {
  return {
    api: apis.describeConfigs,
    versions: { min: 1, max: 4 },
    async handle(context, request) {
      const results: Result[] = []
      const wanted: ConfigResource[] = []
      const places: number[] = []
      for (const requested of request.resources) {
        const resource = resourceOf(context, requested)
        if ('error' in resource) {
          results.push(refused(requested, resource.error, resource.message))
          continue
        }
        places.push(results.length)
        wanted.push(resource)
        results.push({})
      }
      const views = wanted.length > 0 ? await configs.describe(wanted) : []
      views.forEach((view, i) => {
        const place = places[i] as number
        const requested = request.resources[place] as RequestedResource
        results[place] =
          view.kind === 'refused'
            ? refused(requested, view.error, view.message)
            : describe(request, requested, view.configs)
      })
      return { results }
    },
    refuse: (_context, request, error) => ({
      results: request.resources.map(resource => refused(resource, error, null))
    })
  }
}

function resourceOf(context: RequestContext, requested: RequestedResource): ConfigResource | Problem {
  const { resourceName: name } = requested
  const type = configResourceTypes.get(requested.resourceType)
  const invalid = (message: string): Problem => ({ error: 'INVALID_REQUEST', message })
  switch (type) {
    case undefined:
      return invalid(`Unknown resource type ${requested.resourceType}`)
    case 'topic':
      return topicProblem(context, name) ?? { type, name }
    case 'broker':
      if (name !== '' && !isBrokerId(name)) return invalid(`Broker id must be an integer, but it is: ${name}`)
      if (name !== '' && Number(name) !== context.host.brokerId) {
        return invalid(`Unexpected broker id, expected ${context.host.brokerId} or empty string, but received ${name}`)
      }
      return { type, name }
    case 'brokerLogger':
      if (name === '') return invalid('Broker id must not be empty')
      if (!isBrokerId(name)) return invalid(`Broker id must be an integer, but it is: ${name}`)
      if (Number(name) !== context.host.brokerId) {
        return invalid(`Unexpected broker id, expected ${context.host.brokerId} but received ${name}`)
      }
      return { type, name }
    case 'clientMetrics':
      return name === '' ? invalid('Client metrics subscription name must not be empty') : { type, name }
    case 'group':
      return name === '' ? invalid('Group name must not be empty') : { type, name }
  }
}

function topicProblem(context: RequestContext, name: string): Problem | null {
  const message = topicNameProblem(name)
  if (message !== null) return { error: 'INVALID_TOPIC_EXCEPTION', message }
  const known = context.host.cluster.view().topicByName(name) !== undefined
  return known ? null : { error: 'UNKNOWN_TOPIC_OR_PARTITION', message: null }
}

function describe(request: Request, requested: RequestedResource, configs: readonly ConfigDescription[]): Result {
  const { configurationKeys: keys, resourceType, resourceName } = requested
  // An empty list asks for everything, as null does.
  const wanted = keys === null || keys.length === 0 ? null : new Set(keys)
  return {
    // Empty and not null, as Kafka says that nothing is wrong.
    errorMessage: '',
    resourceType,
    resourceName,
    configs: configs
      .filter(({ name }) => wanted === null || wanted.has(name))
      .map(config => describeConfig(request, config))
  }
}

function describeConfig({ includeSynonyms, includeDocumentation }: Request, config: ConfigDescription): Config {
  const hide = (value: string | null): string | null => (config.sensitive ? null : value)
  return {
    name: config.name,
    value: hide(config.value),
    readOnly: config.readOnly,
    configSource: config.source,
    isSensitive: config.sensitive,
    synonyms: includeSynonyms ? config.synonyms.map(each => ({ ...each, value: hide(each.value) })) : [],
    configType: config.type,
    documentation: includeDocumentation ? config.documentation : null
  }
}

function refused({ resourceType, resourceName }: RequestedResource, error: ErrorName, message: string | null): Result {
  return {
    errorCode: errorCode(error),
    errorMessage: message ?? errorMessage(error),
    resourceType,
    resourceName,
    configs: []
  }
}
