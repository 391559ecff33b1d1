/** FindCoordinator: which broker coordinates a group, a transactional id or a share partition. One key, or many from version 4. */
import {
  apis,
  errorCode,
  type ErrorName,
  errorMessage,
  type RequestOf,
  type ResponseInput
} from '@milena/wire-protocol'
import type { Handler, RequestContext } from '../handler.ts'
import type { CoordinatorKind } from '../ports.ts'

type Request = RequestOf<typeof apis.findCoordinator>
type Response = ResponseInput<typeof apis.findCoordinator>
type Coordinator = NonNullable<Response['coordinators']>[number]

const KINDS: readonly CoordinatorKind[] = ['group', 'transaction', 'share']
const BATCHED_FROM = 4
const SHARE_FROM = 6

export const findCoordinatorHandler: Handler<typeof apis.findCoordinator> = {
  api: apis.findCoordinator,
  versions: { min: 0, max: 6 },
  async handle(context, request) {
    const kind = KINDS[request.keyType]
    if (kind === undefined || (kind === 'share' && context.apiVersion < SHARE_FROM)) {
      return refuse(context, request, 'INVALID_REQUEST')
    }
    return response(context, await Promise.all(keysOf(context, request).map(key => find(context, kind, key))))
  },
  refuse
}

function keysOf(context: RequestContext, request: Request): readonly string[] {
  return context.apiVersion >= BATCHED_FROM ? request.coordinatorKeys : [request.key]
}

async function find(context: RequestContext, kind: CoordinatorKind, key: string): Promise<Coordinator> {
  const found = await context.host.coordinators.find(kind, key)
  if ('error' in found) return refused(key, found.error, found.message)
  const broker = context.host.cluster
    .view()
    .brokers(context.dial)
    .find(({ id, fenced }) => id === found.brokerId && !fenced)
  if (broker === undefined) return refused(key, 'COORDINATOR_NOT_AVAILABLE', null)
  return { key, nodeId: broker.id, host: broker.host, port: broker.port, errorCode: 0, errorMessage: null }
}

function refused(key: string, error: ErrorName, message: string | null): Coordinator {
  return {
    key,
    nodeId: -1,
    host: '',
    port: -1,
    errorCode: errorCode(error),
    errorMessage: message ?? errorMessage(error)
  }
}

function refuse(context: RequestContext, request: Request, error: ErrorName): Response {
  return response(
    context,
    keysOf(context, request).map(key => refused(key, error, null))
  )
}

/** Before version 4 the one coordinator stands in the response itself. */
function response(context: RequestContext, coordinators: readonly Coordinator[]): Response {
  if (context.apiVersion >= BATCHED_FROM) return { coordinators }
  const { errorCode, errorMessage, nodeId, host, port } = coordinators[0] ?? {}
  return { errorCode, errorMessage, nodeId, host, port }
}
