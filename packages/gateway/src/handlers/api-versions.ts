/**
 * ApiVersions: what this gateway speaks. Derived from the handler table; only what works is listed.
 *
 * No features are reported: Kafka's finalized features switch clients to protocols (transactions of the second generation,
 * the new group protocol) that are not served here, and a feature that is not reported reads as level 0.
 */
import { apis, errorCode, type VersionRange } from '@milena/wire-protocol'
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
  const answer = { errorCode: 0, apiKeys }
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
