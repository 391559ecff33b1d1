/**
 * Kafka's features (KIP-584): what a cluster has switched on for all its brokers. ApiVersions tells them, UpdateFeatures is
 * about them.
 *
 * Clients choose protocols by them, so only what works may be here: a feature that is not listed reads as level 0, which keeps
 * clients from transactions of the second generation (`transaction.version`) and from the groups of KIP-848 (`group.version`).
 * The levels here come with the program: each is the only one it can run, so that finalized and supported are the same.
 */

export interface Feature {
  readonly name: string
  /** The one level that brokers of this version run. */
  readonly level: number
}

/** `metadata.version` 30 is 4.3-IV0: the release of Kafka whose protocol this is. Tools show it as the version of the brokers. */
export const features: readonly Feature[] = [{ name: 'metadata.version', level: 30 }]

/** Grows whenever finalized levels change; they do not while brokers run. */
export const FINALIZED_FEATURES_EPOCH = 0
