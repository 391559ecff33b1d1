/**
 * Sees all replicas of a group and every effect, and throws when a promise of Raft is broken (figure 3 of the paper), or one of
 * this package about durability:
 *
 * - election safety: one leader a term, and only a voter by its own log;
 * - leader append-only: a leader truncates nothing;
 * - log matching: an index and a term name one entry, with one predecessor, wherever they occur;
 * - leader completeness: a new leader has everything that was ever committed;
 * - state machine safety: what two replicas commit at an index is the same;
 * - a commit by a leader ends with an entry of its term, and is on the disks of a quorum of its membership;
 * - one uncommitted membership at a time;
 * - one vote a term and replica, durable before it is told; no message of a term that is not durable;
 * - `matched` is on the sender's disk, readable, the same as the leader's;
 * - a read is answered as of an index that is not below what was committed when it was asked.
 */
import assert from 'node:assert'
import type { Effect } from '../effects.ts'
import type { Entry, EntryId, Index } from '../entries.ts'
import { voterSets } from '../membership.ts'
import type { Message } from '../messages.ts'
import { endOf, lastIndexOf, type MemoryHost, type Payload, type StoredLog } from './memory-host.ts'

export class Observer {
  readonly #hosts: ReadonlyMap<number, MemoryHost>
  readonly #leaders = new Map<number, number>()
  readonly #votes = new Map<string, number>()
  readonly #entries = new Map<string, string>()
  readonly #reads = new Map<string, Index>()
  /** Entries that anyone has committed, in order. */
  readonly committed: Entry<Payload>[] = []
  readonly counts = { elections: 0, commits: 0, truncations: 0, memberships: 0, reads: 0, snapshots: 0, repairs: 0 }

  constructor(hosts: ReadonlyMap<number, MemoryHost>) {
    this.#hosts = hosts
  }

  get committedIndex(): Index {
    const last = this.committed.at(-1)
    return last === undefined ? 0 : lastIndexOf(last)
  }

  /** A read was asked for: everything that is committed by now must be seen by it. */
  readAsked(host: number, request: number): void {
    this.#reads.set(`${host}/${request}`, this.committedIndex)
  }

  /** Called before the host carries out the effect. */
  see(host: MemoryHost, effect: Effect<Payload>): void {
    switch (effect.kind) {
      case 'roleChanged':
        if (host.node.roleKind === 'leader') this.#seeLeader(host)
        break
      case 'append':
        this.#seeAppend(host, effect)
        break
      case 'commit':
        this.#seeCommit(host, effect.index)
        break
      case 'send':
        this.#seeSend(host, effect.message)
        break
      case 'installSnapshot':
        this.counts.snapshots++
        this.#checkCommitted(effect.snapshot.last)
        break
      case 'repair':
        this.counts.repairs++
        break
      case 'readReady':
        this.counts.reads++
        assert(
          effect.index >= this.#reads.get(`${host.id}/${effect.request}`)!,
          'a read sees what was committed before'
        )
        break
      default:
    }
  }

