/**
 * The Raft paper (Ongaro and Ousterhout, extended version), sections 5.1, 5.2 and 5.4.1, and of the dissertation section 9.6:
 * terms, elections, who may win, pre-vote and leases.
 */
import assert from 'node:assert'
import { describe, test } from 'vitest'
import { World } from '../testing/world.ts'

const awake = { quiesceTicks: Infinity }
const rash = { ...awake, preVote: false, checkQuorum: false }

describe('5.1: terms', () => {
  test('A replica that hears of a later term enters it and follows.', () => {
    const world = new World({ voters: [1, 2, 3], config: rash })
    world.elect(1)
    world.give({ kind: 'heartbeatResponse', from: 2, to: 1, term: 7, readSequence: 0 })
    assert.equal(world.host(1).node.roleKind, 'follower')
    assert.equal(world.host(1).node.term, 7)
  })

  test('A message of a former term changes nothing, and its sender is told the present one.', () => {
    const world = new World({ voters: [1, 2, 3], config: { ...rash, checkQuorum: true } })
    world.elect(1)
    world.accepted(1, world.host(1).node.transferLeadership(2))
    world.settle()
    const { term } = world.host(3).node
    const last = world.host(3).node.lastIndex
    const previous = { index: last, term: term - 1 }
    const entries = [{ kind: 'noop' as const, index: last + 1, term: term - 1 }]
    world.give({ kind: 'append', from: 1, to: 3, term: term - 1, previous, entries, commitIndex: 0 })
    assert.equal(world.host(3).node.lastIndex, last)
    assert.deepEqual(
      world.network.map(({ kind, to, term }) => ({ kind, to, term })),
      [{ kind: 'heartbeatResponse', to: 1, term }]
    )
  })

  test('A term survives a crash, and is not told before it would.', () => {
    const world = new World({ voters: [1, 2, 3], config: rash })
    world.host(1).run(world.host(1).node.campaign())
    assert.deepEqual(world.network, [])
    world.host(1).crash()
    assert.equal(world.host(1).node.term, 0)
    world.host(1).run(world.host(1).node.campaign())
    world.host(1).flush()
    assert.equal(world.network.length, 2)
    world.host(1).crash()
    assert.equal(world.host(1).node.term, 1)
  })
})

describe('5.2: leader election', () => {
  test('A follower that hears nobody stands for election; with most votes it leads.', () => {
    const world = new World({ voters: [1, 2, 3] })
    world.pass(11)
    assert.equal(world.host(1).node.roleKind, 'leader')
    for (const id of [2, 3]) assert.equal(world.host(id).node.leader, 1)
  })

  test('Heartbeats keep followers from standing.', () => {
    const world = new World({ voters: [1, 2, 3], config: awake })
    world.elect(2)
    world.pass(200)
    assert.equal(world.host(2).node.roleKind, 'leader')
    assert.equal(world.host(2).node.term, 1)
  })

  test('Election timeouts are drawn from a range of once to twice electionTicks, anew each time.', () => {
    const drawn: number[] = []
    const random = (bound: number): number => {
      const number = [0, bound - 1, 4][drawn.length % 3]!
      drawn.push(number)
      return number
    }
    const world = new World({ voters: [1, 2], config: { random } })
    const waits: number[] = []
    for (let attempt = 0; attempt < 3; attempt++) {
      const { length } = world.sent(1, 'preVote')
      let ticks = 0
      while (world.sent(1, 'preVote').length === length) {
        world.tick(1)
        ticks++
      }
      waits.push(ticks)
    }
    // The first draws of both replicas come first.
    assert.deepEqual(waits, [10, 14, 10])
  })

  test('A split vote elects nobody; the next timeout decides, because timeouts differ.', () => {
    const world = new World({ voters: [1, 2, 3, 4], config: rash })
    for (const id of [1, 2]) world.host(id).run(world.host(id).node.campaign())
    for (const id of [1, 2]) world.host(id).flush()
    world.deliver({ from: 1, to: 3 })
    world.deliver({ from: 2, to: 4 })
    world.settle()
    for (const id of [1, 2]) assert.notEqual(world.host(id).node.roleKind, 'leader')
    world.pass(20)
    const leaders = [...world.hosts.values()].filter(({ node }) => node.roleKind === 'leader')
    assert.equal(leaders.length, 1)
  })

  test('A candidate that hears the leader of its term follows it.', () => {
    const world = new World({ voters: [1, 2, 3], config: rash })
    for (const id of [1, 2]) world.host(id).run(world.host(id).node.campaign())
    for (const id of [1, 2]) world.host(id).flush()
    world.deliver({ from: 1, to: 3 })
    world.host(3).flush()
    world.deliver({ from: 3, to: 1 })
    assert.equal(world.host(2).node.roleKind, 'candidate')
    world.deliver({ from: 1, to: 2, kind: 'append' })
    assert.equal(world.host(2).node.leader, 1)
  })

  test('Priorities decide who stands first, and hinder nobody when the first cannot.', () => {
    const world = new World({ voters: [1, 2, 3] })
    const config = world.host(1).options.config as { priority: number }
    config.priority = 10
    // Only the next draw sees it.
    world.host(1).crash()
    world.pass(12)
    assert.equal(world.host(2).node.roleKind, 'leader')
    const alone = new World({ voters: [1, 2, 3], config: { priority: 1 } })
    alone.pass(25)
    assert.equal(alone.host(1).node.roleKind, 'leader')
  })

  test('A replica of priority 0 never stands by itself, but takes leadership that is handed to it.', () => {
    const world = new World({ voters: [1, 2, 3], config: { priority: 0 } })
    world.pass(300)
    for (const { node } of world.hosts.values()) assert.equal(node.term, 0)
    world.elect(1)
    world.accepted(1, world.host(1).node.transferLeadership(2))
    world.settle()
    assert.equal(world.host(2).node.roleKind, 'leader')
  })
})

