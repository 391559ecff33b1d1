/**
 * This node among the others: which shards there are and where (for the peer network), and, on shard 0, its registration with
 * the controller at every start. Until that is confirmed the metadata here may be old: partitions are opened by it, nothing is
 * ever removed by it, and it makes nobody forget a member. Who leads the controller may have joined while this node was
 * down or cut off: as long as it hears of no leader it asks the nodes that it does know for the others; one is enough.
 */
import type { PeerAddress, PeerNetwork } from '@milena/shard-scheduler'
import type { ControllerRouter } from '../../controller/controller-router.ts'
import type { NodeOutcome } from '../../controller/messages.ts'
import { brokersOf, shardOf, type ClusterState, type NodeDescription } from '../../controller/metadata/cluster-state.ts'
import { askDiscover, askJoin } from './discovery.ts'

/** How long a removed node keeps its links, ms: long enough to hear that it was removed. */
const FAREWELL_MS = 5_000
/** One attempt to register, ms. */
const REGISTER_ATTEMPT_MS = 5_000
const REGISTER_RETRY_MS = 100
/** How long another node may take to say whom it knows, ms. */
const DISCOVER_DEADLINE_MS = 2_000
/** Between two times that a node without a leader asks, ms. */
const SEEK_MS = 1_000

/** The cluster does not know this node, or knows another one under its number; or this start cannot go on. */
export class NotAMemberError extends Error {
  readonly code = 'NOT_A_MEMBER'
  constructor(reason: string) {
    super(reason)
    this.name = 'NotAMemberError'
  }
}

/** What the controller told a node that registered. */
export interface Registration {
  /** A revision of the metadata that is as new as this start. */
  readonly revision: number
  /** See `Reply`. */
  readonly recovery: number
  readonly leader: number
}

export interface NodeMemberOptions {
  /** This node as it is now. */
  readonly node: NodeDescription
  readonly clusterId: string
  /** The members that were known last. */
  readonly known: readonly NodeDescription[]
  readonly peers: PeerNetwork
  /** Makes the members durable, so that a restart finds them. Shard 0 only. */
  readonly remember: ((nodes: readonly NodeDescription[]) => void) | undefined
  readonly clock: { after(delayMs: number, callback: () => void): () => void }
  readonly log: { warn(fields: object, message: string): void }
}

export class NodeMember {
  readonly #options: NodeMemberOptions
  #nodes: readonly NodeDescription[]
  /** Nodes that were removed a moment ago. */
  readonly #leaving = new Map<number, NodeDescription>()
  /** The metadata is as new as this start. */
  #current = false
  #removed = false
  #asking = false
  #closed = false

  constructor(options: NodeMemberOptions) {
    this.#options = options
    this.#nodes = options.known
    options.peers.joinCluster(options.clusterId)
    this.#link()
  }

  /** From now on the metadata is as new as this start: who is not in it is no member any more. */
  becomeCurrent(state: ClusterState): void {
    this.#current = true
    this.follow(state)
  }

  /** Follows the metadata. A state without nodes is one that was not loaded yet. */
  follow(state: ClusterState): void {
    const { node: self, log } = this.#options
    const told = [...state.nodes.values()].map(describe)
    if (told.length === 0) return
    if (this.#current && state.nodes.has(self.nodeId) === this.#removed) {
      this.#removed = !this.#removed
      if (this.#removed) log.warn({ nodeId: self.nodeId }, 'this node was removed from its cluster and can be stopped')
    }
    if (this.#current) this.#forgetOthers(state)
    this.#learn(this.#current ? told : withOthers(told, this.#nodes))
  }

  /** Links to nodes that left last a little longer. */
  #forgetOthers(state: ClusterState): void {
    for (const node of this.#nodes) {
      if (state.nodes.has(node.nodeId)) continue
      this.#leaving.set(node.nodeId, node)
      this.#options.clock.after(FAREWELL_MS, () => {
        this.#leaving.delete(node.nodeId)
        if (!this.#closed) this.#link()
      })
    }
  }

