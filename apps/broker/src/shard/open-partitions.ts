/**
 * The partitions of a shard, tied to the rest of it: whom they report to, and, with node addressing, how those of the node's
 * other shards are reached.
 */
import type { LeaderTable } from '../cluster/leadership/leader-table.ts'
import type { ShardCluster } from '../cluster/view/shard-cluster.ts'
import type { ControllerClient } from '../controller/controller-client.ts'
import { nodeOf, shardOf } from '../controller/metadata/cluster-state.ts'
import type { MetadataReplica } from '../controller/metadata/metadata-replica.ts'
import { RecordDeletions } from '../partitions/delete-records/record-deletions.ts'
import { PartitionTable } from '../partitions/partition-table.ts'
import { RemotePartition, serveRemotePartitions } from '../partitions/remote-partition.ts'
import type { ShardOptions } from './contract.ts'

/** How long the controller may take to hear that a reassignment is done, ms; told again after that. */
const FINISH_DEADLINE_MS = 5_000

/** What partitions know of the rest of their shard. */
export interface PartitionSurroundings {
  readonly brokerId: number
  readonly replica: MetadataReplica
  readonly cluster: ShardCluster
  readonly leaders: LeaderTable
  readonly controller: ControllerClient
}

/** An empty table; it fills when it is attached to the store and hears of metadata. */
export function openPartitionTable(
  { settings, identity, mesh, clock }: ShardOptions,
  { brokerId, replica, cluster, leaders, controller }: PartitionSurroundings
): PartitionTable {
  const deletions = new RecordDeletions(controller)
  const table = new PartitionTable({
    brokerId,
    settings,
    now: clock.now,
    clock,
    leaders,
    metadataRevision: async () => (await controller.ask('catchUp', {}, FINISH_DEADLINE_MS)).revision,
    finishReassignment: moves => controller.ask('finishReassignment', { moves }, FINISH_DEADLINE_MS),
    deleteRecords: (deletion, timeoutMs) => deletions.request(deletion, timeoutMs),
    rackOf:
      settings['replica.selector.class'] === '' ? undefined : id => replica.state.nodes.get(nodeOf(id))?.rack ?? '',
    state: () => replica.state,
    remote: (topic, partition) => {
      const leadership = cluster.leadershipOf(topic, partition)
      if (settings.addressing !== 'node' || leadership === undefined) return undefined
      if (nodeOf(leadership.leader) !== identity.nodeId) return undefined
      const { topicId } = topic
      const shard = shardOf(leadership.leader)
      return new RemotePartition({ topicId, partition, leaderEpoch: leadership.term, shard, mesh, after: clock.after })
    }
  })
  if (settings.addressing === 'node') serveRemotePartitions(mesh, table, clock.after)
  return table
}
