/**
 * The controller: the one place where the cluster's metadata changes. Every node's shard 0 has one; it works on the node whose
 * replica of the controller's log leads, and refuses with `NotLeaderError` on the others.
 *
 * Work is done in turns: plan against the newest state, commit the command, apply it. A plan is so never outdated when its
 * command is applied. An answer without a command, a refusal say, is given once a majority has confirmed the leader: one that was
 * replaced and has not heard of it knows nothing of what happened since. Requests may arrive twice (their answer was lost), so
 * each is made to do no harm the second time.
 */
import type { ConfigAlterationResult, MorePartitionsResult, PartitionResults, TopicResult } from '@milena/gateway'
import type { BrokerSettings } from '../settings/broker-settings.ts'
import type { CommandLog } from './log/command-log.ts'
import type {
  AnswerOf,
  JoinAnswer,
  JoinRequest,
  NodeOutcome,
  RecoveryOutcome,
  RequestName,
  RequestOf,
  WantedRecovery
} from './messages.ts'
import { replicaHosts, type ClusterState, type NodeDescription } from './metadata/cluster-state.ts'
import type { Command, CommandResult, NodeRefusal } from './metadata/commands.ts'
import { planConfigChanges } from './plans/config-plan.ts'
import { planDeletions } from './plans/deletion-plan.ts'
import { planPartitions } from './plans/partition-plan.ts'
import { downNodes, type Down } from './plans/placement.ts'
import { planReassignments } from './plans/reassignment-plan.ts'
import { planTopics } from './plans/topic-plan.ts'
import { quorumView } from './quorum-view.ts'

/** Producer ids handed to a shard at a time. */
export const PRODUCER_ID_BLOCK = 1000

/** This replica does not lead, so nothing was done. */
export class NotLeaderError extends Error {
  readonly code = 'NOT_LEADER'
  constructor() {
    super('this replica does not lead the controller')
    this.name = 'NotLeaderError'
  }
}

export interface ControllerOptions {
  readonly log: CommandLog
  readonly settings: BrokerSettings
  readonly clock: { now(): number; monotonic(): number }
  /** Whether a shard can be reached from here now, this one included. */
  readonly isReachable: (brokerId: number) => boolean
}

type Handlers = { readonly [N in RequestName]: (request: RequestOf<N>) => Promise<AnswerOf<N>> }

export class Controller {
  readonly #log: CommandLog
  readonly #settings: BrokerSettings
  readonly #clock: ControllerOptions['clock']
  readonly #isReachable: ControllerOptions['isReachable']
  readonly #handlers: Handlers
  /** Plans and their commands take turns. */
  #turn: Promise<unknown> = Promise.resolve()
  /** Commands carried out so far. */
  #executed = 0

