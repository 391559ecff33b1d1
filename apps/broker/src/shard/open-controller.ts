/**
 * The first shard of a node has more to do than the others: it keeps a replica of the controller's log, answers nodes that look
 * for their cluster, and registers its node. The others ask it whether the metadata is as new as this start.
 */
import type { Mesh } from '@milena/shard-scheduler'
import type { LogStore } from '@milena/storage-engine'
import type { LeaderTable } from '../cluster/leadership/leader-table.ts'
import { serveDiscovery, serveJoining } from '../cluster/membership/discovery.ts'
import { NotAMemberError, type NodeMember } from '../cluster/membership/node-member.ts'
import { CONTROLLER_LOG_NAME } from '../controller/log/command-log.ts'
import { RaftCommandLog } from '../controller/log/raft-command-log.ts'
import { decodeMessage, encodeMessage, type JoinAnswer } from '../controller/messages.ts'
import { brokerIdOf } from '../controller/metadata/cluster-state.ts'
import type { MetadataReplica } from '../controller/metadata/metadata-replica.ts'
import { openControllerRoom, type ControllerRoom } from '../controller/start-controller.ts'
import type { ReplicaHost, ReplicatedLog } from '../replication/contract.ts'
import type { BrokerClock } from '../system-clock.ts'
import type { ShardOptions } from './contract.ts'

/** The shard of each node that has a replica of the controller's log. */
export const CONTROLLER_SHARD = 0

/** Service of shard 0: which revision of the metadata is as new as this start. */
const CONFIRMED_SERVICE = 'metadata.confirmed'
const CONFIRMED_DEADLINE_MS = 10_000
const CONFIRMED_RETRY_MS = 20
/** How long a cluster may take to let a node in, ms. */
const JOIN_DEADLINE_MS = 9_000

/** Shard 0 only. */
export async function openController(
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
  const room = openControllerRoom({
    self,
    identity,
    settings,
    log: commands,
    mesh,
    peers,
    announcedLeader: () => leaders.leadershipOf(CONTROLLER_LOG_NAME)?.leader ?? -1,
    clock,
    logger: log
  })
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
  member.seekLeader(() => commands.leader !== undefined)
  const registered = registerNode(member, room, commands)
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

/** Resolves with a revision of the metadata that is as new as this start. Rejects with a `NotAMemberError`. */
async function registerNode(member: NodeMember, room: ControllerRoom, commands: RaftCommandLog): Promise<number> {
  const registration = await member.register(room.router)
  if (registration === undefined) return -1
  const { revision, recovery, leader } = registration
  if (recovery <= commands.recovery || (await commands.followRecovery(recovery, leader))) return revision
  throw new NotAMemberError(
    "the controller was recovered without this node: its copy of the cluster's metadata, which may never have been agreed, is dropped; start the node again"
  )
}

/** Tells every shard of the cluster what a group on this one has become. */
function reportLeadership(leaders: LeaderTable, group: ReplicatedLog): void {
  if (group.leading) leaders.announce(group.name, group.term, group.inSync)
  else leaders.resign(group.name, group.term)
}

/**
 * Resolves when this shard's metadata is as new as this start of the node; never when `isClosed` before. Rejects with a
 * `NotAMemberError`.
 */
export async function confirmMetadata(
  mesh: Mesh,
  replica: MetadataReplica,
  clock: BrokerClock,
  isClosed: () => boolean
): Promise<void> {
  const pause = (): Promise<void> => new Promise(resolve => void clock.after(CONFIRMED_RETRY_MS, resolve))
  while (!isClosed()) {
    try {
      const options = { deadlineMs: CONFIRMED_DEADLINE_MS }
      const bytes = await mesh.submitTo(CONTROLLER_SHARD, CONFIRMED_SERVICE, new Uint8Array(0), options)
      const answer = decodeMessage<{ revision?: number; refused?: string }>(bytes)
      if (answer.refused !== undefined) throw new NotAMemberError(answer.refused)
      while (replica.state.revision < (answer.revision ?? 0) && !isClosed()) await pause()
      return
    } catch (error) {
      if (!(error instanceof Error && error.name === 'MeshError')) throw error
      await pause()
    }
  }
}
