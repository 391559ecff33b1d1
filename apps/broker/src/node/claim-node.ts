/**
 * A node's identity when it starts: what its data folder knows, or, for a new one, its place in a cluster. A node without seeds
 * is a cluster of its own at once; one with seeds waits until there is a cluster that it belongs to (cluster/membership/formation.ts).
 */
import type { PeerAddress, PeerNetwork } from '@milena/shard-scheduler'
import type { NodeCandidate } from '../cluster/membership/discovery.ts'
import { formOrJoin, type FormationOptions } from '../cluster/membership/formation.ts'
import type { NodeDescription } from '../controller/metadata/cluster-state.ts'
import type { FolderIdentity, Membership, NodeIdentity } from './data-folder.ts'
import type { RpcPlan } from './node-plan.ts'

export interface ClaimOptions {
  readonly folder: FolderIdentity
  readonly node: NodeCandidate
  /** The node id that was asked for. */
  readonly nodeId: number | undefined
  readonly rpc: RpcPlan
  /** Opens a peer network that listens there, for questions before this node has a number. */
  readonly openPeers: (listen: PeerAddress) => Promise<PeerNetwork>
  readonly save: (membership: Membership) => void
  /** A random id, should a cluster begin here. */
  readonly newClusterId: () => string
  readonly clock: FormationOptions['clock']
  readonly log: FormationOptions['log']
}

/** Resolves when the node is a member of a cluster, durably. Rejects with a `FormationError` when it cannot be. */
export async function claimNode(options: ClaimOptions): Promise<NodeIdentity> {
  const { folder, rpc, save } = options
  const { instance, shardCount } = folder
  if (folder.membership !== undefined) return { instance, shardCount, ...folder.membership }
  if (rpc.seeds.length > 0 && rpc.listen !== undefined) {
    return { instance, shardCount, ...(await findCluster(options, rpc.listen)) }
  }
  const alone: NodeDescription = { ...options.node, nodeId: options.nodeId ?? 0 }
  const membership = { clusterId: options.newClusterId(), nodeId: alone.nodeId, founders: [alone], nodes: [alone] }
  save(membership)
  return { instance, shardCount, ...membership }
}

async function findCluster(options: ClaimOptions, listen: PeerAddress): Promise<Membership> {
  const peers = await options.openPeers(listen)
  try {
    const { node, nodeId, save, newClusterId, clock, log, rpc } = options
    return await formOrJoin({ node, nodeId, seeds: rpc.seeds, peers, newClusterId, save, clock, log })
  } finally {
    await peers.close()
  }
}
