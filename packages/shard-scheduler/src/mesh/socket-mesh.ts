/**
 * The mesh between processes: gRPC with protobuf messages over Unix sockets in the broker's private folder. One long-lived
 * stream a pair, everything of one event-loop turn in one message, bounded, with deadlines; see mesh.ts for the promises and
 * mesh/grpc-transport.ts for who dials whom. A broker of one shard has no peers and never loads gRPC.
 */
import { realScheduler } from '../scheduler/real-scheduler.ts'
import type { Scheduler } from '../scheduler/scheduler.ts'
import { MeshCore } from './mesh-core.ts'
import { defaultMeshLimits, type MeshLimits } from './mesh-limits.ts'

/** Settings of a mesh over sockets. */
export interface SocketMeshOptions {
  /** This shard, in [0, shardCount). */
  readonly shard: number
  readonly shardCount: number
  /** Private folder (mode 0700) that all shards of the broker share; paths in it may have at most 103 bytes. */
  readonly socketFolder: string
  /** Secret that all shards of the broker know; peers without it are refused. */
  readonly token: string
  /** Bounds, the same on all shards (default `defaultMeshLimits`). */
  readonly limits?: Partial<MeshLimits>
  /** Time and turns (default Node's loop). */
  readonly scheduler?: Scheduler
}

/** A mesh over sockets. */
export type SocketMesh = MeshCore

/**
 * Opens this shard's side of the mesh. Ends when the shard's socket listens; peers become `reachable` as they come. A peer
 * that restarts loses what was under way (`UNREACHABLE`) and is dialled again every 10 to 200 ms.
 */
export async function openSocketMesh(options: SocketMeshOptions): Promise<SocketMesh> {
  const { shard, shardCount, socketFolder, token } = options
  const scheduler = options.scheduler ?? realScheduler
  const limits = { ...defaultMeshLimits, ...options.limits }
  const mesh = new MeshCore(shard, shardCount, scheduler, limits)
  if (shardCount > 1) {
    const { openGrpcTransport } = await import('./grpc-transport.ts')
    mesh.useTransport(await openGrpcTransport(mesh, { socketFolder, token, scheduler, limits }))
  }
  return mesh
}
