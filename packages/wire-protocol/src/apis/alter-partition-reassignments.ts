/** Moves partitions to other brokers, or cancels that (KIP-455). */
import { api, array, bool, int16, int32, string } from '../schema.ts'

export const alterPartitionReassignments = api({
  key: 45,
  name: 'AlterPartitionReassignments',
  versions: '0-1',
  flexible: '0+',
  request: {
    timeoutMs: int32('0+').default(60000),
    allowReplicationFactorChange: bool('1+').default(true),
    topics: array('0+', {
      name: string('0+'),
      partitions: array('0+', { partitionIndex: int32('0+'), replicas: array('0+', int32).nullable().default(null) })
    })
  },
  response: {
    throttleTimeMs: int32('0+'),
    allowReplicationFactorChange: bool('1+').default(true).ignorable(),
    errorCode: int16('0+'),
    errorMessage: string('0+').nullable(),
    responses: array('0+', {
      name: string('0+'),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        errorCode: int16('0+'),
        errorMessage: string('0+').nullable()
      })
    })
  }
})
