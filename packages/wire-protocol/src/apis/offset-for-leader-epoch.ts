/** Where a leader epoch ends, for truncation and for clients that check for it (KIP-101, KIP-320). */
import { api, array, int16, int32, int64, string } from '../schema.ts'

export const offsetForLeaderEpoch = api({
  key: 23,
  name: 'OffsetForLeaderEpoch',
  versions: '2-4',
  flexible: '4+',
  request: {
    replicaId: int32('3+').default(-2).ignorable(),
    topics: array('0+', {
      topic: string('0+'),
      partitions: array('0+', {
        partition: int32('0+'),
        currentLeaderEpoch: int32('2+').default(-1).ignorable(),
        leaderEpoch: int32('0+')
      })
    })
  },
  response: {
    throttleTimeMs: int32('2+').ignorable(),
    topics: array('0+', {
      topic: string('0+'),
      partitions: array('0+', {
        errorCode: int16('0+'),
        partition: int32('0+'),
        leaderEpoch: int32('1+').default(-1).ignorable(),
        endOffset: int64('0+').default(-1n)
      })
    })
  }
})
