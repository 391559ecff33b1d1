/** Reads committed offsets; of several groups at once since version 8 (KIP-709), by topic id since 10. */
import { api, array, bool, int16, int32, int64, string, uuid } from '../schema.ts'

export const offsetFetch = api({
  key: 9,
  name: 'OffsetFetch',
  versions: '1-10',
  flexible: '6+',
  request: {
    groupId: string('0-7'),
    topics: array('0-7', {
      name: string('0-7'),
      partitionIndexes: array('0-7', int32)
    }).nullable('2-7'),
    groups: array('8+', {
      groupId: string('8+'),
      memberId: string('9+').nullable().default(null).ignorable(),
      memberEpoch: int32('9+').default(-1).ignorable(),
      topics: array('8+', {
        name: string('8-9').ignorable(),
        topicId: uuid('10+').ignorable(),
        partitionIndexes: array('8+', int32)
      }).nullable()
    }),
    requireStable: bool('7+').default(false)
  },
  response: {
    throttleTimeMs: int32('3+').ignorable(),
    topics: array('0-7', {
      name: string('0-7'),
      partitions: array('0-7', {
        partitionIndex: int32('0-7'),
        committedOffset: int64('0-7'),
        committedLeaderEpoch: int32('5-7').default(-1).ignorable(),
        metadata: string('0-7').nullable(),
        errorCode: int16('0-7')
      })
    }),
    errorCode: int16('2-7').default(0).ignorable(),
    groups: array('8+', {
      groupId: string('8+'),
      topics: array('8+', {
        name: string('8-9').ignorable(),
        topicId: uuid('10+').ignorable(),
        partitions: array('8+', {
          partitionIndex: int32('8+'),
          committedOffset: int64('8+'),
          committedLeaderEpoch: int32('8+').default(-1).ignorable(),
          metadata: string('8+').nullable(),
          errorCode: int16('8+')
        })
      }),
      errorCode: int16('8+').default(0)
    })
  }
})
