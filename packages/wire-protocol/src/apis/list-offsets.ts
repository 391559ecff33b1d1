/**
 * Finds offsets by timestamp; negative timestamps ask for the ends of the log, the newest timestamp, or the border
 * of tiered storage.
 */
import { api, array, int16, int32, int64, int8, string } from '../schema.ts'

export const listOffsets = api({
  key: 2,
  name: 'ListOffsets',
  versions: '0-11',
  flexible: '6+',
  request: {
    replicaId: int32('0+'),
    isolationLevel: int8('2+'),
    topics: array('0+', {
      name: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        currentLeaderEpoch: int32('4+').default(-1).ignorable(),
        timestamp: int64('0+'),
        maxNumOffsets: int32('0').default(1)
      })
    }),
    timeoutMs: int32('10+').ignorable()
  },
  response: {
    throttleTimeMs: int32('2+').ignorable(),
    topics: array('0+', {
      name: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        errorCode: int16('0+'),
        oldStyleOffsets: array('0', int64),
        timestamp: int64('1+').default(-1n),
        offset: int64('1+').default(-1n),
        leaderEpoch: int32('4+').default(-1)
      })
    })
  }
})
