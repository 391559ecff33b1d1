/**
 * Peers by number and the links to them: what a mesh and a peer network have in common below their services. A transport says
 * which links come and go and what arrived on them; listeners hear which peers can be reached.
 */
import { MeshError } from '../errors.ts'
import { BufferPool } from '../frames/buffer-pool.ts'
import type { Frame, Link } from '../frames/frames.ts'
import type { Scheduler } from '../scheduler/scheduler.ts'
import { DeadlineWheel } from './deadline-wheel.ts'
import type { MeshLimits } from './mesh-limits.ts'
import { Peer, type CallRunner, type MessageTaker, type PeerHost, type PendingCall } from './peer.ts'

/** What a mesh or a peer network holds for one peer, for metrics. */
export interface PeerLoad {
  readonly pendingCallCount: number
  readonly queuedBytes: number
}

/** What the owner of the table does with what arrives. */
export interface LinkTableOwner {
  /** What a peer is called in reasons of errors: "shard" or "peer". */
  readonly noun: string
  /** What the owner itself is called there. */
  readonly name: string
  readonly runCall: CallRunner
  readonly takeMessage: MessageTaker
}

export class LinkTable {
  readonly limits: MeshLimits
  readonly reachable: ReadonlySet<number>
  readonly #owner: LinkTableOwner
  readonly #host: PeerHost
  readonly #wheel: DeadlineWheel<PendingCall>
  readonly #peers = new Map<number, Peer>()
  readonly #links = new Map<number, Link>()
  readonly #reachable = new Set<number>()
  readonly #listeners = new Set<(peer: number, reachable: boolean) => void>()
  #closed = false

  constructor(scheduler: Scheduler, limits: MeshLimits, owner: LinkTableOwner) {
    this.limits = limits
    this.reachable = this.#reachable
    this.#owner = owner
    this.#wheel = new DeadlineWheel(scheduler, call => call.peer.expire(call))
    const { noun, runCall, takeMessage } = owner
    this.#host = { noun, scheduler, limits, wheel: this.#wheel, buffers: new BufferPool(), runCall, takeMessage }
  }

  /** Peers, in the order in which they were added. */
  get peers(): ReadonlyMap<number, Peer> {
    return this.#peers
  }

  get closed(): boolean {
    return this.#closed
  }

  add(number: number): void {
    if (!this.#peers.has(number)) this.#peers.set(number, new Peer(number, this.#host))
  }

  /** Forgets a peer: its link is closed, calls to it end with `UNREACHABLE`. */
  remove(number: number): void {
    this.unlink(number, `${this.#owner.noun} ${number} is no member any more`)
    this.#peers.delete(number)
  }

  onChange(listener: (peer: number, reachable: boolean) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** A peer can be reached over `link` from now on. A link that it had before is lost by that. Closed, if it is not one. */
  up(number: number, link: Link): void {
    const peer = this.#peers.get(number)
    if (this.#closed || peer === undefined) {
      link.close()
      return
    }
    this.unlink(number, `${this.#owner.noun} ${number} linked anew`)
    this.#links.set(number, link)
    peer.attach(link)
    this.#reachable.add(number)
    this.#announce(number, true)
  }

  /** `link` is lost. Harmless when another one has taken its place. */
  down(number: number, link: Link, reason: string): void {
    if (this.#links.get(number) !== link) return
    this.#links.delete(number)
    this.#reachable.delete(number)
    this.#peers.get(number)?.detach(reason)
    this.#announce(number, false)
  }

  /** Ends the link to a peer from this side, if there is one. */
  unlink(number: number, reason: string): void {
    const link = this.#links.get(number)
    if (link === undefined) return
    this.down(number, link, reason)
    link.close()
  }

  /** `frames` arrived on `link`. Payloads of calls and answers belong to the table from now on. */
  receive(number: number, link: Link, frames: readonly Frame[]): void {
    this.#peers.get(number)?.receive(link, frames)
  }

  /** Ends all links; there will be none any more. */
  close(): void {
    for (const number of [...this.#links.keys()]) this.unlink(number, `${this.#owner.name} was closed`)
    this.#closed = true
    this.#wheel.stop()
  }

  /** The error of whatever is asked for after `close`. */
  closedError(): MeshError {
    return new MeshError('CLOSED', `${this.#owner.name} is closed`)
  }

  #announce(number: number, reachable: boolean): void {
    for (const listener of [...this.#listeners]) listener(number, reachable)
  }
}
