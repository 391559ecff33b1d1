/** Access rules that match a filter. */
import { api, array, int16, int32, int8, string } from '../schema.ts'

export const describeAcls = api({
  key: 29,
  name: 'DescribeAcls',
  versions: '0-3',
  flexible: '2+',
  request: {
    resourceTypeFilter: int8('0+'),
    resourceNameFilter: string('0+').nullable(),
    patternTypeFilter: int8('1+').default(3),
    principalFilter: string('0+').nullable(),
    hostFilter: string('0+').nullable(),
    operation: int8('0+'),
    permissionType: int8('0+')
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    errorMessage: string('0+').nullable(),
    resources: array('0+', {
      resourceType: int8('0+'),
      resourceName: string('0+'),
      patternType: int8('1+').default(3),
      acls: array('0+', {
        principal: string('0+'),
        host: string('0+'),
        operation: int8('0+'),
        permissionType: int8('0+')
      })
    })
  }
})
