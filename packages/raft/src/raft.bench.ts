/**
 * What the state machine itself costs: proposals a second through propose, append, appended, commit, for one voter and for three
 * (all three replicas in this thread, so a third of the work is the leader's), and ticks of idle groups.
 *
 *     node --conditions=@milena/source packages/raft/src/raft.bench.ts [rounds]
 */
import { defaultRaftConfig } from './defaults.ts'
import type { RaftNode } from './contract.ts'
import type { Effect } from './effects.ts'
import type { Entry } from './entries.ts'
import type { Message } from './messages.ts'
import { openRaftNode } from './node/raft-node.ts'

const rounds = Number(process.argv[2] ?? 300_000)
const payload = new Uint8Array(100)
type Node = RaftNode<Uint8Array>

/** The least that a host can do: the disk is done at once, the log is the last few entries, messages are delivered in turn. */
class Replica {
  readonly node: Node
  readonly peers: Map<number, Replica>
  readonly recent: Entry<Uint8Array>[] = []
  commitCount = 0
  static queue: Message<Uint8Array>[] = []

  constructor(id: number, peers: Map<number, Replica>, voters: readonly number[]) {
    this.peers = peers
    this.node = openRaftNode<Uint8Array>(
      { ...defaultRaftConfig, id, random: () => id },
      { term: 0, votedFor: undefined },
      {
        before: { index: 0, term: 0 },
        lastIndex: 0,
        termStarts: [],
        memberships: [{ index: 0, membership: { kind: 'simple', voters, learners: [] } }],
        damaged: []
      }
    )
  }

  run(effects: readonly Effect<Uint8Array>[]): void {
    for (const effect of effects) {
      if (effect.kind === 'append') {
        this.recent.push(...effect.entries)
        if (this.recent.length > 64) this.recent.splice(0, 60)
        this.run(this.node.appended(this.node.status.last))
      } else if (effect.kind === 'saveHardState') this.run(this.node.hardStateSaved(effect.revision))
      else if (effect.kind === 'send') Replica.queue.push(effect.message)
      else if (effect.kind === 'commit') this.commitCount++
      else if (effect.kind === 'sendEntries') {
        const { to, term, previous, range, commitIndex } = effect
        let first = this.recent.length
        while (first > 0 && this.recent[first - 1]!.index >= range.start) first--
        const entries = this.recent.slice(first)
        Replica.queue.push({ kind: 'append', from: this.node.status.id, to, term, previous, entries, commitIndex })
        this.run(this.node.entriesSent(to, range.end - 1, 100 * entries.length))
      }
    }
  }

  static deliver(peers: Map<number, Replica>): void {
    while (Replica.queue.length > 0) {
      const messages = Replica.queue
      Replica.queue = []
      for (const message of messages) {
        const peer = peers.get(message.to)!
        peer.run(peer.node.step(message))
      }
    }
  }
}

function group(voters: readonly number[]): Replica {
  const peers = new Map<number, Replica>()
  for (const id of voters) peers.set(id, new Replica(id, peers, voters))
  const leader = peers.get(voters[0]!)!
  leader.run(leader.node.campaign())
  Replica.deliver(peers)
  return leader
}

function benchProposals(voters: readonly number[]): void {
  const leader = group(voters)
  const propose = (count: number): number => {
    const started = performance.now()
    for (let round = 0; round < count; round++) {
      const outcome = leader.node.propose([{ payload, width: 10, bytes: 100 }])
      if (outcome.kind !== 'accepted') throw new Error(outcome.kind)
      leader.run(outcome.effects)
      Replica.deliver(leader.peers)
    }
    return performance.now() - started
  }
  propose(rounds / 10)
  const elapsedMs = propose(rounds)
  const perSecond = Math.round((rounds / elapsedMs) * 1000)
  const each = ((elapsedMs / rounds) * 1e6).toFixed(0)
  const checksum = [...leader.peers.values()].map(({ node, commitCount }) => `${node.commitIndex}/${commitCount}`)
  console.log(`${voters.length} voters: ${perSecond} proposals/s, ${each} ns each (commits ${checksum.join(' ')})`)
}

function benchTicks(): void {
  const groups = Array.from({ length: 10_000 }, () => group([1, 2, 3]))
  const started = performance.now()
  for (const leader of groups) {
    for (let tick = 0; tick < 10; tick++) {
      for (const peer of leader.peers.values()) peer.run(peer.node.tick())
      Replica.deliver(leader.peers)
    }
  }
  const falling = ((performance.now() - started) / groups.length) * 1e6
  const asleep = groups.filter(({ node }) => node.status.quiescent).length
  console.log(`falling asleep: ${falling.toFixed(0)} ns a group of three for ten ticks, heartbeats included`)
  const nodes = groups.flatMap(leader => [...leader.peers.values()].map(({ node }) => node))
  let dueCount = 0
  const passes = Array.from({ length: 20 }, () => {
    const started = performance.now()
    for (const node of nodes) if (node.ticksUntilDue !== Infinity) dueCount++
    return performance.now() - started
  })
  const each = (Math.min(...passes) / nodes.length) * 1e6
  console.log(
    `idle: ${asleep} of ${groups.length} groups sleep; ${each.toFixed(1)} ns to ask one (${dueCount} were due)`
  )
  globalThis.gc?.()
  console.log(`heap: about ${Math.round(process.memoryUsage().heapUsed / nodes.length)} bytes a replica`)
}

benchProposals([1])
benchProposals([1, 2, 3])
benchTicks()
