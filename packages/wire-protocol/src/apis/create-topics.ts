/** Creates topics, placed by the broker or by hand; answers with configs since version 5 (KIP-525) and ids since 7. */
import { api, array, bool, int16, int32, int8, string, uuid } from '../schema.ts'

export const createTopics = api({
  key: 19,
  name: 'CreateTopics',
  versions: '0-7',
  flexible: '5+',
  request: {
    topics: array('0+', {
      name: string('0+'),
      numPartitions: int32('0+'),
      replicationFactor: int16('0+'),
      assignments: array('0+', { partitionIndex: int32('0+'), brokerIds: array('0+', int32) }),
      configs: array('0+', { name: string('0+'), value: string('0+').nullable() })
    }),
    timeoutMs: int32('0+').default(60000),
    validateOnly: bool('1+').default(false)
  },
  response: {
    throttleTimeMs: int32('2+').ignorable(),
    topics: array('0+', {
      name: string('0+'),
      topicId: uuid('7+').ignorable(),
      errorCode: int16('0+'),
      errorMessage: string('1+').nullable('0+').ignorable(),
      topicConfigErrorCode: int16('5+').tagged(0).ignorable(),
      numPartitions: int32('5+').default(-1).ignorable(),
      replicationFactor: int16('5+').default(-1).ignorable(),
      configs: array('5+', {
        name: string('5+'),
        value: string('5+').nullable(),
        readOnly: bool('5+'),
        configSource: int8('5+').default(-1).ignorable(),
        isSensitive: bool('5+')
      })
        .nullable()
        .ignorable()
    })
  }
})