  #learn(nodes: readonly NodeDescription[]): void {
    if (JSON.stringify(nodes) === JSON.stringify(this.#nodes)) return
    this.#nodes = nodes
    this.#link()
    this.#options.remember?.(nodes)
  }

  /**
   * Tells the controller what this node is like now; tries until it answers. Undefined: closed before. Rejects with a
   * `NotAMemberError`.
   */
  async register(router: ControllerRouter): Promise<Registration | undefined> {
    const { node } = this.#options
    while (!this.#closed) {
      const question = { name: 'updateNode', request: node, deadlineMs: REGISTER_ATTEMPT_MS } as const
      const [reply] = await Promise.all([router.ask(question), this.#tellNewAddress()])
      if (reply.kind === 'answer') {
        const outcome = reply.answer as NodeOutcome
        if (outcome.kind === 'refused') {
          throw new NotAMemberError(`this node is not a member of its cluster any more: ${outcome.reason}`)
        }
        return reply
      }
      await new Promise<void>(resolve => void this.#options.clock.after(REGISTER_RETRY_MS, resolve))
    }
    return undefined
  }

  close(): void {
    this.#closed = true
  }

  /** Others dial the address that they know: one that changed must be told by calling them, wherever they are. */
  async #tellNewAddress(): Promise<void> {
    const { node, peers } = this.#options
    const told = this.#nodes.find(({ nodeId }) => nodeId === node.nodeId)?.rpc
    if (told === undefined || (told.host === node.rpc.host && told.port === node.rpc.port)) return
    const others = this.#nodes.filter(({ nodeId }) => nodeId !== node.nodeId)
    const ask = ({ rpc }: NodeDescription): Promise<unknown> =>
      askJoin(peers, rpc, { node, nodeId: node.nodeId }, REGISTER_ATTEMPT_MS)
    await Promise.allSettled(others.map(ask))
  }

  /** Shard 0 only: looks for members that this node does not know, as long as `isLed` says that the controller is not led. */
  seekLeader(isLed: () => boolean): void {
    if (this.#closed) return
    if (!isLed()) void this.#askForOthers()
    this.#options.clock.after(SEEK_MS, () => this.seekLeader(isLed))
  }

  /** Asks everybody who is known whom they know. */
  async #askForOthers(): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    const { node: self, peers, clusterId } = this.#options
    const known = this.#nodes.filter(({ nodeId }) => nodeId !== self.nodeId)
    await Promise.all(
      known.map(async ({ rpc }) => {
        const answer = await askDiscover(peers, rpc, DISCOVER_DEADLINE_MS).catch(() => undefined)
        if (answer?.membership?.clusterId !== clusterId || this.#closed) return
        this.#learn(withOthers(this.#nodes, answer.membership.nodes.map(describe)))
      })
    )
    this.#asking = false
  }

  #link(): void {
    const { peers, node } = this.#options
    const addresses = new Map<number, PeerAddress>()
    for (const other of [...this.#leaving.values(), ...this.#nodes]) {
      if (other.nodeId === node.nodeId) continue
      for (const [id, address] of peerAddresses(other)) addresses.set(id, address)
    }
    peers.setPeers(addresses)
  }
}

/** Where the shards of a node listen for other nodes. */
export function peerAddresses(node: NodeDescription): Map<number, PeerAddress> {
  const { host, port } = node.rpc
  return new Map(brokersOf(node).map(id => [id, { host, port: port + shardOf(id) }]))
}

/** `nodes`, and those of `others` that are not among them. */
function withOthers(nodes: readonly NodeDescription[], others: readonly NodeDescription[]): NodeDescription[] {
  const known = new Set(nodes.map(({ nodeId }) => nodeId))
  return [...nodes, ...others.filter(({ nodeId }) => !known.has(nodeId))]
}

function describe(node: NodeDescription): NodeDescription {
  const { nodeId, instance, shardCount, rack, rpc, listeners } = node
  return { nodeId, instance, shardCount, rack, rpc, listeners }
}
