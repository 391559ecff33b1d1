/** Brokers, the controller, and who leads which partition. Topic ids since version 10 (KIP-516). */
import { api, array, bool, int16, int32, string, uuid } from '../schema.ts'

export const metadata = api({
  key: 3,
  name: 'Metadata',
  versions: '0-13',
  flexible: '9+',
  request: {
    topics: array('0+', {
      topicId: uuid('10+').ignorable(),
      name: string('0+').nullable('10+')
    }).nullable('1+'),
    allowAutoTopicCreation: bool('4+').default(true),
    includeClusterAuthorizedOperations: bool('8-10'),
    includeTopicAuthorizedOperations: bool('8+')
  },
  response: {
    throttleTimeMs: int32('3+').ignorable(),
    brokers: array('0+', {
      nodeId: int32('0+'),
      host: string('0+'),
      port: int32('0+'),
      rack: string('1+').nullable().default(null).ignorable()
    }),
    clusterId: string('2+').nullable().default(null).ignorable(),
    controllerId: int32('1+').default(-1).ignorable(),
    topics: array('0+', {
      errorCode: int16('0+'),
      name: string('0+').nullable('12+'),
      topicId: uuid('10+').ignorable(),
      isInternal: bool('1+').default(false).ignorable(),
      partitions: array('0+', {
        errorCode: int16('0+'),
        partitionIndex: int32('0+'),
        leaderId: int32('0+'),
        leaderEpoch: int32('7+').default(-1).ignorable(),
        replicaNodes: array('0+', int32),
        isrNodes: array('0+', int32),
        offlineReplicas: array('5+', int32).ignorable()
      }),
      topicAuthorizedOperations: int32('8+').default(-2147483648)
    }),
    clusterAuthorizedOperations: int32('8-10').default(-2147483648),
    errorCode: int16('13+').ignorable()
  }
})
