/**
 * One shard, put together: store, replicas, metadata copy, partitions; on shard 0 of a node the controller as well. The same
 * for a pinned process, for a shard inside a test's process and for one in the simulator; what differs (mesh, peer network,
 * disk, time, chance) is passed in.
 *
 * `openShard` gives a shard whose ports can be used directly; `startShard` puts listeners for Kafka's protocol in front.
 *
 * Order of a start: recover the store, open the controller's log, open the partitions that the metadata places here, register
 * with the cluster, remove what is not placed here any more, listen. Order of a stop: give up leadership, stop accepting and let
 * answers go out, destage and close the store.
 */
import { createGateway, type GatewayHost } from '@milena/gateway'
import type { Mesh, PeerNetwork } from '@milena/shard-scheduler'
import { openStore, type Disk, type LogStore, type StateBackend, type StoreStatus } from '@milena/storage-engine'
import type { Logger } from 'pino'
import type { Advertising } from './cluster/addresses.ts'
import { serveDiscovery, serveJoining } from './cluster/discovery.ts'
import { LeaderTable } from './cluster/leader-table.ts'
import { NodeMember } from './cluster/node-member.ts'
import { ProducerIdBlocks } from './cluster/producer-ids.ts'
import { ShardCluster } from './cluster/shard-cluster.ts'
import { brokerIdOf, nodeOf, shardOf, type NodeDescription } from './controller/cluster-state.ts'
import { ControllerClient } from './controller/controller-client.ts'
import { decodeMessage, encodeMessage, type JoinAnswer } from './controller/messages.ts'
import { MetadataReplica } from './controller/metadata-replica.ts'
import { RaftCommandLog } from './controller/raft-command-log.ts'
import { openControllerRoom, type ControllerRoom } from './controller/start-controller.ts'
import type { NodeIdentity } from './data-folder.ts'
import { batchFormat } from './partitions/batch-format.ts'
import { logName, PartitionTable } from './partitions/partition-table.ts'
import { RemotePartition, serveRemotePartitions } from './partitions/remote-partition.ts'
import type { ReplicaHost, ReplicatedLog } from './replication/contract.ts'
import { openReplicaHost } from './replication/host.ts'
import type { BrokerSettings } from './settings/broker-settings.ts'
import type { BrokerClock } from './system-clock.ts'

/** Room in the store below which connections stop reading requests. */
const ADMISSION_BYTES = 4 * 1024 * 1024
/** How long a start waits for the cluster before it goes on in the background, ms: others may be down. */
const JOIN_WAIT_MS = 20_000
/** How long a cluster may take to let a node in, ms. */
const JOIN_DEADLINE_MS = 9_000

/** How long the controller may take to hear that a reassignment is done, ms; told again after that. */
const FINISH_DEADLINE_MS = 5_000

/** The shard of each node that has a replica of the controller's log. */
const CONTROLLER_SHARD = 0

/** Service of shard 0: which revision of the metadata is as new as this start. */
const CONFIRMED_SERVICE = 'metadata.confirmed'
const CONFIRMED_RETRY_MS = 50

/** Where this shard listens for one listener of the node. */
export interface ShardListener {
  readonly name: string
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** All shards of the node listen on the same port (node addressing). */
  readonly reusePort: boolean
}

/** Everything that a shard takes from the world. */
export interface ShardOptions {
  readonly settings: BrokerSettings
  readonly identity: NodeIdentity
  /** This node as it is now; what it registers. */
  readonly node: NodeDescription
  readonly mesh: Mesh
  /** Listens already; in no cluster yet. */
  readonly peers: PeerNetwork
  readonly disk: Disk
  readonly directory: string
  readonly openState: () => Promise<StateBackend>
  /** Unpredictable bytes, for ids. */
  readonly randomBytes: (count: number) => Uint8Array
  /** An integer in [0, bound), for elections. */
  readonly random: (bound: number) => number
  /** Makes the members of the cluster durable; called on shard 0. */
  readonly remember: (nodes: readonly NodeDescription[]) => void
  readonly advertising: Advertising
  /** Ports of all shards of this node on a listener, by shard. Shared: `onListening` fills in what was 0. */
  readonly ports: (listener: string) => readonly number[]
  readonly clock: BrokerClock
  readonly soon: (callback: () => void) => void
  readonly log: Logger
}

export interface ShardStatus {
  readonly shard: number
  readonly brokerId: number
  readonly partitionCount: number
  readonly metadataRevision: number
  /** It has the cluster's metadata and answers clients. */
  readonly serving: boolean
  readonly store: StoreStatus
  readonly disk: Disk['kind']
}

/** A shard without listeners. */
export interface OpenShard {
  readonly brokerId: number
  /** What a gateway is put in front of. */
  readonly host: GatewayHost
  /** Resolves when the metadata is as new as this start and all partitions are open; rejects with a `NotAMemberError`. */
  readonly confirmed: Promise<void>
  status(): ShardStatus
  /** Hands over what it leads, at most `deadlineMs`. */
  drainLeadership(deadlineMs: number): Promise<void>
  /** Makes everything durable and closes. */
  close(): Promise<void>
}

