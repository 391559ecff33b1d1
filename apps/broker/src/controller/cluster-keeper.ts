/**
 * What the controller does by itself, on the node where it leads: forms the cluster's first state, keeps a replica of the
 * controller's log on every node, empties and removes nodes that are being decommissioned, evens out load.
 *
 * It looks at the state after each change and once a second, and does one thing at a time. Everything goes through commands,
 * so whoever leads next goes on where it stopped.
 */
import type { NodeIdentity } from '../node/data-folder.ts'
import type { BrokerSettings } from '../settings/broker-settings.ts'
import { NotLeaderError, type Controller } from './controller.ts'
import type { CommandLog } from './log/command-log.ts'
import { brokerIdOf, nodeOf, type ClusterState } from './metadata/cluster-state.ts'
import { planBalance, planEvacuation, type PlannedMove } from './plans/balance-plan.ts'
import type { Down } from './plans/placement.ts'

/** Between two looks at the state when nothing happens, ms. */
const LOOK_MS = 1_000
/** Voters of the controller's group; other nodes have learners. Five survive the loss of two. */
const CONTROLLER_VOTERS_MAX = 5
/** How long load must be uneven before it is evened out, in looks: nodes that come one after the other count as one change. */
const UNEVEN_LOOKS = 5

/** The feature level that a new cluster begins with. */
export const METADATA_VERSION = 1

export interface ClusterKeeperOptions {
  readonly identity: NodeIdentity
  readonly settings: BrokerSettings
  readonly log: CommandLog
  readonly controller: Controller
  readonly clock: { after(delayMs: number, callback: () => void): () => void }
  readonly logger: { info(fields: object, message: string): void; error(fields: object, message: string): void }
}

export class ClusterKeeper {
  readonly #options: ClusterKeeperOptions
  #busy = false
  #again = false
  /** The change of the controller's own replicas that is under way; it can take as long as a new one needs to come. */
  #changing: ControllerReplicas | undefined
  #unevenLooks = 0
  /** Revision and nodes down at which load was found even: so it is as long as those stay. */
  #even: string | undefined
  #cancelTimer: (() => void) | undefined
  #closed = false

  constructor(options: ClusterKeeperOptions) {
    this.#options = options
    options.log.onApplied(() => this.#look())
    options.log.onRoleChange(() => this.#look())
    this.#look()
    this.#schedule()
  }

  close(): void {
    this.#closed = true
    this.#cancelTimer?.()
  }

  #schedule(): void {
    this.#cancelTimer = this.#options.clock.after(LOOK_MS, () => {
      if (this.#closed) return
      void this.#balance().catch((error: unknown) => this.#failed(error))
      this.#look()
      this.#schedule()
    })
  }

  /** One pass over all duties; another one behind it when something changed meanwhile. */
  #look(): void {
    this.#again = true
    if (this.#busy || this.#closed || !this.#options.log.leading) return
    this.#busy = true
    void this.#work().finally(() => (this.#busy = false))
  }

