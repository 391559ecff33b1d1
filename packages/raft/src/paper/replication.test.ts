/**
 * The Raft paper, sections 5.3, 5.4.2 and 5.5: log replication, commitment of entries of former terms (figure 8), crashes; and
 * what this package adds: entries of several indexes, windows, a bound on what waits for commit.
 */
import assert from 'node:assert'
import { describe, test } from 'vitest'
import { lastIndexOf } from '../testing/memory-host.ts'
import { World } from '../testing/world.ts'

const awake = { quiesceTicks: Infinity }
const rash = { ...awake, preVote: false, checkQuorum: false }

function payloadsOf(world: World, id: number): string[] {
  return world.host(id).log.entries.flatMap(entry => (entry.kind === 'data' ? [entry.payload] : []))
}

describe('5.3: log replication', () => {
  test('An entry is committed once most disks have it, and then everyone learns that it is.', () => {
    const world = new World({ voters: [1, 2, 3], config: awake })
    world.elect(1)
    const before = world.host(1).node.commitIndex
    world.propose(1, 'a')
    world.host(1).flush()
    world.deliver({ to: 2 })
    assert.equal(world.host(1).node.commitIndex, before)
    world.host(2).flush()
    assert.equal(world.host(1).node.commitIndex, before)
    world.deliver({ from: 2 })
    assert.equal(world.host(1).node.commitIndex, before + 1)
    world.settle()
    for (const { node } of world.hosts.values()) assert.equal(node.commitIndex, before + 1)
  })

  test("Followers that have it suffice: the leader's own disk may be the slow one.", () => {
    const world = new World({ voters: [1, 2, 3], config: awake })
    world.elect(1)
    world.propose(1, 'a')
    world.deliver()
    for (const id of [2, 3]) world.host(id).flush()
    world.deliver()
    assert.equal(world.host(1).node.commitIndex, world.host(1).node.lastIndex)
    assert.ok(world.host(1).node.durableIndex < world.host(1).node.lastIndex)
  })

  test('A follower takes entries only where its log agrees, else it says where it may.', () => {
    const world = new World({ voters: [1, 2, 3], config: awake })
    world.elect(1)
    world.propose(1, 'a', 'b')
    world.drop({ to: 3 })
    world.settle()
    world.propose(1, 'c')
    world.deliver({ to: 3 })
    const [rejected] = world.sent(3, 'appendResponse').filter(({ result }) => result === 'rejected')
    assert.ok(rejected?.result === 'rejected')
    assert.deepEqual({ at: rejected.rejectedIndex, hint: rejected.hint }, { at: 3, hint: { index: 1, term: 1 } })
    world.settle()
    assert.deepEqual(payloadsOf(world, 3), ['a', 'b', 'c'])
  })

  test('The way back to agreement skips whole terms, however long they are.', () => {
    const world = new World({ voters: [1, 2, 3], config: rash })
    world.elect(1)
    for (let round = 0; round < 50; round++) world.propose(1, `lost ${round}`)
    world.drop()
    world.host(1).flush()
    world.host(2).run(world.host(2).node.campaign())
    world.settle([1])
    for (let round = 0; round < 50; round++) world.propose(2, `kept ${round}`)
    world.settle([1])
    const { length } = world.sent(1, 'appendResponse')
    world.tick(2)
    world.settle()
    assert.deepEqual(world.host(1).log, world.host(2).log)
    const rejections = world
      .sent(1, 'appendResponse')
      .slice(length)
      .filter(({ result }) => result === 'rejected')
    assert.ok(rejections.length <= 2)
  })

  test('Conflicting entries give way to those of the leader, from the start of an entry on.', () => {
    const world = new World({ voters: [1, 2, 3], config: rash })
    world.elect(1)
    world.accepted(1, world.host(1).node.propose([{ payload: 'lost', width: 10, bytes: 1 }]))
    world.drop()
    world.host(1).flush()
    world.host(2).run(world.host(2).node.campaign())
    world.settle([1])
    world.accepted(2, world.host(2).node.propose([{ payload: 'kept', width: 3, bytes: 1 }]))
    world.settle([1])
    world.tick(2)
    world.settle()
    assert.deepEqual(payloadsOf(world, 1), ['kept'])
    assert.deepEqual(
      world.seen(1, 'append').flatMap(({ truncateFrom }) => truncateFrom ?? []),
      [2]
    )
    assert.equal(world.host(1).node.commitIndex, 5)
  })

  test('What arrives again, or late, changes nothing and is answered.', () => {
    const world = new World({ voters: [1, 2], config: awake })
    world.elect(1)
    world.propose(1, 'a')
    const [append] = world.drop({ kind: 'append' })
    world.give(append!)
    world.host(2).flush()
    world.propose(1, 'b')
    world.settle()
    const { length } = world.seen(2, 'append')
    world.give(append!)
    assert.equal(world.seen(2, 'append').length, length)
    const [answer] = world.drop({ from: 2 })
    assert.ok(answer?.kind === 'appendResponse' && answer.result === 'matched' && answer.matchIndex === 3)
  })

  test('Entries are sent ahead of answers until the window is full, in appends of bounded size.', () => {
    const config = { ...awake, inflightCountMax: 3, appendBytesMax: 20 }
    const world = new World({ voters: [1, 2], config })
    world.elect(1)
    for (let entry = 0; entry < 10; entry++) world.propose(1, '0123456789')
    world.drop({ to: 2, kind: 'commit' })
    const appends = world.network.filter(({ kind }) => kind === 'append')
    assert.equal(appends.length, 3)
    world.settle()
    assert.equal(world.host(2).node.commitIndex, 11)
    const most = Math.max(...world.sent(1, 'append').map(({ entries }) => entries.length))
    assert.equal(most, 2)
  })

  test('The window is one of bytes, too, and a larger entry than it travels alone.', () => {
    const world = new World({ voters: [1, 2], config: { ...awake, inflightBytesMax: 25, appendBytesMax: 1000 } })
    world.elect(1)
    for (let entry = 0; entry < 4; entry++) world.propose(1, '0123456789')
    world.accepted(1, world.host(1).node.propose([{ payload: 'large', width: 1, bytes: 900 }]))
    const appends = world.network.flatMap(message => (message.kind === 'append' ? [message.entries.length] : []))
    assert.deepEqual(appends, [1, 1, 1])
    world.settle()
    assert.equal(world.host(2).node.commitIndex, 6)
  })

  test('Appends and answers that are lost are made up for by heartbeats.', () => {
    const world = new World({ voters: [1, 2], config: awake })
    world.elect(1)
    world.propose(1, 'a')
    world.drop()
    world.pass(3)
    assert.deepEqual(payloadsOf(world, 2), ['a'])
    world.propose(1, 'b')
    world.deliver()
    world.host(2).flush()
    world.drop()
    world.pass(3)
    assert.equal(world.host(1).node.matchIndexOf(2), 3)
  })

  test('A link that is reported as lost starts over where the follower is known to be.', () => {
    const world = new World({ voters: [1, 2], config: awake })
    world.elect(1)
    world.propose(1, 'a', 'b')
    world.drop()
    world.host(1).run(world.host(1).node.peerUnreachable(2))
    const { role } = world.host(1).node.status
    assert.ok(role.kind === 'leader')
    assert.deepEqual(role.progress.get(2), { kind: 'probe', nextIndex: 2, waiting: true, matchIndex: 1, active: true })
    world.pass(1)
    assert.deepEqual(payloadsOf(world, 2), ['a', 'b'])
  })

  test('Proposals beyond the bound of what waits for commit are refused, but never a first one.', () => {
    const world = new World({ voters: [1, 2], config: { ...awake, uncommittedBytesMax: 10 } })
    world.elect(1)
    const { node } = world.host(1)
    world.accepted(1, node.propose([{ payload: 'large', width: 1, bytes: 50 }]))
    assert.equal(node.propose([{ payload: 'small', width: 1, bytes: 1 }]).kind, 'overloaded')
    world.settle()
    world.accepted(1, node.propose([{ payload: 'small', width: 1, bytes: 1 }]))
    world.accepted(1, node.propose([{ payload: 'small', width: 1, bytes: 9 }]))
    assert.equal(node.propose([{ payload: 'small', width: 1, bytes: 1 }]).kind, 'overloaded')
  })

  test('Who does not lead refuses proposals and names the leader.', () => {
    const world = new World({ voters: [1, 2] })
    assert.deepEqual(world.host(2).node.propose([]), { kind: 'notLeader', leader: undefined })
    world.elect(1)
    assert.deepEqual(world.host(2).node.propose([]), { kind: 'notLeader', leader: 1 })
  })
})

