/**
 * What supervisor and shard say to each other over the child's IPC channel. The channel is private to the two processes, so
 * the mesh token and the application's settings travel here and not through the environment. Values are structured-cloned
 * (`serialization: 'advanced'`): BigInt, Map and typed arrays survive.
 */

/** First message to a shard. */
export interface StartMessage {
  readonly type: 'start'
  readonly shard: number
  readonly shardCount: number
  /** Private folder of the mesh's sockets; empty when there is one shard only. */
  readonly socketFolder: string
  /** Proves to peers that this process belongs to the same broker. */
  readonly token: string
  /** The CPU that the process was pinned to before it ran, or -1. */
  readonly cpu: number
  /** Milliseconds that the shard may take to drain when nobody says otherwise. */
  readonly drainDeadlineMs: number
  /** The application's own settings. */
  readonly config: unknown
}

/** What the supervisor tells a shard. */
export type ToShard =
  | StartMessage
  | { readonly type: 'drain'; readonly deadlineMs: number }
  | { readonly type: 'status'; readonly request: number }
  | { readonly type: 'app'; readonly payload: unknown }

/** What a shard tells the supervisor. */
export type FromShard =
  | { readonly type: 'ready' }
  /** The shard cannot start and will exit; not a crash: trying again would end the same. */
  | { readonly type: 'failed'; readonly reason: string }
  | { readonly type: 'status'; readonly request: number; readonly status: ShardStatus }
  | { readonly type: 'app'; readonly payload: unknown }

/** What a shard says about itself. */
export interface ShardStatus {
  /** Resident memory of the process, bytes. */
  readonly residentBytes: number
  /** CPU time since its start, microseconds: all threads, user and system. */
  readonly cpuMicros: number
  /** Event-loop stalls since its start. */
  readonly stallCount: number
  readonly longestStallMs: number
  /** Shards that it reaches. */
  readonly reachable: readonly number[]
  /** What the application added (`ShardService.status`). */
  readonly app: unknown
}
