/** Takes members out of a classic group; several at once since version 3 (KIP-345). */
import { api, array, int16, int32, string } from '../schema.ts'

export const leaveGroup = api({
  key: 13,
  name: 'LeaveGroup',
  versions: '0-5',
  flexible: '4+',
  request: {
    groupId: string('0+'),
    memberId: string('0-2'),
    members: array('3+', {
      memberId: string('3+'),
      groupInstanceId: string('3+').nullable().default(null),
      reason: string('5+').nullable().default(null).ignorable()
    })
  },
  response: {
    throttleTimeMs: int32('1+').ignorable(),
    errorCode: int16('0+'),
    members: array('3+', { memberId: string('3+'), groupInstanceId: string('3+').nullable(), errorCode: int16('3+') })
  }
})
