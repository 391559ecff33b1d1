/**
 * The Raft paper, section 6, and chapter 4 of the dissertation: membership changes by joint consensus, learners, leaders that
 * are left out, replicas that are removed.
 */
import assert from 'node:assert'
import { describe, test } from 'vitest'
import type { Membership } from '../membership.ts'
import { enterMembership, leaveMembership } from '../node/membership-history.ts'
import { World } from '../testing/world.ts'

const awake = { quiesceTicks: Infinity }

describe('6: cluster membership changes', () => {
  test('A membership is in force as soon as it is appended, on the leader and on followers.', () => {
    const world = new World({ voters: [1, 2, 3], waiting: [4], config: awake })
    world.elect(1)
    world.changeMembership(1, [1, 2, 3], [4])
    assert.deepEqual(world.host(1).node.membership?.learners, [4])
    world.deliver({ to: 2 })
    assert.deepEqual(world.host(2).node.membership?.learners, [4])
    assert.equal(world.host(2).node.commitIndex, 1)
  })

  test('While joint, both majorities must have an entry before it is committed.', () => {
    const world = new World({ voters: [1, 2, 3], waiting: [4, 5], config: awake })
    world.elect(1)
    world.changeMembership(1, [1, 4, 5])
    world.settle([4, 5])
    assert.equal(world.host(1).node.membership?.kind, 'joint')
    assert.equal(world.host(1).node.commitIndex, 1)
    world.pass(5)
    assert.deepEqual(world.host(1).node.membership, { kind: 'simple', voters: [1, 4, 5], learners: [] })
    assert.equal(world.host(1).node.commitIndex, world.host(1).node.lastIndex)
  })

  test('While joint, a candidate needs both majorities.', () => {
    const world = new World({ voters: [1, 2, 3], waiting: [4, 5], config: { ...awake, preVote: false } })
    world.elect(1)
    world.changeMembership(1, [2, 4, 5])
    world.deliver({ to: 2 })
    world.host(2).flush()
    world.drop()
    world.tick(3, 20)
    world.tick(2, 20)
    world.drop()
    world.host(2).run(world.host(2).node.campaign())
    // 2 and 3 are most of the old voters; of the new ones nobody answers.
    world.settle([1, 4, 5])
    assert.equal(world.host(2).node.roleKind, 'candidate')
    world.host(2).run(world.host(2).node.campaign())
    world.settle([1])
    assert.equal(world.host(2).node.roleKind, 'leader')
  })

  test('A change that changes no voter needs no joint membership.', () => {
    const current: Membership = { kind: 'simple', voters: [1, 2, 3], learners: [] }
    assert.deepEqual(enterMembership(current, [3, 2, 1], [4]), { kind: 'simple', voters: [3, 2, 1], learners: [4] })
  })

  test('Voters that become learners are that only when the joint membership is left.', () => {
    const current: Membership = { kind: 'simple', voters: [1, 2, 3], learners: [4] }
    const joint = enterMembership(current, [1, 4], [2, 5])
    assert.ok(joint?.kind === 'joint')
    assert.deepEqual(joint, { kind: 'joint', incoming: [1, 4], outgoing: [1, 2, 3], learners: [5], learnersNext: [2] })
    assert.deepEqual(leaveMembership(joint), { kind: 'simple', voters: [1, 4], learners: [5, 2] })
  })

  test('One change at a time; none without voters; nobody twice.', () => {
    const world = new World({ voters: [1, 2, 3], waiting: [4], config: awake })
    world.host(1).run(world.host(1).node.campaign())
    const propose = (voters: number[], learners: number[]): string =>
      world.host(1).node.proposeMembership({ voters, learners }).kind
    world.settle()
    assert.equal(propose([], [1, 2, 3]), 'conflict')
    assert.equal(propose([1, 2, 2], []), 'conflict')
    assert.equal(propose([1, 2, 3], [3]), 'conflict')
    world.changeMembership(1, [1, 2, 4])
    assert.equal(propose([1, 2, 3], []), 'conflict')
    world.pass(5)
    assert.equal(propose([1, 2, 3], []), 'accepted')
  })

  test('A new leader begins no change before it knows that the last one is committed.', () => {
    const world = new World({ voters: [1, 2, 3], config: { ...awake, preVote: false } })
    world.elect(1)
    world.changeMembership(1, [1, 2, 3], [])
    world.deliver({ kind: 'append' })
    for (const host of world.hosts.values()) host.flush()
    world.drop()
    world.tick(3, 13)
    world.tick(2, 12)
    world.drop()
    world.host(2).run(world.host(2).node.campaign())
    world.host(2).flush()
    world.deliver({ to: 3 })
    world.host(3).flush()
    world.deliver({ from: 3 })
    assert.equal(world.host(2).node.roleKind, 'leader')
    assert.equal(world.host(2).node.proposeMembership({ voters: [2, 3], learners: [] }).kind, 'conflict')
  })

  test('A truncated membership gives way to the one before.', () => {
    const world = new World({ voters: [1, 2, 3], waiting: [4], config: { ...awake, preVote: false } })
    world.elect(1)
    world.changeMembership(1, [1, 4])
    world.drop()
    world.host(1).flush()
    world.tick(3, 13)
    world.tick(2, 12)
    world.drop()
    world.host(2).run(world.host(2).node.campaign())
    world.settle([1])
    world.tick(2)
    world.settle()
    for (const id of [1, 2, 3]) {
      assert.deepEqual(world.host(id).node.membership, { kind: 'simple', voters: [1, 2, 3], learners: [] })
    }
    const [rolledBack] = world.seen(1, 'membership').filter(({ committed }) => committed)
    assert.equal(rolledBack?.index, 0)
  })

  test('A truncated membership gives way to the one before across a restart, too.', () => {
    const world = new World({ voters: [1, 2, 3], waiting: [4], config: { ...awake, preVote: false } })
    world.elect(1)
    world.changeMembership(1, [1, 2, 3], [4])
    world.settle()
    world.changeMembership(1, [1, 4])
    world.drop()
    world.host(1).flush()
    world.host(1).crash()
    assert.equal(world.host(1).node.membership?.kind, 'joint')
    world.tick(3, 13)
    world.tick(2, 12)
    world.drop()
    world.host(2).run(world.host(2).node.campaign())
    world.settle([1])
    world.tick(2)
    world.settle()
    assert.deepEqual(world.host(1).node.membership, { kind: 'simple', voters: [1, 2, 3], learners: [4] })
  })
})

