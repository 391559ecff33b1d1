/**
 * One pinned process per core, and how they talk.
 *
 * - `startShards` supervises: spawns a process per shard, pins it, restarts it when it crashes, drains it. `runShard` is the
 *   other end, called by the entry module of a shard.
 * - `Mesh` is the only way from one shard to another. `openSocketMesh` is the one between processes (gRPC over Unix sockets),
 *   `memoryMeshes` the one inside a process.
 * - `PeerNetwork` is how a shard talks to shards of other nodes. `openGrpcPeerNetwork` is the one over TCP,
 *   `MemoryPeerNetwork` connects nodes inside one process.
 * - `Gate` counts work in flight, `StallDetector` tells when the loop was held up, `placePartitions` says which shard gets
 *   what.
 *
 * Time comes in through `Scheduler`; `realScheduler` is Node's own loop. Fakes and the compliance suite of meshes are in
 * `@milena/shard-scheduler/testing`.
 */
export type { Mesh, MeshService, SubmitOptions } from './mesh/mesh.ts'
export { GateClosedError, MeshError, ShardStartError, SupervisorError, type MeshErrorCode } from './errors.ts'
export type { Scheduler } from './scheduler/scheduler.ts'
export { realScheduler } from './scheduler/real-scheduler.ts'
export { defaultMeshLimits, type MeshLimits } from './mesh/mesh-limits.ts'
export type { MeshCore } from './mesh/mesh-core.ts'
export type { PeerLoad } from './mesh/link-table.ts'
export { openSocketMesh, type SocketMesh, type SocketMeshOptions } from './mesh/socket-mesh.ts'
export { memoryMeshes, MemoryMeshNetwork, type MemoryMesh, type MemoryMeshOptions } from './mesh/memory-mesh.ts'
export { SILENCE_MAX_MS } from './peers/peers.ts'
export type { PeerAddress, PeerMessageHandler, PeerNetwork, PeerService } from './peers/peers.ts'
export type { Lane } from './frames/frames.ts'
export { defaultPeerLimits, OPEN_CALLS_MAX } from './peers/peer-core.ts'
export {
  MemoryPeerNetwork,
  type MemoryPeerNetworkOptions,
  type MemoryPeerOptions
} from './peers/memory-peer-network.ts'
export { openGrpcPeerNetwork, type GrpcPeerNetwork, type GrpcPeerNetworkOptions } from './peers/grpc-peer-network.ts'
export { idealPath, type MemoryPath } from './peers/memory-wire.ts'
export { startShards, type SchedulerLog, type Shards, type ShardsOptions } from './supervisor.ts'
export type { ShardReport, ShardState } from './supervisor/supervised-shard.ts'
export type { ShardStatus } from './supervisor/control-channel.ts'
export type { ShardChild, ShardExit, ShardSpawn, ShardSpawner } from './supervisor/shard-child.ts'
export { defaultRestartSettings, type RestartSettings } from './supervisor/restart-backoff.ts'
export { recommendedShardEnvironment, recommendedShardExecArgv } from './supervisor/shard-environment.ts'
export { allowedCpus, pinToCore } from './supervisor/affinity.ts'
export { createSocketFolder, removeSocketFolder } from './supervisor/socket-folder.ts'
export { runShard, type ShardContext, type ShardMain, type ShardService } from './run-shard.ts'
export { Gate } from './gate.ts'
export { STALL_THRESHOLD_MS, StallDetector, type Stall, type StallCounters } from './scheduler/stall-detector.ts'
export { placePartitions } from './placement.ts'
