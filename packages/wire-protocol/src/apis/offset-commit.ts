/** Stores the offsets that a group, or a consumer on its own, has reached. Topic ids since version 10 (KIP-848). */
import { api, array, int16, int32, int64, string, uuid } from '../schema.ts'

export const offsetCommit = api({
  key: 8,
  name: 'OffsetCommit',
  versions: '0-10',
  flexible: '8+',
  request: {
    groupId: string('0+'),
    generationIdOrMemberEpoch: int32('1+').default(-1).ignorable(),
    memberId: string('1+').ignorable(),
    groupInstanceId: string('7+').nullable().default(null),
    retentionTimeMs: int64('2-4').default(-1n).ignorable(),
    topics: array('0+', {
      name: string('0-9').ignorable(),
      topicId: uuid('10+').ignorable(),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        committedOffset: int64('0+'),
        committedLeaderEpoch: int32('6+').default(-1).ignorable(),
        commitTimestamp: int64('1').default(-1n),
        committedMetadata: string('0+').nullable()
      })
    })
  },
  response: {
    throttleTimeMs: int32('3+').ignorable(),
    topics: array('0+', {
      name: string('0-9').ignorable(),
      topicId: uuid('10+').ignorable(),
      partitions: array('0+', { partitionIndex: int32('0+'), errorCode: int16('0+') })
    })
  }
})
