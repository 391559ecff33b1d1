/** Sets, removes, appends to or subtracts from single settings (KIP-339). */
import { api, array, bool, int16, int32, int8, string } from '../schema.ts'

export const incrementalAlterConfigs = api({
  key: 44,
  name: 'IncrementalAlterConfigs',
  versions: '0-1',
  flexible: '1+',
  request: {
    resources: array('0+', {
      resourceType: int8('0+'),
      resourceName: string('0+'),
      configs: array('0+', { name: string('0+'), configOperation: int8('0+'), value: string('0+').nullable() })
    }),
    validateOnly: bool('0+')
  },
  response: {
    throttleTimeMs: int32('0+'),
    responses: array('0+', {
      errorCode: int16('0+'),
      errorMessage: string('0+').nullable(),
      resourceType: int8('0+'),
      resourceName: string('0+')
    })
  }
})
