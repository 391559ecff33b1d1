/**
 * What tests need of a gateway: a host in memory with switches for everything that goes wrong, a client that speaks raw
 * frames to any broker, clocks, batches.
 */
export { ManualClock, SystemClock } from './testing/clocks.ts'
export { MemoryAdministration, MemoryConfigs, MemoryLogDirs } from './testing/memory-administration.ts'
export { MemoryAdmission, MemoryCluster, MemoryHost, MemoryLog, type NeighbourBroker } from './testing/memory-host.ts'
export { MemoryPartition } from './testing/memory-partition.ts'
export { RawClient } from './testing/raw-client.ts'
export { ServedGateway } from './testing/served-gateway.ts'
export { SocketlessConnection, SocketlessGateway, type SocketlessGatewayOptions } from './testing/socketless-gateway.ts'
export { testBatch, type TestBatchOptions } from './testing/test-batch.ts'
