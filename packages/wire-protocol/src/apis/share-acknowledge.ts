/** Accepts, releases, rejects or renews acquired records (KIP-932, KIP-1222). */
import { api, array, bool, int16, int32, int64, int8, string, struct, uuid } from '../schema.ts'

export const shareAcknowledge = api({
  key: 79,
  name: 'ShareAcknowledge',
  versions: '1-2',
  flexible: '0+',
  request: {
    groupId: string('0+').nullable().default(null),
    memberId: string('0+').nullable(),
    shareSessionEpoch: int32('0+'),
    isRenewAck: bool('2+').default(false),
    topics: array('0+', {
      topicId: uuid('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        acknowledgementBatches: array('0+', {
          firstOffset: int64('0+'),
          lastOffset: int64('0+'),
          acknowledgeTypes: array('0+', int8)
        })
      })
    })
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    errorMessage: string('0+').nullable().default(null),
    acquisitionLockTimeoutMs: int32('2+').ignorable(),
    responses: array('0+', {
      topicId: uuid('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        errorCode: int16('0+'),
        errorMessage: string('0+').nullable().default(null),
        currentLeader: struct('0+', { leaderId: int32('0+'), leaderEpoch: int32('0+') })
      })
    }),
    nodeEndpoints: array('0+', {
      nodeId: int32('0+'),
      host: string('0+'),
      port: int32('0+'),
      rack: string('0+').nullable().default(null)
    })
  }
})
