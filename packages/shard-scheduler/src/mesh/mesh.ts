/**
 * The mesh: how shards talk. Nothing is shared between them, so this port is the only way from one core to another.
 *
 * Vocabulary of Seastar: `submitTo` runs a named service on one shard, `invokeOnAll` on every shard. Payloads are opaque
 * bytes; both sides agree on their meaning by the service's name.
 *
 * Implementations: `SocketMesh` (gRPC with protobufjs messages over Unix sockets, one long-lived bidirectional stream a
 * pair, everything of one event-loop turn batched into one message) and `MemoryMesh` (shards inside one process). Both pass
 * `meshCompliance` of `@milena/shard-scheduler/testing`.
 *
 * Promises: a call is delivered at most once. It ends with the service's answer, with a `MeshError` thrown by the service
 * (`REMOTE`, message kept), or with `DEADLINE` / `UNREACHABLE` / `OVERLOADED` / `TOO_LARGE`; the first two of these leave open
 * whether it ran. Calls from one shard to one other are delivered in order. Every queue is bounded: over the bound,
 * `OVERLOADED` at once.
 *
 * Bytes: a payload stays the caller's, but must not change until the call has ended; an answer is handed over and must not
 * change after the handler returned it.
 */
export interface SubmitOptions {
  /** Milliseconds until the caller gives up (default 10,000). */
  readonly deadlineMs?: number
}

/**
 * A handler runs on the called shard. `payload` is valid until the returned promise settles; it may be a view of a larger
 * batch, so whoever keeps it copies it. What it throws reaches the caller as `REMOTE`.
 */
export type MeshService = (payload: Uint8Array, from: number) => Uint8Array | Promise<Uint8Array>

/** A shard's end of the mesh. */
export interface Mesh {
  /** This shard's number, 0 to shardCount - 1. */
  readonly shard: number
  readonly shardCount: number
  /** Registers a service under a unique name. Must happen before peers call it: unknown names end in `REMOTE`. */
  serve(service: string, handler: MeshService): void
  /** Calls `service` on `shard` (this one included, without leaving the process, in a later turn). */
  submitTo(shard: number, service: string, payload: Uint8Array, options?: SubmitOptions): Promise<Uint8Array>
  /** Calls `service` on every shard, this one included. One failure does not stop the others. */
  invokeOnAll(
    service: string,
    payload: Uint8Array,
    options?: SubmitOptions
  ): Promise<PromiseSettledResult<Uint8Array>[]>
  /** Shards that can be reached now, this one included until `close`. */
  readonly reachable: ReadonlySet<number>
  /** Called when a shard becomes reachable or stops being so. Returns a function that unsubscribes. */
  onPeerChange(listener: (shard: number, reachable: boolean) => void): () => void
  /** Stops accepting, fails what is pending with `UNREACHABLE`, frees sockets. */
  close(): Promise<void>
}
