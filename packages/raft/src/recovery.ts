/**
 * Unclean recovery: a group whose quorum is lost for good goes on from one replica that is left. Raft itself never does this;
 * an operator decides it, knowing what may be lost. Pure functions: what the survivors say in, a decision and what to write out.
 *
 *     survivors' reports ──planRecovery──► { quorum } nothing to do: the group helps itself
 *                                          { nobody } no member is left
 *                                          { recover: survivor, term, lost, ... } ──operator agrees──► recoverReplica
 *
 *     log of the survivor      ... 7/3 8/3 9/4 │ 10/1005 members {new id}        one entry, written with term and vote
 *     id                        old            │ new: never made a promise
 *
 * What the host must do with `recoverReplica`: make id, hard state and entry durable all at once, behind a log that is durable up
 * to `last`; only then open a node with them. The old id must never act again, and no other replica may go on with what it
 * holds: all others come back under new ids with empty logs, and are added as anybody is. Then
 *
 * - replicas of before cannot reach the group: they speak to ids that nobody answers to, and are no members;
 * - two logs are only ever compared within one life of the group, so an index and a term still name one entry;
 * - the entry is committed by its writer alone, which is the whole quorum from then on.
 */
import assert from 'node:assert'
import type { Entry, EntryId, HardState, Index, Term } from './entries.ts'
import { voterSets, type Membership, type ReplicaId } from './membership.ts'
import { voteResult } from './quorum.ts'

/** What a replica that is left says of itself. */
export interface SurvivorReport {
  readonly id: ReplicaId
  readonly term: Term
  /** End of its log, durable. */
  readonly last: EntryId
  /** What it knows to be committed; after a restart that is little. */
  readonly commitIndex: Index
  /** The membership in force by its log. */
  readonly membership: Membership
}

/** What can be done for a group that lost replicas. */
export type RecoveryPlan =
  /** Enough are left to elect a leader. */
  | { readonly kind: 'quorum' }
  /** Nobody who is left is a member by its own log. */
  | { readonly kind: 'nobody' }
  | {
      readonly kind: 'recover'
      /** Whose log the group goes on with: the one that an election among those left would prefer. */
      readonly survivor: SurvivorReport
      /** For `recoverReplica`: above every term that is known. */
      readonly term: Term
      /** Voters by the survivor's membership (both sides, when joint) that are not left. */
      readonly lost: readonly ReplicaId[]
      /** The highest index that anybody left knows to be committed: a lower bound of what was. */
      readonly knownCommit: Index
    }

/** How far a recovered group's term rises above all that are known: room for elections that nobody left has heard of. */
export const RECOVERY_TERM_STEP = 1000

/**
 * Decides whether a group must be recovered and from whom. `termKnown`: the highest term that is known by other ways.
 *
 * The survivor with the most up-to-date log (section 5.4.1) holds all that any of them knows to be committed: what is committed is
 * in every log that is at least as up to date as one that holds it.
 */
export function planRecovery(reports: readonly SurvivorReport[], termKnown: Term = 0): RecoveryPlan {
  const left = new Set(reports.map(({ id }) => id))
  const isLeft = (id: ReplicaId): boolean => left.has(id)
  if (reports.some(({ membership }) => voteResult(membership, isLeft) === 'won')) return { kind: 'quorum' }
  const members = reports.filter(isMemberByItsLog)
  const survivor = members.reduce<SurvivorReport | undefined>(
    (best, report) => (best === undefined || isPreferred(report, best) ? report : best),
    undefined
  )
  if (survivor === undefined) return { kind: 'nobody' }
  const voters = [...new Set(voterSets(survivor.membership).flat())]
  return {
    kind: 'recover',
    survivor,
    term: Math.max(termKnown, ...reports.map(({ term }) => term)) + RECOVERY_TERM_STEP,
    lost: voters.filter(id => !left.has(id)),
    knownCommit: Math.max(...reports.map(({ commitIndex }) => commitIndex))
  }
}

function isMemberByItsLog({ id, membership }: SurvivorReport): boolean {
  return membership.learners.includes(id) || voterSets(membership).some(voters => voters.includes(id))
}

/** The more up-to-date log; of equals who knows more, then the lower id, so that everybody decides the same. */
function isPreferred(report: SurvivorReport, best: SurvivorReport): boolean {
  const order =
    report.last.term - best.last.term ||
    report.last.index - best.last.index ||
    report.commitIndex - best.commitIndex ||
    best.id - report.id
  return order > 0
}

/** What a survivor has when it begins its new life. */
export interface RecoveredReplica {
  readonly id: ReplicaId
  readonly hardState: HardState
  /** Behind `last`; the first entry of its term, and all of the recovery. */
  readonly entry: Extract<Entry<never>, { readonly kind: 'membership' }>
}

/**
 * What the survivor writes. `id` must never have been used in the group; `term` and `last` as in the plan, `last` being the end of
 * its log as it is when this is written. See the head of this file for what the host owes.
 */
export function recoverReplica(
  id: ReplicaId,
  term: Term,
  { last, membership, hardState }: { last: EntryId; membership: Membership | undefined; hardState: HardState }
): RecoveredReplica {
  assert(term > hardState.term && term > last.term, 'a recovery enters a term above all that are known')
  const known = membership === undefined ? [] : [...voterSets(membership).flat(), ...membership.learners]
  assert(!known.includes(id), 'a recovered replica has an id that made no promises')
  const membershipNext: Membership = { kind: 'simple', voters: [id], learners: [] }
  return {
    id,
    hardState: { term, votedFor: id },
    entry: { kind: 'membership', index: last.index + 1, term, membership: membershipNext }
  }
}