describe('5.4.2: committing entries from previous terms', () => {
  test('Figure 8: an entry of a former term on most disks is not committed until one of the own term is.', () => {
    const world = new World({ voters: [1, 2, 3], config: { ...rash, appendBytesMax: 1, inflightCountMax: 1 } })
    world.elect(1)
    world.propose(1, 'two')
    world.drop()
    world.host(1).flush()
    // 1 leads again in a later term, and 2 gets the old entry, but not the new one.
    world.host(1).run(world.host(1).node.resign())
    world.drop()
    world.host(1).run(world.host(1).node.campaign())
    world.host(1).flush()
    world.deliver({ to: 2 })
    world.host(2).flush()
    world.deliver({ from: 2 })
    assert.equal(world.host(1).node.roleKind, 'leader')
    while (world.host(1).node.matchIndexOf(2) < 2) {
      world.deliver({ to: 2 })
      world.host(2).flush()
      world.deliver({ from: 2 })
    }
    world.host(1).flush()
    assert.equal(world.host(1).node.termAt(2), 1)
    assert.equal(world.host(1).node.matchIndexOf(2), 2)
    assert.equal(world.host(1).node.matchIndexOf(1), 3)
    assert.equal(world.host(1).node.commitIndex, 1)
    world.settle()
    assert.equal(world.host(1).node.commitIndex, 3)
  })

  test('A new leader commits what its predecessor left by its own first entry.', () => {
    const world = new World({ voters: [1, 2, 3], config: rash })
    world.elect(1)
    world.propose(1, 'left behind')
    world.deliver({ kind: 'append' })
    for (const host of world.hosts.values()) host.flush()
    world.drop()
    assert.equal(world.host(2).node.commitIndex, 1)
    world.host(2).run(world.host(2).node.campaign())
    world.settle([1])
    const commits = world.seen(2, 'commit').map(({ index }) => index)
    assert.deepEqual(commits, [1, 3])
  })
})

