/**
 * Unclean recovery as operators ask for it: a plan that only looks, and doing exactly that plan.
 *
 *     plan     survey of who is left ──► GroupPlan each ──► what to do, in words, and a digest of it
 *     execute  the plan again; another digest than the operator's is refused
 *              partitions ──► command of the controller ──► every shard brings its replica in line
 *              controller ──► its survivor does it at once: there is no metadata above it
 *
 * Bounds: a plan is of PLAN_PARTITIONS_MAX partitions at most; after these come the next.
 */
import { createHash } from 'node:crypto'
import { MeshError } from '@milena/shard-scheduler'
import type { LeaderTable } from '../cluster/leadership/leader-table.ts'
import { OperationError } from '../cluster/operation-error.ts'
import type { ShardCalls } from '../cluster/peers/shard-calls.ts'
import type { ShardCluster } from '../cluster/view/shard-cluster.ts'
import type { ControllerClient } from '../controller/controller-client.ts'
import { CONTROLLER_LOG_NAME } from '../controller/log/command-log.ts'
import type { WantedRecovery } from '../controller/messages.ts'
import { brokerIdOf, replicaHosts, type ClusterState, type TopicState } from '../controller/metadata/cluster-state.ts'
import type { MetadataReplica } from '../controller/metadata/metadata-replica.ts'
import type { GroupRecovery, ReplicaHost } from '../replication/contract.ts'
import { planGroup, type GroupPlan, type Recoverable } from './plan.ts'
import { serveSurvey, survey } from './survey.ts'

const RECOVER_CONTROLLER_SERVICE = 'controller.recover'
/** Partitions of one plan, at about 2 KB each in an answer. */
const PLAN_PARTITIONS_MAX = 500
/** How long the controller, or its survivor, may take, ms. */
const COMMIT_DEADLINE_MS = 4_000
/** How long an execution waits for the leaders that it makes, ms, and how often it looks. */
const LEADERS_WAIT_MS = 3_000
const LEADERS_POLL_MS = 20

/** Of one partition when both are given; of all otherwise. */
export interface RecoveryScope {
  readonly topic?: string
  readonly partition?: number
}

export interface UncleanRecoveryOptions {
  readonly replica: MetadataReplica
  readonly replicas: ReplicaHost
  readonly cluster: ShardCluster
  readonly leaders: LeaderTable
  readonly controller: ControllerClient
  readonly calls: ShardCalls
  /** Nodes of the cluster as this one remembered them when it started, itself included. */
  readonly known: readonly { readonly nodeId: number }[]
  readonly clock: { monotonic(): number; after(delayMs: number, callback: () => void): () => void }
}

interface Subject {
  readonly topic: TopicState
  readonly partition: number
  readonly group: string
  readonly hosts: readonly number[]
  readonly recovered: number
}

interface Planned {
  readonly subject: Subject
  readonly plan: GroupPlan
}

interface Plans {
  readonly planned: readonly Planned[]
  /** Partitions without a leader that this plan is too small for. */
  readonly moreCount: number
  /** Undefined: there is nothing to be done. */
  readonly digest: string | undefined
}

interface ControllerRecovery extends GroupRecovery {
  readonly lost: readonly number[]
}

export class UncleanRecovery {
  readonly #options: UncleanRecoveryOptions

