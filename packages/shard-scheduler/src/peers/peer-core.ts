/**
 * What every peer network has in common: membership, channels, services, bounds. A transport (gRPC, memory) only tells it which
 * links come and go and what arrived on them; so both behave alike by construction.
 *
 *     setPeers, joinCluster ──► transport dials ──► whyNotAdmitted(number, cluster)? ──► linkUp ──► receive, linkDown
 */
import assert from 'node:assert'
import { MeshError } from '../errors.ts'
import type { CallFrame, Frame, Lane, Link, MessageFrame } from '../frames/frames.ts'
import { LinkTable, type PeerLoad } from '../mesh/link-table.ts'
import { defaultMeshLimits, type MeshLimits } from '../mesh/mesh-limits.ts'
import type { SubmitOptions } from '../mesh/mesh.ts'
import type { Scheduler } from '../scheduler/scheduler.ts'
import type { PeerAddress, PeerMessageHandler, PeerNetwork, PeerService } from './peers.ts'

/** Calls of strangers that may run at a time. */
export const OPEN_CALLS_MAX = 64

/** Bounds of a peer network: the mesh's, with less room for calls. */
export const defaultPeerLimits: MeshLimits = { ...defaultMeshLimits, pendingBytesMax: 16 * 1024 * 1024 }

/** Owned by the core, which ends it at its own `close`. */
export interface PeerTransport {
  /** `addresses` (without this shard) or the cluster changed: dial who is new, forget who is gone. */
  membersChanged(addresses: ReadonlyMap<number, PeerAddress>): void
  /** See `PeerNetwork.callAddress`. */
  callAddress(address: PeerAddress, service: string, payload: Uint8Array, deadlineMs: number): Promise<Uint8Array>
  /** Frees sockets. Links need not be closed again. */
  close(): Promise<void>
}

interface ServedService {
  readonly handler: PeerService
  readonly open: boolean
}

export class PeerCore implements PeerNetwork {
  readonly self: number
  readonly #links: LinkTable
  readonly #channels = new Map<string, PeerMessageHandler>()
  readonly #services = new Map<string, ServedService>()
  #addresses: ReadonlyMap<number, PeerAddress> = new Map()
  #clusterId: string | undefined
  #transport: PeerTransport | undefined
  #openCallCount = 0
  #closing: Promise<void> | undefined

