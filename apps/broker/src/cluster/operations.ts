/**
 * What operators ask of the cluster through the admin API of any node: how it is, what it would do, and to do it. Runs on shard 0;
 * every answer is plain JSON.
 *
 * Plans shown by a dry run are made from the same state and by the same functions as what is done; load may have moved when it
 * is done.
 */
import { isEnabled, movesUnderWay } from '../controller/cluster-keeper.ts'
import type { ControllerClient } from '../controller/controller-client.ts'
import { CONTROLLER_LOG_NAME } from '../controller/log/command-log.ts'
import {
  brokersOf,
  nodeOf,
  type ClusterState,
  type NodeMode,
  type NodeState,
  type TopicState
} from '../controller/metadata/cluster-state.ts'
import type { MetadataReplica } from '../controller/metadata/metadata-replica.ts'
import {
  planBalance,
  planEvacuation,
  planGivenUp,
  planWaits,
  replicaCountOf,
  type PlannedMove
} from '../controller/plans/balance-plan.ts'
import { downNodes, type Down } from '../controller/plans/placement.ts'
import type { RecoveryScope, UncleanRecovery } from '../recovery/unclean-recovery.ts'
import type { BrokerSettings } from '../settings/broker-settings.ts'
import type { Elections } from './leadership/elections.ts'
import type { LeaderTable } from './leadership/leader-table.ts'
import { OperationError } from './operation-error.ts'
import type { ShardCluster } from './view/shard-cluster.ts'

const DEADLINE_MS = 8_000
/** Moves that a plan shows at most; the numbers behind it are complete. */
const SHOWN_MAX = 1_000

/** What the admin API may ask. */
export interface OperationRequests {
  readonly describeCluster: object
  readonly decommission: { readonly nodeId: number; readonly dryRun: boolean }
  readonly recommission: { readonly nodeId: number }
  readonly maintenance: { readonly nodeId: number; readonly on: boolean }
  readonly balancer: { readonly kind: BalancerKind; readonly enabled: boolean }
  readonly balancePlan: { readonly kind: BalancerKind }
  readonly reassignments: object
  readonly cancelReassignments: object
  readonly recoveryPlan: RecoveryScope
  /** `plan`: the digest of the plan that the operator agrees to. */
  readonly recover: RecoveryScope & { readonly plan: string }
  readonly controllerRecoveryPlan: object
  readonly recoverController: { readonly plan: string }
  readonly transferLeadership: { readonly topic: string; readonly partition: number; readonly target: number }
}

export type BalancerKind = 'leaders' | 'partitions'
export type OperationName = keyof OperationRequests

const SWITCHES = { leaders: 'auto.leader.rebalance.enable', partitions: 'partition.balancer.enable' } as const

export interface OperationsOptions {
  readonly settings: BrokerSettings
  readonly replica: MetadataReplica
  readonly cluster: ShardCluster
  readonly leaders: LeaderTable
  readonly controller: ControllerClient
  readonly elections: Elections
  readonly recovery: UncleanRecovery
}

export class ClusterOperations {
  readonly #options: OperationsOptions

  constructor(options: OperationsOptions) {
    this.#options = options
  }

