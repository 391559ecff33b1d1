/**
 * The Raft paper, sections 7 and 8, and sections 3.10, 6.4 of the dissertation: snapshots, reads, leadership transfer; and what
 * this package adds: sleep, repair, the durability of what is told.
 */
import assert from 'node:assert'
import { describe, test } from 'vitest'
import { World } from '../testing/world.ts'

const awake = { quiesceTicks: Infinity }

describe('7: log compaction', () => {
  function withLaggard(): World {
    const world = new World({ voters: [1, 2, 3], config: awake })
    world.elect(1)
    world.propose(1, 'a', 'b', 'c')
    world.settle([3])
    world.host(1).compact(3)
    world.host(1).flush()
    for (let tick = 0; tick < 3; tick++) {
      world.tick(1)
      world.settle()
    }
    return world
  }

  test('A follower that needs what is gone gets a snapshot, then what follows.', () => {
    const world = withLaggard()
    const [asked] = world.host(1).snapshotsToSend
    assert.deepEqual(asked && { to: asked.to, atLeast: asked.atLeast }, { to: 3, atLeast: 3 })
    world.host(1).sendSnapshot(asked!)
    world.deliver({ kind: 'installSnapshot' })
    assert.deepEqual(world.drop({ from: 3 }), [])
    world.propose(1, 'd')
    world.settle()
    world.pass(3)
    assert.equal(world.host(3).log.before.index, 4)
    assert.equal(world.host(3).node.commitIndex, world.host(1).node.lastIndex)
  })

  test('A snapshot that could not be sent is asked for again.', () => {
    const world = withLaggard()
    world.host(1).snapshotsToSend.shift()
    world.host(1).run(world.host(1).node.snapshotSent(3, undefined))
    assert.deepEqual(world.host(1).snapshotsToSend, [])
    world.pass(3)
    assert.equal(world.host(1).snapshotsToSend.length, 1)
  })

  test('A snapshot of what is held already moves the commit and is acknowledged.', () => {
    const world = new World({ voters: [1, 2], config: awake })
    world.elect(1)
    world.propose(1, 'a')
    world.deliver({ kind: 'append' })
    world.host(2).flush()
    world.drop()
    const snapshot = { last: { index: 2, term: 1 }, membership: world.host(1).node.membership! }
    world.give({ kind: 'installSnapshot', from: 1, to: 2, term: 1, snapshot })
    assert.deepEqual(world.seen(2, 'installSnapshot'), [])
    assert.equal(world.host(2).node.commitIndex, 2)
  })

  test('The membership of a snapshot is in force with it.', () => {
    const world = withLaggard()
    world.changeMembership(1, [1, 2, 3], [9])
    world.drop({ to: 9 })
    world.settle([3])
    world.host(1).sendSnapshot(world.host(1).snapshotsToSend[0]!)
    world.deliver({ to: 3 })
    world.host(3).flush()
    assert.deepEqual(world.host(3).node.membership?.learners, [9])
    world.host(3).crash()
    assert.deepEqual(world.host(3).node.membership?.learners, [9])
  })
})

