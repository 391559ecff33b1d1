/**
 * One shard, put together: store, metadata copy, partitions, gateway; on shard 0 the controller as well. The same for a
 * pinned process and for a shard inside a test's process; what differs (mesh, disk, ports) is passed in.
 *
 * Order of a start: recover the store, open the metadata, open the partitions placed here, listen. Order of a stop: stop
 * accepting and let answers go out, destage and close the store.
 */
import { createGateway, type GatewayHost } from '@milena/gateway'
import type { Mesh } from '@milena/shard-scheduler'
import { openStore, type Disk, type LogStore, type StateBackend, type StoreStatus } from '@milena/storage-engine'
import type { Logger } from 'pino'
import type { Advertising } from './cluster/addresses.ts'
import { ProducerIdBlocks } from './cluster/producer-ids.ts'
import { ShardCluster } from './cluster/shard-cluster.ts'
import { brokerIdOf, shardOf } from './controller/cluster-state.ts'
import { CommandLog } from './controller/command-log.ts'
import { Controller } from './controller/controller.ts'
import { MetadataReplica } from './controller/metadata-replica.ts'
import type { NodeIdentity } from './data-folder.ts'
import { batchFormat } from './partitions/batch-format.ts'
import { PartitionTable } from './partitions/partition-table.ts'
import { RemotePartition, serveRemotePartitions } from './partitions/remote-partition.ts'
import type { BrokerSettings } from './settings/broker-settings.ts'
import type { BrokerClock } from './system-clock.ts'

/** Room in the store below which connections stop reading requests. */
const ADMISSION_BYTES = 4 * 1024 * 1024

/** The shard that runs the controller. */
const CONTROLLER_SHARD = 0

/** Where this shard listens for one listener of the node. */
export interface ShardListener {
  readonly name: string
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** All shards of the node listen on the same port (node addressing). */
  readonly reusePort: boolean
}

export interface ShardOptions {
  readonly settings: BrokerSettings
  readonly identity: NodeIdentity
  readonly mesh: Mesh
  readonly disk: Disk
  readonly directory: string
  readonly openState: () => Promise<StateBackend>
  /** Unpredictable bytes, for ids. */
  readonly randomBytes: (count: number) => Uint8Array
  readonly listeners: readonly ShardListener[]
  readonly advertising: Advertising
  /** Ports of all shards of this node on a listener, by shard. Shared: `onListening` fills in what was 0. */
  readonly ports: (listener: string) => readonly number[]
  readonly onListening: (listener: string, port: number) => void
  readonly clock: BrokerClock
  readonly soon: (callback: () => void) => void
  readonly log: Logger
}

export interface ShardStatus {
  readonly shard: number
  readonly brokerId: number
  readonly partitionCount: number
  readonly metadataRevision: number
  readonly store: StoreStatus
  readonly disk: Disk['kind']
}

export interface Shard {
  status(): ShardStatus
  /** Stops accepting, answers what is in flight (at most `drainMs`), makes everything durable, closes. */
  stop(drainMs: number): Promise<void>
}

