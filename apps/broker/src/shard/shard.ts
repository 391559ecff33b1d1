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
import type { Disk, LogStore, StateBackend, StoreStatus } from '@milena/storage-engine'
import type { Logger } from 'pino'
import type { Advertising } from '../cluster/view/addresses.ts'
import { Elections } from '../cluster/leadership/elections.ts'
import { LeaderTable } from '../cluster/leadership/leader-table.ts'
import { NodeMember } from '../cluster/membership/node-member.ts'
import { NodePeers } from '../cluster/peers/node-peers.ts'
import { ClusterOperations } from '../cluster/operations.ts'
import { ReplicationThrottle } from '../cluster/replication-throttle.ts'
import { ShardAdministration } from '../cluster/shard-administration.ts'
import { ShardCalls } from '../cluster/peers/shard-calls.ts'
import { ShardCluster } from '../cluster/view/shard-cluster.ts'
import {
  brokerIdOf,
  nodeOf,
  shardOf,
  type ClusterState,
  type NodeDescription
} from '../controller/metadata/cluster-state.ts'
import { ControllerClient } from '../controller/controller-client.ts'
import { MetadataReplica } from '../controller/metadata/metadata-replica.ts'
import type { NodeIdentity } from '../node/data-folder.ts'
import { Arrivals } from '../partitions/arrivals.ts'
import { ShardLogDirs } from '../partitions/log-dirs.ts'
import { logName, PartitionTable } from '../partitions/partition-table.ts'
import { RecordDeletions } from '../partitions/delete-records/record-deletions.ts'
import { RemotePartition, serveRemotePartitions } from '../partitions/remote-partition.ts'
import { UncleanRecovery } from '../recovery/unclean-recovery.ts'
import type { ReplicaHost, ReplicatedLog } from '../replication/contract.ts'
import { gatewayHost, gatewaySettings } from './gateway-host.ts'
import { confirmMetadata, CONTROLLER_SHARD, openController } from './open-controller.ts'
import { openStorage } from './open-storage.ts'
import type { BrokerSettings } from '../settings/broker-settings.ts'
import type { BrokerClock } from '../system-clock.ts'

/** How long a start waits for the cluster before it goes on in the background, ms: others may be down. */
const JOIN_WAIT_MS = 20_000
/** How long the controller may take to hear that a reassignment is done, ms; told again after that. */
const FINISH_DEADLINE_MS = 5_000
/** How long a start waits for the leaders of its partitions, ms, and how often it looks. */
const LEADERS_WAIT_MS = 2_000
const LEADERS_POLL_MS = 5
/** Of the time that a stop may take, what is left for clients after leadership was handed over. */
const DRAIN_SHARE = 0.5
/**
 * How long a shard that handed over leadership still answers, ms: clients that ask it are told who leads now and move at once.
 * Those that only see a connection end look for their leaders anew, which some do no more often than every five seconds.
 */
const REDIRECT_MS = 500

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
  /** What operators ask of the cluster. */
  readonly operations: ClusterOperations
  readonly store: LogStore
  readonly replicas: ReplicaHost
  /** This shard's copy of the cluster's metadata, as it is now. */
  readonly metadata: ClusterState
  /** Resolves when the metadata is as new as this start and all partitions are open; rejects with a `NotAMemberError`. */
  readonly confirmed: Promise<void>
  status(): ShardStatus
  /** Hands over what it leads, at most `deadlineMs`; resolves with the number of groups that others lead now. */
  drainLeadership(deadlineMs: number): Promise<number>
  /** Makes everything durable and closes. */
  close(): Promise<void>
}

export interface Shard {
  /** Resolves when clients are answered; rejects when that can never be. */
  readonly serving: Promise<void>
  readonly operations: ClusterOperations
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
  try {
    await Promise.race([serving, waited])
  } catch (error) {
    // It can never take part: whoever starts the next one finds everything free.
    await shard.close()
    throw error
  }
  return {
    serving,
    operations: shard.operations,
    status: () => ({ ...shard.status(), serving: serves }),
    stop: async drainMs => {
      stopping = true
      const handedOver = await shard.drainLeadership(drainMs * DRAIN_SHARE)
      const restMs = drainMs * (1 - DRAIN_SHARE)
      const redirectMs = serves && handedOver > 0 ? Math.min(REDIRECT_MS, restMs / 2) : 0
      if (redirectMs > 0) await new Promise<void>(resolve => void clock.after(redirectMs, resolve))
      if (serves) await gateway.close({ drainMs: restMs - redirectMs })
      await shard.close()
    }
  }
}

