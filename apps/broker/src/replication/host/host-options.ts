/** What the host of all replicas of a shard takes from the world. */
import type { PeerNetwork, Scheduler } from '@milena/shard-scheduler'
import type { LogStore } from '@milena/storage-engine'
import type { CatchUpThrottle } from '../catch-up-throttle.ts'
import type { BrokerId } from '../contract.ts'

/** Structured log sink; a pino logger fits. */
export interface ReplicationLog {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** Default of `catchUpBytesPerSecond`: 128 MiB. */
export const CATCH_UP_BYTES_PER_SECOND = 128 * 1024 * 1024
/** Default of `lagMsMax`: Kafka's replica.lag.time.max.ms. */
export const LAG_MS_MAX = 30_000

export interface ReplicaHostOptions {
  readonly brokerId: BrokerId
  readonly store: LogStore
  readonly network: PeerNetwork
  readonly scheduler: Scheduler
  /** Draws an integer in `[0, bound)`. */
  readonly random: (bound: number) => number
  readonly log: ReplicationLog
  /** Bytes a second read from disk for replicas that lag. Default 128 MiB. */
  readonly catchUpBytesPerSecond?: number
  /** Rates for single replicas that are not in sync. Default none. */
  readonly throttle?: CatchUpThrottle
  /** See `ReplicatedLog.inSync`. Default 30,000. */
  readonly lagMsMax?: number
}
