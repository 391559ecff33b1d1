/** Carries the messages of a SASL exchange; tells the lifetime of the session since version 1 (KIP-368). */
import { api, bytes, int16, int64, string } from '../schema.ts'

export const saslAuthenticate = api({
  key: 36,
  name: 'SaslAuthenticate',
  versions: '0-2',
  flexible: '2+',
  request: {
    authBytes: bytes('0+')
  },
  response: {
    errorCode: int16('0+'),
    errorMessage: string('0+').nullable(),
    authBytes: bytes('0+'),
    sessionLifetimeMs: int64('1+').default(0n).ignorable()
  }
})