describe('8 and 6.4 of the dissertation: reads', () => {
  test('A read is ready when a quorum has confirmed the leader, as of the commit when it was asked.', () => {
    const world = new World({ voters: [1, 2, 3], config: awake })
    world.elect(1)
    world.propose(1, 'a')
    world.settle()
    world.host(1).run(world.host(1).node.readIndex(1))
    assert.deepEqual(world.seen(1, 'readReady'), [])
    world.deliver({ to: 2 })
    world.deliver({ from: 2 })
    assert.deepEqual(world.seen(1, 'readReady'), [{ kind: 'readReady', request: 1, index: 2 }])
  })

  test('Reads that come during a round share the next.', () => {
    const world = new World({ voters: [1, 2, 3], config: awake })
    world.elect(1)
    const before = world.sent(1, 'heartbeat').length
    for (let request = 1; request <= 10; request++) world.host(1).run(world.host(1).node.readIndex(request))
    world.settle()
    assert.equal(world.seen(1, 'readReady').length, 10)
    assert.equal(world.sent(1, 'heartbeat').length - before, 4)
  })

  test('A confirmation from before a read was asked does not answer it.', () => {
    const world = new World({ voters: [1, 2, 3], config: awake })
    world.elect(1)
    world.tick(1)
    world.deliver()
    const late = world.drop({ kind: 'heartbeatResponse' })
    world.host(1).run(world.host(1).node.readIndex(1))
    world.drop()
    for (const message of late) world.give(message)
    assert.deepEqual(world.seen(1, 'readReady'), [])
  })

  test('A new leader answers reads only after the first commit of its term.', () => {
    const world = new World({ voters: [1, 2, 3], config: { ...awake, preVote: false } })
    world.host(1).run(world.host(1).node.campaign())
    world.host(1).flush()
    world.deliver()
    for (const id of [2, 3]) world.host(id).flush()
    world.deliver({ to: 1 })
    assert.equal(world.host(1).node.roleKind, 'leader')
    world.host(1).run(world.host(1).node.readIndex(1))
    assert.deepEqual(world.sent(1, 'heartbeat'), [])
    world.settle()
    assert.deepEqual(world.seen(1, 'readReady'), [{ kind: 'readReady', request: 1, index: 1 }])
  })

  test('A sole voter answers at once.', () => {
    const world = new World({ voters: [1] })
    world.elect(1)
    world.host(1).run(world.host(1).node.readIndex(5))
    assert.equal(world.seen(1, 'readReady').length, 1)
  })

  test('A follower asks its leader; without one, or without an answer, the read is given up.', () => {
    const world = new World({ voters: [1, 2, 3], config: awake })
    const ask = (request: number): void => world.host(2).run(world.host(2).node.readIndex(request))
    ask(1)
    assert.deepEqual(world.seen(2, 'readGivenUp'), [{ kind: 'readGivenUp', request: 1, reason: 'notLeader' }])
    world.elect(1)
    ask(2)
    world.settle()
    assert.deepEqual(world.seen(2, 'readReady'), [{ kind: 'readReady', request: 2, index: 1 }])
    ask(3)
    world.drop()
    world.tick(2, 10)
    assert.deepEqual(world.seen(2, 'readGivenUp').at(-1), { kind: 'readGivenUp', request: 3, reason: 'timedOut' })
  })
})

describe('3.10 of the dissertation: leadership transfer', () => {
  test('The target leads within one round trip and one vote, without waiting for a timeout.', () => {
    const world = new World({ voters: [1, 2, 3], config: awake })
    world.elect(1)
    world.accepted(1, world.host(1).node.transferLeadership(3))
    world.settle()
    assert.equal(world.host(3).node.roleKind, 'leader')
    assert.deepEqual(world.seen(1, 'transferEnded'), [{ kind: 'transferEnded', target: 3, reason: undefined }])
  })

  test('Proposals are refused meanwhile, and taken again when it is given up.', () => {
    const world = new World({ voters: [1, 2, 3], config: { ...awake, checkQuorum: false } })
    world.elect(1)
    world.accepted(1, world.host(1).node.transferLeadership(3))
    world.drop()
    assert.deepEqual(world.host(1).node.propose([]), { kind: 'transferring', target: 3 })
    world.tick(1, 10)
    assert.deepEqual(world.seen(1, 'transferEnded'), [{ kind: 'transferEnded', target: 3, reason: 'timedOut' }])
    world.propose(1, 'a')
  })

  test('Learners and strangers are no targets; itself is one that is reached at once.', () => {
    const world = new World({ voters: [1, 2], learners: [3], config: awake })
    world.elect(1)
    const { node } = world.host(1)
    assert.equal(node.transferLeadership(3).kind, 'conflict')
    assert.equal(node.transferLeadership(7).kind, 'conflict')
    world.accepted(1, node.transferLeadership(1))
    assert.equal(node.roleKind, 'leader')
    world.propose(1, 'a')
  })

  test('A leader that resigns asks the one that has most to follow it.', () => {
    const world = new World({ voters: [1, 2, 3], config: awake })
    world.elect(1)
    world.propose(1, 'a')
    world.settle([2])
    world.host(1).run(world.host(1).node.resign())
    world.settle()
    assert.equal(world.host(3).node.roleKind, 'leader')
  })
})

