/**
 * The peer network: how a shard talks to shards of other nodes. Like the mesh, but over TCP, between processes that may be of
 * different machines, and with messages that need no answer, which is what Raft wants.
 *
 * A peer is a shard somewhere in the cluster, known by a number that is unique there (the app's broker id). One long-lived
 * bidirectional gRPC stream a pair carries everything, batched per turn of the event loop; the lower number dials. Both sides
 * prove the cluster (`cluster`, a secret that is never sent in the clear would be TLS's task) and say who they are before
 * anything else is read; a number that is linked twice replaces the older link.
 *
 * Implementations: `GrpcPeerNetwork` and `MemoryPeerNetwork` (nodes inside one process, links that can be cut one way, lose,
 * repeat, delay and reorder). Both pass `peerCompliance` of `@milena/shard-scheduler/testing`.
 *
 * Promises: a message arrives at most once, messages of one link in order; a link that breaks loses what was under way, and
 * `onPeerChange` says so. Every queue is bounded in bytes: over the bound `send` answers false and nothing was sent, a call
 * ends in `OVERLOADED`. A peer that does not read costs its own queue only.
 */
import type { SubmitOptions } from './mesh.ts'

export interface PeerAddress {
  readonly host: string
  readonly port: number
}

/** `parts` are valid during the call only and may be views of a larger batch. */
export type PeerMessageHandler = (from: number, message: Uint8Array) => void

/** As `MeshService`; `from` is undefined for a caller that is not a member (`callAddress`). */
export type PeerService = (payload: Uint8Array, from: number | undefined) => Uint8Array | Promise<Uint8Array>

export interface PeerNetwork {
  /** This shard's number. */
  readonly self: number
  /** Who there is, this shard excluded: links to others are opened, links to numbers that are gone are closed. */
  setPeers(addresses: ReadonlyMap<number, PeerAddress>): void
  /**
   * Sends one message, made of `parts`, on a named channel (few names, agreed on by both sides). The bytes are copied or
   * encoded before it returns. False: not reachable, or over the bound; nothing was sent.
   */
  send(peer: number, channel: string, parts: readonly Uint8Array[]): boolean
  /** Bytes that wait for `peer`, so that a sender of bulk can hold back. */
  queuedBytes(peer: number): number
  /** Registers the handler of a channel; once per channel. */
  receive(channel: string, handler: PeerMessageHandler): void
  /** Registers a service for `call` and `callAddress`. `open`: who is not (yet) a member may call it. */
  serve(service: string, handler: PeerService, options?: { readonly open: boolean }): void
  /** Calls a service of a member. Ends as a call of the mesh does, with a `MeshError` when not well. */
  call(peer: number, service: string, payload: Uint8Array, options?: SubmitOptions): Promise<Uint8Array>
  /**
   * Calls an open service at an address, whoever answers there: how a node finds its cluster. Proves nothing; a connection of
   * its own, closed afterwards.
   */
  callAddress(address: PeerAddress, service: string, payload: Uint8Array, options?: SubmitOptions): Promise<Uint8Array>
  /** The cluster whose members may link up; before it is set nobody may, and only open services answer. */
  joinCluster(clusterId: string): void
  /** Peers that are linked now. */
  readonly reachable: ReadonlySet<number>
  onPeerChange(listener: (peer: number, reachable: boolean) => void): () => void
  close(): Promise<void>
}
