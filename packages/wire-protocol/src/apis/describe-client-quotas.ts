/** Quotas that match users, clients and addresses (KIP-546). */
import { api, array, bool, float64, int16, int32, int8, string } from '../schema.ts'

export const describeClientQuotas = api({
  key: 48,
  name: 'DescribeClientQuotas',
  versions: '0-1',
  flexible: '1+',
  request: {
    components: array('0+', { entityType: string('0+'), matchType: int8('0+'), match: string('0+').nullable() }),
    strict: bool('0+')
  },
  response: {
    throttleTimeMs: int32('0+'),
    errorCode: int16('0+'),
    errorMessage: string('0+').nullable(),
    entries: array('0+', {
      entity: array('0+', { entityType: string('0+'), entityName: string('0+').nullable() }),
      values: array('0+', { key: string('0+'), value: float64('0+') })
    }).nullable()
  }
})