/** Starts a shard; resolves when clients can use it. */
export async function startShard(options: ShardOptions): Promise<Shard> {
  const { settings, mesh, clock, log } = options
  const brokerId = brokerIdOf(settings['node.id'], mesh.shard)
  const replica = new MetadataReplica({ mesh, sleep: ms => new Promise(resolve => clock.after(ms, resolve)) })
  const table = new PartitionTable({
    brokerId,
    settings,
    now: clock.now,
    state: () => replica.state,
    remote: (topic, partition) => {
      const placement = topic.partitions[partition]
      if (settings.addressing !== 'node' || placement === undefined) return undefined
      const { topicId } = topic
      return new RemotePartition({
        topicId,
        partition,
        leaderEpoch: 0,
        shard: shardOf(placement.replicas[0] ?? -1),
        mesh,
        after: clock.after
      })
    }
  })
  if (settings.addressing === 'node') serveRemotePartitions(mesh, table, clock.after)

  const store = await openShardStore(options, table)
  table.attach(store)
  if (mesh.shard === CONTROLLER_SHARD) await startController(options, store)
  replica.onState((next, previous) => table.reconcile(next, previous))
  await replica.load()
  await table.removeOrphans()

  const gateway = createGateway({
    host: gatewayHost(options, brokerId, store, table, replica),
    listeners: options.listeners,
    settings: {
      requestBytesMax: settings['socket.request.max.bytes'],
      queuedRequestBytesMax: settings['queued.max.request.bytes'],
      receiveBufferBytesMax: settings['queued.max.request.bytes'],
      connectionsMaxIdleMs: settings['connections.max.idle.ms'],
      maxConnections: settings['max.connections'],
      maxConnectionsPerIp: settings['max.connections.per.ip'],
      fetchMaxBytes: settings['fetch.max.bytes'],
      fetchSessionsMax: settings['max.incremental.fetch.session.cache.slots']
    }
  })
  for (const bound of await gateway.listen()) options.onListening(bound.name, bound.port)
  log.info(
    { brokerId, partitions: table.partitionCount, listeners: options.listeners.map(l => l.name) },
    'shard serves'
  )

  return {
    status: () => ({
      shard: mesh.shard,
      brokerId,
      partitionCount: table.partitionCount,
      metadataRevision: replica.state.revision,
      store: store.status(),
      disk: options.disk.kind
    }),
    stop: async drainMs => {
      await gateway.close({ drainMs })
      await store.close()
    }
  }
}

async function openShardStore(options: ShardOptions, table: PartitionTable): Promise<LogStore> {
  const { settings, clock, log } = options
  const started = clock.monotonic()
  const store = await openStore({
    disk: options.disk,
    directory: options.directory,
    openState: options.openState,
    format: batchFormat,
    clock,
    scheduler: { soon: options.soon },
    newIdentity: () => options.randomBytes(16),
    settings: { memoryBytes: settings['store.memory.bytes'], journalBytes: settings['journal.bytes'] },
    folds: name => table.foldOf(name),
    onFlushed: logs => table.flushed(logs),
    onFailed: cause => {
      log.error(
        { err: cause },
        'the disk failed: this shard acknowledges nothing from now on; reads of durable data go on'
      )
      table.storeFailed()
    },
    log
  })
  const { damage } = store.status()
  for (const range of damage) log.error({ ...range }, 'damaged range: reads of it are refused')
  log.info(
    { logs: store.logs.size, tookMs: Math.round(clock.monotonic() - started), disk: options.disk.kind },
    'store recovered'
  )
  return store
}

async function startController(options: ShardOptions, store: LogStore): Promise<void> {
  const { settings, mesh, identity } = options
  const commands = await CommandLog.open(store, options.clock.now)
  const controller = new Controller({ commands, mesh, settings, randomBytes: options.randomBytes })
  await controller.registerNode({
    nodeId: identity.nodeId,
    instance: '',
    shardCount: mesh.shardCount,
    rack: settings['broker.rack'],
    rpc: { host: '', port: 0 },
    listeners: []
  })
  controller.serve()
}

function gatewayHost(
  options: ShardOptions,
  brokerId: number,
  store: LogStore,
  table: PartitionTable,
  replica: MetadataReplica
): GatewayHost {
  const { settings, mesh, identity, advertising, ports, clock, log } = options
  return {
    brokerId: settings.addressing === 'node' ? brokerIdOf(identity.nodeId, CONTROLLER_SHARD) : brokerId,
    cluster: new ShardCluster({ clusterId: identity.clusterId, settings, replica, mesh, advertising, ports }),
    partitions: table,
    producerIds: new ProducerIdBlocks(mesh),
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
    admission: {
      // A store that failed or is full refuses appends by itself: only a busy one makes clients wait.
      get open() {
        return store.refusesAppends || store.writable(ADMISSION_BYTES)
      },
      whenOpen: () => store.whenWritable(ADMISSION_BYTES)
    },
    clock,
    log
  }
}
