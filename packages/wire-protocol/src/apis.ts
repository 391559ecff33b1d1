/**
 * Every API of Kafka 4.3, by name and by number. The removed keys 4 to 7 (the controller's calls of the ZooKeeper days) are
 * not there.
 */
import type { Api } from './schema.ts'
import { produce } from './apis/produce.ts'
import { fetch } from './apis/fetch.ts'
import { listOffsets } from './apis/list-offsets.ts'
import { metadata } from './apis/metadata.ts'
import { offsetCommit } from './apis/offset-commit.ts'
import { offsetFetch } from './apis/offset-fetch.ts'
import { findCoordinator } from './apis/find-coordinator.ts'
import { joinGroup } from './apis/join-group.ts'
import { heartbeat } from './apis/heartbeat.ts'
import { leaveGroup } from './apis/leave-group.ts'
import { syncGroup } from './apis/sync-group.ts'
import { describeGroups } from './apis/describe-groups.ts'
import { listGroups } from './apis/list-groups.ts'
import { saslHandshake } from './apis/sasl-handshake.ts'
import { apiVersions } from './apis/api-versions.ts'
import { createTopics } from './apis/create-topics.ts'
import { deleteTopics } from './apis/delete-topics.ts'
import { deleteRecords } from './apis/delete-records.ts'
import { initProducerId } from './apis/init-producer-id.ts'
import { offsetForLeaderEpoch } from './apis/offset-for-leader-epoch.ts'
import { addPartitionsToTxn } from './apis/add-partitions-to-txn.ts'
import { addOffsetsToTxn } from './apis/add-offsets-to-txn.ts'
import { endTxn } from './apis/end-txn.ts'
import { writeTxnMarkers } from './apis/write-txn-markers.ts'
import { txnOffsetCommit } from './apis/txn-offset-commit.ts'
import { describeAcls } from './apis/describe-acls.ts'
import { createAcls } from './apis/create-acls.ts'
import { deleteAcls } from './apis/delete-acls.ts'
import { describeConfigs } from './apis/describe-configs.ts'
import { alterConfigs } from './apis/alter-configs.ts'
import { alterReplicaLogDirs } from './apis/alter-replica-log-dirs.ts'
import { describeLogDirs } from './apis/describe-log-dirs.ts'
import { saslAuthenticate } from './apis/sasl-authenticate.ts'
import { createPartitions } from './apis/create-partitions.ts'
import { createDelegationToken } from './apis/create-delegation-token.ts'
import { renewDelegationToken } from './apis/renew-delegation-token.ts'
import { expireDelegationToken } from './apis/expire-delegation-token.ts'
import { describeDelegationToken } from './apis/describe-delegation-token.ts'
import { deleteGroups } from './apis/delete-groups.ts'
import { electLeaders } from './apis/elect-leaders.ts'
import { incrementalAlterConfigs } from './apis/incremental-alter-configs.ts'
import { alterPartitionReassignments } from './apis/alter-partition-reassignments.ts'
import { listPartitionReassignments } from './apis/list-partition-reassignments.ts'
import { offsetDelete } from './apis/offset-delete.ts'
import { describeClientQuotas } from './apis/describe-client-quotas.ts'
import { alterClientQuotas } from './apis/alter-client-quotas.ts'
import { describeUserScramCredentials } from './apis/describe-user-scram-credentials.ts'
import { alterUserScramCredentials } from './apis/alter-user-scram-credentials.ts'
import { vote } from './apis/vote.ts'
import { beginQuorumEpoch } from './apis/begin-quorum-epoch.ts'
import { endQuorumEpoch } from './apis/end-quorum-epoch.ts'
import { describeQuorum } from './apis/describe-quorum.ts'
import { alterPartition } from './apis/alter-partition.ts'
import { updateFeatures } from './apis/update-features.ts'
import { envelope } from './apis/envelope.ts'
import { fetchSnapshot } from './apis/fetch-snapshot.ts'
import { describeCluster } from './apis/describe-cluster.ts'
import { describeProducers } from './apis/describe-producers.ts'
import { brokerRegistration } from './apis/broker-registration.ts'
import { brokerHeartbeat } from './apis/broker-heartbeat.ts'
import { unregisterBroker } from './apis/unregister-broker.ts'
import { describeTransactions } from './apis/describe-transactions.ts'
import { listTransactions } from './apis/list-transactions.ts'
import { allocateProducerIds } from './apis/allocate-producer-ids.ts'
import { consumerGroupHeartbeat } from './apis/consumer-group-heartbeat.ts'
import { consumerGroupDescribe } from './apis/consumer-group-describe.ts'
import { controllerRegistration } from './apis/controller-registration.ts'
import { getTelemetrySubscriptions } from './apis/get-telemetry-subscriptions.ts'
import { pushTelemetry } from './apis/push-telemetry.ts'
import { assignReplicasToDirs } from './apis/assign-replicas-to-dirs.ts'
import { listConfigResources } from './apis/list-config-resources.ts'
import { describeTopicPartitions } from './apis/describe-topic-partitions.ts'
import { shareGroupHeartbeat } from './apis/share-group-heartbeat.ts'
import { shareGroupDescribe } from './apis/share-group-describe.ts'
import { shareFetch } from './apis/share-fetch.ts'
import { shareAcknowledge } from './apis/share-acknowledge.ts'
import { addRaftVoter } from './apis/add-raft-voter.ts'
import { removeRaftVoter } from './apis/remove-raft-voter.ts'
import { updateRaftVoter } from './apis/update-raft-voter.ts'
import { initializeShareGroupState } from './apis/initialize-share-group-state.ts'
import { readShareGroupState } from './apis/read-share-group-state.ts'
import { writeShareGroupState } from './apis/write-share-group-state.ts'
import { deleteShareGroupState } from './apis/delete-share-group-state.ts'
import { readShareGroupStateSummary } from './apis/read-share-group-state-summary.ts'
import { streamsGroupHeartbeat } from './apis/streams-group-heartbeat.ts'
import { streamsGroupDescribe } from './apis/streams-group-describe.ts'
import { describeShareGroupOffsets } from './apis/describe-share-group-offsets.ts'
import { alterShareGroupOffsets } from './apis/alter-share-group-offsets.ts'
import { deleteShareGroupOffsets } from './apis/delete-share-group-offsets.ts'

