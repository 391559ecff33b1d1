/**
 * What a leader knows of the other replicas of its group: when they were heard of, and who is in sync (Kafka's ISR).
 *
 * In sync is a voter that is linked and holds all that was committed `lagMsMax` ago, or later.
 */
import type { RaftNode, ReplicaId } from '@milena/raft'
import type { BrokerId, FollowerStatus } from '../contract.ts'
import type { Marks } from '../kept/marks.ts'
import { brokerOf } from '../kept/replica-ids.ts'
import { votersOf } from './roster.ts'

export interface FollowersHost {
  readonly self: BrokerId
  readonly lagMsMax: number
  nowMs(): number
  isReachable(broker: BrokerId): boolean
}

interface Heard {
  /** Monotonic ms. */
  atMs: number
  /** When it held all that was committed; -1 for never. */
  caughtUpMs: number
}

type Node = RaftNode<Uint8Array>

const NOBODY: readonly never[] = []

export class Followers {
  readonly #host: FollowersHost
  readonly #heard = new Map<ReplicaId, Heard>()
  readonly #self: ReplicaId
  #inSync: readonly BrokerId[] = NOBODY

  constructor(host: FollowersHost, self: ReplicaId) {
    this.#host = host
    this.#self = self
  }

  /** The same array until it changes. */
  get inSync(): readonly BrokerId[] {
    return this.#inSync
  }

  noteHeard(from: ReplicaId): void {
    const heard = this.#heard.get(from)
    if (heard === undefined) this.#heard.set(from, { atMs: this.#host.nowMs(), caughtUpMs: -1 })
    else heard.atMs = this.#host.nowMs()
  }

  /** It said what it holds. True: it may be in sync now and was not. */
  noteMatched(node: Node, from: ReplicaId): boolean {
    const heard = this.#heard.get(from)
    if (heard === undefined || !isCaughtUp(node, from)) return false
    heard.caughtUpMs = heard.atMs
    return !this.#inSync.includes(brokerOf(from))
  }

  /** Looks again at who is in sync; true when that changed. */
  check(node: Node): boolean {
    const next = node.roleKind === 'leader' ? this.#compute(node) : NOBODY
    if (next.length === this.#inSync.length && next.every(id => this.#inSync.includes(id))) return false
    this.#inSync = next
    return true
  }

  #compute(node: Node): BrokerId[] {
    if (node.membership === undefined) return []
    const horizonMs = this.#host.nowMs() - this.#host.lagMsMax
    const inSync: BrokerId[] = []
    // A voter whose broker is let in anew holds nothing any more.
    const renewed = node.membership.learners.map(brokerOf)
    for (const voter of votersOf(node.membership)) {
      const broker = brokerOf(voter)
      if (voter === this.#self) inSync.push(broker)
      else if (renewed.includes(broker)) continue
      else if (this.#host.isReachable(broker) && this.#keepsUp(node, voter, horizonMs)) inSync.push(broker)
    }
    return inSync
  }

  #keepsUp(node: Node, voter: ReplicaId, horizonMs: number): boolean {
    if (node.matchIndexOf(voter) === 0) return false
    return isCaughtUp(node, voter) || (this.#heard.get(voter)?.caughtUpMs ?? -Infinity) >= horizonMs
  }

  statuses(node: Node, marks: Marks): FollowerStatus[] {
    const { role, membership } = node.status
    if (role.kind !== 'leader' || membership === undefined) return []
    const voters = votersOf(membership)
    return [...role.progress].map(([replica, progress]) => {
      const heard = this.#heard.get(replica)
      return {
        brokerId: brokerOf(replica),
        voter: voters.includes(replica),
        matchOffset: marks.endOffsetAt(progress.matchIndex),
        state: progress.kind,
        lastFetchMs: heard?.atMs ?? -1,
        lastCaughtUpMs: isCaughtUp(node, replica) ? this.#host.nowMs() : (heard?.caughtUpMs ?? -1)
      }
    })
  }

  /** It leads no more. */
  clear(): void {
    this.#heard.clear()
  }
}

function isCaughtUp(node: Node, replica: ReplicaId): boolean {
  return node.matchIndexOf(replica) >= node.commitIndex
}

/** As `ReplicatedLog.durableAt`; `flushed`: what is durable here. */
export function durableAt(node: Node, marks: Marks, flushed: number, count: number): number {
  if (node.membership === undefined || node.roleKind !== 'leader') return 0
  const voters = votersOf(node.membership)
  if (voters.length === 1 && count <= 1) return flushed
  const matched = voters.map(voter => node.matchIndexOf(voter)).sort((left, right) => right - left)
  const index = matched[Math.max(1, count) - 1]
  return index === undefined ? 0 : marks.endOffsetAt(index)
}
