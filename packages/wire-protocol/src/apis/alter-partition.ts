/** From a partition leader to the controller: a new set of in-sync replicas (KIP-497). */
import { api, array, int16, int32, int64, int8, uuid } from '../schema.ts'

export const alterPartition = api({
  key: 56,
  name: 'AlterPartition',
  versions: '2-3',
  flexible: '0+',
  request: {
    brokerId: int32('0+'),
    brokerEpoch: int64('0+').default(-1n),
    topics: array('0+', {
      topicId: uuid('2+').ignorable(),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        leaderEpoch: int32('0+'),
        newIsr: array('0-2', int32),
        newIsrWithEpochs: array('3+', { brokerId: int32('3+'), brokerEpoch: int64('3+').default(-1n) }),
        leaderRecoveryState: int8('1+').default(0),
        partitionEpoch: int32('0+')
      })
    })
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    topics: array('0+', {
      topicId: uuid('2+').ignorable(),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        errorCode: int16('0+'),
        leaderId: int32('0+'),
        leaderEpoch: int32('0+'),
        isr: array('0+', int32),
        leaderRecoveryState: int8('1+').default(0).ignorable(),
        partitionEpoch: int32('0+')
      })
    })
  }
})
