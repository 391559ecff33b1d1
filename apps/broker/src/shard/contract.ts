/**
 * What a shard takes from the world, and what it is to whoever starts it: a process of its own, a node inside a test's process,
 * the simulator. Opened by shard.ts, given listeners by start-shard.ts.
 */
import type { GatewayHost } from '@milena/gateway'
import type { Mesh, PeerNetwork } from '@milena/shard-scheduler'
import type { Disk, LogStore, StateBackend, StoreStatus } from '@milena/storage-engine'
import type { Logger } from 'pino'
import type { ClusterOperations } from '../cluster/operations.ts'
import type { Advertising } from '../cluster/view/addresses.ts'
import type { ClusterState, NodeDescription } from '../controller/metadata/cluster-state.ts'
import type { NodeIdentity } from '../node/data-folder.ts'
import type { ReplicaHost } from '../replication/contract.ts'
import type { ScrubStatus } from '../scrub/scrubber.ts'
import type { BrokerSettings } from '../settings/broker-settings.ts'
import type { BrokerClock } from '../system-clock.ts'

/** Where this shard listens for one listener of the node. */
export interface ShardListener {
  readonly name: string
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** All shards of the node listen on the same port (node addressing). */
  readonly reusePort: boolean
}

/** Everything that a shard takes from the world. */
export interface ShardOptions {
  readonly settings: BrokerSettings
  readonly identity: NodeIdentity
  /** This node as it is now; what it registers. */
  readonly node: NodeDescription
  readonly mesh: Mesh
  /** Listens already; in no cluster yet. */
  readonly peers: PeerNetwork
  readonly disk: Disk
  readonly directory: string
  readonly openState: () => Promise<StateBackend>
  /** Unpredictable bytes, for ids. */
  readonly randomBytes: (count: number) => Uint8Array
  /** An integer in [0, bound), for elections. */
  readonly random: (bound: number) => number
  /** Makes the members of the cluster durable; called on shard 0. */
  readonly remember: (nodes: readonly NodeDescription[]) => void
  readonly advertising: Advertising
  /** Ports of all shards of this node on a listener, by shard. Shared: `onListening` fills in what was 0. */
  readonly ports: (listener: string) => readonly number[]
  readonly clock: BrokerClock
  readonly soon: (callback: () => void) => void
  readonly log: Logger
}

/** How a shard is, for operators and for whoever embeds it. */
export interface ShardStatus {
  readonly shard: number
  readonly brokerId: number
  readonly partitionCount: number
  readonly metadataRevision: number
  /** It has the cluster's metadata and answers clients. */
  readonly serving: boolean
  readonly store: StoreStatus
  /** The look for damage that nobody has met yet. */
  readonly scrub: ScrubStatus
  readonly disk: Disk['kind']
}

/** A shard without listeners. */
export interface OpenShard {
  readonly brokerId: number
  /** What a gateway is put in front of. */
  readonly host: GatewayHost
  /** What operators ask of the cluster. */
  readonly operations: ClusterOperations
  readonly store: LogStore
  readonly replicas: ReplicaHost
  /** This shard's copy of the cluster's metadata, as it is now. */
  readonly metadata: ClusterState
  /** Resolves when the metadata is as new as this start and all partitions are open; rejects with a `NotAMemberError`. */
  readonly confirmed: Promise<void>
  status(): ShardStatus
  /** Hands over what it leads, at most `deadlineMs`; resolves with the number of groups that others lead now. */
  drainLeadership(deadlineMs: number): Promise<number>
  /** Makes everything durable and closes. */
  close(): Promise<void>
}

/** A shard with listeners. */
export interface Shard {
  /** Resolves when clients are answered; rejects when that can never be. */
  readonly serving: Promise<void>
  readonly operations: ClusterOperations
  status(): ShardStatus
  /** Hands over leadership, stops accepting, answers what is in flight (at most `drainMs`), makes all durable, closes. */
  stop(drainMs: number): Promise<void>
}
