/**
 * Parts of a broker for those who put it together in another world: the simulator, with its own time, disks and network. Not
 * for use in production; may change with every version.
 */
export { batchFormat } from './partitions/batch-format.ts'
export type {
  BrokerId,
  FollowerStatus,
  GroupListener,
  GroupRequest,
  ProposeOutcome,
  ReplicaHost,
  ReplicatedLog
} from './replication/contract.ts'
export { openReplicaHost, type ReplicaHostOptions } from './replication/host.ts'