export interface Shard {
  /** Resolves when clients are answered; rejects when that can never be. */
  readonly serving: Promise<void>
  status(): ShardStatus
  /** Hands over leadership, stops accepting, answers what is in flight (at most `drainMs`), makes all durable, closes. */
  stop(drainMs: number): Promise<void>
}

/**
 * Starts a shard with listeners; resolves when clients can use it, or after a while when the cluster cannot be reached (then
 * `serving` tells when). `onListening` is told the port of each listener.
 */
export async function startShard(
  options: ShardOptions & {
    readonly listeners: readonly ShardListener[]
    readonly onListening: (listener: string, port: number) => void
  }
): Promise<Shard> {
  const { settings, clock, log, listeners } = options
  const shard = await openShard(options)
  const gateway = createGateway({ host: shard.host, listeners, settings: gatewaySettings(settings) })
  let serves = false
  let stopping = false
  const serving = shard.confirmed.then(async () => {
    if (stopping) return
    for (const bound of await gateway.listen()) options.onListening(bound.name, bound.port)
    serves = true
    log.info({ brokerId: shard.brokerId, listeners: listeners.map(l => l.name) }, 'shard serves')
  })
  const waited = new Promise<void>(resolve => void clock.after(JOIN_WAIT_MS, resolve))
  await Promise.race([serving, waited])
  return {
    serving,
    status: () => ({ ...shard.status(), serving: serves }),
    stop: async drainMs => {
      stopping = true
      await shard.drainLeadership(drainMs / 2)
      if (serves) await gateway.close({ drainMs: drainMs / 2 })
      await shard.close()
    }
  }
}

/** Opens a shard without listeners. */
export async function openShard(options: ShardOptions): Promise<OpenShard> {
  const { settings, identity, mesh, peers, clock, log } = options
  const brokerId = brokerIdOf(identity.nodeId, mesh.shard)
  const replica = new MetadataReplica({ mesh, sleep: ms => sleep(clock, ms) })
  const controller = new ControllerClient(mesh)
  const leaders = new LeaderTable({ brokerId, mesh, peers, soon: options.soon, after: clock.after })
  const groupName = logName
  const cluster = new ShardCluster({
    ...options,
    clusterId: identity.clusterId,
    nodeId: identity.nodeId,
    brokerId,
    replica,
    leaders,
    controller,
    groupName
  })
  const table = openPartitionTable(options, brokerId, replica, cluster, leaders, controller)
  const { store, replicas } = await openStorage(options, brokerId, table)
  table.attach(store, replicas)
  const member = new NodeMember({
    node: options.node,
    clusterId: identity.clusterId,
    known: identity.nodes,
    peers,
    remember: mesh.shard === CONTROLLER_SHARD ? options.remember : undefined,
    clock
  })
  const room = mesh.shard === CONTROLLER_SHARD ? await openRoom(options, store, replicas, leaders, member) : undefined
  // Links first: new groups cannot elect anybody without them.
  replica.onState(next => member.follow(next))
  replica.onState((next, previous) => table.reconcile(next, previous))
  await replica.load()
  const confirmed = confirm(options, replica).then(() => table.removeOrphans())
  return {
    brokerId,
    host: gatewayHost(options, brokerId, store, table, cluster, controller),
    confirmed,
    status: () => ({
      shard: mesh.shard,
      brokerId,
      partitionCount: table.partitionCount,
      metadataRevision: replica.state.revision,
      serving: false,
      store: store.status(),
      disk: options.disk.kind
    }),
    drainLeadership: deadlineMs => replicas.drainLeadership(deadlineMs),
    close: async () => {
      member.close()
      room?.close()
      leaders.close()
      await replicas.close()
      await store.close()
    }
  }
}

/** Tells every shard of the cluster what a group on this one has become. */
function reportLeadership(leaders: LeaderTable, group: ReplicatedLog): void {
  if (group.leading) leaders.announce(group.name, group.term, group.inSync)
  else leaders.resign(group.name, group.term)
}

function openPartitionTable(
  options: ShardOptions,
  brokerId: number,
  replica: MetadataReplica,
  cluster: ShardCluster,
  leaders: LeaderTable,
  controller: ControllerClient
): PartitionTable {
  const { settings, mesh, clock } = options
  const table = new PartitionTable({
    brokerId,
    settings,
    now: clock.now,
    clock,
    leaders,
    finishReassignment: moves => controller.ask('finishReassignment', { moves }, FINISH_DEADLINE_MS),
    rackOf: undefined,
    state: () => replica.state,
    remote: (topic, partition) => {
      const leadership = cluster.leadershipOf(topic, partition)
      if (settings.addressing !== 'node' || leadership === undefined) return undefined
      if (nodeOf(leadership.leader) !== options.identity.nodeId) return undefined
      const { topicId } = topic
      const shard = shardOf(leadership.leader)
      return new RemotePartition({ topicId, partition, leaderEpoch: leadership.term, shard, mesh, after: clock.after })
    }
  })
  if (settings.addressing === 'node') serveRemotePartitions(mesh, table, clock.after)
  return table
}

