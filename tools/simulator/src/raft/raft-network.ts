/**
 * The network between replicas: delays, loses, repeats and reorders messages, and is cut in one direction or in both. Messages
 * are frozen on their way: a replica that changes what it sent fails at once.
 */
import type { Message, ReplicaId } from '@milena/raft'
import type { Random } from '../world/random.ts'
import type { World } from '../world/world.ts'
import type { Payload, StoredSnapshot } from './log-image.ts'

/** What travels: a message, and with a snapshot's message the snapshot. */
export interface Parcel {
  readonly message: Message<Payload>
  readonly snapshot?: StoredSnapshot
}

export class RaftNetwork {
  /** Chance that a message is lost. */
  lossRate = 0
  /** Chance that a message arrives twice. */
  repeatRate = 0
  /** Mean of the random part of a message's delay, ms. */
  jitterMs = 0.4
  /** Machine by replica; replicas that are gone are not there. */
  readonly machineOf = new Map<ReplicaId, number>()
  readonly #world: World
  readonly #random: Random
  readonly #deliver: (machine: number, parcel: Parcel) => void
  readonly #count: (fault: string) => void
  readonly #cut = new Set<string>()

  constructor(world: World, deliver: (machine: number, parcel: Parcel) => void, count: (fault: string) => void) {
    this.#world = world
    this.#random = world.random.of('network')
    this.#deliver = deliver
    this.#count = count
  }

  /** Machines between which at least one direction is cut. */
  get cutCount(): number {
    return this.#cut.size
  }

  /** Cuts what goes from one machine to another; the other direction is a matter of its own. */
  cut(from: number, to: number): void {
    this.#cut.add(`${from}>${to}`)
  }

  mend(from: number, to: number): void {
    this.#cut.delete(`${from}>${to}`)
  }

  heal(): void {
    this.#cut.clear()
    this.lossRate = 0
    this.repeatRate = 0
    this.jitterMs = 0.4
  }

  passes(from: number, to: number): boolean {
    return this.#cut.size === 0 || !this.#cut.has(`${from}>${to}`)
  }

  send(parcel: Parcel): void {
    const { message } = parcel
    Object.freeze(message)
    if ('entries' in message) Object.freeze(message.entries)
    if (this.lossRate > 0 && this.#random.chance(this.lossRate)) return this.#count('message lost')
    this.#travel(parcel)
    if (this.repeatRate > 0 && this.#random.chance(this.repeatRate)) {
      this.#count('message repeated')
      this.#travel(parcel)
    }
  }

  #travel(parcel: Parcel): void {
    const { from, to } = parcel.message
    this.#world.schedule(0.1 + this.#random.exponential(this.jitterMs), () => {
      const source = this.machineOf.get(from)
      const target = this.machineOf.get(to)
      if (target === undefined) return
      // What a replica sent before its disk was lost still arrives.
      if (source !== undefined && !this.passes(source, target)) return
      this.#deliver(target, parcel)
    })
  }
}