  /** Rejects with an `OperationError`, or a `ControllerUnavailableError`. */
  run(name: OperationName, request: unknown): Promise<object> {
    const handlers: { readonly [N in OperationName]: (request: OperationRequests[N]) => Promise<object> } = {
      describeCluster: () => Promise.resolve(this.#describe()),
      decommission: ({ nodeId, dryRun }) => this.#decommission(nodeId, dryRun),
      recommission: ({ nodeId }) => this.#setMode(nodeId, 'active', ['decommissioning']),
      maintenance: ({ nodeId, on }) => this.#maintenance(nodeId, on),
      balancer: ({ kind, enabled }) => this.#switch(kind, enabled),
      balancePlan: ({ kind }) => Promise.resolve(this.#plan(kind)),
      reassignments: () => Promise.resolve({ reassignments: this.#moving(), givenUp: this.#givenUp() }),
      cancelReassignments: () => this.#cancelAll(),
      recoveryPlan: scope => this.#options.recovery.plan(scope),
      recover: ({ plan, ...scope }) => this.#options.recovery.execute(scope, plan),
      controllerRecoveryPlan: () => this.#options.recovery.planController(),
      recoverController: ({ plan }) => this.#options.recovery.executeController(plan),
      transferLeadership: request => this.#transfer(request)
    }
    const handler = handlers[name] as ((request: unknown) => Promise<object>) | undefined
    if (handler === undefined) return Promise.reject(new OperationError(404, `unknown operation ${name}`))
    return handler(request)
  }

  get #state(): ClusterState {
    return this.#options.replica.state
  }

  get #down(): Down {
    return downNodes(this.#state, id => this.#options.cluster.isReachable(id))
  }

  #describe(): object {
    const { cluster, leaders, settings } = this.#options
    const state = this.#state
    const leads = this.#leadCounts()
    return {
      version: 1,
      clusterId: state.clusterId,
      revision: state.revision,
      controller: leaders.leadershipOf(CONTROLLER_LOG_NAME)?.leader ?? null,
      health: this.#health(),
      balancers: {
        leaders: isEnabled(state, settings, SWITCHES.leaders),
        partitions: isEnabled(state, settings, SWITCHES.partitions)
      },
      nodes: [...state.nodes.values()]
        .sort((a, b) => a.nodeId - b.nodeId)
        .map(node => ({
          nodeId: node.nodeId,
          mode: node.mode,
          rack: node.rack === '' ? null : node.rack,
          rpc: node.rpc,
          listeners: node.listeners,
          replicas: replicaCountOf(state, node.nodeId),
          shards: brokersOf(node).map(brokerId => ({
            brokerId,
            reachable: cluster.isReachable(brokerId),
            replicas: state.replicaCounts.get(brokerId) ?? 0,
            leads: leads.get(brokerId) ?? 0
          }))
        }))
    }
  }

  #health(): object {
    const problems = { leaderless: [] as string[], underReplicated: [] as string[] }
    let partitions = 0
    for (const topic of this.#state.topics.values()) {
      for (const [number, placement] of topic.partitions.entries()) {
        partitions++
        const name = `${topic.name}-${number}`
        const leadership = this.#options.cluster.leadershipOf(topic, number)
        if (!this.#isLed(topic, number)) problems.leaderless.push(name)
        else if (placement.replicas.some(id => leadership?.inSync.includes(id) !== true)) {
          problems.underReplicated.push(name)
        }
      }
    }
    const { leaderless, underReplicated } = problems
    return {
      healthy: leaderless.length + underReplicated.length === 0,
      partitions,
      reassigning: movesUnderWay(this.#state),
      leaderlessCount: leaderless.length,
      underReplicatedCount: underReplicated.length,
      leaderless: leaderless.slice(0, SHOWN_MAX),
      underReplicated: underReplicated.slice(0, SHOWN_MAX)
    }
  }

  #isLed(topic: TopicState, partition: number): boolean {
    const { cluster } = this.#options
    const leader = cluster.leadershipOf(topic, partition)?.leader ?? -1
    return leader >= 0 && cluster.isReachable(leader)
  }

  #leadCounts(): Map<number, number> {
    const counts = new Map<number, number>()
    for (const topic of this.#state.topics.values()) {
      for (const number of topic.partitions.keys()) {
        const leader = this.#options.cluster.leadershipOf(topic, number)?.leader ?? -1
        if (leader >= 0) counts.set(leader, (counts.get(leader) ?? 0) + 1)
      }
    }
    return counts
  }

  async #decommission(nodeId: number, dryRun: boolean): Promise<object> {
    this.#node(nodeId)
    const plan = planEvacuation(this.#state, nodeId, this.#down)
    const waits = planWaits(this.#state, nodeId, (topic, partition) => this.#isLed(topic, partition))
    const shown = {
      nodeId,
      dryRun,
      moveCount: plan.moves.length,
      moves: plan.moves.slice(0, SHOWN_MAX).map(showMove),
      stuck: plan.stuck.slice(0, SHOWN_MAX),
      waitCount: waits.length,
      waits: waits.slice(0, SHOWN_MAX),
      possible: plan.stuck.length === 0
    }
    if (dryRun) return shown
    if (plan.stuck.length > 0) {
      const [first] = plan.stuck
      throw new OperationError(
        409,
        `${plan.stuck.length} partitions cannot leave node ${nodeId}; ${first?.topic}-${first?.partition}: ${first?.reason}`
      )
    }
    if (this.#state.nodes.size === 1) throw new OperationError(409, 'the last node of a cluster cannot leave it')
    await this.#setMode(nodeId, 'decommissioning', ['active', 'maintenance'])
    return shown
  }

  #maintenance(nodeId: number, on: boolean): Promise<object> {
    return on ? this.#setMode(nodeId, 'maintenance', ['active']) : this.#setMode(nodeId, 'active', ['maintenance'])
  }

  /** `from`: the modes that this ends; in another one nothing happens. The controller decides: what is known here may be old. */
  async #setMode(nodeId: number, mode: NodeMode, from: readonly NodeMode[]): Promise<object> {
    this.#node(nodeId)
    const outcome = await this.#options.controller.ask('setNodeMode', { nodeId, mode, from }, DEADLINE_MS)
    if (outcome.kind === 'refused') throw new OperationError(409, outcome.reason)
    return { nodeId, mode }
  }

  async #switch(kind: BalancerKind, enabled: boolean): Promise<object> {
    const set = { [SWITCHES[kind]]: String(enabled) }
    await this.#options.controller.ask('setClusterConfigs', { set, unset: [] }, DEADLINE_MS)
    return { balancer: kind, enabled }
  }

