/**
 * ApiVersions: what this gateway speaks. Derived from the handler table; only what works is listed.
 *
 * With it come the cluster's features, from which clients conclude which protocols they may use (`features.ts`).
 */
import { apis, errorCode, type VersionRange } from '@milena/wire-protocol'
import { features, FINALIZED_FEATURES_EPOCH } from '../features.ts'
import type { Handler } from '../handler.ts'

export interface AdvertisedVersions {
  readonly apiKey: number
  readonly minVersion: number
  readonly maxVersion: number
}

/** Client names and versions are plain words in Kafka (KIP-511); anything else is INVALID_REQUEST. */
const CLIENT_SOFTWARE = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/

export function apiVersionsHandler(others: readonly AdvertisedVersions[]): Handler<typeof apis.apiVersions> {
  const versions = apis.apiVersions.versions
  const own = { apiKey: apis.apiVersions.key, minVersion: versions.min, maxVersion: versions.max }
  const apiKeys = [...others, own].sort((a, b) => a.apiKey - b.apiKey)
  const answer = {
    errorCode: 0,
    apiKeys,
    supportedFeatures: features.map(({ name, level }) => ({ name, minVersion: level, maxVersion: level })),
    finalizedFeaturesEpoch: FINALIZED_FEATURES_EPOCH,
    finalizedFeatures: features.map(({ name, level }) => ({ name, minVersionLevel: level, maxVersionLevel: level }))
  }
  return {
    api: apis.apiVersions,
    versions,
    handle(context, request) {
      if (context.apiVersion < 3) return answer
      const { clientSoftwareName, clientSoftwareVersion } = request
      const named = CLIENT_SOFTWARE.test(clientSoftwareName) && CLIENT_SOFTWARE.test(clientSoftwareVersion)
      return named ? answer : { errorCode: errorCode('INVALID_REQUEST'), apiKeys: [] }
    },
    refuse: (_context, _request, error) => ({ errorCode: errorCode(error), apiKeys: [] })
  }
}

/** Answers a version of ApiVersions that we do not know: error 35 and the range of ApiVersions itself, in version 0. */
export function unsupportedVersionHandler(range: VersionRange): Handler<typeof apis.apiVersions> {
  const apiKeys = [{ apiKey: apis.apiVersions.key, minVersion: range.min, maxVersion: range.max }]
  const answer = { errorCode: errorCode('UNSUPPORTED_VERSION'), apiKeys }
  return { api: apis.apiVersions, versions: range, handle: () => answer, refuse: () => answer }
}