describe('Sleep', () => {
  const voters = [1, 2, 3]

  function asleep(): World {
    const world = new World({ voters })
    world.elect(1)
    world.pass(6)
    for (const { node } of world.hosts.values()) assert.ok(node.status.quiescent)
    return world
  }

  test('A group with nothing under way sends and counts nothing.', () => {
    const world = asleep()
    for (const id of voters) assert.equal(world.host(id).node.ticksUntilDue, Infinity)
    const before = [...world.effects.values()].map(({ length }) => length)
    world.pass(1000)
    assert.deepEqual(
      [...world.effects.values()].map(({ length }) => length),
      before
    )
  })

  test('A follower that is woken grants votes at once, and stands before electionTicks are over.', () => {
    const world = asleep()
    for (const id of [2, 3]) world.host(id).run(world.host(id).node.wake(1))
    world.give({ kind: 'preVote', from: 2, to: 3, term: 2, last: { index: 9, term: 1 } })
    assert.equal(world.sent(3, 'preVoteResponse').at(-1)?.granted, true)
    assert.ok(world.host(2).node.ticksUntilDue <= 10)
    for (let tick = 0; tick < 10; tick++) {
      for (const id of [2, 3]) world.tick(id)
      world.settle([1])
    }
    assert.ok([2, 3].some(id => world.host(id).node.roleKind === 'leader'))
  })

  test('A follower of somebody else sleeps on.', () => {
    const world = asleep()
    world.host(2).run(world.host(2).node.wake(3))
    assert.ok(world.host(2).node.status.quiescent)
    world.host(1).run(world.host(1).node.wake(3))
    assert.ok(!world.host(1).node.status.quiescent)
  })

  test('A leader that is woken must hear from a quorum again, else it steps down.', () => {
    const world = asleep()
    world.host(1).run(world.host(1).node.wake())
    for (let tick = 0; tick < 12; tick++) {
      world.tick(1)
      world.drop()
    }
    assert.equal(world.host(1).node.roleKind, 'follower')
  })

  test('A follower that missed the last heartbeat asks around, which wakes the leader, and nobody loses anything.', () => {
    const world = new World({ voters })
    world.elect(1)
    for (let tick = 0; tick < 6; tick++) {
      world.tick(1)
      world.drop({ to: 3 })
      world.settle()
    }
    assert.ok(world.host(1).node.status.quiescent)
    world.pass(40)
    assert.equal(world.host(1).node.roleKind, 'leader')
    assert.equal(world.host(1).node.term, 1)
    assert.ok(world.host(3).node.status.quiescent)
  })

  test('A leader that restarts finds followers asleep, and is elected again.', () => {
    const world = asleep()
    world.host(1).crash()
    world.pass(30)
    assert.equal([...world.hosts.values()].filter(({ node }) => node.roleKind === 'leader').length, 1)
    assert.equal(world.host(1).node.term, 2)
  })

  test('A group sleeps although a member is gone, if the host says so; who returns is brought up to date when woken.', () => {
    const world = new World({ voters })
    world.elect(1)
    world.host(1).run(world.host(1).node.peerUnreachable(3))
    world.propose(1, 'a')
    for (let tick = 0; tick < 10; tick++) {
      for (const id of [1, 2]) world.tick(id)
      world.settle([3])
    }
    assert.ok(world.host(1).node.status.quiescent && world.host(2).node.status.quiescent)
    assert.equal(world.host(3).node.lastIndex, 1)
    world.host(1).run(world.host(1).node.wake(3))
    world.pass(10)
    assert.equal(world.host(3).node.commitIndex, 2)
    assert.ok(world.host(1).node.status.quiescent)
  })

  test('Nobody sleeps while a follower lacks something.', () => {
    const world = new World({ voters })
    world.elect(1)
    world.propose(1, 'a')
    for (let tick = 0; tick < 30; tick++) {
      world.tick(1)
      world.drop({ to: 3 })
      world.settle()
    }
    assert.ok(!world.host(1).node.status.quiescent)
  })
})

