/**
 * What the gateway needs from its host: the ports. The gateway knows the wire and nothing of disks, shards or Raft; whoever
 * composes it (apps/broker, a proxy, a test with fakes) implements these.
 *
 * Units: offsets are numbers (safe integers; the log refuses to grow beyond), timestamps and producer ids are bigint (int64
 * exactly as on the wire), sizes are bytes, times milliseconds. Errors are names from the wire's error table; the gateway
 * turns them into codes. A *refused* outcome is an ordinary answer; a thrown error is a defect and becomes
 * UNKNOWN_SERVER_ERROR for that request.
 *
 * The larger ports have files of their own: `ports/cluster.ts`, `ports/partition.ts`, `ports/administration.ts`.
 */
import type { ErrorName } from '@milena/wire-protocol'
import type { AdministrationPort, ConfigsPort, LogDirsPort } from './ports/administration.ts'
import type { ClusterPort } from './ports/cluster.ts'
import type { PartitionsPort } from './ports/partition.ts'

export type * from './ports/administration.ts'
export type * from './ports/cluster.ts'
export type * from './ports/partition.ts'

/** Where ids for idempotent producers come from (InitProducerId). */
export interface ProducerIdsPort {
  /** A producer id never given out before, by any broker of the cluster. Refused when nobody could be asked in time. */
  allocate(): Promise<{ readonly producerId: bigint } | { readonly error: ErrorName }>
}

/** What a coordinator is for: Kafka's key types of FindCoordinator. */
export type CoordinatorKind = 'group' | 'transaction' | 'share'

/** Who coordinates a group or a transaction. `key`: its id. Refused where the host has no such coordinators. */
export interface CoordinatorsPort {
  find(
    kind: CoordinatorKind,
    key: string
  ): Promise<{ readonly brokerId: number } | { readonly error: ErrorName; readonly message: string | null }>
}

/** Back-pressure from the host's memory: while it is closed, connections read no further when a Produce is next. */
export interface AdmissionPort {
  readonly open: boolean
  whenOpen(): Promise<void>
}

/** The gateway's time and timers. */
export interface ClockPort {
  /** Wall clock, ms since the epoch. */
  now(): number
  /** Monotonic ms. */
  monotonic(): number
  /** Calls back once after `delayMs`; the returned function cancels. Timers never keep the process alive. */
  after(delayMs: number, callback: () => void): () => void
}

/** Structured log sink; a pino logger fits. */
export interface LogPort {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** How many connections are accepted, in total and from one address. */
export interface ConnectionLimits {
  readonly maxConnections: number
  readonly maxConnectionsPerIp: number
}

/** All that a gateway needs of whoever composes it. */
export interface GatewayHost {
  /** Broker id of this shard. */
  readonly brokerId: number
  readonly cluster: ClusterPort
  readonly partitions: PartitionsPort
  readonly producerIds: ProducerIdsPort
  readonly coordinators: CoordinatorsPort
  /** Without it the APIs that need it are not served. */
  readonly administration?: AdministrationPort
  /** Without it settings are neither shown nor changed. */
  readonly configs?: ConfigsPort
  /** Without it DescribeLogDirs and AlterReplicaLogDirs are not served. */
  readonly logDirs?: LogDirsPort
  /** Limits that change while it runs, asked for every connection; without it those of the settings hold. */
  readonly connectionLimits?: () => ConnectionLimits
  readonly admission: AdmissionPort
  readonly clock: ClockPort
  readonly log: LogPort
}