  constructor(options: UncleanRecoveryOptions) {
    this.#options = options
    const { calls, replicas } = options
    serveSurvey(calls, replicas)
    calls.serve(RECOVER_CONTROLLER_SERVICE, (request: ControllerRecovery) => this.#recoverControllerHere(request))
  }

  /** Changes nothing. Rejects with an `OperationError` when the partition does not exist. */
  async plan(scope: RecoveryScope): Promise<object> {
    return showPlans(await this.#plan(scope))
  }

  /** Carries out the plan with this digest, if it is still the plan. Rejects with an `OperationError`. */
  async execute(scope: RecoveryScope, digest: string): Promise<object> {
    const { planned, digest: present } = await this.#plan(scope)
    checkDigest(digest, present)
    const recovered = planned.flatMap(({ subject, plan }) => (plan.kind === 'recoverable' ? [{ subject, plan }] : []))
    const recoveries = recovered.map(({ subject: { topic, partition }, plan }): WantedRecovery => {
      const { recovery: number, survivor, term, lost } = plan
      return { topicId: topic.topicId, partition, number, survivor, term, lost }
    })
    const outcome = await this.#options.controller.ask('recoverPartitions', { recoveries }, COMMIT_DEADLINE_MS)
    if (outcome.kind === 'refused') throw new OperationError(409, outcome.reason)
    await this.#until(() => recovered.every(({ subject, plan }) => this.#leaderSince(subject.group, plan.term) >= 0))
    return {
      recovered: recovered.map(({ subject: { topic, partition, group }, plan }) => {
        const leader = this.#leaderSince(group, plan.term)
        return {
          topic: topic.name,
          partition,
          recovery: plan.recovery,
          kept: plan.kept,
          leader: leader < 0 ? null : leader,
          leaderEpoch: leader < 0 ? null : (this.#options.leaders.leadershipOf(group)?.term ?? null)
        }
      })
    }
  }

  /** As `plan`, of the controller's own group. */
  async planController(): Promise<object> {
    const plan = await this.#controllerPlan()
    const plans = plan.kind === 'recoverable' ? [{ name: CONTROLLER_LOG_NAME, plan }] : []
    return { plan: digestOf(plans) ?? null, controller: plan }
  }

  async executeController(digest: string): Promise<object> {
    const plan = await this.#controllerPlan()
    checkDigest(digest, plan.kind === 'recoverable' ? digestOf([{ name: CONTROLLER_LOG_NAME, plan }]) : undefined)
    const { recovery: number, survivor, term, lost, kept } = plan as Recoverable
    const request: ControllerRecovery = { number, survivor, term, lost }
    try {
      const { calls } = this.#options
      const answer = await calls.call<{ refused?: string }>(
        survivor,
        RECOVER_CONTROLLER_SERVICE,
        request,
        COMMIT_DEADLINE_MS
      )
      if (answer.refused !== undefined) throw new OperationError(409, answer.refused)
    } catch (error) {
      if (!(error instanceof MeshError)) throw error
      throw new OperationError(503, `broker ${survivor} did not answer in time; look at the plan again`)
    }
    await this.#until(() => this.#leaderSince(CONTROLLER_LOG_NAME, term) >= 0)
    const leader = this.#leaderSince(CONTROLLER_LOG_NAME, term)
    return { controller: leader < 0 ? null : leader, recovery: number, kept }
  }

  async #recoverControllerHere({ lost, ...recovery }: ControllerRecovery): Promise<{ refused?: string }> {
    const { cluster, replicas } = this.#options
    const back = lost.find(id => cluster.isReachable(id))
    if (back !== undefined) return { refused: `broker ${back}, which the controller was to do without, can be reached` }
    const report = replicas.report([CONTROLLER_LOG_NAME]).get(CONTROLLER_LOG_NAME)
    if (report === undefined || report.role === 'leader' || report.follows !== undefined) {
      return { refused: 'the controller has a leader by now' }
    }
    await replicas.recover(CONTROLLER_LOG_NAME, recovery)
    return {}
  }

  async #plan(scope: RecoveryScope): Promise<Plans> {
    const all = this.#subjects(scope)
    const subjects = all.slice(0, PLAN_PARTITIONS_MAX)
    const found = await survey(subjects, this.#surveying)
    const planned = subjects.map((subject): Planned => {
      const leadership = this.#options.leaders.leadershipOf(subject.group)
      return {
        subject,
        plan: planGroup({ unit: 'record', recovered: subject.recovered, leadership }, found.get(subject.group)!)
      }
    })
    const digest = digestOf(
      planned.flatMap(({ subject, plan }) => (plan.kind === 'recoverable' ? [{ name: subject.group, plan }] : []))
    )
    return { planned, moreCount: all.length - subjects.length, digest }
  }

  get #surveying(): { calls: ShardCalls; isReachable: (brokerId: number) => boolean } {
    const { calls, cluster } = this.#options
    return { calls, isReachable: id => cluster.isReachable(id) }
  }

  /** The partition that is named, or all that have no leader that can be reached. */
  #subjects({ topic: name, partition: number }: RecoveryScope): Subject[] {
    const { state } = this.#options.replica
    if (name === undefined) return [...state.topics.values()].flatMap(topic => this.#leaderless(topic))
    const topic = state.topics.get(name)
    if (topic === undefined) throw new OperationError(404, `no topic ${name}`)
    if (number === undefined) return this.#leaderless(topic)
    if (topic.partitions[number] === undefined) throw new OperationError(404, `no partition ${name}-${number}`)
    return [this.#subject(topic, number)]
  }

  #leaderless(topic: TopicState): Subject[] {
    const { cluster } = this.#options
    const subjects = topic.partitions.map((_, partition) => this.#subject(topic, partition))
    return subjects.filter(({ partition }) => {
      const leader = cluster.leadershipOf(topic, partition)?.leader ?? -1
      return leader < 0 || !cluster.isReachable(leader)
    })
  }

  #subject(topic: TopicState, partition: number): Subject {
    const placement = topic.partitions[partition]!
    const hosts = replicaHosts(placement)
    const group = this.#options.cluster.groupOf(topic, partition)
    return { topic, partition, group, hosts, recovered: placement.recovery?.number ?? 0 }
  }

  async #controllerPlan(): Promise<GroupPlan> {
    const { replica, leaders, known } = this.#options
    const hosts = controllerHosts(replica.state, known)
    const found = (await survey([{ group: CONTROLLER_LOG_NAME, hosts }], this.#surveying)).get(CONTROLLER_LOG_NAME)!
    // Of several lives only the last one counts: others are of before a recovery.
    const recovered = Math.max(0, ...found.reports.map(({ recovery }) => recovery))
    const reports = found.reports.filter(({ recovery }) => recovery === recovered)
    return planGroup(
      { unit: 'command', recovered, leadership: leaders.leadershipOf(CONTROLLER_LOG_NAME) },
      { ...found, reports }
    )
  }

  /** Who leads in a term from `term` on, -1 when nobody is known. */
  #leaderSince(group: string, term: number): number {
    const known = this.#options.leaders.leadershipOf(group)
    return known !== undefined && known.term >= term ? known.leader : -1
  }

  async #until(done: () => boolean): Promise<void> {
    const { clock } = this.#options
    const endMs = clock.monotonic() + LEADERS_WAIT_MS
    while (!done() && clock.monotonic() < endMs) {
      await new Promise<void>(resolve => void clock.after(LEADERS_POLL_MS, resolve))
    }
  }
}