/** All APIs by their name in camel case, in the order of their keys. */
export const apis = {
  produce,
  fetch,
  listOffsets,
  metadata,
  offsetCommit,
  offsetFetch,
  findCoordinator,
  joinGroup,
  heartbeat,
  leaveGroup,
  syncGroup,
  describeGroups,
  listGroups,
  saslHandshake,
  apiVersions,
  createTopics,
  deleteTopics,
  deleteRecords,
  initProducerId,
  offsetForLeaderEpoch,
  addPartitionsToTxn,
  addOffsetsToTxn,
  endTxn,
  writeTxnMarkers,
  txnOffsetCommit,
  describeAcls,
  createAcls,
  deleteAcls,
  describeConfigs,
  alterConfigs,
  alterReplicaLogDirs,
  describeLogDirs,
  saslAuthenticate,
  createPartitions,
  createDelegationToken,
  renewDelegationToken,
  expireDelegationToken,
  describeDelegationToken,
  deleteGroups,
  electLeaders,
  incrementalAlterConfigs,
  alterPartitionReassignments,
  listPartitionReassignments,
  offsetDelete,
  describeClientQuotas,
  alterClientQuotas,
  describeUserScramCredentials,
  alterUserScramCredentials,
  vote,
  beginQuorumEpoch,
  endQuorumEpoch,
  describeQuorum,
  alterPartition,
  updateFeatures,
  envelope,
  fetchSnapshot,
  describeCluster,
  describeProducers,
  brokerRegistration,
  brokerHeartbeat,
  unregisterBroker,
  describeTransactions,
  listTransactions,
  allocateProducerIds,
  consumerGroupHeartbeat,
  consumerGroupDescribe,
  controllerRegistration,
  getTelemetrySubscriptions,
  pushTelemetry,
  assignReplicasToDirs,
  listConfigResources,
  describeTopicPartitions,
  shareGroupHeartbeat,
  shareGroupDescribe,
  shareFetch,
  shareAcknowledge,
  addRaftVoter,
  removeRaftVoter,
  updateRaftVoter,
  initializeShareGroupState,
  readShareGroupState,
  writeShareGroupState,
  deleteShareGroupState,
  readShareGroupStateSummary,
  streamsGroupHeartbeat,
  streamsGroupDescribe,
  describeShareGroupOffsets,
  alterShareGroupOffsets,
  deleteShareGroupOffsets
} as const

/** `'fetch'`, `'listOffsets'`, ... */
export type ApiName = keyof typeof apis

const byKey: (Api | undefined)[] = []
for (const api of Object.values(apis)) byKey[api.key] = api

/** The API with a number, if Kafka 4.3 has it. */
export function apiByKey(key: number): Api | undefined {
  return byKey[key]
}
