/**
 * The peer network between processes: gRPC with protobuf messages over TCP, one long-lived stream a pair; see peers.ts for the
 * promises and grpc-peer-transport.ts for who dials whom and who is let in.
 */
import type { MeshLimits } from '../mesh/mesh-limits.ts'
import { realScheduler } from '../scheduler/real-scheduler.ts'
import type { Scheduler } from '../scheduler/scheduler.ts'
import type { SchedulerLog } from '../supervisor.ts'
import { defaultPeerLimits, PeerCore } from './peer-core.ts'
import type { PeerAddress } from './peers.ts'

/** Settings of a peer network over TCP. */
export interface GrpcPeerNetworkOptions {
  /** This shard's number, unique in its cluster. */
  readonly self: number
  /** Where to listen; port 0 takes a free one, see `GrpcPeerNetwork.port`. Host `::` or `0.0.0.0` for all addresses. */
  readonly listen: PeerAddress
  /** Bounds, the same on all peers (default `defaultPeerLimits`). */
  readonly limits?: Partial<MeshLimits>
  /** Told of whoever was refused, each once (default: nobody). */
  readonly log?: SchedulerLog
  /** Time and turns (default Node's loop). */
  readonly scheduler?: Scheduler
}

/** A peer network over TCP. */
export interface GrpcPeerNetwork extends PeerCore {
  /** The port that it listens on. */
  readonly port: number
}

const silent: SchedulerLog = { info: () => {}, warn: () => {}, error: () => {} }

/**
 * Opens this shard's side. Ends when its port listens; rejects with Node's error when it cannot (`EADDRINUSE`, `EACCES`). Links come
 * after `joinCluster` and `setPeers`.
 */
export async function openGrpcPeerNetwork(options: GrpcPeerNetworkOptions): Promise<GrpcPeerNetwork> {
  const { self, listen, log = silent, scheduler = realScheduler } = options
  const limits = { ...defaultPeerLimits, ...options.limits }
  const { GrpcPeerTransport } = await import('./grpc-peer-transport.ts')
  const core = new PeerCore(self, scheduler, limits)
  const transport = new GrpcPeerTransport(core, { scheduler, limits, log })
  const port = await transport.listen(listen)
  core.useTransport(transport)
  return Object.assign(core, { port })
}
