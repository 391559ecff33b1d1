import assert from 'node:assert'
import { describe, test } from 'vitest'
import type { Membership } from './membership.ts'
import { planRecovery, RECOVERY_TERM_STEP, recoverReplica, type SurvivorReport } from './recovery.ts'

const three: Membership = { kind: 'simple', voters: [1, 2, 3], learners: [] }
const five: Membership = { kind: 'simple', voters: [1, 2, 3, 4, 5], learners: [] }

function report(id: number, index: number, term: number, more: Partial<SurvivorReport> = {}): SurvivorReport {
  return { id, term, last: { index, term }, commitIndex: 0, membership: three, ...more }
}

describe('a recovery is planned', () => {
  test('only when those who are left are no quorum', () => {
    assert.equal(planRecovery([report(1, 5, 2), report(2, 4, 2)]).kind, 'quorum')
    assert.equal(planRecovery([report(1, 5, 2)]).kind, 'recover')
  })

  test('by every membership that anybody left knows: one that is enough is enough', () => {
    const smaller: Membership = { kind: 'simple', voters: [2], learners: [] }
    assert.equal(planRecovery([report(1, 5, 2), report(4, 5, 2)]).kind, 'recover')
    assert.equal(planRecovery([report(1, 5, 2), report(2, 9, 3, { membership: smaller })]).kind, 'quorum')
  })

  test('while joint, unless both majorities are left', () => {
    const joint: Membership = {
      kind: 'joint',
      incoming: [1, 4, 5],
      outgoing: [1, 2, 3],
      learners: [],
      learnersNext: []
    }
    const left = [1, 2].map(id => report(id, 5, 2, { membership: joint }))
    const plan = planRecovery(left)
    assert(plan.kind === 'recover')
    assert.deepEqual(plan.lost, [4, 5, 3])
    assert.equal(planRecovery([...left, report(4, 5, 2, { membership: joint })]).kind, 'quorum')
  })

  test('from the log that an election would prefer: the later term, then the longer one', () => {
    const left = [report(1, 90, 3, { membership: five }), report(2, 40, 4, { membership: five })]
    const plan = planRecovery(left)
    assert(plan.kind === 'recover')
    assert.equal(plan.survivor.id, 2)
    const same = planRecovery([report(3, 40, 4, { membership: five }), report(2, 41, 4, { membership: five })])
    assert(same.kind === 'recover')
    assert.equal(same.survivor.id, 2)
  })

  test('the same way in whatever order the reports come', () => {
    const equal = [report(4, 40, 4, { membership: five }), report(2, 40, 4, { membership: five })]
    const plans = [equal, equal.toReversed()].map(reports => planRecovery(reports))
    assert.deepEqual(plans[0], plans[1])
  })

  test('from a learner, if it holds most; never from one that is no member by its own log', () => {
    const membership: Membership = { kind: 'simple', voters: [1, 2, 3], learners: [7] }
    const plan = planRecovery([report(7, 50, 4, { membership }), report(1, 40, 4, { membership })])
    assert(plan.kind === 'recover')
    assert.equal(plan.survivor.id, 7)
    assert.equal(planRecovery([report(9, 50, 4, { membership })]).kind, 'nobody')
    assert.equal(planRecovery([]).kind, 'nobody')
  })

  test('with what anybody knows to be committed, and a term above all that are known', () => {
    const left = [
      report(1, 90, 4, { commitIndex: 80, membership: five }),
      report(2, 85, 4, { commitIndex: 84, membership: five })
    ]
    const plan = planRecovery(left, 17)
    assert(plan.kind === 'recover')
    assert.equal(plan.survivor.id, 1)
    assert.equal(plan.knownCommit, 84)
    assert.equal(plan.term, 17 + RECOVERY_TERM_STEP)
    assert.deepEqual(plan.lost, [3, 4, 5])
  })
})

describe('a replica that is recovered', () => {
  const hardState = { term: 4, votedFor: 2 }

  test('goes on behind its log, alone, in a term of its own', () => {
    const recovered = recoverReplica(101, 1004, { last: { index: 9, term: 4 }, membership: three, hardState })
    assert.deepEqual(recovered.hardState, { term: 1004, votedFor: 101 })
    assert.deepEqual(recovered.entry, {
      kind: 'membership',
      index: 10,
      term: 1004,
      membership: { kind: 'simple', voters: [101], learners: [] }
    })
  })

  test('must not have promised anything, nor enter a term that it was in', () => {
    const log = { last: { index: 9, term: 4 }, membership: three, hardState }
    assert.throws(() => recoverReplica(2, 1004, log), /made no promises/)
    assert.throws(() => recoverReplica(101, 4, log), /above all/)
  })
})
