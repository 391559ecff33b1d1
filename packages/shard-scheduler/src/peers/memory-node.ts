/**
 * What a `MemoryPeerNetwork` is made of: nodes (a core, and the transport that the core believes in) and the connections between
 * two of them. Everything that reaches a node's code does so in a turn of that node's own scheduler, and not at all once its
 * process is gone.
 */
import { MeshError } from '../errors.ts'
import type { Frame, Link } from '../frames/frames.ts'
import type { Scheduler } from '../scheduler/scheduler.ts'
import type { MemoryWire } from './memory-wire.ts'
import type { PeerCore, PeerTransport } from './peer-core.ts'
import type { PeerAddress } from './peers.ts'

/** What a node needs from the network that it is plugged in to. */
export interface Cupboard {
  /** Whom `node` knows changed. */
  membersChanged(node: MemoryNode): void
  /** `node` was closed. */
  closed(node: MemoryNode): void
  /** See `PeerNetwork.callAddress`; ends with the answer or never. */
  callAddress(node: MemoryNode, address: PeerAddress, service: string, payload: Uint8Array): Promise<Uint8Array>
}

/** One node: its core, and the core's transport. */
export class MemoryNode implements PeerTransport {
  readonly core: PeerCore
  readonly listen: PeerAddress
  readonly scheduler: Scheduler
  readonly #cupboard: Cupboard
  #addresses: ReadonlyMap<number, PeerAddress> = new Map()
  /** False once the process is gone: nothing reaches its code any more. */
  plugged = true

  constructor(core: PeerCore, listen: PeerAddress, scheduler: Scheduler, cupboard: Cupboard) {
    this.core = core
    this.listen = listen
    this.scheduler = scheduler
    this.#cupboard = cupboard
  }

  get number(): number {
    return this.core.self
  }

  /** It would find `other` under the address that it knows for it. */
  knows(other: MemoryNode): boolean {
    const address = this.#addresses.get(other.number)
    return address !== undefined && sameAddress(address, other.listen)
  }

  admits(other: MemoryNode): boolean {
    return this.core.whyNotAdmitted(other.number, other.core.clusterId ?? '') === undefined
  }

  /** Runs `task` in a turn of this node's own, unless its process is gone by then. */
  run(task: () => void): void {
    this.scheduler.nextTurn(() => {
      if (this.plugged) task()
    })
  }

  membersChanged(addresses: ReadonlyMap<number, PeerAddress>): void {
    this.#addresses = addresses
    if (this.plugged) this.#cupboard.membersChanged(this)
  }

  callAddress(address: PeerAddress, service: string, payload: Uint8Array, deadlineMs: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const late = new MeshError('DEADLINE', `no answer in time from ${service} at ${keyOf(address)}`)
      const cancel = this.scheduler.after(deadlineMs, () => reject(late))
      const call = this.plugged
        ? this.#cupboard.callAddress(this, address, service, payload)
        : new Promise<never>(() => {})
      call.finally(cancel).then(resolve, reject)
    })
  }

  async close(): Promise<void> {
    this.#cupboard.closed(this)
    this.plugged = false
  }
}

interface ConnectionHost {
  wire(from: MemoryNode, to: MemoryNode, arrive: (frames: readonly Frame[]) => void): MemoryWire
  ended(reason: string): void
}

/** The connection of two nodes: a link at each end, a wire each way. */
export class MemoryConnection {
  readonly low: MemoryNode
  readonly high: MemoryNode
  readonly #toHigh: MemoryWire
  readonly #toLow: MemoryWire
  readonly #lowLink: Link
  readonly #highLink: Link
  #ended = false
  /** When it is given up, on the network's clock, because nothing passes; `Infinity` while everything does. */
  giveUpMs = Infinity

  constructor(low: MemoryNode, high: MemoryNode, host: ConnectionHost) {
    this.low = low
    this.high = high
    this.#toHigh = host.wire(low, high, frames => high.core.receiveFrames(low.number, this.#highLink, frames))
    this.#toLow = host.wire(high, low, frames => low.core.receiveFrames(high.number, this.#lowLink, frames))
    this.#lowLink = linkOver(this.#toHigh, () => host.ended(`peer ${low.number} closed it`))
    this.#highLink = linkOver(this.#toLow, () => host.ended(`peer ${high.number} closed it`))
  }

  plug(): void {
    this.low.run(() => {
      if (!this.#ended) this.low.core.linkUp(this.high.number, this.#lowLink)
    })
    this.high.run(() => {
      if (!this.#ended) this.high.core.linkUp(this.low.number, this.#highLink)
    })
  }

  joins(low: MemoryNode, high: MemoryNode): boolean {
    return this.low === low && this.high === high
  }

  other(node: MemoryNode): MemoryNode {
    return node === this.low ? this.high : this.low
  }

  /** Lets what was held back go on, where the way is free. */
  release(): void {
    this.#toHigh.release()
    this.#toLow.release()
  }

  unplug(reason: string): void {
    if (this.#ended) return
    this.#ended = true
    this.#toHigh.cut()
    this.#toLow.cut()
    this.low.run(() => this.low.core.linkDown(this.high.number, this.#lowLink, linkReason(this.high, reason)))
    this.high.run(() => this.high.core.linkDown(this.low.number, this.#highLink, linkReason(this.low, reason)))
  }
}

function linkOver(wire: MemoryWire, close: () => void): Link {
  return { send: (frames, taken) => wire.carry(frames, taken), close }
}

function linkReason(peer: MemoryNode, reason: string): string {
  return `the link to peer ${peer.number} ended: ${reason}`
}

/** Whether two addresses are written alike; names are not resolved here. */
export function sameAddress(left: PeerAddress, right: PeerAddress): boolean {
  return left.port === right.port && left.host === right.host
}

/** An address as people write it. */
export function keyOf(address: PeerAddress): string {
  return `${address.host}:${address.port}`
}
