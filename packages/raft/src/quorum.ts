/**
 * Majorities. What is committed and who is elected, as pure functions of a membership and of what is known of each voter.
 * While joint, both memberships must agree, each by its own majority.
 */
import assert from 'node:assert'
import { voterSets, type Membership, type ReplicaId } from './membership.ts'

/** Outcome of an election, or of any question that a majority answers. `pending`: the votes still out can turn it. */
export type VoteResult = 'won' | 'lost' | 'pending'

/** Smallest number of voters that is more than half of `voterCount`: 1 of 1, 2 of 2, 2 of 3, 3 of 4. */
export function majorityOf(voterCount: number): number {
  return (voterCount >> 1) + 1
}

/**
 * The highest index that a quorum holds durably.
 *
 * A leader may commit up to here only when the entry at that index is of its own term (section 5.4.2): counting replicas alone
 * does not commit entries of former terms.
 *
 * @param matchIndexOf Highest index that a voter is known to hold durably and in agreement with the leader; 0 for nothing.
 *   The leader's own is what its own disk has confirmed.
 */
export function committedIndex(membership: Membership, matchIndexOf: (voter: ReplicaId) => number): number {
  if (membership.kind === 'simple') return majorityIndex(membership.voters, matchIndexOf)
  const incoming = majorityIndex(membership.incoming, matchIndexOf)
  return Math.min(incoming, majorityIndex(membership.outgoing, matchIndexOf))
}

/**
 * How a vote stands.
 *
 * @param voteOf What a voter answered, or undefined while it has not. Also serves check-quorum (who was heard of lately) and
 *   read-index (who confirmed the leader).
 */
export function voteResult(membership: Membership, voteOf: (voter: ReplicaId) => boolean | undefined): VoteResult {
  let result: VoteResult = 'won'
  for (const voters of voterSets(membership)) {
    const part = majorityVote(voters, voteOf)
    if (part === 'lost') return 'lost'
    if (part === 'pending') result = 'pending'
  }
  return result
}

/** The highest of the voters' indexes that a majority reaches. Called for every commit: it allocates nothing. */
function majorityIndex(voters: readonly ReplicaId[], matchIndexOf: (voter: ReplicaId) => number): number {
  assert(voters.length > 0, 'a membership has voters')
  const needed = majorityOf(voters.length)
  let highest = -1
  for (const voter of voters) {
    const index = matchIndexOf(voter)
    if (index <= highest) continue
    let reached = 0
    for (const other of voters) if (matchIndexOf(other) >= index) reached++
    if (reached >= needed) highest = index
  }
  return highest
}

function majorityVote(voters: readonly ReplicaId[], voteOf: (voter: ReplicaId) => boolean | undefined): VoteResult {
  assert(voters.length > 0, 'a membership has voters')
  let granted = 0
  let outstanding = 0
  for (const voter of voters) {
    const vote = voteOf(voter)
    if (vote === undefined) outstanding++
    else if (vote) granted++
  }
  const needed = majorityOf(voters.length)
  if (granted >= needed) return 'won'
  return granted + outstanding >= needed ? 'pending' : 'lost'
}
