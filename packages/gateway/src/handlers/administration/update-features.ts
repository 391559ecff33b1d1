/**
 * UpdateFeatures: sets the levels of features for the whole cluster (KIP-584, KIP-778). The levels that brokers of this version can
 * run are the ones they do run (`features.ts`), so what asks for those is done, and what asks for others is refused: all of a
 * request or nothing, as in Kafka.
 */
import { apis, errorCode, errorMessage, type RequestOf, type ResponseInput } from '@milena/wire-protocol'
import { features } from '../../features.ts'
import type { Handler } from '../../handler.ts'

type Request = RequestOf<typeof apis.updateFeatures>
type Update = Request['featureUpdates'][number]
type Response = ResponseInput<typeof apis.updateFeatures>

/** Brought upgrade types; before, a request could only say that it may go down. */
const UPGRADE_TYPES_FROM = 1
/** Dropped the results of single features: they are all the same. */
const NO_RESULTS_FROM = 2
/** Upgrade, downgrade without loss, downgrade with it. */
const UPGRADE_TYPES: readonly number[] = [1, 2, 3]

export const updateFeaturesHandler: Handler<typeof apis.updateFeatures> = {
  api: apis.updateFeatures,
  versions: { min: 0, max: 2 },
  handle({ apiVersion }, { featureUpdates }) {
    for (const update of featureUpdates) {
      const problem = problemOf(update, apiVersion)
      if (problem !== null) return refused(`Nothing was changed, because of ${update.feature}: ${problem}`)
    }
    if (apiVersion >= NO_RESULTS_FROM) return { errorMessage: null }
    return {
      errorMessage: null,
      results: featureUpdates.map(({ feature }) => ({ feature, errorCode: 0, errorMessage: 'NONE' }))
    }
  },
  refuse: (_context, _request, error) => ({ errorCode: errorCode(error), errorMessage: errorMessage(error) })
}

function problemOf({ feature, maxVersionLevel, upgradeType }: Update, apiVersion: number): string | null {
  const known = features.find(({ name }) => name === feature)
  if (known === undefined) return 'there is no such feature here.'
  if (maxVersionLevel < 0) return 'a level cannot be less than 0.'
  if (apiVersion >= UPGRADE_TYPES_FROM && !UPGRADE_TYPES.includes(upgradeType))
    return 'this type of upgrade is unknown.'
  return maxVersionLevel === known.level ? null : `brokers of this version run level ${known.level} and no other.`
}

function refused(message: string): Response {
  return { errorCode: errorCode('INVALID_UPDATE_VERSION'), errorMessage: message }
}
