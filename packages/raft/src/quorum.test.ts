import assert from 'node:assert'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { voterSets, type Membership, type ReplicaId } from './membership.ts'
import { committedIndex, majorityOf, voteResult } from './quorum.ts'

const replicas: readonly ReplicaId[] = [0, 1, 2, 3, 4, 5, 6]
const voters = fc.uniqueArray(fc.constantFrom(...replicas), { minLength: 1, maxLength: 7 })
const membership: fc.Arbitrary<Membership> = fc.oneof(
  voters.map(voters => ({ kind: 'simple' as const, voters, learners: [] })),
  fc.record({
    kind: fc.constant('joint' as const),
    incoming: voters,
    outgoing: voters,
    learners: fc.constant([]),
    learnersNext: fc.constant([])
  })
)
const matches = fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 7, maxLength: 7 })
const votes = fc.array(fc.constantFrom(true, false, undefined), { minLength: 7, maxLength: 7 })

const simple = (...voters: ReplicaId[]): Membership => ({ kind: 'simple', voters, learners: [] })
const joint = (incoming: ReplicaId[], outgoing: ReplicaId[]): Membership => ({
  kind: 'joint',
  incoming,
  outgoing,
  learners: [],
  learnersNext: []
})
const at =
  <Value>(values: readonly Value[]) =>
  (replica: ReplicaId): Value =>
    values[replica]!

/** By the definition: these replicas are a quorum when they are more than half of each set of voters. */
function isQuorum(of: Membership, holders: ReadonlySet<ReplicaId>): boolean {
  return voterSets(of).every(set => set.filter(voter => holders.has(voter)).length * 2 > set.length)
}

const holdersOf = (matchIndexes: readonly number[], index: number): Set<ReplicaId> =>
  new Set(replicas.filter(replica => matchIndexes[replica]! >= index))

describe('the committed index', () => {
  test('is what more than half of the voters hold.', () => {
    assert.equal(committedIndex(simple(0), at([7])), 7)
    assert.equal(committedIndex(simple(0, 1), at([7, 5])), 5)
    assert.equal(committedIndex(simple(0, 1, 2), at([7, 5, 0])), 5)
    assert.equal(committedIndex(simple(0, 1, 2, 3), at([7, 6, 5, 0])), 5)
    assert.equal(committedIndex(simple(0, 1, 2, 3, 4), at([9, 8, 7, 1, 0])), 7)
  })

  test('needs both majorities while joint.', () => {
    assert.equal(committedIndex(joint([0, 1, 2], [3, 4, 5]), at([9, 9, 9, 4, 4, 0])), 4)
    assert.equal(committedIndex(joint([0], [0, 1, 2]), at([9, 3, 2])), 3)
  })

  test('is the highest index that a quorum by definition holds.', () => {
    fc.assert(
      fc.property(membership, matches, (of, matchIndexes) => {
        const committed = committedIndex(of, at(matchIndexes))
        assert.ok(isQuorum(of, holdersOf(matchIndexes, committed)))
        assert.ok(!isQuorum(of, holdersOf(matchIndexes, committed + 1)))
      })
    )
  })

  test('does not fall when a voter advances, and learners do not count.', () => {
    fc.assert(
      fc.property(membership, matches, fc.nat({ max: 6 }), fc.nat({ max: 9 }), (of, before, replica, by) => {
        const after = before.map((index, other) => (other === replica ? index + by : index))
        assert.ok(committedIndex(of, at(after)) >= committedIndex(of, at(before)))
        if (voterSets(of).flat().includes(replica)) return
        assert.equal(committedIndex(of, at(after)), committedIndex(of, at(before)))
      })
    )
  })

  test('of a membership survives in every quorum of the next one, by way of the joint one.', () => {
    // What simple(A) and then joint(A, B) committed, a leader elected under joint(A, B) or simple(B) must have.
    fc.assert(
      fc.property(voters, voters, matches, votes, (former, next, matchIndexes, granted) => {
        const of = joint(next, former)
        const index = committedIndex(of, at(matchIndexes))
        const holders = holdersOf(matchIndexes, index)
        for (const electing of [of, simple(...former), simple(...next)]) {
          if (voteResult(electing, at(granted)) !== 'won') continue
          const electors = voterSets(electing)
            .flat()
            .filter(voter => granted[voter] === true)
          assert.ok(electors.some(voter => holders.has(voter)))
        }
      })
    )
  })
})

describe('a vote', () => {
  test('is won with more than half, lost when that cannot come about any more, pending until then.', () => {
    assert.equal(voteResult(simple(0, 1, 2), at([true, true, undefined])), 'won')
    assert.equal(voteResult(simple(0, 1, 2), at([true, false, undefined])), 'pending')
    assert.equal(voteResult(simple(0, 1, 2), at([true, false, false])), 'lost')
    assert.equal(voteResult(simple(0, 1, 2, 3), at([true, true, false, false])), 'lost')
    assert.equal(voteResult(joint([0, 1], [2, 3]), at([true, true, true, undefined])), 'pending')
    assert.equal(voteResult(joint([0, 1], [2, 3]), at([true, true, true, false])), 'lost')
  })

  test('stands as trying out every way in which the outstanding votes may fall says.', () => {
    fc.assert(
      fc.property(membership, votes, (of, cast) => {
        const won = completions(cast).map(granted => isQuorum(of, granted))
        const expected = won.every(Boolean) ? 'won' : won.some(Boolean) ? 'pending' : 'lost'
        assert.equal(voteResult(of, at(cast)), expected)
      })
    )
  })

  test('cannot be won by two candidates of one membership when each voter votes once.', () => {
    fc.assert(
      fc.property(
        membership,
        fc.array(fc.constantFrom('left', 'right'), { minLength: 7, maxLength: 7 }),
        (of, choices) => {
          const results = ['left', 'right'].map(candidate => voteResult(of, voter => choices[voter] === candidate))
          assert.notDeepEqual(results, ['won', 'won'])
        }
      )
    )
  })
})

test('A majority is the smallest count of which two always overlap.', () => {
  for (let count = 1; count <= 50; count++) {
    assert.ok(2 * majorityOf(count) > count)
    assert.ok(2 * (majorityOf(count) - 1) <= count)
  }
})

/** Every set of replicas that may end up having granted. */
function completions(cast: readonly (boolean | undefined)[]): Set<ReplicaId>[] {
  let sets: ReplicaId[][] = [[]]
  for (const [replica, vote] of cast.entries()) {
    const withReplica = sets.map(set => [...set, replica])
    if (vote === true) sets = withReplica
    else if (vote === undefined) sets = [...sets, ...withReplica]
  }
  return sets.map(set => new Set(set))
}
