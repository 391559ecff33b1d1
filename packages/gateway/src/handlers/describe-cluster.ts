/** DescribeCluster: the brokers as an admin client sees them (KIP-700, KIP-919 endpoint types, KIP-1073 fenced brokers). */
import { apis, errorCode, type ErrorName, errorMessage, type ResponseInput } from '@milena/wire-protocol'
import type { Handler } from '../handler.ts'
import { ALL_CLUSTER_OPERATIONS, OPERATIONS_OMITTED } from './answers/authorized-operations.ts'

type Response = ResponseInput<typeof apis.describeCluster>

const ENDPOINT_BROKERS = 1
const ENDPOINT_CONTROLLERS = 2

export const describeClusterHandler: Handler<typeof apis.describeCluster> = {
  api: apis.describeCluster,
  versions: { min: 0, max: 2 },
  handle(context, request) {
    if (request.endpointType === ENDPOINT_CONTROLLERS) {
      const message = 'The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER'
      return refused('MISMATCHED_ENDPOINT_TYPE', message)
    }
    if (request.endpointType !== ENDPOINT_BROKERS) {
      return refused('UNSUPPORTED_ENDPOINT_TYPE', `Unsupported endpoint type ${request.endpointType}`)
    }
    const view = context.host.cluster.view()
    return {
      clusterId: view.clusterId,
      controllerId: view.controllerId,
      brokers: view
        .brokers(context.dial)
        .filter(broker => !broker.fenced || request.includeFencedBrokers)
        .map(({ id, host, port, rack, fenced }) => ({ brokerId: id, host, port, rack, isFenced: fenced })),
      clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
        ? ALL_CLUSTER_OPERATIONS
        : OPERATIONS_OMITTED
    }
  },
  refuse: (_context, _request, error) => refused(error, null)
}

function refused(error: ErrorName, message: string | null): Response {
  return { errorCode: errorCode(error), errorMessage: message ?? errorMessage(error) }
}
