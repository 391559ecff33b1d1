/** What a shard gives to its gateway: the ports, and the settings among the broker's that are the gateway's. */
import type { AdministrationPort, createGateway, GatewayHost, LogDirsPort } from '@milena/gateway'
import type { LogStore } from '@milena/storage-engine'
import { ProducerIdBlocks } from '../cluster/producer-ids.ts'
import type { ShardCluster } from '../cluster/view/shard-cluster.ts'
import type { ControllerClient } from '../controller/controller-client.ts'
import { shownBrokerId, type ClusterState } from '../controller/metadata/cluster-state.ts'
import type { PartitionTable } from '../partitions/partition-table.ts'
import type { BrokerSettings } from '../settings/broker-settings.ts'
import { ShardConfigs } from '../settings/config-descriptions.ts'
import { LiveSettings } from '../settings/dynamic-settings.ts'
import type { BrokerClock } from '../system-clock.ts'

/** Room in the store below which connections stop reading requests: so much, and at most this share of its memory. */
const ADMISSION_BYTES_MAX = 4 * 1024 * 1024
const ADMISSION_SHARE = 0.25

export interface GatewayHostParts {
  readonly brokerId: number
  readonly settings: BrokerSettings
  readonly state: () => ClusterState
  readonly store: LogStore
  readonly table: PartitionTable
  readonly cluster: ShardCluster
  readonly controller: ControllerClient
  readonly administration: AdministrationPort
  readonly logDirs: LogDirsPort
  readonly clock: BrokerClock
  readonly log: GatewayHost['log']
}

export function gatewayHost(parts: GatewayHostParts): GatewayHost {
  const { brokerId, settings, state, store, table, cluster, controller, administration, logDirs, clock, log } = parts
  const shownId = shownBrokerId(brokerId, settings.addressing === 'node')
  const live = new LiveSettings(settings, brokerId)
  const admissionBytes = Math.min(ADMISSION_BYTES_MAX, settings['store.memory.bytes'] * ADMISSION_SHARE)
  return {
    brokerId: shownId,
    cluster,
    partitions: table,
    producerIds: new ProducerIdBlocks(controller),
    coordinators: {
      find: kind =>
        Promise.resolve({
          error: 'COORDINATOR_NOT_AVAILABLE',
          message:
            kind === 'transaction'
              ? 'This broker has no transactions yet.'
              : 'This broker has no consumer groups yet; assign partitions instead.'
        })
    },
    administration,
    configs: new ShardConfigs({ settings, brokerId: shownId, state, controller }),
    logDirs,
    connectionLimits: () => {
      const now = live.at(state())
      return { maxConnections: now['max.connections'], maxConnectionsPerIp: now['max.connections.per.ip'] }
    },
    admission: {
      // A store that failed or is full refuses appends by itself: only a busy one makes clients wait.
      get open() {
        return store.refusesAppends || store.writable(admissionBytes)
      },
      whenOpen: () => store.whenWritable(admissionBytes)
    },
    clock,
    log
  }
}

export function gatewaySettings(
  settings: BrokerSettings
): NonNullable<Parameters<typeof createGateway>[0]['settings']> {
  return {
    requestBytesMax: settings['socket.request.max.bytes'],
    queuedRequestBytesMax: settings['queued.max.request.bytes'],
    receiveBufferBytesMax: settings['queued.max.request.bytes'],
    connectionsMaxIdleMs: settings['connections.max.idle.ms'],
    fetchMaxBytes: settings['fetch.max.bytes'],
    fetchSessionsMax: settings['max.incremental.fetch.session.cache.slots']
  }
}
