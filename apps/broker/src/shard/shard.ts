/**
 * One shard, put together: store, replicas, metadata copy, partitions; on shard 0 of a node the controller as well. The same
 * for a pinned process, for a shard inside a test's process and for one in the simulator; what differs (mesh, peer network,
 * disk, time, chance) is passed in.
 *
 * `openShard` gives a shard whose ports can be used directly; `startShard` (start-shard.ts) puts listeners for Kafka's protocol
 * in front.
 *
 * Order of a start: recover the store, open the controller's log, open the partitions that the metadata places here, register
 * with the cluster, remove what is not placed here any more.
 */
import { Elections } from '../cluster/leadership/elections.ts'
import { LeaderTable } from '../cluster/leadership/leader-table.ts'
import { NodeMember } from '../cluster/membership/node-member.ts'
import { NodePeers } from '../cluster/peers/node-peers.ts'
import { ClusterOperations } from '../cluster/operations.ts'
import { ReplicationThrottle } from '../cluster/replication-throttle.ts'
import { ShardAdministration } from '../cluster/shard-administration.ts'
import { ShardCalls } from '../cluster/peers/shard-calls.ts'
import { ShardCluster } from '../cluster/view/shard-cluster.ts'
import { brokerIdOf } from '../controller/metadata/cluster-state.ts'
import { ControllerClient } from '../controller/controller-client.ts'
import { MetadataReplica } from '../controller/metadata/metadata-replica.ts'
import { Arrivals } from '../partitions/arrivals.ts'
import { ShardLogDirs } from '../partitions/log-dirs.ts'
import { logName } from '../partitions/partition-table.ts'
import { UncleanRecovery } from '../recovery/unclean-recovery.ts'
import type { ReplicaHost, ReplicatedLog } from '../replication/contract.ts'
import type { OpenShard, ShardOptions } from './contract.ts'
import { Scrubber } from '../scrub/scrubber.ts'
import { LiveSettings } from '../settings/dynamic-settings.ts'
import { gatewayHost } from './gateway-host.ts'
import { confirmMetadata, CONTROLLER_SHARD, openController } from './open-controller.ts'
import { openPartitionTable } from './open-partitions.ts'
import { openStorage } from './open-storage.ts'
import type { BrokerClock } from '../system-clock.ts'

/** How long a start waits for the leaders of its partitions, ms, and how often it looks. */
const LEADERS_WAIT_MS = 2_000
const LEADERS_POLL_MS = 5

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
  const table = openPartitionTable(options, { brokerId, replica, cluster, leaders, controller })
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
  const live = new LiveSettings(settings, brokerId)
  const scrubber = new Scrubber({
    store,
    groups: replicas.groups,
    pace: () => {
      const now = live.at(replica.state)
      return {
        bytesPerSecond: now['log.scrub.io.max.bytes.per.second'],
        intervalMs: Number(now['log.scrub.interval.ms'])
      }
    },
    clock,
    log
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
      scrub: scrubber.status(),
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
      await scrubber.close()
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
