/** Commits or aborts a transaction; since version 5 the producer epoch moves on with it (KIP-890). */
import { api, bool, int16, int32, int64, string } from '../schema.ts'

export const endTxn = api({
  key: 26,
  name: 'EndTxn',
  versions: '0-5',
  flexible: '3+',
  request: {
    transactionalId: string('0+'),
    producerId: int64('0+'),
    producerEpoch: int16('0+'),
    committed: bool('0+')
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    producerId: int64('5+').default(-1n).ignorable(),
    producerEpoch: int16('5+').default(-1).ignorable()
  }
})