  #plan(kind: BalancerKind): object {
    const { elections, settings } = this.#options
    const enabled = isEnabled(this.#state, settings, SWITCHES[kind])
    if (kind === 'leaders') {
      const transfers = elections.wanted()
      return { balancer: kind, enabled, transferCount: transfers.length, transfers: transfers.slice(0, SHOWN_MAX) }
    }
    const moves = planBalance(this.#state, settings['partition.balancer.moves.max'], this.#down)
    return { balancer: kind, enabled, reassigning: movesUnderWay(this.#state), nextMoves: moves.map(showMove) }
  }

  #moving(): object[] {
    const state = this.#state
    return [...state.reassigning].flatMap(([topicId, partitions]) => {
      const topic = state.topicsById.get(topicId)
      return partitions.flatMap(partition => {
        const placement = topic?.partitions[partition]
        if (topic === undefined || placement?.target === undefined) return []
        const { replicas, target } = placement
        const inSync = this.#options.cluster.leadershipOf(topic, partition)?.inSync ?? []
        return [{ topic: topic.name, partition, replicas, target, arrived: target.filter(id => inSync.includes(id)) }]
      })
    })
  }

  #givenUp(): object[] {
    return planGivenUp(this.#state).map(({ topic, partition, placement: { replicas, target = replicas, leaving } }) => {
      const leader = this.#isLed(topic, partition) ? this.#options.cluster.leadershipOf(topic, partition)?.leader : null
      return { topic: topic.name, partition, replicas: target, leaving, leader }
    })
  }

  async #cancelAll(): Promise<object> {
    const requests = [...this.#state.reassigning].flatMap(([topicId, partitions]) => {
      const topic = this.#state.topicsById.get(topicId)?.name
      return topic === undefined ? [] : partitions.map(partition => ({ topic, partition, replicas: null }))
    })
    const request = { requests, allowReplicationFactorChange: true, byNode: false }
    await this.#options.controller.ask('alterReassignments', request, DEADLINE_MS)
    return { cancelled: requests.length }
  }

  async #transfer({ topic: name, partition, target }: OperationRequests['transferLeadership']): Promise<object> {
    const { cluster, elections } = this.#options
    const topic = this.#state.topics.get(name)
    const placement = topic?.partitions[partition]
    if (topic === undefined || placement === undefined)
      throw new OperationError(404, `no partition ${name}-${partition}`)
    if (!placement.replicas.includes(target)) {
      throw new OperationError(
        400,
        `broker ${target} has no replica of ${name}-${partition}: ${placement.replicas.join(', ')} do`
      )
    }
    if (!elections.canLead(this.#state, target)) {
      throw new OperationError(
        409,
        `broker ${target} cannot lead now: it cannot be reached or its node is in maintenance`
      )
    }
    const outcome = await elections.transfer(cluster.groupOf(topic, partition), target, DEADLINE_MS)
    if (outcome !== 'done') throw new OperationError(503, `leadership did not move: ${outcome}`)
    return { topic: name, partition, leader: target }
  }

  #node(nodeId: number): NodeState {
    const node = this.#state.nodes.get(nodeId)
    if (node === undefined) throw new OperationError(404, `node ${nodeId} is not registered`)
    return node
  }
}

function showMove({ topic, partition, replicas, target, reason }: PlannedMove): object {
  const from = replicas.filter(id => !target.includes(id))
  const to = target.filter(id => !replicas.includes(id))
  return { topic, partition, from, to, fromNodes: from.map(nodeOf), toNodes: to.map(nodeOf), reason }
}
