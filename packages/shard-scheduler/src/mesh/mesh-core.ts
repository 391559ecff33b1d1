/**
 * What every mesh has in common: services, peers, deadlines, bounds. A transport (gRPC, memory) only tells it which links
 * come and go and what arrived on them; so both transports behave alike by construction. The shard itself is a peer too,
 * over a link that never leaves the process.
 */
import assert from 'node:assert'
import { MeshError } from '../errors.ts'
import type { Mesh, MeshService, SubmitOptions } from '../mesh.ts'
import type { Scheduler } from '../scheduler.ts'
import { DeadlineWheel } from './deadline-wheel.ts'
import type { CallFrame, Frame, Link } from './frames.ts'
import { defaultMeshLimits, type MeshLimits } from './mesh-limits.ts'
import { Peer, type PendingCall } from './peer.ts'

/** Owned by the caller of `transport`; the mesh ends it at its own `close`. */
export interface MeshTransport {
  /** Frees sockets. Links need not be closed again. */
  close(): Promise<void>
}

/** What a mesh holds for one peer, for metrics. */
export interface PeerLoad {
  readonly pendingCallCount: number
  readonly queuedBytes: number
}

export class MeshCore implements Mesh {
  readonly shard: number
  readonly shardCount: number
  readonly #peers: readonly Peer[]
  readonly #links: (Link | undefined)[]
  readonly #services = new Map<string, MeshService>()
  readonly #reachable = new Set<number>()
  readonly #listeners = new Set<(shard: number, reachable: boolean) => void>()
  readonly #wheel: DeadlineWheel<PendingCall>
  readonly #limits: MeshLimits
  #transport: MeshTransport | undefined
  #closing: Promise<void> | undefined

  constructor(shard: number, shardCount: number, scheduler: Scheduler, limits: Partial<MeshLimits> = {}) {
    assert(Number.isInteger(shardCount) && shardCount > 0, 'shardCount is a positive integer')
    assert(Number.isInteger(shard) && shard >= 0 && shard < shardCount, 'shard is in [0, shardCount)')
    this.shard = shard
    this.shardCount = shardCount
    this.#limits = { ...defaultMeshLimits, ...limits }
    this.#wheel = new DeadlineWheel(scheduler, call => call.peer.expire(call))
    const host = { scheduler, limits: this.#limits, wheel: this.#wheel, runCall: this.#runCall }
    this.#peers = Array.from({ length: shardCount }, (_, peer) => new Peer(peer, host))
    this.#links = new Array<Link | undefined>(shardCount).fill(undefined)
    const deliver = (frames: readonly Frame[]): void => this.receive(shard, link, frames)
    const link = loopback(scheduler, deliver)
    this.linkUp(shard, link)
  }

  get reachable(): ReadonlySet<number> {
    return this.#reachable
  }

  /** Calls and bytes that wait for `shard`. */
  loadOf(shard: number): PeerLoad {
    const { pendingCallCount, queuedBytes } = this.#peerAt(shard)
    return { pendingCallCount, queuedBytes }
  }

  serve(service: string, handler: MeshService): void {
    assert(!this.#services.has(service), `service ${service} is registered once`)
    this.#services.set(service, handler)
  }

  submitTo(shard: number, service: string, payload: Uint8Array, options: SubmitOptions = {}): Promise<Uint8Array> {
    const peer = this.#peerAt(shard)
    const deadlineMs = options.deadlineMs ?? this.#limits.deadlineMs
    assert(deadlineMs > 0, 'deadlineMs is positive')
    if (this.#closing !== undefined)
      return Promise.reject(new MeshError('CLOSED', `the mesh of shard ${this.shard} is closed`))
    return peer.submit(service, payload, deadlineMs)
  }

  invokeOnAll(
    service: string,
    payload: Uint8Array,
    options?: SubmitOptions
  ): Promise<PromiseSettledResult<Uint8Array>[]> {
    return Promise.allSettled(this.#peers.map(peer => this.submitTo(peer.shard, service, payload, options)))
  }

  onPeerChange(listener: (shard: number, reachable: boolean) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** For transports: whose `close` ends with the mesh's. */
  useTransport(transport: MeshTransport): void {
    this.#transport = transport
  }

  /** For transports: `shard` can be reached over `link` from now on. A link that it had before is lost by that. */
  linkUp(shard: number, link: Link): void {
    if (this.#closing !== undefined) {
      link.close()
      return
    }
    const previous = this.#links[shard]
    if (previous !== undefined) {
      this.linkDown(shard, previous, `shard ${shard} linked anew`)
      previous.close()
    }
    this.#links[shard] = link
    this.#peerAt(shard).attach(link)
    this.#reachable.add(shard)
    this.#announce(shard, true)
  }

  /** For transports: `link` is lost. Harmless when another one has taken its place. */
  linkDown(shard: number, link: Link, reason: string): void {
    if (this.#links[shard] !== link) return
    this.#links[shard] = undefined
    this.#reachable.delete(shard)
    this.#peerAt(shard).detach(reason)
    this.#announce(shard, false)
  }

  /** For transports: `frames` arrived from `shard` on `link`. Their payloads belong to the mesh from now on. */
  receive(shard: number, link: Link, frames: readonly Frame[]): void {
    this.#peerAt(shard).receive(link, frames)
  }

  async #close(): Promise<void> {
    for (const [shard, link] of this.#links.entries()) {
      if (link === undefined) continue
      this.linkDown(shard, link, `the mesh of shard ${this.shard} was closed`)
      link.close()
    }
    this.#wheel.stop()
    await this.#transport?.close()
  }

  #announce(shard: number, reachable: boolean): void {
    for (const listener of [...this.#listeners]) listener(shard, reachable)
  }

  #peerAt(shard: number): Peer {
    const peer = this.#peers[shard]
    assert(peer !== undefined, `shard ${shard} is in [0, ${this.shardCount})`)
    return peer
  }

  readonly #runCall = (frame: CallFrame, from: number): Uint8Array | Promise<Uint8Array> => {
    const handler = this.#services.get(frame.service)
    if (handler === undefined) throw new Error(`shard ${this.shard} has no service "${frame.service}"`)
    return handler(frame.payload, from)
  }
}

/** A link of a shard to itself. The peer behind it calls `send` in a later turn already, so frames arrive at once. */
function loopback(scheduler: Scheduler, deliver: (frames: readonly Frame[]) => void): Link {
  return {
    send(frames, taken) {
      scheduler.nextTurn(taken)
      deliver(frames)
    },
    close() {}
  }
}
