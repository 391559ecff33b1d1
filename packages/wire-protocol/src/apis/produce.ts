/**
 * Appends record batches to partitions. Version 13 names topics by id (KIP-516); transactional from 12 on adds
 * partitions by itself (KIP-890).
 */
import { api, array, int16, int32, int64, records, string, struct, uuid } from '../schema.ts'

export const produce = api({
  key: 0,
  name: 'Produce',
  versions: '0-13',
  flexible: '9+',
  request: {
    transactionalId: string('3+').nullable().default(null),
    acks: int16('0+'),
    timeoutMs: int32('0+'),
    topicData: array('0+', {
      name: string('0-12').ignorable(),
      topicId: uuid('13+').ignorable(),
      partitionData: array('0+', { index: int32('0+'), records: records('0+').nullable() })
    })
  },
  response: {
    responses: array('0+', {
      name: string('0-12').ignorable(),
      topicId: uuid('13+').ignorable(),
      partitionResponses: array('0+', {
        index: int32('0+'),
        errorCode: int16('0+'),
        baseOffset: int64('0+'),
        logAppendTimeMs: int64('2+').default(-1n).ignorable(),
        logStartOffset: int64('5+').default(-1n).ignorable(),
        recordErrors: array('8+', {
          batchIndex: int32('8+'),
          batchIndexErrorMessage: string('8+').nullable().default(null)
        }).ignorable(),
        errorMessage: string('8+').nullable().default(null).ignorable(),
        currentLeader: struct('10+', {
          leaderId: int32('10+').default(-1),
          leaderEpoch: int32('10+').default(-1)
        }).tagged(0)
      })
    }),
    throttleTimeMs: int32('1+').default(0).ignorable(),
    nodeEndpoints: array('10+', {
      nodeId: int32('10+'),
      host: string('10+'),
      port: int32('10+'),
      rack: string('10+').nullable().default(null)
    }).tagged(0)
  }
})
