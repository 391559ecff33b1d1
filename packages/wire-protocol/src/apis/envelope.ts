/** Carries the request of a client from a broker to the controller (KIP-590). */
import { api, bytes, int16 } from '../schema.ts'

export const envelope = api({
  key: 58,
  name: 'Envelope',
  versions: '0',
  flexible: '0+',
  request: {
    requestData: bytes('0+'),
    requestPrincipal: bytes('0+').nullable(),
    clientHostAddress: bytes('0+')
  },
  response: {
    responseData: bytes('0+').nullable().default(null),
    errorCode: int16('0+')
  }
})
