/**
 * How nodes find each other before they are one cluster: two open services on the rpc port of every node's shard 0, asked by
 * address because nobody has a number yet.
 *
 *     cluster.discover   who are you, which cluster are you in, which seeds were you given
 *     cluster.join       make me a member (a node that is one already: I am at a new address)
 *
 * Messages are JSON with a version, since nodes of different releases read them.
 */
import type { PeerAddress, PeerNetwork } from '@milena/shard-scheduler'
import type { JoinAnswer, JoinRequest } from '../../controller/messages.ts'
import type { NodeDescription } from '../../controller/metadata/cluster-state.ts'
import type { Membership } from '../../node/data-folder.ts'

export const openServices = { discover: 'cluster.discover', join: 'cluster.join' } as const

const VERSION = 1

/** A node without its number. */
export type NodeCandidate = Omit<NodeDescription, 'nodeId'>

export interface DiscoverAnswer {
  readonly version: 1
  readonly node: NodeCandidate
  /** The number that it was started with, null for an automatic one. */
  readonly nodeId: number | null
  /** `host:port` of its seeds, as configured. */
  readonly seeds: readonly string[]
  /** The cluster that it belongs to; null: none. Never null again once it was not, unless the disk is lost. */
  readonly membership: Pick<Membership, 'clusterId' | 'founders' | 'nodes'> | null
}

/** The service was asked by somebody who speaks another version. */
export class DiscoveryVersionError extends Error {
  readonly code = 'DISCOVERY_VERSION'
  constructor(version: unknown) {
    super(`a node speaks version ${String(version)} of discovery, this one ${VERSION}`)
    this.name = 'DiscoveryVersionError'
  }
}

export const encodeOpen = (message: object): Uint8Array => Buffer.from(JSON.stringify({ version: VERSION, ...message }))

/** Throws a `DiscoveryVersionError`, or a SyntaxError for what is no JSON. */
export function decodeOpen<T>(bytes: Uint8Array): T {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
  const message = JSON.parse(text) as T & { version?: unknown }
  if (message.version !== VERSION) throw new DiscoveryVersionError(message.version)
  return message
}

/** Serves `cluster.discover`; `describe` is asked each time. */
export function serveDiscovery(peers: PeerNetwork, describe: () => Omit<DiscoverAnswer, 'version'>): void {
  peers.serve(openServices.discover, () => encodeOpen(describe()), { open: true })
}

/** Serves `cluster.join`, which a member passes on to its controller. */
export function serveJoining(peers: PeerNetwork, join: (request: JoinRequest) => Promise<JoinAnswer>): void {
  peers.serve(openServices.join, async payload => encodeOpen(await join(decodeOpen<JoinRequest>(payload))), {
    open: true
  })
}

export async function askDiscover(
  peers: PeerNetwork,
  address: PeerAddress,
  deadlineMs: number
): Promise<DiscoverAnswer> {
  return decodeOpen(await peers.callAddress(address, openServices.discover, encodeOpen({}), { deadlineMs }))
}

export async function askJoin(
  peers: PeerNetwork,
  address: PeerAddress,
  request: JoinRequest,
  deadlineMs: number
): Promise<JoinAnswer> {
  return decodeOpen(await peers.callAddress(address, openServices.join, encodeOpen(request), { deadlineMs }))
}
