/**
 * What every mesh has in common: services, peers, deadlines, bounds. A transport (gRPC, memory) only tells it which links
 * come and go and what arrived on them; so both transports behave alike by construction. The shard itself is a peer too,
 * over a link that never leaves the process.
 */
import assert from 'node:assert'
import type { CallFrame, Frame, Link } from '../frames/frames.ts'
import type { Scheduler } from '../scheduler/scheduler.ts'
import { LinkTable, type PeerLoad } from './link-table.ts'
import { defaultMeshLimits, type MeshLimits } from './mesh-limits.ts'
import type { Mesh, MeshService, SubmitOptions } from './mesh.ts'
import type { Peer } from './peer.ts'

/** Owned by the caller of `useTransport`; the mesh ends it at its own `close`. */
export interface MeshTransport {
  /** Frees sockets. Links need not be closed again. */
  close(): Promise<void>
}

export class MeshCore implements Mesh {
  readonly shard: number
  readonly shardCount: number
  readonly #links: LinkTable
  readonly #services = new Map<string, MeshService>()
  #transport: MeshTransport | undefined
  #closing: Promise<void> | undefined

  constructor(shard: number, shardCount: number, scheduler: Scheduler, limits: Partial<MeshLimits> = {}) {
    assert(Number.isInteger(shardCount) && shardCount > 0, 'shardCount is a positive integer')
    assert(Number.isInteger(shard) && shard >= 0 && shard < shardCount, 'shard is in [0, shardCount)')
    this.shard = shard
    this.shardCount = shardCount
    this.#links = new LinkTable(
      scheduler,
      { ...defaultMeshLimits, ...limits },
      {
        noun: 'shard',
        name: `the mesh of shard ${shard}`,
        runCall: this.#runCall,
        takeMessage: () => {} // shards of one broker only call each other
      }
    )
    for (let peer = 0; peer < shardCount; peer++) this.#links.add(peer)
    const deliver = (frames: readonly Frame[]): void => this.receive(shard, link, frames)
    const link = loopback(scheduler, deliver)
    this.linkUp(shard, link)
  }

  get reachable(): ReadonlySet<number> {
    return this.#links.reachable
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
    const deadlineMs = options.deadlineMs ?? this.#links.limits.deadlineMs
    assert(deadlineMs > 0, 'deadlineMs is positive')
    if (this.#closing !== undefined) return Promise.reject(this.#links.closedError())
    return peer.submit(service, payload, deadlineMs)
  }

  invokeOnAll(
    service: string,
    payload: Uint8Array,
    options?: SubmitOptions
  ): Promise<PromiseSettledResult<Uint8Array>[]> {
    const shards = [...this.#links.peers.keys()]
    return Promise.allSettled(shards.map(shard => this.submitTo(shard, service, payload, options)))
  }

  onPeerChange(listener: (shard: number, reachable: boolean) => void): () => void {
    return this.#links.onChange(listener)
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
    this.#links.up(shard, link)
  }

  /** For transports: `link` is lost. Harmless when another one has taken its place. */
  linkDown(shard: number, link: Link, reason: string): void {
    this.#links.down(shard, link, reason)
  }

  /** For transports: `frames` arrived from `shard` on `link`. Their payloads belong to the mesh from now on. */
  receive(shard: number, link: Link, frames: readonly Frame[]): void {
    this.#links.receive(shard, link, frames)
  }

  async #close(): Promise<void> {
    this.#links.close()
    await this.#transport?.close()
  }

  #peerAt(shard: number): Peer {
    const peer = this.#links.peers.get(shard)
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
