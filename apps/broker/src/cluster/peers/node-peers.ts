/**
 * The peer network as the rest of the shard sees it: shards of other nodes over TCP, shards of this node over the mesh, under one
 * set of numbers. So a partition moves from one core to another of its node like from one node to another, also on a node that
 * has no other and listens for nobody.
 *
 * Over the mesh a message is a call whose answer nobody needs: in order, at most once, lost when the shard goes away, as promised
 * (shard-scheduler/src/peers/peers.ts). Its queue is bounded here, per shard.
 *
 * A link of the mesh can be up before the shard behind it has opened its rooms: what it is told by then is lost, and nobody would
 * tell it again. So a shard of this node counts as reachable once it has greeted, or answered a greeting.
 */
import {
  defaultMeshLimits,
  MeshError,
  type Mesh,
  type PeerAddress,
  type PeerMessageHandler,
  type PeerNetwork,
  type PeerService,
  type SubmitOptions
} from '@milena/shard-scheduler'
import { brokerIdOf, nodeOf, shardOf } from '../../controller/metadata/cluster-state.ts'

const MESSAGE_SERVICE = 'peers.message'
const HELLO_SERVICE = 'peers.hello'
const CALL_PREFIX = 'peers.call.'
/** Pause before a shard that did not answer a greeting is greeted again, ms. */
const HELLO_RETRY_MS = 100
/** Longest name of a channel, bytes. */
const CHANNEL_BYTES_MAX = 255
/** Bytes that may wait for one shard of this node. */
const QUEUED_BYTES_MAX = defaultMeshLimits.bulkBytesMax

export class NodePeers implements PeerNetwork {
  readonly self: number
  readonly messageBytesMax: number
  readonly #mesh: Mesh
  readonly #outside: PeerNetwork
  readonly #after: (delayMs: number, callback: () => void) => () => void
  readonly #reachable = new Set<number>()
  readonly #queuedBytes = new Map<number, number>()
  readonly #handlers = new Map<string, PeerMessageHandler>()
  readonly #listeners = new Set<(peer: number, reachable: boolean) => void>()
  #closed = false

  /** `outside` reaches other nodes; its own shards are never asked of it. Closed by whoever opened it. */
  constructor({
    mesh,
    outside,
    after
  }: {
    mesh: Mesh
    outside: PeerNetwork
    after: (delayMs: number, callback: () => void) => () => void
  }) {
    this.self = outside.self
    this.#mesh = mesh
    this.#outside = outside
    this.#after = after
    this.messageBytesMax = Math.min(outside.messageBytesMax, defaultMeshLimits.payloadBytesMax - CHANNEL_BYTES_MAX - 1)
    for (const peer of outside.reachable) this.#reachable.add(peer)
    outside.onPeerChange((peer, reachable) => this.#changed(peer, reachable))
    mesh.onPeerChange((shard, reachable) => {
      if (reachable) void this.#greet(shard)
      else this.#changed(this.#idOf(shard), false)
    })
    mesh.serve(MESSAGE_SERVICE, (payload, from) => {
      const end = 1 + (payload[0] ?? 0)
      const channel = Buffer.from(payload.buffer, payload.byteOffset + 1, end - 1).toString()
      this.#handlers.get(channel)?.(this.#idOf(from), payload.subarray(end))
      return NOTHING
    })
    mesh.serve(HELLO_SERVICE, (_, from) => {
      this.#met(from)
      return NOTHING
    })
    for (const shard of mesh.reachable) void this.#greet(shard)
  }

  get reachable(): ReadonlySet<number> {
    return this.#reachable
  }

  setPeers(addresses: ReadonlyMap<number, PeerAddress>): void {
    this.#outside.setPeers(new Map([...addresses].filter(([peer]) => !this.#isOwn(peer))))
  }

  send(
    peer: number,
    channel: string,
    parts: readonly Uint8Array[],
    lane?: Parameters<PeerNetwork['send']>[3]
  ): boolean {
    if (!this.#isOwn(peer)) return this.#outside.send(peer, channel, parts, lane)
    const bytes = parts.reduce((sum, part) => sum + part.length, 0)
    if (bytes > this.messageBytesMax) throw new MeshError('TOO_LARGE', `a message of ${bytes} bytes on ${channel}`)
    const queued = this.queuedBytes(peer)
    if (!this.#reachable.has(peer) || queued + bytes > QUEUED_BYTES_MAX) return false
    const name = Buffer.from(channel)
    const message = Buffer.concat([Uint8Array.of(name.length), name, ...parts])
    this.#queuedBytes.set(peer, queued + message.length)
    this.#mesh
      .submitTo(shardOf(peer), MESSAGE_SERVICE, message)
      .catch(() => undefined)
      .finally(() => {
        this.#queuedBytes.set(peer, this.queuedBytes(peer) - message.length)
      })
    return true
  }

  queuedBytes(peer: number): number {
    return this.#isOwn(peer) ? (this.#queuedBytes.get(peer) ?? 0) : this.#outside.queuedBytes(peer)
  }

  receive(channel: string, handler: PeerMessageHandler): void {
    this.#handlers.set(channel, handler)
    this.#outside.receive(channel, handler)
  }

  serve(service: string, handler: PeerService, options?: { readonly open: boolean }): void {
    this.#mesh.serve(CALL_PREFIX + service, (payload, from) => handler(payload, this.#idOf(from)))
    this.#outside.serve(service, handler, options)
  }

  call(peer: number, service: string, payload: Uint8Array, options?: SubmitOptions): Promise<Uint8Array> {
    return this.#isOwn(peer)
      ? this.#mesh.submitTo(shardOf(peer), CALL_PREFIX + service, payload, options)
      : this.#outside.call(peer, service, payload, options)
  }

  callAddress(
    address: PeerAddress,
    service: string,
    payload: Uint8Array,
    options?: SubmitOptions
  ): Promise<Uint8Array> {
    return this.#outside.callAddress(address, service, payload, options)
  }

  joinCluster(clusterId: string): void {
    this.#outside.joinCluster(clusterId)
  }

  onPeerChange(listener: (peer: number, reachable: boolean) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): Promise<void> {
    this.#closed = true
    return this.#outside.close()
  }

  #idOf(shard: number): number {
    return brokerIdOf(nodeOf(this.self), shard)
  }

  #isOwn(peer: number): boolean {
    return nodeOf(peer) === nodeOf(this.self)
  }

  /** Greets a shard of this node until it is there, or its link breaks. */
  async #greet(shard: number): Promise<void> {
    if (shard === this.#mesh.shard || this.#closed || this.#reachable.has(this.#idOf(shard))) return
    try {
      await this.#mesh.submitTo(shard, HELLO_SERVICE, NOTHING)
      this.#met(shard)
    } catch {
      if (this.#mesh.reachable.has(shard)) this.#after(HELLO_RETRY_MS, () => void this.#greet(shard))
    }
  }

  #met(shard: number): void {
    const peer = this.#idOf(shard)
    if (this.#mesh.reachable.has(shard) && !this.#reachable.has(peer)) this.#changed(peer, true)
  }

  #changed(peer: number, reachable: boolean): void {
    if (reachable) this.#reachable.add(peer)
    else if (!this.#reachable.delete(peer)) return
    for (const listener of [...this.#listeners]) listener(peer, reachable)
  }
}

const NOTHING = new Uint8Array(0)
