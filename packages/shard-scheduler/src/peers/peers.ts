/**
 * The peer network: how a shard talks to shards of other nodes. Like the mesh, but over TCP, between processes that may be of
 * different machines, and with messages that need no answer, which is what Raft wants.
 *
 * A peer is a shard somewhere in the cluster, known by a number that is unique there (the app's broker id). One long-lived
 * bidirectional gRPC stream a pair carries everything, batched per turn of the event loop; the lower number dials. Both sides
 * say who they are and name the cluster before anything else is read; a number that is linked twice replaces the older link.
 * Whoever has no such link may call what is served as `open`, and nothing else.
 *
 * Implementations: `GrpcPeerNetwork` and the networks that a `MemoryPeerNetwork` opens (nodes inside one process, with links that
 * can be cut one way, slow, lossy). Both pass `peerCompliance` of `@milena/shard-scheduler/testing`.
 *
 * Promises: a message arrives at most once; messages of one link and one lane arrive in order; a link that breaks loses what was
 * under way, and `onPeerChange` says so. A peer that is silent for `SILENCE_MAX_MS` (cut off, stopped, powered off) is no
 * longer linked. Every queue is bounded in bytes: over the bound `send` answers false and nothing was sent, a call ends in
 * `OVERLOADED`. A peer that does not read costs its own queue only.
 */
import type { Lane } from '../frames/frames.ts'
import type { SubmitOptions } from '../mesh/mesh.ts'

/** A peer that is not heard of for this long, pings included, is no longer linked. Milliseconds. */
export const SILENCE_MAX_MS = 3_000

/** Where a peer listens: a host name, an IPv4 or an IPv6 address (without brackets), and a TCP port. */
export interface PeerAddress {
  readonly host: string
  readonly port: number
}

/** `message` is valid during the call only: it may be a view of memory that is used again. Must not throw. */
export type PeerMessageHandler = (from: number, message: Uint8Array) => void

/** As `MeshService`; `from` is undefined for a caller that is not a member (`callAddress`). */
export type PeerService = (payload: Uint8Array, from: number | undefined) => Uint8Array | Promise<Uint8Array>

/** A shard's end of the peer network. */
export interface PeerNetwork {
  /** This shard's number. */
  readonly self: number
  /** Largest message, and largest payload of a call or an answer, bytes. */
  readonly messageBytesMax: number
  /**
   * Who there is (this shard may be among them and is passed over): links to others are opened, links to numbers that are gone
   * are closed, a peer whose address changed is linked anew. Numbers that are not named here cannot link up.
   */
  setPeers(addresses: ReadonlyMap<number, PeerAddress>): void
  /**
   * Sends one message, made of `parts`, on a named channel (few names, agreed on by both sides). The bytes are copied before
   * it returns. False: not reachable, or over the lane's bound; nothing was sent. Throws `MeshError` (`TOO_LARGE`) above
   * `messageBytesMax`.
   *
   * `lane`: `bulk` for data, `urgent` (default) for what is small and must not wait behind data; each has a bound of its own, so
   * that heartbeats pass when no more data does.
   */
  send(peer: number, channel: string, parts: readonly Uint8Array[], lane?: Lane): boolean
  /** Bytes that wait for `peer` here, so that a sender of bulk can hold back; 0 for one that is not linked. */
  queuedBytes(peer: number): number
  /** Registers the handler of a channel; once per channel. Messages of channels without one are dropped. */
  receive(channel: string, handler: PeerMessageHandler): void
  /** Registers a service for `call` and `callAddress`. `open`: who is not (yet) a member may call it. */
  serve(service: string, handler: PeerService, options?: { readonly open: boolean }): void
  /** Calls a service of a peer. Ends as a call of the mesh does, with a `MeshError` when not well. */
  call(peer: number, service: string, payload: Uint8Array, options?: SubmitOptions): Promise<Uint8Array>
  /**
   * Calls an open service at an address, whoever answers there (this shard, too): how a node finds its cluster. Proves nothing;
   * a connection of its own, closed afterwards. Ends as a call does.
   */
  callAddress(address: PeerAddress, service: string, payload: Uint8Array, options?: SubmitOptions): Promise<Uint8Array>
  /** The cluster whose members may link up; before it is set nobody may, and only open services answer. Set once. */
  joinCluster(clusterId: string): void
  /** Peers that are linked now. Never this shard. */
  readonly reachable: ReadonlySet<number>
  /** Called when a peer is linked or stops being so. Returns a function that unsubscribes. */
  onPeerChange(listener: (peer: number, reachable: boolean) => void): () => void
  /** Ends all links and listening; what is under way ends with `UNREACHABLE`. */
  close(): Promise<void>
}
