/** Removes a controller from the metadata quorum (KIP-853). */
import { api, int16, int32, string, uuid } from '../schema.ts'

export const removeRaftVoter = api({
  key: 81,
  name: 'RemoveRaftVoter',
  versions: '0',
  flexible: '0+',
  request: {
    clusterId: string('0+').nullable(),
    voterId: int32('0+'),
    voterDirectoryId: uuid('0+')
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    errorMessage: string('0+').nullable().ignorable()
  }
})