  #seeLeader(host: MemoryHost): void {
    const { term } = host.node
    const known = this.#leaders.get(term)
    assert(known === undefined || known === host.id, `election safety: ${known} and ${host.id} lead in term ${term}`)
    if (known !== undefined) return
    this.counts.elections++
    this.#leaders.set(term, host.id)
    this.#checkMayLead(host)
    const last = this.committed.at(-1)
    if (last === undefined) return
    const held = host.node.termAt(lastIndexOf(last))
    assert(held === last.term, `leader completeness: ${host.id} in term ${term} lacks ${last.index} of ${last.term}`)
  }

  /** A voter, or one that was, while the change that leaves it out is not certain. */
  #checkMayLead(host: MemoryHost): void {
    const former = host.log.entries.filter(entry => entry.kind === 'membership').at(-2)
    const memberships = [host.node.membership!, ...(former?.kind === 'membership' ? [former.membership] : [])]
    if (former === undefined && host.log.base !== undefined) memberships.push(host.log.base)
    assert(
      memberships.some(membership => voterSets(membership).flat().includes(host.id)),
      'only voters lead'
    )
  }

  #seeAppend(host: MemoryHost, effect: Extract<Effect<Payload>, { kind: 'append' }>): void {
    if (effect.truncateFrom !== undefined) {
      this.counts.truncations++
      assert(host.node.roleKind !== 'leader', 'leader append-only')
    }
    const first = effect.entries[0]!
    let previous = endBefore(host.log, first.index)
    for (const entry of effect.entries) {
      const told = JSON.stringify([entry, previous])
      const key = `${entry.index}/${entry.term}`
      const known = this.#entries.get(key)
      assert(known === undefined || known === told, `log matching: ${known} and ${told}`)
      if (known === undefined) this.#seeNewEntry(host, entry)
      this.#entries.set(key, told)
      previous = { index: lastIndexOf(entry), term: entry.term }
    }
  }

  #seeNewEntry(host: MemoryHost, entry: Entry<Payload>): void {
    assert(host.node.roleKind === 'leader' && host.node.term === entry.term, 'only a leader makes entries, of its term')
    if (entry.kind !== 'membership') return
    this.counts.memberships++
    const before = host.log.entries.findLast(held => held.kind === 'membership')
    if (before !== undefined) assert(before.index <= this.committedIndex, 'one uncommitted membership at a time')
  }

  #seeCommit(host: MemoryHost, index: Index): void {
    let isFirst = false
    for (const entry of host.log.entries) {
      if (lastIndexOf(entry) > index) break
      const last = this.committed.at(-1)
      const end = last === undefined ? 0 : lastIndexOf(last)
      if (entry.index > end) {
        assert(entry.index === end + 1, 'what is committed leaves no gap')
        this.committed.push(entry)
        this.counts.commits++
        isFirst = true
      }
    }
    this.#checkCommitted({ index, term: host.node.termAt(index)! })
    // Whoever commits first leads, or has just stepped down because it is left out.
    if (!isFirst) return
    assert(host.node.termAt(index) === host.node.term, 'only entries of its own term are committed by counting')
    this.#checkQuorumHolds(host, index)
  }

  /** By log matching the last one stands for all before. */
  #checkCommitted(last: EntryId): void {
    const entry = this.committed.find(entry => lastIndexOf(entry) === last.index)
    assert(entry !== undefined, `only whole entries are committed, up to ${last.index}`)
    assert(entry.term === last.term, `state machine safety: at ${last.index} terms ${entry.term} and ${last.term}`)
  }

  #checkQuorumHolds(leader: MemoryHost, index: Index): void {
    const term = leader.node.termAt(index)!
    for (const voters of voterSets(leader.node.membership!)) {
      const holders = voters.filter(voter => holds(this.#hosts.get(voter)!.disk.log, { index, term }))
      assert(holders.length * 2 > voters.length, `${index} is committed with ${holders.join()} of ${voters.join()}`)
    }
  }

  #seeSend(host: MemoryHost, message: Message<Payload>): void {
    const { disk } = host
    const free = message.kind === 'preVote' || (message.kind === 'preVoteResponse' && message.granted)
    if (!free) assert(disk.hardState.term >= message.term, `${message.kind} tells a term that is not durable`)
    if (message.kind === 'vote') this.#seeVote(host, message.term, host.id)
    if (message.kind === 'voteResponse' && message.granted) this.#seeVote(host, message.term, message.to)
    if (message.kind !== 'appendResponse' || message.result !== 'matched') return
    const { matchIndex } = message
    const id = { index: matchIndex, term: host.node.termAt(matchIndex) ?? 0 }
    assert(holds(disk.log, id), `${matchIndex} is acknowledged before it is durable`)
    const damaged = disk.damaged.find(range => range.start <= matchIndex && range.end > host.log.before.index + 1)
    assert(damaged === undefined, `${matchIndex} is acknowledged over damage at ${damaged?.start}`)
    const leader = this.#hosts.get(message.to)!
    if (leader.node.roleKind !== 'leader' || leader.node.term !== message.term) return
    const theirs = leader.node.termAt(matchIndex)
    assert(theirs === undefined || theirs === id.term, `${matchIndex} is acknowledged but is not the leader's`)
  }

  #seeVote(host: MemoryHost, term: number, candidate: number): void {
    const { hardState } = host.disk
    assert(hardState.term > term || hardState.votedFor === candidate, 'a vote is durable before it is told')
    const key = `${host.id}/${term}`
    const known = this.#votes.get(key)
    assert(known === undefined || known === candidate, `${host.id} votes for ${known} and ${candidate} in term ${term}`)
    this.#votes.set(key, candidate)
  }
}

/** The entry before `index`, in a log that may go on after it. */
function endBefore(log: StoredLog, index: Index): EntryId {
  const entry = log.entries.findLast(entry => entry.index < index)
  return entry === undefined ? log.before : { index: lastIndexOf(entry), term: entry.term }
}

function holds(log: StoredLog, { index, term }: EntryId): boolean {
  if (index <= log.before.index) return true
  if (index > endOf(log).index) return false
  return log.entries.some(entry => lastIndexOf(entry) >= index && entry.index <= index && entry.term === term)
}
