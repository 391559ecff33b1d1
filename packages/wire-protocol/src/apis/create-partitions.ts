/** Raises the number of partitions of topics (KIP-195). */
import { api, array, bool, int16, int32, string } from '../schema.ts'

export const createPartitions = api({
  key: 37,
  name: 'CreatePartitions',
  versions: '0-3',
  flexible: '2+',
  request: {
    topics: array('0+', {
      name: string('0+'),
      count: int32('0+'),
      assignments: array('0+', {
        brokerIds: array('0+', int32)
      }).nullable()
    }),
    timeoutMs: int32('0+'),
    validateOnly: bool('0+')
  },
  response: {
    throttleTimeMs: int32('0+'),
    results: array('0+', {
      name: string('0+'),
      errorCode: int16('0+'),
      errorMessage: string('0+').nullable().default(null)
    })
  }
})
