/** Hands out the assignment that the leader of a classic group computed. */
import { api, array, bytes, int16, int32, string } from '../schema.ts'

export const syncGroup = api({
  key: 14,
  name: 'SyncGroup',
  versions: '0-5',
  flexible: '4+',
  request: {
    groupId: string('0+'),
    generationId: int32('0+'),
    memberId: string('0+'),
    groupInstanceId: string('3+').nullable().default(null),
    protocolType: string('5+').nullable().default(null).ignorable(),
    protocolName: string('5+').nullable().default(null).ignorable(),
    assignments: array('0+', { memberId: string('0+'), assignment: bytes('0+') })
  },
  response: {
    throttleTimeMs: int32('1+').ignorable(),
    errorCode: int16('0+'),
    protocolType: string('5+').nullable().default(null).ignorable(),
    protocolName: string('5+').nullable().default(null).ignorable(),
    assignment: bytes('0+')
  }
})