describe('5.4.1: election restriction', () => {
  test('A voter refuses a candidate whose last entry is of a former term.', () => {
    const world = new World({ voters: [1, 2, 3], config: rash })
    world.elect(1)
    world.elect(2)
    const last = { index: 99, term: 1 }
    world.give({ kind: 'vote', from: 1, to: 3, term: 9, last, transfer: false })
    world.host(3).flush()
    assert.deepEqual(
      world
        .sent(3, 'voteResponse')
        .filter(({ term }) => term === 9)
        .map(({ granted }) => granted),
      [false]
    )
  })

  test('A voter refuses a candidate whose log of the same last term is shorter, and what counts is the last index covered.', () => {
    const world = new World({ voters: [1, 2, 3], config: rash })
    world.elect(1)
    world.accepted(1, world.host(1).node.propose([{ payload: 'wide', width: 5, bytes: 1 }]))
    world.settle()
    const ask = (index: number, term: number): boolean => {
      world.give({ kind: 'vote', from: 2, to: 3, term, last: { index, term: 1 }, transfer: false })
      world.host(3).flush()
      return world.sent(3, 'voteResponse').at(-1)!.granted
    }
    assert.equal(ask(2, 5), false)
    assert.equal(ask(5, 6), false)
    assert.equal(ask(6, 7), true)
  })

  test('A vote is given once a term, also across a crash.', () => {
    const world = new World({ voters: [1, 2, 3, 4], config: rash })
    const ask = (from: number): void => {
      world.give({ kind: 'vote', from, to: 4, term: 3, last: { index: 0, term: 0 }, transfer: false })
      world.host(4).flush()
    }
    ask(1)
    ask(2)
    world.host(4).crash()
    ask(3)
    ask(1)
    assert.deepEqual(
      world.sent(4, 'voteResponse').map(({ to, granted }) => [to, granted]),
      [
        [1, true],
        [2, false],
        [3, false],
        [1, true]
      ]
    )
  })
})

describe('9.6 of the dissertation: preventing disruption', () => {
  test('A pre-vote changes no term, no vote and no timer of those who are asked.', () => {
    const world = new World({ voters: [1, 2, 3] })
    const before = world.host(2).node.ticksUntilDue
    world.give({ kind: 'preVote', from: 1, to: 2, term: 5, last: { index: 0, term: 0 } })
    assert.equal(world.sent(2, 'preVoteResponse')[0]?.granted, true)
    assert.equal(world.host(2).node.term, 0)
    assert.equal(world.host(2).node.ticksUntilDue, before)
    assert.deepEqual(world.host(2).hardStateWrites, [])
  })

  test('A replica that was cut off does not unseat a leader that works when it returns.', () => {
    const world = new World({ voters: [1, 2, 3], config: awake })
    world.elect(1)
    for (let tick = 0; tick < 100; tick++) {
      for (const id of world.hosts.keys()) world.tick(id)
      world.settle([3])
    }
    assert.equal(world.host(3).node.term, 1)
    world.pass(30)
    assert.equal(world.host(1).node.roleKind, 'leader')
    assert.equal(world.host(1).node.term, 1)
    assert.equal(world.host(3).node.leader, 1)
  })

  test('Without pre-vote it would, and that is what pre-vote is for.', () => {
    const world = new World({ voters: [1, 2, 3], config: rash })
    world.elect(1)
    for (let tick = 0; tick < 40; tick++) {
      for (const id of world.hosts.keys()) world.tick(id)
      world.settle([3])
    }
    world.pass(30)
    assert.ok(world.host(1).node.term > 1)
  })

  test('Followers who hear a leader ignore votes, except those that the leader asked for.', () => {
    const world = new World({ voters: [1, 2, 3], config: awake })
    world.elect(1)
    const last = { index: 9, term: 1 }
    world.give({ kind: 'vote', from: 3, to: 2, term: 2, last, transfer: false })
    assert.equal(world.host(2).node.term, 1)
    world.give({ kind: 'vote', from: 3, to: 2, term: 2, last, transfer: true })
    assert.equal(world.host(2).node.term, 2)
  })

  test('The lease ends electionTicks after the last word of the leader.', () => {
    const world = new World({ voters: [1, 2, 3], config: awake })
    world.elect(1)
    const ask = (): void => world.give({ kind: 'preVote', from: 2, to: 3, term: 2, last: { index: 9, term: 1 } })
    world.tick(3, 9)
    ask()
    assert.equal(world.sent(3, 'preVoteResponse').filter(({ to }) => to === 2).length, 0)
    world.tick(3, 1)
    ask()
    assert.equal(world.sent(3, 'preVoteResponse').filter(({ to }) => to === 2).length, 1)
  })

  test('A leader that hears no quorum for electionTicks steps down.', () => {
    const world = new World({ voters: [1, 2, 3, 4, 5], config: awake })
    world.elect(1)
    for (let tick = 0; tick < 30; tick++) {
      for (const id of world.hosts.keys()) world.tick(id)
      world.settle([3, 4])
    }
    assert.equal(world.host(1).node.roleKind, 'leader')
    for (let tick = 0; tick < 20; tick++) {
      world.tick(1)
      world.settle([2, 3, 4])
    }
    assert.equal(world.host(1).node.roleKind, 'follower')
    assert.equal(world.host(1).node.leader, undefined)
  })
})
