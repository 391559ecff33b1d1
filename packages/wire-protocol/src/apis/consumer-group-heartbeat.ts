/** The one call of the new consumer group protocol: join, keep alive, report, be assigned, leave (KIP-848). */
import { api, array, int16, int32, string, struct, uuid } from '../schema.ts'

const topicPartitions = { topicId: uuid('0+'), partitions: array('0+', int32) }

export const consumerGroupHeartbeat = api({
  key: 68,
  name: 'ConsumerGroupHeartbeat',
  versions: '0-1',
  flexible: '0+',
  request: {
    groupId: string('0+'),
    memberId: string('0+'),
    memberEpoch: int32('0+'),
    instanceId: string('0+').nullable().default(null),
    rackId: string('0+').nullable().default(null),
    rebalanceTimeoutMs: int32('0+').default(-1),
    subscribedTopicNames: array('0+', string).nullable().default(null),
    subscribedTopicRegex: string('1+').nullable().default(null),
    serverAssignor: string('0+').nullable().default(null),
    topicPartitions: array('0+', {
      topicId: uuid('0+'),
      partitions: array('0+', int32)
    })
      .nullable()
      .default(null)
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    errorMessage: string('0+').nullable().default(null),
    memberId: string('0+').nullable().default(null),
    memberEpoch: int32('0+'),
    heartbeatIntervalMs: int32('0+'),
    assignment: struct('0+', {
      topicPartitions: array('0+', topicPartitions)
    })
      .nullable()
      .default(null)
  }
})