  constructor(self: number, scheduler: Scheduler, limits: Partial<MeshLimits> = {}) {
    assert(Number.isInteger(self) && self >= 0, 'a number of a peer is a whole one, at least 0')
    this.self = self
    this.#links = new LinkTable(
      scheduler,
      { ...defaultPeerLimits, ...limits },
      {
        noun: 'peer',
        name: `the network of peer ${self}`,
        runCall: this.#runCall,
        takeMessage: this.#takeMessage
      }
    )
  }

  get messageBytesMax(): number {
    return this.#links.limits.payloadBytesMax
  }

  get reachable(): ReadonlySet<number> {
    return this.#links.reachable
  }

  /** What waits for `peer`, for metrics. */
  loadOf(peer: number): PeerLoad {
    const { pendingCallCount = 0, queuedBytes = 0 } = this.#links.peers.get(peer) ?? {}
    return { pendingCallCount, queuedBytes }
  }

  setPeers(addresses: ReadonlyMap<number, PeerAddress>): void {
    const previous = this.#addresses
    this.#addresses = new Map([...addresses].filter(([number]) => number !== this.self))
    for (const number of previous.keys()) {
      if (!this.#addresses.has(number)) this.#links.remove(number)
    }
    for (const number of this.#addresses.keys()) this.#links.add(number)
    this.#membersChanged()
  }

  joinCluster(clusterId: string): void {
    assert(clusterId !== '', 'a cluster has a name')
    assert(this.#clusterId === undefined || this.#clusterId === clusterId, 'a node belongs to one cluster')
    this.#clusterId = clusterId
    this.#membersChanged()
  }

  send(peer: number, channel: string, parts: readonly Uint8Array[], lane: Lane = 'urgent'): boolean {
    return this.#links.peers.get(peer)?.send(channel, parts, lane) ?? false
  }

  queuedBytes(peer: number): number {
    return this.#links.peers.get(peer)?.queuedBytes ?? 0
  }

  receive(channel: string, handler: PeerMessageHandler): void {
    assert(!this.#channels.has(channel), `channel ${channel} is registered once`)
    this.#channels.set(channel, handler)
  }

  serve(service: string, handler: PeerService, options: { readonly open: boolean } = { open: false }): void {
    assert(!this.#services.has(service), `service ${service} is registered once`)
    this.#services.set(service, { handler, open: options.open })
  }

  call(peer: number, service: string, payload: Uint8Array, options: SubmitOptions = {}): Promise<Uint8Array> {
    const deadlineMs = this.#deadlineMs(options)
    if (this.#closing !== undefined) return Promise.reject(this.#links.closedError())
    const target = this.#links.peers.get(peer)
    if (target !== undefined) return target.submit(service, payload, deadlineMs)
    return Promise.reject(new MeshError('UNREACHABLE', `${service} on peer ${peer}, which is no member`))
  }

  callAddress(
    address: PeerAddress,
    service: string,
    payload: Uint8Array,
    options: SubmitOptions = {}
  ): Promise<Uint8Array> {
    const deadlineMs = this.#deadlineMs(options)
    if (this.#closing !== undefined) return Promise.reject(this.#links.closedError())
    if (payload.length > this.messageBytesMax) {
      const size = `${payload.length} bytes for ${service}, at most ${this.messageBytesMax}`
      return Promise.reject(new MeshError('TOO_LARGE', size))
    }
    assert(this.#transport !== undefined, 'a network has a transport before it is handed out')
    return this.#transport.callAddress(address, service, payload, deadlineMs)
  }

  onPeerChange(listener: (peer: number, reachable: boolean) => void): () => void {
    return this.#links.onChange(listener)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** The cluster that was joined. */
  get clusterId(): string | undefined {
    return this.#clusterId
  }

  /** For transports: what brings links. Once, before the network is handed out. */
  useTransport(transport: PeerTransport): void {
    this.#transport = transport
  }

  /** For transports: why whoever says to be `number` of `clusterId` may not link up; undefined when it may. */
  whyNotAdmitted(number: number, clusterId: string): string | undefined {
    if (this.#closing !== undefined) return 'this node is closing'
    if (this.#clusterId === undefined) return 'this node has not joined a cluster yet'
    if (clusterId !== this.#clusterId) return `cluster ${clusterId} is not this one, ${this.#clusterId}`
    if (!this.#addresses.has(number)) return `peer ${number} is not a member of this cluster`
    return undefined
  }

  /** For transports: `peer` can be reached over `link` from now on. A link that it had before is lost by that. */
  linkUp(peer: number, link: Link): void {
    this.#links.up(peer, link)
  }

  /** For transports: `link` is lost. Harmless when another one has taken its place. */
  linkDown(peer: number, link: Link, reason: string): void {
    this.#links.down(peer, link, reason)
  }

  /** For transports: `frames` arrived on `link`. Payloads of calls and answers belong to the core from now on. */
  receiveFrames(peer: number, link: Link, frames: readonly Frame[]): void {
    this.#links.receive(peer, link, frames)
  }

  /** For transports: runs an open service for a stranger. Rejects with `MeshError`: `REMOTE` or `OVERLOADED`. */
  async runOpenCall(service: string, payload: Uint8Array): Promise<Uint8Array> {
    const served = this.#services.get(service)
    if (served === undefined || !served.open) {
      throw new MeshError('REMOTE', `peer ${this.self} has no open service "${service}"`)
    }
    if (this.#openCallCount >= OPEN_CALLS_MAX) {
      throw new MeshError('OVERLOADED', `${this.#openCallCount} calls of non-members under way before ${service}`)
    }
    this.#openCallCount++
    try {
      return await served.handler(payload, undefined)
    } catch (error) {
      throw new MeshError('REMOTE', error instanceof Error ? error.message : String(error), { cause: error })
    } finally {
      this.#openCallCount--
    }
  }

  async #close(): Promise<void> {
    this.#links.close()
    await this.#transport?.close()
  }

  #membersChanged(): void {
    if (this.#clusterId !== undefined && this.#closing === undefined) this.#transport?.membersChanged(this.#addresses)
  }

  #deadlineMs(options: SubmitOptions): number {
    const deadlineMs = options.deadlineMs ?? this.#links.limits.deadlineMs
    assert(deadlineMs > 0, 'deadlineMs is positive')
    return deadlineMs
  }

  readonly #runCall = (frame: CallFrame, from: number): Uint8Array | Promise<Uint8Array> => {
    const served = this.#services.get(frame.service)
    if (served === undefined) throw new Error(`peer ${this.self} has no service "${frame.service}"`)
    return served.handler(frame.payload, from)
  }

  readonly #takeMessage = (frame: MessageFrame, from: number): void => {
    this.#channels.get(frame.channel)?.(from, frame.payload)
  }
}
