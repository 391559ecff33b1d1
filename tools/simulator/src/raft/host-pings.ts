/**
 * What machines say to each other below Raft: one ping a pair, whatever the number of groups. A machine that stays silent for
 * three pings is out of touch; one that is heard of again, or has started anew, is found again. Quiescent groups rely on it.
 */
import type { World } from '../world/world.ts'
import type { RaftMachine } from './raft-machine.ts'
import type { RaftNetwork } from './raft-network.ts'

const PING_MS = 250

const SILENCE_MS = 3 * PING_MS

interface Heard {
  atMs: number
  /** The other's start that was heard of. */
  start: number
  silent: boolean
}

export class HostPings {
  readonly #world: World
  readonly #machines: readonly RaftMachine[]
  readonly #network: RaftNetwork
  readonly #heard = new Map<string, Heard>()

  constructor(world: World, machines: readonly RaftMachine[], network: RaftNetwork) {
    this.#world = world
    this.#machines = machines
    this.#network = network
  }

  start(): void {
    this.#world.schedule(PING_MS, () => {
      this.start()
      for (const from of this.#machines) for (const to of this.#machines) if (from !== to) this.#ping(from, to)
    })
  }

  #ping(from: RaftMachine, to: RaftMachine): void {
    if (to.node === undefined || to.isHeldUp) return
    const key = `${from.number}>${to.number}/${to.startCount}`
    let heard = this.#heard.get(key)
    if (heard === undefined) {
      heard = { atMs: this.#world.nowMs, start: from.startCount, silent: false }
      this.#heard.set(key, heard)
    }
    const arrives = from.node !== undefined && !from.isHeldUp && this.#network.passes(from.number, to.number)
    if (!arrives) return this.#missed(heard, from, to)
    heard.atMs = this.#world.nowMs
    if (!heard.silent && heard.start === from.startCount) return
    heard.silent = false
    heard.start = from.startCount
    to.foundAgain(from.id)
  }

  #missed(heard: Heard, from: RaftMachine, to: RaftMachine): void {
    if (heard.silent || this.#world.nowMs - heard.atMs < SILENCE_MS) return
    heard.silent = true
    to.lostTouchWith(from.id)
  }
}
