/** Removes access rules that match filters. */
import { api, array, int16, int32, int8, string } from '../schema.ts'

export const deleteAcls = api({
  key: 31,
  name: 'DeleteAcls',
  versions: '0-3',
  flexible: '2+',
  request: {
    filters: array('0+', {
      resourceTypeFilter: int8('0+'),
      resourceNameFilter: string('0+').nullable(),
      patternTypeFilter: int8('1+').default(3),
      principalFilter: string('0+').nullable(),
      hostFilter: string('0+').nullable(),
      operation: int8('0+'),
      permissionType: int8('0+')
    })
  },
  response: {
    throttleTimeMs: int32('0+'),
    filterResults: array('0+', {
      errorCode: int16('0+'),
      errorMessage: string('0+').nullable(),
      matchingAcls: array('0+', {
        errorCode: int16('0+'),
        errorMessage: string('0+').nullable(),
        resourceType: int8('0+'),
        resourceName: string('0+'),
        patternType: int8('1+').default(3),
        principal: string('0+'),
        host: string('0+'),
        operation: int8('0+'),
        permissionType: int8('0+')
      })
    })
  }
})
