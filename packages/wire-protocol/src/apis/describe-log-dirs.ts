/** Data folders of a broker, their space, and the replicas in them (KIP-113, KIP-827). */
import { api, array, bool, int16, int32, int64, string } from '../schema.ts'

export const describeLogDirs = api({
  key: 35,
  name: 'DescribeLogDirs',
  versions: '1-5',
  flexible: '2+',
  request: {
    topics: array('0+', {
      topic: string('0+'),
      partitions: array('0+', int32)
    }).nullable()
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('3+').ignorable(),
    results: array('0+', {
      errorCode: int16('0+'),
      logDir: string('0+'),
      topics: array('0+', {
        name: string('0+'),
        partitions: array('0+', {
          partitionIndex: int32('0+'),
          partitionSize: int64('0+'),
          offsetLag: int64('0+'),
          isFutureKey: bool('0+')
        })
      }),
      totalBytes: int64('4+').default(-1n).ignorable(),
      usableBytes: int64('4+').default(-1n).ignorable(),
      isCordoned: bool('5+').default(false).ignorable()
    })
  }
})
