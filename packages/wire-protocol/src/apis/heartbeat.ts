/** Keeps a member of a classic group alive and tells it of rebalances. */
import { api, int16, int32, string } from '../schema.ts'

export const heartbeat = api({
  key: 12,
  name: 'Heartbeat',
  versions: '0-4',
  flexible: '4+',
  request: {
    groupId: string('0+'),
    generationId: int32('0+'),
    memberId: string('0+'),
    groupInstanceId: string('3+').nullable().default(null)
  },
  response: {
    throttleTimeMs: int32('1+').ignorable(),
    errorCode: int16('0+')
  }
})