  async #work(): Promise<void> {
    try {
      while (this.#again && !this.#closed && this.#options.log.leading) {
        this.#again = false
        await this.#form()
        await this.#evacuate()
        this.#keepReplicas()
      }
    } catch (error) {
      this.#failed(error)
    }
  }

  #failed(error: unknown): void {
    if (error instanceof NotLeaderError) return
    this.#options.logger.error({ err: error }, 'a duty of the controller failed; it is tried again')
  }

  async #form(): Promise<void> {
    const { log, controller, identity } = this.#options
    if (log.state.clusterId !== '') return
    const { clusterId, founders } = identity
    const features = { 'metadata.version': METADATA_VERSION }
    await controller.commit('form-cluster', () => ({ type: 'form-cluster', version: 1, clusterId, founders, features }))
  }

  /** Every node's first shard: up to five voters, the others learners. Nodes that are leaving vote as long as they must. */
  #keepReplicas(): void {
    const { log, logger, controller } = this.#options
    const { membership } = log.quorum()
    if (membership.joint || membership.voters.length === 0) return
    const wanted = wantedReplicas(log.state, membership, controller.down)
    // What is under way for another target is given up: it may wait for a node that went down meanwhile.
    if (sameReplicas(wanted, this.#changing ?? membership)) return
    this.#changing = wanted
    log
      .changeReplicas(wanted.voters, wanted.learners)
      .then(done => {
        if (done) logger.info(wanted, 'replicas of the controller changed')
      })
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        if (this.#changing === wanted) this.#changing = undefined
        this.#look()
      })
  }

  async #evacuate(): Promise<void> {
    const { log, controller, logger } = this.#options
    for (const { nodeId, mode } of log.state.nodes.values()) {
      if (mode !== 'decommissioning') continue
      await this.#start(planEvacuation(log.state, nodeId, controller.down).moves)
      if ([...log.state.replicaCounts.keys()].some(id => nodeOf(id) === nodeId)) continue
      // Whoever is told that a node has left may switch off the next one.
      if (this.#needsForQuorum(nodeId)) continue
      // It may have been asked to stay since.
      const from = ['decommissioning'] as const
      const { refused } = await controller.commit('remove-node', () => ({
        type: 'remove-node',
        version: 1,
        nodeId,
        from
      }))
      if (refused === undefined) logger.info({ nodeId }, 'node removed: it has no replicas left')
    }
  }

  /** The controller's own group may still need this node for a majority. */
  #needsForQuorum(nodeId: number): boolean {
    const { joint, voters } = this.#options.log.quorum().membership
    return this.#changing !== undefined || joint || voters.includes(brokerIdOf(nodeId, 0))
  }

  async #balance(): Promise<void> {
    const { log, settings, controller } = this.#options
    const enabled = isEnabled(log.state, settings, 'partition.balancer.enable')
    if (!log.leading || !enabled || movesUnderWay(log.state) > 0) return void (this.#unevenLooks = 0)
    const { down } = controller
    const looked = `${log.state.revision} ${[...down].join()}`
    if (looked === this.#even) return
    const moves = planBalance(log.state, settings['partition.balancer.moves.max'], down)
    if (moves.length === 0) {
      this.#even = looked
      this.#unevenLooks = 0
      return
    }
    if (++this.#unevenLooks < UNEVEN_LOOKS) return
    this.#unevenLooks = 0
    await this.#start(moves)
  }

  /** Starts as many of the moves as may be under way. */
  async #start(moves: readonly PlannedMove[]): Promise<void> {
    const { log, controller, settings, logger } = this.#options
    const room = settings['partition.balancer.moves.max'] - movesUnderWay(log.state)
    const slice = moves.filter(move => !isUnderWay(log.state, move)).slice(0, Math.max(0, room))
    if (slice.length === 0) return
    await controller.commit('start-reassignment', () => {
      return {
        type: 'start-reassignment',
        version: 1,
        moves: slice.map(({ topicId, partition, target }) => ({ topicId, partition, target }))
      }
    })
    for (const { topic, partition, replicas, target, reason } of slice) {
      logger.info({ topic, partition, replicas, target, reason }, 'moving a replica')
    }
  }
}

function isUnderWay(state: ClusterState, { topicId, partition, target }: PlannedMove): boolean {
  return String(state.topicsById.get(topicId)?.partitions[partition]?.target) === String(target)
}

/** Partitions that are being reassigned now. */
export function movesUnderWay(state: ClusterState): number {
  return [...state.reassigning.values()].reduce((sum, partitions) => sum + partitions.length, 0)
}

/** A switch that the cluster's own settings override. */
export function isEnabled(
  state: ClusterState,
  settings: BrokerSettings,
  name: 'partition.balancer.enable' | 'auto.leader.rebalance.enable'
): boolean {
  const changed = state.configs[name]
  return changed === undefined ? settings[name] : changed === 'true'
}

/** First shards of nodes. */
export interface ControllerReplicas {
  readonly voters: readonly number[]
  readonly learners: readonly number[]
}

/**
 * Who should have a replica of the controller's log. Voters stay voters while they are members and not leaving; nodes that are
 * down get none before they are back.
 */
export function wantedReplicas(
  state: ClusterState,
  { voters, learners }: ControllerReplicas,
  down: Down = new Set()
): ControllerReplicas {
  const first = (nodeId: number): number => brokerIdOf(nodeId, 0)
  const members = [...state.nodes.values()]
    .filter(({ nodeId }) => !down.has(nodeId) || [...voters, ...learners].includes(first(nodeId)))
    .sort((a, b) => a.nodeId - b.nodeId)
  const staying = members.filter(({ mode }) => mode !== 'decommissioning').map(({ nodeId }) => first(nodeId))
  const kept = staying.filter(id => voters.includes(id))
  const added = staying.filter(id => !voters.includes(id))
  const next = [...kept, ...added].slice(0, Math.max(CONTROLLER_VOTERS_MAX, 1))
  if (next.length === 0) return { voters: [...voters], learners: [] }
  return { voters: next, learners: members.map(({ nodeId }) => first(nodeId)).filter(id => !next.includes(id)) }
}

function sameReplicas(left: ControllerReplicas, right: ControllerReplicas): boolean {
  return sameSet(left.voters, right.voters) && sameSet(left.learners, right.learners)
}

function sameSet(left: readonly number[], right: readonly number[]): boolean {
  return left.length === right.length && left.every(id => right.includes(id))
}
