/** UnregisterBroker: forgets a broker for good (KIP-631). */
import { apis, errorCode, type ErrorName, errorMessage, type ResponseInput } from '@milena/wire-protocol'
import type { Handler } from '../../handler.ts'
import type { AdministrationPort } from '../../ports.ts'

type Response = ResponseInput<typeof apis.unregisterBroker>

export function unregisterBrokerHandler(administration: AdministrationPort): Handler<typeof apis.unregisterBroker> {
  return {
    api: apis.unregisterBroker,
    versions: { min: 0, max: 0 },
    async handle(context, { brokerId }) {
      const known = context.host.cluster
        .view()
        .brokers(context.dial)
        .some(({ id }) => id === brokerId)
      if (!known) return refused('BROKER_ID_NOT_REGISTERED', `Broker ID ${brokerId} is not currently registered`)
      const outcome = await administration.unregisterBroker(brokerId)
      return outcome.kind === 'refused' ? refused(outcome.error, outcome.message) : { errorMessage: null }
    },
    refuse: (_context, _request, error) => refused(error, null)
  }
}

function refused(error: ErrorName, message: string | null): Response {
  return { errorCode: errorCode(error), errorMessage: message ?? errorMessage(error) }
}