describe('4.2.1 of the dissertation: learners', () => {
  test('A learner gets everything, and counts neither for commits nor in elections.', () => {
    const world = new World({ voters: [1, 2, 3], learners: [4, 5], config: awake })
    world.elect(1)
    world.propose(1, 'a')
    world.settle([2, 3])
    assert.equal(world.host(4).node.durableIndex, 2)
    assert.equal(world.host(1).node.commitIndex, 1)
    world.tick(4, 200)
    assert.deepEqual(world.sent(4, 'preVote'), [])
    world.settle()
    world.pass(3)
    assert.equal(world.host(5).node.commitIndex, 2)
  })

  test('A replica that waits to be added stands for nothing.', () => {
    const world = new World({ voters: [1], waiting: [2] })
    world.tick(2, 500)
    world.host(2).run(world.host(2).node.campaign())
    assert.equal(world.host(2).node.term, 0)
    assert.equal(world.host(2).node.membership, undefined)
  })
})

describe('4.2.2 and 4.2.3 of the dissertation: those who are removed', () => {
  test('A leader that is left out leads until that is committed, without counting itself, then steps down.', () => {
    const world = new World({ voters: [1, 2, 3], config: awake })
    world.elect(1)
    world.changeMembership(1, [2, 3])
    world.deliver({ kind: 'append' })
    for (const host of world.hosts.values()) host.flush()
    world.deliver({ kind: 'appendResponse' })
    assert.deepEqual(world.host(1).node.membership, { kind: 'simple', voters: [2, 3], learners: [] })
    assert.equal(world.host(1).node.roleKind, 'leader')
    world.host(1).flush()
    world.deliver({ to: 2, kind: 'append' })
    world.host(2).flush()
    world.deliver({ from: 2 })
    assert.equal(world.host(1).node.roleKind, 'leader')
    world.settle()
    assert.equal(world.host(1).node.roleKind, 'follower')
    assert.ok([2, 3].some(id => world.host(id).node.roleKind === 'leader'))
  })

  test('One that its own newest membership leaves out may still have to lead, to complete the change.', () => {
    const world = new World({ voters: [1, 2], waiting: [3, 4], config: { ...awake, preVote: false } })
    world.elect(1)
    world.changeMembership(1, [3, 4])
    world.settle()
    world.pass(2)
    // Built by hand: the joint membership is committed, and only 1 has the simple one.
    const other = new World({ voters: [1, 2], waiting: [3, 4], config: { ...awake, preVote: false } })
    other.elect(1)
    other.changeMembership(1, [3, 4])
    for (let round = 0; round < 4; round++) {
      other.deliver()
      for (const host of other.hosts.values()) host.flush()
      if (other.host(1).node.membership?.kind === 'simple') break
    }
    assert.equal(other.host(1).node.membership?.kind, 'simple')
    other.drop()
    other.host(1).flush()
    other.host(1).crash()
    for (const id of [2, 3, 4]) other.tick(id, 9)
    other.pass(60)
    const voters = other.host(3).node.membership
    assert.deepEqual(voters, { kind: 'simple', voters: [3, 4], learners: [] })
    assert.ok([3, 4].some(id => other.host(id).node.roleKind === 'leader'))
  })

  test('A replica that was removed and does not know it disturbs nobody, asleep or awake.', () => {
    const world = new World({ voters: [1, 2, 3] })
    world.elect(1)
    world.changeMembership(1, [1, 2])
    world.settle()
    const { term } = world.host(1).node
    world.pass(100)
    assert.equal(world.host(1).node.term, term)
    assert.equal(world.host(1).node.roleKind, 'leader')
    assert.ok(world.host(1).node.status.quiescent)
    assert.ok(world.sent(3, 'preVote').length > 0)
  })

  test('New members that are empty catch up by themselves.', () => {
    const world = new World({ voters: [1], waiting: [2, 3, 4, 5], config: { ...awake, appendBytesMax: 10 } })
    world.elect(1)
    for (let entry = 0; entry < 100; entry++) world.propose(1, `entry ${entry}`)
    world.settle()
    world.changeMembership(1, [2, 3, 4], [5])
    world.pass(5)
    for (const id of [2, 3, 4, 5]) assert.equal(world.host(id).log.entries.length, world.host(2).log.entries.length)
    assert.ok([2, 3, 4].some(id => world.host(id).node.roleKind === 'leader'))
  })
})