/** Opens a shard without listeners. */
export async function openShard(world: ShardOptions): Promise<OpenShard> {
  const { settings, identity, mesh, clock, log } = world
  const peers = new NodePeers({ mesh, outside: world.peers, after: clock.after })
  const options = { ...world, peers }
  const { nodeId, clusterId } = identity
  const brokerId = brokerIdOf(nodeId, mesh.shard)
  const byNode = settings.addressing === 'node'
  const groupName = logName
  const replica = new MetadataReplica({ mesh, sleep: ms => new Promise(resolve => void clock.after(ms, resolve)) })
  const controller = new ControllerClient(mesh)
  const leaders = new LeaderTable({ brokerId, peers, soon: options.soon, after: clock.after })
  const cluster = new ShardCluster({ ...options, clusterId, nodeId, brokerId, replica, leaders, controller, groupName })
  const isReachable = (id: number): boolean => cluster.isReachable(id)
  const table = openPartitionTable(options, brokerId, replica, cluster, leaders, controller)
  const { store, replicas } = await openStorage({
    ...options,
    brokerId,
    foldOf: name => table.foldOf(name),
    throttle: new ReplicationThrottle({
      brokerId,
      byNode,
      state: () => replica.state,
      leaders,
      groupName,
      monotonic: clock.monotonic
    }),
    onFailed: () => table.storeFailed()
  })
  const isFirst = mesh.shard === CONTROLLER_SHARD
  const remember = isFirst ? options.remember : undefined
  const member = new NodeMember({ node: options.node, clusterId, known: identity.nodes, peers, remember, clock, log })
  const calls = new ShardCalls(peers)
  const arrivals = new Arrivals({
    replicas,
    withdraw: directory => store.withdrawOffer(directory),
    calls,
    betweenChanges: work => replica.betweenChanges(work),
    after: clock.after,
    log
  })
  table.attach(store, replicas, arrivals)
  const elections = new Elections({ settings, replica, replicas, leaders, calls, isReachable, groupName, clock, log })
  const room = isFirst ? await openController(options, store, replicas, leaders, member) : undefined
  // Links first: new groups cannot elect anybody without them.
  replica.onState(next => member.follow(next))
  replica.onState((next, previous) => table.reconcile(next, previous))
  await replica.load()
  let closed = false
  const confirmed = confirmMetadata(mesh, replica, clock, () => closed).then(async () => {
    if (closed) return
    member.becomeCurrent(replica.state)
    await replica.betweenChanges(() => table.removeOrphans())
    await untilLed(replicas, clock, () => closed)
  })
  const logDirs = new ShardLogDirs({
    ...options,
    byNode,
    partitions: () => table.partitions(),
    state: () => replica.state,
    failed: () => store.failure !== undefined
  })
  const recovery = new UncleanRecovery({
    replica,
    replicas,
    cluster,
    leaders,
    controller,
    calls,
    known: identity.nodes,
    clock
  })
  const administration = new ShardAdministration({ replica, cluster, controller, elections, byNode })
  return {
    brokerId,
    host: gatewayHost({
      ...options,
      brokerId,
      state: () => replica.state,
      store,
      table,
      cluster,
      controller,
      administration,
      logDirs
    }),
    operations: new ClusterOperations({ settings, replica, cluster, leaders, controller, elections, recovery }),
    store,
    replicas,
    get metadata() {
      return replica.state
    },
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
    drainLeadership: async deadlineMs => {
      elections.close()
      const led = ledGroups(replicas)
      await replicas.drainLeadership(deadlineMs)
      return led - ledGroups(replicas)
    },
    close: async () => {
      closed = true
      elections.close()
      member.close()
      room?.close()
      leaders.close()
      await arrivals.close()
      await replicas.close()
      await store.close()
    }
  }
}

/**
 * Waits until every group here has a leader that is known, and this shard serves those that it leads; for a while only, since
 * others may be down. So clients that reconnect after a restart are not sent away first.
 */
async function untilLed(replicas: ReplicaHost, clock: BrokerClock, isClosed: () => boolean): Promise<void> {
  const endMs = clock.monotonic() + LEADERS_WAIT_MS
  const isLed = (group: ReplicatedLog): boolean =>
    group.leader !== undefined && (group.leader !== group.self || group.leading)
  while (![...replicas.groups.values()].every(isLed) && clock.monotonic() < endMs && !isClosed()) {
    await new Promise<void>(resolve => void clock.after(LEADERS_POLL_MS, resolve))
  }
}

function ledGroups(replicas: ReplicaHost): number {
  return [...replicas.groups.values()].filter(({ role }) => role === 'leader').length
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
      if (nodeOf(leadership.leader) !== options.identity.nodeId) return undefined
      const { topicId } = topic
      const shard = shardOf(leadership.leader)
      return new RemotePartition({ topicId, partition, leaderEpoch: leadership.term, shard, mesh, after: clock.after })
    }
  })
  if (settings.addressing === 'node') serveRemotePartitions(mesh, table, clock.after)
  return table
}
