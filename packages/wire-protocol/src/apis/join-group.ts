/** Joins a classic consumer group and waits for its next generation (KIP-394 member ids, KIP-345 static members). */
import { api, array, bool, bytes, int16, int32, string } from '../schema.ts'

export const joinGroup = api({
  key: 11,
  name: 'JoinGroup',
  versions: '0-9',
  flexible: '6+',
  request: {
    groupId: string('0+'),
    sessionTimeoutMs: int32('0+'),
    rebalanceTimeoutMs: int32('1+').default(-1).ignorable(),
    memberId: string('0+'),
    groupInstanceId: string('5+').nullable().default(null),
    protocolType: string('0+'),
    protocols: array('0+', { name: string('0+'), metadata: bytes('0+') }),
    reason: string('8+').nullable().default(null).ignorable()
  },
  response: {
    throttleTimeMs: int32('2+').ignorable(),
    errorCode: int16('0+'),
    generationId: int32('0+').default(-1),
    protocolType: string('7+').nullable().default(null).ignorable(),
    protocolName: string('0+').nullable('7+'),
    leader: string('0+'),
    skipAssignment: bool('9+').default(false),
    memberId: string('0+'),
    members: array('0+', {
      memberId: string('0+'),
      groupInstanceId: string('5+').nullable().default(null).ignorable(),
      metadata: bytes('0+')
    })
  }
})
