/**
 * How a node with an empty data folder comes into a cluster, and how a cluster begins, exactly once.
 *
 *     ask every seed ──► one belongs to a cluster ──► I am one of its founders ──► take my number, done
 *          ▲                                     └──► otherwise: ask it to let me join ──► done, or refused
 *          │
 *          ├──── not all answer, or they were given other seeds than I: wait
 *          └──── all are new, with the same list:  I am the first of it ──► form the cluster, done
 *                                                  otherwise: wait for the first one
 *
 * Why there are never two clusters of the same seeds. Only the node that the list names first forms one, and it writes the new
 * cluster's id and founders to its disk, synced, before it tells anybody; so a crash before that leaves nothing, and after it
 * the cluster exists and its id is told again. It forms only when every seed, asked in this very round, says that it belongs to
 * nothing; a node says so only while its disk says so. So a first seed that lost its disk after forming cannot form again as
 * long as one other seed knows of the first cluster: it joins that. If no other seed knew, nobody else was a member, and the
 * lost cluster had no majority of its founders and so had acknowledged nothing (with a single seed in the list there is no
 * other; its disk was the cluster). Two nodes that both believe to be first cannot be: the list is compared with the order,
 * a node knows its place by the instance that answers at an address, and one instance at two addresses is refused.
 *
 * A node adopts a cluster by writing it down before it acts on it; a crash in between repeats the question with the same result:
 * founders are known by the instance of their data folder, and so are nodes that joined.
 */
import type { PeerAddress, PeerNetwork } from '@milena/shard-scheduler'
import type { NodeDescription } from '../../controller/metadata/cluster-state.ts'
import type { Membership } from '../../node/data-folder.ts'
import {
  askDiscover,
  askJoin,
  DiscoveryVersionError,
  serveDiscovery,
  type DiscoverAnswer,
  type NodeCandidate
} from './discovery.ts'

/** Pause between two rounds of questions, ms. */
const ROUND_MS = 250
/** How long a seed may take to answer, ms. */
const DISCOVER_DEADLINE_MS = 2_000
/** How long a cluster may take to let a node join, ms; then the next round asks again. */
const JOIN_DEADLINE_MS = 10_000
/** Between two lines in the log that say what is waited for, ms. */
const REPORT_MS = 5_000

/** The node cannot come into the cluster, and waiting will not change that. The message says what to do. */
export class FormationError extends Error {
  readonly code = 'FORMATION'
  constructor(message: string) {
    super(message)
    this.name = 'FormationError'
  }
}

export interface FormationOptions {
  /** This node. */
  readonly node: NodeCandidate
  /** The number that it was started with; undefined for an automatic one. */
  readonly nodeId: number | undefined
  /** At least one. */
  readonly seeds: readonly PeerAddress[]
  /** Listens where others ask; not in a cluster yet. */
  readonly peers: PeerNetwork
  readonly newClusterId: () => string
  /** Makes the membership durable before it resolves. */
  readonly save: (membership: Membership) => void | Promise<void>
  readonly clock: { monotonic(): number; after(delayMs: number, callback: () => void): () => void }
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void }
}

interface SeedAnswer {
  readonly address: PeerAddress
  /** Undefined: it did not answer. */
  readonly answer: DiscoverAnswer | undefined
}

/** What a round of questions leads to. */
type Decision =
  | { readonly kind: 'adopt'; readonly membership: Membership }
  | { readonly kind: 'join'; readonly via: readonly PeerAddress[]; readonly founders: readonly NodeDescription[] }
  | { readonly kind: 'form'; readonly membership: Membership }
  | { readonly kind: 'wait'; readonly reason: string }

/** Resolves with the node's place in a cluster, durable. Rejects with a `FormationError` when there cannot be one. */
export async function formOrJoin(options: FormationOptions): Promise<Membership> {
  const { peers, clock, log, save } = options
  let adopted: Membership | undefined
  serveDiscovery(peers, () => ({
    node: options.node,
    nodeId: options.nodeId ?? null,
    seeds: options.seeds.map(textOf),
    membership: adopted ?? null
  }))
  let reportedMs = -Infinity
  for (;;) {
    const decision = decide(options, await askAll(options))
    if (decision.kind === 'adopt' || decision.kind === 'form') {
      await save(decision.membership)
      adopted = decision.membership
      const { clusterId, nodeId } = adopted
      log.info({ clusterId, nodeId }, decision.kind === 'form' ? 'formed a new cluster' : 'founder of a cluster')
      return adopted
    }
    const outcome = decision.kind === 'join' ? await join(options, decision) : decision
    if ('clusterId' in outcome) {
      await save(outcome)
      log.info({ clusterId: outcome.clusterId, nodeId: outcome.nodeId }, 'joined a cluster')
      return outcome
    }
    if (clock.monotonic() - reportedMs >= REPORT_MS) {
      reportedMs = clock.monotonic()
      log.info({ reason: outcome.reason }, 'waiting for the cluster')
    }
    await new Promise<void>(resolve => void clock.after(ROUND_MS, resolve))
  }
}