describe('5.5: crashes', () => {
  test('A follower that crashes before it reports has nothing acknowledged, and gets it again.', () => {
    const world = new World({ voters: [1, 2], config: awake })
    world.elect(1)
    world.propose(1, 'a')
    world.deliver()
    assert.deepEqual(world.network, [])
    world.host(2).crash()
    assert.equal(world.host(2).node.lastIndex, 1)
    world.pass(3)
    assert.deepEqual(payloadsOf(world, 2), ['a'])
    assert.equal(world.host(1).node.commitIndex, 2)
  })

  test('Entries that became durable without a report are found at recovery, with the term that they prove.', () => {
    const world = new World({ voters: [1, 2], config: awake })
    world.elect(1)
    world.host(2).flush()
    world.give({
      kind: 'append',
      from: 1,
      to: 2,
      term: 8,
      previous: { index: 1, term: 1 },
      entries: [{ kind: 'noop', index: 2, term: 8 }],
      commitIndex: 0
    })
    // The log got there, the hard state did not.
    world.host(2).crash(0, 1)
    assert.equal(world.host(2).node.term, 8)
    assert.equal(world.host(2).node.durableIndex, 2)
    // And that term is made durable before anything is told in it.
    world.give({ kind: 'vote', from: 1, to: 2, term: 8, last: { index: 9, term: 8 }, transfer: false })
    assert.deepEqual(world.drop({ from: 2 }), [])
    world.host(2).flush()
    assert.equal(world.drop({ from: 2 }).length, 1)
    assert.equal(world.host(2).disk.hardState.term, 8)
  })

  test('Reports of entries that were truncated since are ignored.', () => {
    const world = new World({ voters: [1, 2, 3], config: rash })
    world.elect(1)
    world.propose(1, 'lost')
    world.drop()
    const { term } = world.host(1).node
    world.host(2).run(world.host(2).node.campaign())
    world.settle([1])
    world.tick(2)
    for (let round = 0; round < 6; round++) {
      world.deliver()
      world.host(1).flush(1, 0)
    }
    assert.equal(world.host(1).node.termAt(2), term + 1)
    assert.deepEqual(world.host(1).node.appended({ index: 2, term }), [])
    assert.equal(world.host(1).node.durableIndex, 1)
  })
})

test('Ends of logs are named by the last index that is covered.', () => {
  const world = new World({ voters: [1, 2], config: awake })
  world.elect(1)
  const outcome = world.accepted(
    1,
    world.host(1).node.propose([
      { payload: 'a', width: 3, bytes: 1 },
      { payload: 'b', width: 4, bytes: 1 }
    ])
  )
  assert.deepEqual(outcome.first, { index: 2, term: 1 })
  world.settle()
  assert.deepEqual(world.host(1).node.status.last, { index: 8, term: 1 })
  assert.equal(lastIndexOf(world.host(2).log.entries.at(-1)!), 8)
  assert.equal(world.host(1).node.matchIndexOf(2), 8)
  assert.equal(world.host(2).node.commitIndex, 8)
})
