/**
 * What a broker speaks. The one response whose header never has tags, so that any client can read it (KIP-511);
 * features since version 3 (KIP-584).
 */
import { api, array, bool, int16, int32, int64, string } from '../schema.ts'

export const apiVersions = api({
  key: 18,
  name: 'ApiVersions',
  versions: '0-4',
  flexible: '3+',
  request: {
    clientSoftwareName: string('3+').ignorable(),
    clientSoftwareVersion: string('3+').ignorable()
  },
  response: {
    errorCode: int16('0+'),
    apiKeys: array('0+', { apiKey: int16('0+'), minVersion: int16('0+'), maxVersion: int16('0+') }),
    throttleTimeMs: int32('1+').ignorable(),
    supportedFeatures: array('3+', {
      name: string('3+'),
      minVersion: int16('3+'),
      maxVersion: int16('3+')
    })
      .tagged(0)
      .ignorable(),
    finalizedFeaturesEpoch: int64('3+').tagged(1).default(-1n).ignorable(),
    finalizedFeatures: array('3+', {
      name: string('3+'),
      maxVersionLevel: int16('3+'),
      minVersionLevel: int16('3+')
    })
      .tagged(2)
      .ignorable(),
    zkMigrationReady: bool('3+').tagged(3).default(false).ignorable()
  }
})