function askAll({ peers, seeds, log }: FormationOptions): Promise<SeedAnswer[]> {
  return Promise.all(
    seeds.map(async address => {
      try {
        return { address, answer: await askDiscover(peers, address, DISCOVER_DEADLINE_MS) }
      } catch (error) {
        if (error instanceof DiscoveryVersionError)
          log.warn({ seed: textOf(address), err: error }, 'a seed is of another release')
        return { address, answer: undefined }
      }
    })
  )
}

/** Pure. */
function decide(options: FormationOptions, seeds: readonly SeedAnswer[]): Decision {
  const members = seeds.filter(({ answer }) => answer !== undefined && answer.membership !== null)
  return members.length > 0 ? decideAmongMembers(options, members) : decideAmongNew(options, seeds)
}

function decideAmongMembers({ node }: FormationOptions, members: readonly SeedAnswer[]): Decision {
  const clusters = new Map(
    members.flatMap(({ address, answer }) => (answer?.membership ? [[answer.membership.clusterId, address]] : []))
  )
  if (clusters.size > 1) {
    const list = [...clusters].map(([clusterId, address]) => `${textOf(address)} to ${clusterId}`).join(', ')
    throw new FormationError(`the seeds belong to different clusters: ${list}`)
  }
  for (const { answer } of members) {
    const membership = answer?.membership
    const founder = membership?.founders.find(({ instance }) => instance === node.instance)
    if (membership !== null && membership !== undefined && founder !== undefined) {
      return { kind: 'adopt', membership: { ...membership, nodeId: founder.nodeId } }
    }
  }
  const founders = members[0]?.answer?.membership?.founders ?? []
  return { kind: 'join', via: members.map(({ address }) => address), founders }
}

function decideAmongNew(options: FormationOptions, seeds: readonly SeedAnswer[]): Decision {
  const silent = seeds.filter(({ answer }) => answer === undefined).map(({ address }) => textOf(address))
  if (silent.length > 0) return { kind: 'wait', reason: `no answer from ${silent.join(', ')}` }
  const own = options.seeds.map(textOf).join()
  for (const { address, answer } of seeds) {
    if (answer?.seeds.join() !== own) {
      return { kind: 'wait', reason: `${textOf(address)} was given other seeds: ${answer?.seeds.join() || 'none'}` }
    }
  }
  const instances = seeds.map(({ answer }) => answer?.node.instance ?? '')
  const twice = instances.findIndex((instance, i) => instances.indexOf(instance) !== i)
  if (twice >= 0) {
    const first = seeds[instances.indexOf(instances[twice] ?? '')]
    throw new FormationError(
      `${own}: ${first && textOf(first.address)} and ${textOf(seeds[twice]!.address)} are one node`
    )
  }
  if (instances[0] !== options.node.instance) {
    return { kind: 'wait', reason: `${textOf(seeds[0]!.address)}, the first seed, forms the cluster` }
  }
  const founders = numberFounders(seeds)
  const clusterId = options.newClusterId()
  return { kind: 'form', membership: { clusterId, nodeId: founders[0]!.nodeId, founders, nodes: founders } }
}

/** Every seed gets the number that it was started with, or its place in the list. */
function numberFounders(seeds: readonly SeedAnswer[]): NodeDescription[] {
  const founders = seeds.flatMap(({ answer }, place) =>
    answer === undefined ? [] : [{ ...answer.node, nodeId: answer.nodeId ?? place }]
  )
  const taken = new Map<number, string>()
  for (const [place, { nodeId }] of founders.entries()) {
    const address = textOf(seeds[place]!.address)
    const other = taken.get(nodeId)
    if (other !== undefined) throw new FormationError(`${other} and ${address} both have node.id ${nodeId}`)
    taken.set(nodeId, address)
  }
  return founders
}

async function join(
  options: FormationOptions,
  { via, founders }: Extract<Decision, { kind: 'join' }>
): Promise<Membership | { readonly reason: string }> {
  const { node, nodeId, peers } = options
  for (const address of via) {
    try {
      const answer = await askJoin(peers, address, { node, nodeId }, JOIN_DEADLINE_MS)
      if (answer.kind === 'refused') throw new FormationError(`the cluster refuses this node: ${answer.reason}`)
      return { clusterId: answer.clusterId, nodeId: answer.nodeId, founders, nodes: answer.nodes }
    } catch (error) {
      if (error instanceof FormationError) throw error
    }
  }
  return { reason: `${via.map(textOf).join(', ')} belong to a cluster whose controller does not answer` }
}

/** `host:port`. */
export function textOf({ host, port }: PeerAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
