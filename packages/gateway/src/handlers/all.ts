/**
 * Every API this gateway serves (ApiVersions adds itself): those that any host can do, and those that need a port that hosts
 * may lack. Adding an API is adding a file here and a line below.
 */
import { type AnyHandler, anyHandler } from '../handler.ts'
import type { AdministrationPort, ConfigsPort, GatewayHost, LogDirsPort } from '../ports.ts'
import { alterConfigsHandler } from './administration/alter-configs.ts'
import { alterPartitionReassignmentsHandler } from './administration/alter-partition-reassignments.ts'
import { alterReplicaLogDirsHandler } from './administration/alter-replica-log-dirs.ts'
import { createPartitionsHandler } from './topics/create-partitions.ts'
import { createTopicsHandler } from './topics/create-topics.ts'
import { deleteRecordsHandler } from './topics/delete-records.ts'
import { deleteTopicsHandler } from './topics/delete-topics.ts'
import { describeClusterHandler } from './describe-cluster.ts'
import { describeConfigsHandler } from './administration/describe-configs.ts'
import { describeLogDirsHandler } from './administration/describe-log-dirs.ts'
import { describeProducersHandler } from './describe-producers.ts'
import { describeQuorumHandler } from './administration/describe-quorum.ts'
import { describeTopicPartitionsHandler } from './describe-topic-partitions.ts'
import { electLeadersHandler } from './administration/elect-leaders.ts'
import { fetchHandler } from './fetch.ts'
import { findCoordinatorHandler } from './find-coordinator.ts'
import { incrementalAlterConfigsHandler } from './administration/incremental-alter-configs.ts'
import { initProducerIdHandler } from './init-producer-id.ts'
import { listConfigResourcesHandler } from './administration/list-config-resources.ts'
import { listOffsetsHandler } from './list-offsets.ts'
import { listPartitionReassignmentsHandler } from './administration/list-partition-reassignments.ts'
import { metadataHandler } from './metadata.ts'
import { offsetForLeaderEpochHandler } from './offset-for-leader-epoch.ts'
import { produceHandler } from './produce.ts'
import { updateFeaturesHandler } from './administration/update-features.ts'
import { unregisterBrokerHandler } from './administration/unregister-broker.ts'

const always: readonly AnyHandler[] = [
  anyHandler(produceHandler),
  anyHandler(fetchHandler),
  anyHandler(listOffsetsHandler),
  anyHandler(metadataHandler),
  anyHandler(findCoordinatorHandler),
  anyHandler(createTopicsHandler),
  anyHandler(deleteTopicsHandler),
  anyHandler(createPartitionsHandler),
  anyHandler(deleteRecordsHandler),
  anyHandler(initProducerIdHandler),
  anyHandler(offsetForLeaderEpochHandler),
  anyHandler(describeClusterHandler),
  anyHandler(describeProducersHandler),
  anyHandler(describeTopicPartitionsHandler),
  anyHandler(updateFeaturesHandler)
]

const withAdministration = (port: AdministrationPort): readonly AnyHandler[] => [
  anyHandler(electLeadersHandler(port)),
  anyHandler(alterPartitionReassignmentsHandler(port)),
  anyHandler(listPartitionReassignmentsHandler(port)),
  anyHandler(describeQuorumHandler(port)),
  anyHandler(unregisterBrokerHandler(port))
]

const withConfigs = (port: ConfigsPort): readonly AnyHandler[] => [
  anyHandler(describeConfigsHandler(port)),
  anyHandler(alterConfigsHandler(port)),
  anyHandler(incrementalAlterConfigsHandler(port)),
  anyHandler(listConfigResourcesHandler)
]

const withLogDirs = (port: LogDirsPort): readonly AnyHandler[] => [
  anyHandler(describeLogDirsHandler(port)),
  anyHandler(alterReplicaLogDirsHandler(port))
]

/** What a gateway in front of `host` serves. */
export function handlersFor({ administration, configs, logDirs }: GatewayHost): readonly AnyHandler[] {
  return [
    ...always,
    ...(administration === undefined ? [] : withAdministration(administration)),
    ...(configs === undefined ? [] : withConfigs(configs)),
    ...(logDirs === undefined ? [] : withLogDirs(logDirs))
  ]
}