interface Storage {
  readonly store: LogStore
  readonly replicas: ReplicaHost
}

/** The store and the Raft groups in it. */
async function openStorage(options: ShardOptions, brokerId: number, table: PartitionTable): Promise<Storage> {
  const { settings, clock, log } = options
  const started = clock.monotonic()
  let replicas: ReplicaHost | undefined
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
    onFlushed: logs => replicas?.flushed(logs),
    onFailed: cause => {
      log.error(
        { err: cause },
        'the disk failed: this shard acknowledges nothing from now on; reads of durable data go on'
      )
      replicas?.storeFailed()
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
  replicas = await openReplicaHost({
    brokerId,
    store,
    network: options.peers,
    scheduler: { now: clock.monotonic, nextTurn: options.soon, after: clock.after },
    random: options.random,
    log,
    lagMsMax: settings['replica.lag.time.max.ms']
  })
  return { store, replicas }
}

/** Shard 0 only: the controller, what other nodes may ask without being members, and this node's registration. */
async function openRoom(
  options: ShardOptions,
  store: LogStore,
  replicas: ReplicaHost,
  leaders: LeaderTable,
  member: NodeMember
): Promise<ControllerRoom> {
  const { identity, settings, mesh, peers, clock, log } = options
  const founder = identity.founders.some(({ instance }) => instance === identity.instance)
  const commands = await RaftCommandLog.open({
    host: replicas,
    store,
    bootstrap: founder ? identity.founders.map(({ nodeId }) => brokerIdOf(nodeId, CONTROLLER_SHARD)) : [],
    now: clock.now,
    leadershipChanged: group => reportLeadership(leaders, group),
    log
  })
  const self = brokerIdOf(identity.nodeId, CONTROLLER_SHARD)
  const room = openControllerRoom({ self, identity, settings, log: commands, mesh, peers, clock, logger: log })
  serveDiscovery(peers, () => ({
    node: options.node,
    nodeId: identity.nodeId,
    seeds: settings.seeds,
    membership: {
      clusterId: identity.clusterId,
      founders: identity.founders,
      nodes: commands.state.nodes.size > 0 ? [...commands.state.nodes.values()] : identity.nodes
    }
  }))
  serveJoining(peers, async request => {
    const reply = await room.router.ask({ name: 'join', request, deadlineMs: JOIN_DEADLINE_MS })
    if (reply.kind !== 'answer') throw new Error('the controller does not answer')
    return reply.answer as JoinAnswer
  })
  const registered = member.register(room.router)
  registered.catch((error: unknown) => log.fatal({ err: error }, 'this node cannot take part'))
  mesh.serve(CONFIRMED_SERVICE, async () => {
    try {
      return encodeMessage({ revision: await registered })
    } catch (error) {
      return encodeMessage({ refused: error instanceof Error ? error.message : String(error) })
    }
  })
  return room
}

/** Resolves when this shard's metadata is as new as this start of the node. */
async function confirm({ mesh, clock }: ShardOptions, replica: MetadataReplica): Promise<void> {
  for (;;) {
    try {
      const options = { deadlineMs: JOIN_WAIT_MS }
      const bytes = await mesh.submitTo(CONTROLLER_SHARD, CONFIRMED_SERVICE, new Uint8Array(0), options)
      const answer = decodeMessage<{ revision?: number; refused?: string }>(bytes)
      if (answer.refused !== undefined) throw new Error(answer.refused)
      while (replica.state.revision < (answer.revision ?? 0)) await sleep(clock, CONFIRMED_RETRY_MS)
      return
    } catch (error) {
      if (!(error instanceof Error && error.name === 'MeshError')) throw error
      await sleep(clock, CONFIRMED_RETRY_MS)
    }
  }
}

function sleep(clock: BrokerClock, ms: number): Promise<void> {
  return new Promise(resolve => void clock.after(ms, resolve))
}

function gatewayHost(
  options: ShardOptions,
  brokerId: number,
  store: LogStore,
  table: PartitionTable,
  cluster: ShardCluster,
  controller: ControllerClient
): GatewayHost {
  const { settings, identity, clock, log } = options
  return {
    brokerId: settings.addressing === 'node' ? brokerIdOf(identity.nodeId, CONTROLLER_SHARD) : brokerId,
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

function gatewaySettings(settings: BrokerSettings): NonNullable<Parameters<typeof createGateway>[0]['settings']> {
  return {
    requestBytesMax: settings['socket.request.max.bytes'],
    queuedRequestBytesMax: settings['queued.max.request.bytes'],
    receiveBufferBytesMax: settings['queued.max.request.bytes'],
    connectionsMaxIdleMs: settings['connections.max.idle.ms'],
    maxConnections: settings['max.connections'],
    maxConnectionsPerIp: settings['max.connections.per.ip'],
    fetchMaxBytes: settings['fetch.max.bytes'],
    fetchSessionsMax: settings['max.incremental.fetch.session.cache.slots']
  }
}