/**
 * The first shards of all nodes. Without metadata: of those that were known at the start. A controller's replica that was
 * restarted alone does not know what of its log is committed, and shows nothing.
 */
function controllerHosts(state: ClusterState, known: readonly { readonly nodeId: number }[]): number[] {
  const nodeIds = state.nodes.size > 0 ? [...state.nodes.keys()] : known.map(({ nodeId }) => nodeId)
  return nodeIds.map(nodeId => brokerIdOf(nodeId, 0))
}

function showPlans({ planned, moreCount, digest }: Plans): object {
  const of = (...kinds: GroupPlan['kind'][]): object[] =>
    planned.flatMap(({ subject: { topic, partition }, plan }) => {
      const { kind, ...rest } = plan
      return kinds.includes(kind) ? [{ topic: topic.name, partition, ...rest }] : []
    })
  return {
    plan: digest ?? null,
    recoverable: of('recoverable'),
    blocked: of('blocked'),
    hopeless: of('hopeless'),
    healthyCount: of('healthy').length,
    moreCount
  }
}

/** Of everything that the decision rests on: who is left, with what, who is given up, and what becomes of it. */
function digestOf(plans: readonly { readonly name: string; readonly plan: Recoverable }[]): string | undefined {
  if (plans.length === 0) return undefined
  const parts = plans.map(({ name, plan: { recovery, term, survivor, survivors, lost } }) => {
    const held = survivors
      .map(one => [one.replica, one.state, one.term, one.lastIndex, one.lastTerm, one.commitIndex, one.endOffset])
      .sort((a, b) => Number(a[0]) - Number(b[0]))
    return [name, recovery, term, survivor, lost.toSorted((a, b) => a - b), held]
  })
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, DIGEST_CHARACTERS)
}

const DIGEST_CHARACTERS = 16

function checkDigest(wanted: string, present: string | undefined): void {
  if (present === undefined) throw new OperationError(409, 'there is nothing to recover; look at the plan')
  if (wanted !== present) {
    throw new OperationError(409, `plan ${wanted} is not what would be done now; look at the plan again and confirm it`)
  }
}
