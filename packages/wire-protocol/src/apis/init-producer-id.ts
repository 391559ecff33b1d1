/**
 * Gives an idempotent or transactional producer its id and epoch; fences its predecessors (KIP-98, KIP-360,
 * two-phase commit KIP-939).
 */
import { api, bool, int16, int32, int64, string } from '../schema.ts'

export const initProducerId = api({
  key: 22,
  name: 'InitProducerId',
  versions: '0-6',
  flexible: '2+',
  latestVersionUnstable: true,
  request: {
    transactionalId: string('0+').nullable(),
    transactionTimeoutMs: int32('0+'),
    producerId: int64('3+').default(-1n),
    producerEpoch: int16('3+').default(-1),
    enable2Pc: bool('6+').default(false),
    keepPreparedTxn: bool('6+').default(false)
  },
  response: {
    throttleTimeMs: int32('0+').ignorable(),
    errorCode: int16('0+'),
    producerId: int64('0+').default(-1n),
    producerEpoch: int16('0+'),
    ongoingTxnProducerId: int64('6+').default(-1n),
    ongoingTxnProducerEpoch: int16('6+').default(-1)
  }
})
