/** Names of resources that can have settings (KIP-1142; client metrics only in version 0, KIP-714). */
import { api, array, int16, int32, int8, string } from '../schema.ts'

export const listConfigResources = api({
  key: 74,
  name: 'ListConfigResources',
  versions: '0-1',
  flexible: '0+',
  request: {
    resourceTypes: array('1+', int8)
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    configResources: array('0+', { resourceName: string('0+'), resourceType: int8('1+').default(16).ignorable() })
  }
})
