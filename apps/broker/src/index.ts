/**
 * @milena/broker: Milena as a whole. `milena start` runs a node of pinned shard processes; `startBroker()` runs the same broker
 * inside your process, in memory or on disk.
 *
 * The packages meet here and only here: wire-protocol (codec), storage-engine (logs), shard-scheduler (processes and mesh),
 * gateway (Kafka listeners). What is here is what joins them: partitions, the controller, settings, the admin API.
 */
export { startBroker, type EmbeddedBroker, type StartBrokerOptions } from './start-broker.ts'
export { startCluster, type EmbeddedCluster, type StartClusterOptions } from './start-cluster.ts'
export { SettingsError } from './settings/parse.ts'
export { brokerSettings, type BrokerSettingName, type BrokerSettings } from './settings/broker-settings.ts'
export { topicSettings, type TopicSettingName } from './settings/topic-settings.ts'
export type { ShardStatus } from './shard/contract.ts'
