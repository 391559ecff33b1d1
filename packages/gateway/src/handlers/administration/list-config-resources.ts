/**
 * ListConfigResources: what settings can belong to (KIP-1142). Topics and brokers are those of this shard's view; groups and
 * client metrics are there once something was set for them, which nothing can be yet. Version 0 asks for client metrics alone
 * (KIP-714).
 */
import { apis, errorCode, type RequestOf, type ResponseInput } from '@milena/wire-protocol'
import type { Handler, RequestContext } from '../../handler.ts'
import type { ConfigResourceType } from '../../ports.ts'
import { livingBrokers } from '../answers/living-brokers.ts'
import { configResourceTypes } from './config-resources.ts'

type Request = RequestOf<typeof apis.listConfigResources>
type Response = ResponseInput<typeof apis.listConfigResources>

const TYPES_FROM = 1
const UNSUPPORTED: Response = { errorCode: errorCode('UNSUPPORTED_VERSION'), configResources: [] }

export const listConfigResourcesHandler: Handler<typeof apis.listConfigResources> = {
  api: apis.listConfigResources,
  versions: { min: 0, max: 1 },
  handle(context, request) {
    const wanted = wantedTypes(context, request)
    if (wanted.some(number => !configResourceTypes.has(number))) return UNSUPPORTED
    const configResources = [...configResourceTypes]
      .filter(([number]) => wanted.includes(number))
      .flatMap(([resourceType, type]) => namesOf(context, type).map(resourceName => ({ resourceName, resourceType })))
    return { errorCode: 0, configResources }
  },
  refuse: (_context, _request, error) => ({ errorCode: errorCode(error), configResources: [] })
}

/** No types: all of them. */
function wantedTypes(context: RequestContext, { resourceTypes }: Request): readonly number[] {
  if (context.apiVersion < TYPES_FROM) return [CLIENT_METRICS]
  return resourceTypes.length === 0 ? [...configResourceTypes.keys()] : resourceTypes
}

const CLIENT_METRICS = 16

function namesOf(context: RequestContext, type: ConfigResourceType): string[] {
  switch (type) {
    case 'topic':
      return Array.from(context.host.cluster.view().topics(), ({ name }) => name)
    case 'broker':
    case 'brokerLogger':
      return Array.from(livingBrokers(context), String)
    case 'clientMetrics':
    case 'group':
      return []
  }
}
