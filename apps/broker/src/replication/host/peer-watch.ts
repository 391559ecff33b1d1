/**
 * Which other shards this one shares groups with, and which of them are silent: the heartbeat of shards, one small message a
 * pair, that stands in for the heartbeats of all groups that sleep.
 */
import type { BrokerId } from '../contract.ts'

/** Ticks after which a shard that says nothing counts as gone. */
const SILENCE_TICKS = 10

export class PeerWatch<Item> {
  readonly #shared = new Map<BrokerId, Set<Item>>()
  /** Ticks at which peers were last heard of. */
  readonly #heardAt = new Map<BrokerId, number>()
  readonly #silent = new Set<BrokerId>()

  /** `item` is shared with these, and with nobody else. */
  share(item: Item, peers: ReadonlySet<BrokerId>): void {
    for (const [peer, items] of this.#shared) if (!peers.has(peer)) items.delete(item)
    for (const peer of peers) {
      let items = this.#shared.get(peer)
      if (items === undefined) this.#shared.set(peer, (items = new Set()))
      items.add(item)
    }
  }

  /** What is shared with a peer: a copy, to be changed while it is gone through. */
  sharedWith(peer: BrokerId): Item[] {
    return [...(this.#shared.get(peer) ?? [])]
  }

  isSilent(peer: BrokerId): boolean {
    return this.#silent.has(peer)
  }

  /** A peer said something, or its link came up. True: it had been silent. */
  hear(peer: BrokerId, tick: number): boolean {
    this.#heardAt.set(peer, tick)
    return this.#silent.delete(peer)
  }

  /** Peers to say something to, and those that became silent. */
  look(tick: number, reachable: ReadonlySet<BrokerId>): { readonly greeted: BrokerId[]; readonly lost: BrokerId[] } {
    const greeted: BrokerId[] = []
    const lost: BrokerId[] = []
    for (const [peer, items] of this.#shared) {
      if (items.size === 0 || !reachable.has(peer)) continue
      greeted.push(peer)
      if (tick - (this.#heardAt.get(peer) ?? tick) <= SILENCE_TICKS || this.#silent.has(peer)) continue
      this.#silent.add(peer)
      lost.push(peer)
    }
    return { greeted, lost }
  }
}
