/**
 * Who leads which partition, as far as this shard knows. Leaders are elected by the partitions' own Raft groups and announced
 * by the shard that leads, straight to every other shard of the cluster.
 *
 *     announce() on the leader ──batched per turn──► every linked shard          a link comes up ──► all that this shard leads
 *                                                          │
 *                                                   newest claim wins ──► listeners
 *
 * Newest: the higher term; in the same term (one leader a term, so the same shard speaks) the higher sequence number. A leader
 * that steps down says so, with leader -1. A claim of a peer that cannot be sent now is sent when there is room; what a link
 * loses when it breaks is told again when it comes back. So the table is right soon after the network is, and a stale entry
 * does no harm: the shard that is asked in error answers NOT_LEADER_OR_FOLLOWER.
 *
 * Also in a claim: the replicas that are in sync (Kafka's ISR), which only the leader knows.
 */
import type { PeerNetwork } from '@milena/shard-scheduler'

/** What is known of the leadership of one group. */
export interface Leadership {
  /** Broker id, -1 while there is none. */
  readonly leader: number
  /** Raft's term: Kafka's leader epoch. */
  readonly term: number
  /** Broker ids that hold all that is committed, sorted; the leader included. Empty while there is no leader. */
  readonly inSync: readonly number[]
}

/** Called once a turn at most, with the names of the groups whose leadership changed since. */
export type LeaderListener = (groups: ReadonlySet<string>) => void

export interface LeaderTableOptions {
  readonly brokerId: number
  /** Reaches every shard of the cluster, this node's, too. */
  readonly peers: PeerNetwork
  /** Runs a callback in a later turn of the loop. */
  readonly soon: (callback: () => void) => void
  /** Runs a callback after so many ms. */
  readonly after: (delayMs: number, callback: () => void) => () => void
}

const CHANNEL = 'leaders'
/** Bytes of one message: far below what a queue may hold, so that a full table does not crowd out everything else. */
const MESSAGE_BYTES_MAX = 64 * 1024
/** Pause before claims that a link had no room for are sent again. */
const RETRY_MS = 50

interface Claim extends Leadership {
  /** Rises with every claim of the same leader in the same term. */
  readonly sequence: number
}

type WireClaim = readonly [group: string, leader: number, term: number, sequence: number, inSync: readonly number[]]

/** A linked shard, and what it has not been told yet. */
interface Link {
  readonly unsent: Set<string>
  sending: boolean
}

export class LeaderTable {
  readonly #options: LeaderTableOptions
  readonly #claims = new Map<string, Claim>()
  /** Groups that this shard leads or led last; what a new link is told. */
  readonly #own = new Set<string>()
  readonly #links = new Map<number, Link>()
  readonly #listeners: LeaderListener[] = []
  #changed = new Set<string>()
  #revision = 0
  #closed = false

  constructor(options: LeaderTableOptions) {
    this.#options = options
    const { peers } = options
    peers.receive(CHANNEL, (_, message) => this.#hear(message))
    peers.onPeerChange((peer, reachable) => this.#linkChanged(peer, reachable))
    for (const peer of peers.reachable) this.#linkChanged(peer, true)
  }

  /** Moves whenever any entry changes. */
  get revision(): number {
    return this.#revision
  }

  leadershipOf(group: string): Leadership | undefined {
    return this.#claims.get(group)
  }

  onChange(listener: LeaderListener): void {
    this.#listeners.push(listener)
  }

  /** This shard leads `group` in `term`, and these replicas are in sync. Says nothing when that was said already. */
  announce(group: string, term: number, inSync: readonly number[]): void {
    this.#claim(group, { leader: this.#options.brokerId, term, inSync: [...inSync].sort((a, b) => a - b) })
  }

  /** This shard led `group` in `term` and does no longer, and knows of no successor. */
  resign(group: string, term: number): void {
    const known = this.#claims.get(group)
    if (known?.leader !== this.#options.brokerId || known.term > term) return
    this.#claim(group, { leader: -1, term, inSync: [] })
  }

  /** Forgets a group that is gone. */
  forget(group: string): void {
    if (!this.#claims.delete(group)) return
    this.#own.delete(group)
    for (const link of this.#links.values()) link.unsent.delete(group)
    this.#note(group)
  }

  close(): void {
    this.#closed = true
    this.#links.clear()
  }

  #claim(group: string, leadership: Leadership): void {
    const known = this.#claims.get(group)
    if (known !== undefined && known.term > leadership.term) return
    const sameTerm = known?.term === leadership.term
    if (sameTerm && known.leader === leadership.leader && String(known.inSync) === String(leadership.inSync)) return
    this.#claims.set(group, { ...leadership, sequence: sameTerm ? known.sequence + 1 : 0 })
    this.#own.add(group)
    this.#note(group)
    for (const [peer, link] of this.#links) {
      link.unsent.add(group)
      this.#sendSoon(peer, link)
    }
  }

  #hear(message: Uint8Array): void {
    const text = Buffer.from(message.buffer, message.byteOffset, message.byteLength).toString()
    for (const [group, leader, term, sequence, inSync] of JSON.parse(text) as WireClaim[]) {
      const known = this.#claims.get(group)
      if (known !== undefined && (known.term > term || (known.term === term && known.sequence >= sequence))) continue
      this.#claims.set(group, { leader, term, sequence, inSync })
      this.#own.delete(group)
      this.#note(group)
    }
  }

  #note(group: string): void {
    this.#revision++
    this.#changed.add(group)
    if (this.#changed.size > 1) return
    this.#options.soon(() => {
      const changed = this.#changed
      this.#changed = new Set()
      for (const listener of this.#listeners) listener(changed)
    })
  }

  #linkChanged(peer: number, reachable: boolean): void {
    if (!reachable) return void this.#links.delete(peer)
    const link: Link = { unsent: new Set(this.#own), sending: false }
    this.#links.set(peer, link)
    if (link.unsent.size > 0) this.#sendSoon(peer, link)
  }

  #sendSoon(peer: number, link: Link): void {
    if (link.sending) return
    link.sending = true
    this.#options.soon(() => this.#send(peer, link))
  }

  /** Sends what the link was not told, message by message, until it is told or refuses; then again a little later. */
  #send(peer: number, link: Link): void {
    while (link.unsent.size > 0 && this.#isCurrent(peer, link)) {
      const groups = this.#nextGroups(link)
      if (!this.#options.peers.send(peer, CHANNEL, [this.#encode(groups)])) {
        this.#options.after(RETRY_MS, () => this.#send(peer, link))
        return
      }
      for (const group of groups) link.unsent.delete(group)
    }
    link.sending = false
  }

  #isCurrent(peer: number, link: Link): boolean {
    return !this.#closed && this.#links.get(peer) === link
  }

  #nextGroups(link: Link): string[] {
    const groups: string[] = []
    let bytes = 0
    for (const group of link.unsent) {
      bytes += group.length + CLAIM_BYTES
      if (groups.length > 0 && bytes > MESSAGE_BYTES_MAX) break
      groups.push(group)
    }
    return groups
  }

  #encode(groups: readonly string[]): Uint8Array {
    const claims = groups.flatMap(group => {
      const claim = this.#claims.get(group)
      if (claim === undefined) return []
      return [[group, claim.leader, claim.term, claim.sequence, claim.inSync] satisfies WireClaim]
    })
    return Buffer.from(JSON.stringify(claims))
  }
}

/** Roughly what a claim takes besides its group's name. */
const CLAIM_BYTES = 64
