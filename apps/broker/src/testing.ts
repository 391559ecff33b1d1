/**
 * Parts of a broker for those who put it together in another world: the simulator, with its own time, disks and network. Not
 * for use in production; may change with every version.
 */
export { claimNode } from './node/claim-node.ts'
export type { OperationName } from './cluster/operations.ts'
export {
  brokerIdOf,
  nodeOf,
  toSnapshot,
  type ClusterState,
  type NodeDescription,
  type TopicState
} from './controller/metadata/cluster-state.ts'
export { CONTROLLER_LOG_NAME } from './controller/log/command-log.ts'
export type { FolderIdentity, NodeIdentity } from './node/data-folder.ts'
export { createLogger } from './logging.ts'
export { describeNode, planAdvertising, planListeners } from './node/node-plan.ts'
export { batchFormat } from './partitions/batch-format.ts'
export { logName } from './partitions/partition-table.ts'
export type {
  BrokerId,
  FollowerStatus,
  GroupListener,
  GroupRequest,
  ProposeOutcome,
  ReplicaHost,
  ReplicatedLog
} from './replication/contract.ts'
export { openReplicaHost, type ReplicaHostOptions } from './replication/host/host.ts'
export { parseBrokerSettings } from './settings/parse.ts'
export type { BrokerSettings } from './settings/broker-settings.ts'
export { Scrubber, type ScrubberOptions } from './scrub/scrubber.ts'
export { gatewaySettings } from './shard/gateway-host.ts'
export type { OpenShard, ShardOptions } from './shard/contract.ts'
export { openShard } from './shard/shard.ts'
