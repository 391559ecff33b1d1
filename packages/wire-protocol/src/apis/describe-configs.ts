/** Settings of topics, brokers, groups and client metrics, with their sources (KIP-226). */
import { api, array, bool, int16, int32, int8, string } from '../schema.ts'

export const describeConfigs = api({
  key: 32,
  name: 'DescribeConfigs',
  versions: '0-4',
  flexible: '4+',
  request: {
    resources: array('0+', {
      resourceType: int8('0+'),
      resourceName: string('0+'),
      configurationKeys: array('0+', string).nullable()
    }),
    includeSynonyms: bool('1+').default(false),
    includeDocumentation: bool('3+').default(false)
  },
  response: {
    throttleTimeMs: int32('0+'),
    results: array('0+', {
      errorCode: int16('0+'),
      errorMessage: string('0+').nullable(),
      resourceType: int8('0+'),
      resourceName: string('0+'),
      configs: array('0+', {
        name: string('0+'),
        value: string('0+').nullable(),
        readOnly: bool('0+'),
        isDefault: bool('0'),
        configSource: int8('1+').default(-1).ignorable(),
        isSensitive: bool('0+'),
        synonyms: array('1+', {
          name: string('1+'),
          value: string('1+').nullable('0+'),
          source: int8('1+')
        }).ignorable(),
        configType: int8('3+').default(0).ignorable(),
        documentation: string('3+').nullable('0+').ignorable()
      })
    })
  }
})
