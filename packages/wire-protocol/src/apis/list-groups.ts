/** Groups that a broker coordinates, filtered by state (KIP-518) and type (KIP-848). */
import { api, array, int16, int32, string } from '../schema.ts'

export const listGroups = api({
  key: 16,
  name: 'ListGroups',
  versions: '0-5',
  flexible: '3+',
  request: {
    statesFilter: array('4+', string),
    typesFilter: array('5+', string)
  },
  response: {
    throttleTimeMs: int32('1+').ignorable(),
    errorCode: int16('0+'),
    groups: array('0+', {
      groupId: string('0+'),
      protocolType: string('0+'),
      groupState: string('4+').ignorable(),
      groupType: string('5+').ignorable()
    })
  }
})
