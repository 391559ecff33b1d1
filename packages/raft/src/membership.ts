/**
 * Who belongs to a group. Changes go through joint consensus (section 6 of the Raft paper): a group leaves a membership by way
 * of one in which both the old and the new voters must agree, so that any set of replicas can be exchanged in one change and
 * two majorities never decide apart.
 *
 *     simple(A) ──propose change──► joint(A, B) ──committed under both──► simple(B)
 *
 * A membership takes effect when its entry is appended, not when it is committed. At most one is uncommitted at a time.
 */

/**
 * A replica of a group. A non-negative safe integer that belongs to one disk for ever: a replica that lost its hard state
 * comes back under a new id and as a learner. Voting again under the old one could elect two leaders in one term.
 */
export type ReplicaId = number

/** Learners receive entries and count for nothing: not for commits, not for elections. No replica is in two lists. */
export type Membership =
  | {
      readonly kind: 'simple'
      /** At least one. */
      readonly voters: readonly ReplicaId[]
      readonly learners: readonly ReplicaId[]
    }
  | {
      readonly kind: 'joint'
      /** Voters of the membership that is entered. At least one. */
      readonly incoming: readonly ReplicaId[]
      /** Voters of the membership that is left. At least one; may share members with `incoming`. */
      readonly outgoing: readonly ReplicaId[]
      readonly learners: readonly ReplicaId[]
      /** Outgoing voters that stay as learners once the joint membership is left. */
      readonly learnersNext: readonly ReplicaId[]
    }

/** The memberships whose majorities must each agree: one, or two while joint. */
export function voterSets(membership: Membership): readonly (readonly ReplicaId[])[] {
  return membership.kind === 'simple' ? [membership.voters] : [membership.incoming, membership.outgoing]
}