  constructor(options: ControllerOptions) {
    this.#log = options.log
    this.#settings = options.settings
    this.#clock = options.clock
    this.#isReachable = options.isReachable
    this.#handlers = {
      createTopics: ({ requests, validateOnly }) => this.#createTopics(requests, validateOnly),
      deleteTopics: ({ topics }) => this.#deleteTopics(topics),
      createPartitions: request => this.#createPartitions(request),
      allocateProducerIds: () =>
        this.commit('allocate-producer-ids', () => {
          return { type: 'allocate-producer-ids', version: 1, count: PRODUCER_ID_BLOCK }
        }),
      join: request => this.#join(request),
      updateNode: node => this.#updateNode(node),
      setNodeMode: ({ nodeId, mode, from }) =>
        this.#changeNode({ type: 'set-node-mode', version: 1, nodeId, mode, from }),
      removeNode: ({ nodeId }) => this.#changeNode({ type: 'remove-node', version: 1, nodeId }),
      alterReassignments: request => this.#alterReassignments(request),
      finishReassignment: ({ moves }) =>
        this.commit('finish-reassignment', () => ({ type: 'finish-reassignment', version: 2, moves })),
      deleteRecords: ({ deletions }) =>
        this.commit('delete-records', () => ({ type: 'delete-records', version: 1, deletions })),
      alterConfigs: request => this.#alterConfigs(request),
      recoverPartitions: ({ recoveries }) => this.#recoverPartitions(recoveries),
      setClusterConfigs: ({ set, unset }) =>
        this.commit('set-configs', () => {
          return { type: 'set-configs', version: 1, changes: [{ resource: { type: 'cluster' }, set, unset }] }
        }),
      catchUp: () => this.inTurn(() => Promise.resolve({ revision: this.#log.state.revision })),
      describeQuorum: () =>
        this.inTurn(() => Promise.resolve(quorumView(this.#log.quorum(), this.#log.state, this.#clock)))
    }
  }

  get state(): ClusterState {
    return this.#log.state
  }

  /** Nodes that cannot be reached now. */
  get down(): Down {
    return downNodes(this.#log.state, this.#isReachable)
  }

  /** Carries out one request. Rejects with `NotLeaderError` on a replica that does not lead, or before the cluster is formed. */
  handle(name: RequestName, request: unknown): Promise<unknown> {
    if (this.#log.state.clusterId === '') return Promise.reject(new NotLeaderError())
    return (this.#handlers[name] as (request: unknown) => Promise<unknown>)(request)
  }

  /** Plans a command against the newest state and commits it. */
  commit<T extends Command['type']>(
    _: T,
    plan: (state: ClusterState) => Extract<Command, { type: T }>
  ): Promise<Extract<CommandResult, { type: T }>> {
    return this.inTurn(async () => (await this.#execute(plan(this.#log.state))) as Extract<CommandResult, { type: T }>)
  }

  /** Runs `work` when all that was begun before has ended, if this replica leads by then. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (!this.#log.leading) return Promise.reject(new NotLeaderError())
    const result = this.#turn.then(async () => {
      if (!this.#log.leading) throw new NotLeaderError()
      const before = this.#executed
      const done = await work()
      if (this.#executed === before && !(await this.#log.confirm())) throw new NotLeaderError()
      return done
    })
    this.#turn = result.catch(() => undefined)
    return result
  }

  async #execute(command: Command): Promise<CommandResult> {
    const outcome = await this.#log.execute(command)
    if (outcome.kind !== 'applied') throw new NotLeaderError()
    this.#executed++
    return outcome.result
  }

  #createTopics(...[requests, validateOnly]: CreateTopicsArguments): Promise<readonly TopicResult[]> {
    return this.inTurn(async () => {
      const plan = planTopics(this.#log.state, requests, this.#settings, this.#isReachable)
      if (!validateOnly && plan.topics.length > 0) {
        await this.#execute({ type: 'create-topics', version: 1, topics: plan.topics })
      }
      return plan.results
    })
  }

  #deleteTopics(topics: RequestOf<'deleteTopics'>['topics']): Promise<readonly TopicResult[]> {
    return this.inTurn(async () => {
      const { topicIds, results } = planDeletions(this.#log.state, topics)
      if (topicIds.length > 0) await this.#execute({ type: 'delete-topics', version: 1, topicIds })
      return results
    })
  }

  #createPartitions(request: RequestOf<'createPartitions'>): Promise<readonly MorePartitionsResult[]> {
    return this.inTurn(async () => {
      const options = { settings: this.#settings, isReachable: this.#isReachable }
      const { commands, results } = planPartitions(this.#log.state, request.requests, options)
      if (!request.validateOnly) for (const command of commands) await this.#execute(command)
      return results
    })
  }

  #join({ node, nodeId: wanted }: JoinRequest): Promise<JoinAnswer> {
    return this.inTurn(async () => {
      const { state } = this.#log
      const { clusterId } = state
      const known = [...state.nodes.values()].find(({ instance }) => instance === node.instance)
      const nodeId = known?.nodeId ?? wanted ?? state.nextNodeId
      if (known !== undefined && wanted !== undefined && wanted !== known.nodeId) {
        return { kind: 'refused', reason: `its data folder belongs to node.id ${known.nodeId}, not ${wanted}` }
      }
      const registered = { ...node, nodeId }
      const result = await this.#execute({ type: 'register-node', version: 1, node: registered })
      if ('refused' in result) return { kind: 'refused', reason: nodeRefusal(result.refused, nodeId, this.#log.state) }
      return { kind: 'joined', clusterId, nodeId, nodes: [...this.#log.state.nodes.values()] }
    })
  }

  /** A node that started; most of them as they were. */
  #updateNode(node: NodeDescription): Promise<NodeOutcome> {
    return this.inTurn(async () => {
      const { mode: _, ...known } = this.#log.state.nodes.get(node.nodeId) ?? { mode: 'active' }
      if (sameNode(known, node)) return { kind: 'done' }
      return this.#changeNodeNow({ type: 'update-node', version: 1, node })
    })
  }

  #changeNode(command: NodeCommand): Promise<NodeOutcome> {
    return this.inTurn(() => this.#changeNodeNow(command))
  }

  async #changeNodeNow(command: NodeCommand): Promise<NodeOutcome> {
    const result = await this.#execute(command)
    if (!('refused' in result)) return { kind: 'done' }
    const nodeId = 'node' in command ? command.node.nodeId : command.nodeId
    return { kind: 'refused', reason: nodeRefusal(result.refused, nodeId, this.#log.state) }
  }

  #alterConfigs(request: RequestOf<'alterConfigs'>): Promise<readonly ConfigAlterationResult[]> {
    return this.inTurn(async () => {
      const { changes, results } = planConfigChanges(this.#log.state, request.alterations)
      if (!request.validateOnly && changes.length > 0) {
        await this.#execute({ type: 'set-configs', version: 2, changes })
      }
      return results
    })
  }

  #alterReassignments(request: RequestOf<'alterReassignments'>): Promise<PartitionResults> {
    return this.inTurn(async () => {
      const plan = planReassignments(this.#log.state, request.requests, request)
      if (plan.cancels.length > 0)
        await this.#execute({ type: 'cancel-reassignment', version: 1, partitions: plan.cancels })
      if (plan.starts.length > 0) await this.#execute({ type: 'start-reassignment', version: 1, moves: plan.starts })
      return { kind: 'done', results: plan.results }
    })
  }

  /** Asked again after a lost answer, the numbers are taken: refused, and done. */
  #recoverPartitions(wanted: readonly WantedRecovery[]): Promise<RecoveryOutcome> {
    return this.inTurn(async () => {
      const reason = recoveryProblem(this.#log.state, wanted, this.#isReachable)
      if (reason !== undefined) return { kind: 'refused', reason }
      const recoveries = wanted.map(({ lost: _, ...recovery }) => recovery)
      await this.#execute({ type: 'recover-partitions', version: 1, recoveries })
      return { kind: 'done' }
    })
  }
}

function recoveryProblem(
  state: ClusterState,
  wanted: readonly WantedRecovery[],
  isReachable: (brokerId: number) => boolean
): string | undefined {
  for (const { topicId, partition, number, survivor, lost } of wanted) {
    const topic = state.topicsById.get(topicId)
    const placement = topic?.partitions[partition]
    const name = `${topic?.name ?? topicId}-${partition}`
    if (placement === undefined) return `${name} is gone`
    if ((placement.recovery?.number ?? 0) + 1 !== number) return `${name} was recovered meanwhile`
    if (!replicaHosts(placement).includes(survivor)) return `broker ${survivor} has no replica of ${name} any more`
    const back = lost.find(isReachable)
    if (back !== undefined) return `broker ${back}, which ${name} was to do without, can be reached`
  }
  return undefined
}

type CreateTopicsArguments = [
  requests: RequestOf<'createTopics'>['requests'],
  validateOnly: RequestOf<'createTopics'>['validateOnly']
]

type NodeCommand = Extract<Command, { type: 'update-node' | 'set-node-mode' | 'remove-node' }>

function sameNode(left: object, right: NodeDescription): boolean {
  const keys = ['nodeId', 'instance', 'shardCount', 'rack', 'rpc', 'listeners'] as const
  return keys.every(key => JSON.stringify((left as Partial<NodeDescription>)[key]) === JSON.stringify(right[key]))
}

function nodeRefusal(refused: NodeRefusal | undefined, nodeId: number, { nodes }: ClusterState): string {
  switch (refused) {
    case 'other-mode':
      return `node ${nodeId} is ${nodes.get(nodeId)?.mode}`
    case 'other-in-maintenance':
      return `node ${[...nodes.values()].find(({ mode }) => mode === 'maintenance')?.nodeId} is in maintenance; one node at a time`
    case 'other-instance':
      return `node.id ${nodeId} belongs to another data folder: a node that lost its disk comes back under a new id, or after the old one was removed`
    case 'fewer-shards':
      return `node ${nodeId} had more shards before: their partitions would be gone`
    case 'has-replicas':
      return `node ${nodeId} still has replicas; decommission it first`
    case 'unknown-node':
    case undefined:
      return `node ${nodeId} is not registered`
  }
}
