/** Elects the preferred, or any living, replica as leader (KIP-460). */
import { api, array, int16, int32, int8, string } from '../schema.ts'

export const electLeaders = api({
  key: 43,
  name: 'ElectLeaders',
  versions: '0-2',
  flexible: '2+',
  request: {
    electionType: int8('1+'),
    topicPartitions: array('0+', {
      topic: string('0+'),
      partitions: array('0+', int32)
    }).nullable(),
    timeoutMs: int32('0+').default(60000)
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('1+'),
    replicaElectionResults: array('0+', {
      topic: string('0+'),
      partitionResult: array('0+', {
        partitionId: int32('0+'),
        errorCode: int16('0+'),
        errorMessage: string('0+').nullable()
      })
    })
  }
})
