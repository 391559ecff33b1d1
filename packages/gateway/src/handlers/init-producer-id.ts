/**
 * InitProducerId: an id for an idempotent producer. A transactional id is refused: there is no transaction coordinator, and
 * of the errors a producer gives up on, UNSUPPORTED_VERSION is the one that says so.
 */
import { apis, errorCode, type ErrorName, type ResponseInput } from '@milena/wire-protocol'
import type { Handler } from '../handler.ts'

type Response = ResponseInput<typeof apis.initProducerId>

const NO_PRODUCER_ID = -1n
const NO_PRODUCER_EPOCH = -1

export const initProducerIdHandler: Handler<typeof apis.initProducerId> = {
  api: apis.initProducerId,
  // Version 6 (two-phase commit, KIP-939) is not released in Kafka 4.3 either.
  versions: { min: 0, max: 5 },
  async handle(context, request) {
    const { transactionalId, producerId, producerEpoch } = request
    if (transactionalId === '') return refused('INVALID_REQUEST')
    if ((producerId === NO_PRODUCER_ID) !== (producerEpoch === NO_PRODUCER_EPOCH)) return refused('INVALID_REQUEST')
    if (transactionalId !== null) return refused('UNSUPPORTED_VERSION')
    const allocated = await context.host.producerIds.allocate()
    return 'error' in allocated ? refused(allocated.error) : { producerId: allocated.producerId, producerEpoch: 0 }
  },
  refuse: (_context, _request, error) => refused(error)
}

function refused(error: ErrorName): Response {
  return { errorCode: errorCode(error), producerId: NO_PRODUCER_ID, producerEpoch: NO_PRODUCER_EPOCH }
}
