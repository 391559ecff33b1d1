/**
 * For tests of this package and of whoever builds on it: a scheduler that a test moves by hand, and the compliance suites
 * that every mesh and every peer network passes. `memoryMeshes` and `MemoryMeshNetwork` are part of the main entry: they serve embedded brokers too.
 */
export { ManualScheduler } from './scheduler/manual-scheduler.ts'
export { meshCompliance, type ComplianceCase, type MeshFixture, type OpenMeshes } from './mesh/mesh-compliance.ts'
export { peerCompliance, type OpenPeerWorld, type PeerWorld } from './peers/peer-compliance.ts'
export { memoryMeshes, MemoryMeshNetwork, type MemoryMesh, type MemoryMeshOptions } from './mesh/memory-mesh.ts'