describe('Repair', () => {
  test('A replica with damaged entries votes by what it had.', () => {
    const world = new World({ voters: [1, 2, 3], config: { ...awake, preVote: false } })
    world.elect(1)
    world.propose(1, 'a', 'b')
    world.settle()
    world.host(3).damage({ start: 3, end: 4 })
    world.host(3).crash()
    assert.equal(world.host(3).node.status.damagedCount, 1)
    const ask = (index: number, term: number): boolean => {
      world.give({ kind: 'vote', from: 2, to: 3, term, last: { index, term: 1 }, transfer: false })
      world.host(3).flush()
      return world.sent(3, 'voteResponse').at(-1)!.granted
    }
    assert.equal(ask(2, 5), false)
    assert.equal(ask(3, 6), true)
  })

  test('It does not stand, and a leader that finds damage steps down.', () => {
    const world = new World({ voters: [1, 2, 3], config: awake })
    world.elect(1)
    world.propose(1, 'a')
    world.settle()
    world.host(1).damage({ start: 2, end: 3 })
    world.host(1).run(world.host(1).node.damageFound({ start: 2, end: 3 }))
    assert.equal(world.host(1).node.roleKind, 'follower')
    world.host(1).run(world.host(1).node.campaign())
    assert.equal(world.host(1).node.roleKind, 'follower')
    world.pass(20)
    assert.equal(world.host(1).node.status.damagedCount, 0)
    assert.deepEqual(world.host(1).disk.damaged, [])
  })

  test('Any peer that has the same entries helps, committed or not as far as it knows, and also without a leader.', () => {
    const world = new World({ voters: [1, 2, 3], config: awake })
    world.elect(1)
    world.propose(1, 'a', 'b')
    world.settle()
    for (const host of world.hosts.values()) host.crash()
    world.host(3).damage({ start: 2, end: 4 })
    world.host(3).crash()
    assert.equal(world.host(2).node.commitIndex, 0)
    world.tick(3)
    world.settle()
    assert.equal(world.host(3).node.status.damagedCount, 0)
  })

  test('Other entries than those that were there are not taken.', () => {
    const world = new World({ voters: [1, 2], config: awake })
    world.elect(1)
    world.propose(1, 'a')
    world.settle()
    const range = { start: 2, end: 3 }
    world.host(2).damage(range)
    world.host(2).run(world.host(2).node.damageFound(range))
    world.give({
      kind: 'repairResponse',
      from: 1,
      to: 2,
      term: 1,
      range,
      entries: [{ kind: 'noop', index: 2, term: 9 }]
    })
    assert.deepEqual(world.seen(2, 'repair'), [])
    assert.equal(world.host(2).node.status.damagedCount, 1)
  })

  test('What all others have dropped is replaced by a snapshot, and later entries stay.', () => {
    const world = new World({ voters: [1, 2], config: awake })
    world.elect(1)
    world.propose(1, 'a', 'b', 'c')
    world.settle()
    world.host(1).compact(3)
    world.host(1).flush()
    const range = { start: 2, end: 3 }
    world.host(2).damage(range)
    world.host(2).run(world.host(2).node.damageFound(range))
    world.tick(2)
    world.settle()
    const [asked] = world.host(1).snapshotsToSend.splice(0)
    assert.ok(asked !== undefined)
    const snapshot = { last: { index: 3, term: 1 }, membership: world.host(1).node.membership! }
    world.give({ kind: 'installSnapshot', from: 1, to: 2, term: 1, snapshot })
    assert.equal(world.seen(2, 'installSnapshot')[0]?.entriesAfter, 'kept')
    world.host(2).flush()
    assert.equal(world.host(2).node.status.damagedCount, 0)
    assert.equal(world.host(2).node.lastIndex, 4)
    assert.equal(world.host(2).node.durableIndex, 4)
  })
})
