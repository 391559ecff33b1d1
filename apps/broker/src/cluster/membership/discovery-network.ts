/**
 * The network through which a node finds its cluster, before it has a number of its own. A module for itself: a supervisor loads it
 * when there is a cluster to find, and otherwise does without the network's code.
 */
import { openGrpcPeerNetwork, type PeerAddress, type PeerNetwork } from '@milena/shard-scheduler'

/** A number that no shard has. */
const NOBODY = 2 ** 31 - 1

/** Listens at `listen` until it is closed. Rejects when the address is taken. */
export function openDiscoveryNetwork(listen: PeerAddress): Promise<PeerNetwork> {
  return openGrpcPeerNetwork({ self: NOBODY, listen })
}
