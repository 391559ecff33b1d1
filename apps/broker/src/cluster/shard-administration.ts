/**
 * What operators' tools ask over Kafka's protocol: elections, reassignments, the controller's quorum, brokers that are gone. Kafka
 * sends all of it to its controller; here it is decided by the controller too, or by a copy of the metadata that has caught up with
 * it: a shard that has not yet heard of a topic does not say that there is none.
 */
import type {
  AdministrationPort,
  ElectionKind,
  PartitionResult,
  PartitionResults,
  QuorumView,
  ReassignmentRequest,
  ReassignmentView,
  ReassignmentViews,
  Refusal,
  TopicPartition
} from '@milena/gateway'
import type { ErrorName } from '@milena/wire-protocol'
import { ControllerUnavailableError, type ControllerClient } from '../controller/controller-client.ts'
import type { AnswerOf, RequestName, RequestOf } from '../controller/messages.ts'
import {
  nodeOf,
  preferredLeader,
  shownBrokerIds,
  type PartitionState,
  type TopicState
} from '../controller/metadata/cluster-state.ts'
import type { MetadataReplica } from '../controller/metadata/metadata-replica.ts'
import type { Elections } from './leadership/elections.ts'
import type { ShardCluster } from './view/shard-cluster.ts'

const QUORUM_DEADLINE_MS = 10_000
const UNREGISTER_DEADLINE_MS = 10_000

export interface ShardAdministrationOptions {
  readonly replica: MetadataReplica
  readonly cluster: ShardCluster
  readonly controller: ControllerClient
  readonly elections: Elections
  /** Clients know nodes, not shards. */
  readonly byNode: boolean
}

export class ShardAdministration implements AdministrationPort {
  readonly #options: ShardAdministrationOptions

  constructor(options: ShardAdministrationOptions) {
    this.#options = options
  }

  async electLeaders(
    kind: ElectionKind,
    partitions: readonly TopicPartition[] | 'all',
    { timeoutMs }: { timeoutMs: number }
  ): Promise<PartitionResults> {
    const behind = await this.#catchUp(timeoutMs)
    if (behind !== undefined) return behind
    const chosen = partitions === 'all' ? this.#inNeed(kind) : partitions
    const results = await Promise.all(chosen.map(partition => this.#elect(kind, partition, timeoutMs)))
    return { kind: 'done', results }
  }

  async alterReassignments(
    requests: readonly ReassignmentRequest[],
    { timeoutMs, allowReplicationFactorChange }: { timeoutMs: number; allowReplicationFactorChange: boolean }
  ): Promise<PartitionResults> {
    const { byNode } = this.#options
    return this.#ask('alterReassignments', { requests, allowReplicationFactorChange, byNode }, timeoutMs)
  }

  async listReassignments(
    partitions: readonly TopicPartition[] | 'all',
    { timeoutMs }: { timeoutMs: number }
  ): Promise<ReassignmentViews> {
    const behind = await this.#catchUp(timeoutMs)
    if (behind !== undefined) return behind
    const { state } = this.#options.replica
    const results: ReassignmentView[] = []
    for (const [topicId, numbers] of state.reassigning) {
      const topic = state.topicsById.get(topicId)
      for (const number of numbers) {
        const placement = topic?.partitions[number]
        if (topic === undefined || placement?.target === undefined) continue
        const { name } = topic
        if (partitions !== 'all' && !partitions.some(p => p.topic === name && p.partition === number)) continue
        results.push(this.#viewMove(name, number, placement, placement.target))
      }
    }
    return { kind: 'done', results }
  }

  async describeQuorum(): Promise<QuorumView> {
    return this.#ask('describeQuorum', {}, QUORUM_DEADLINE_MS)
  }

  async unregisterBroker(brokerId: number): Promise<{ readonly kind: 'done' } | Refusal> {
    const behind = await this.#catchUp(UNREGISTER_DEADLINE_MS)
    if (behind !== undefined) return behind
    const nodeId = nodeOf(brokerId)
    if (!this.#options.replica.state.nodes.has(nodeId)) {
      return { kind: 'refused', error: 'BROKER_ID_NOT_REGISTERED', message: null }
    }
    const outcome = await this.#ask('removeNode', { nodeId }, UNREGISTER_DEADLINE_MS)
    if (outcome.kind === 'done' || 'error' in outcome) return outcome
    return { kind: 'refused', error: 'INVALID_REQUEST', message: outcome.reason }
  }

  /** With 'all': what can be elected and is not led as it should be. */
  #inNeed(kind: ElectionKind): readonly TopicPartition[] {
    if (kind === 'preferred') return this.#options.elections.wanted()
    return [...this.#options.replica.state.topics.values()].flatMap(topic =>
      topic.partitions.flatMap((_, partition) =>
        this.#hasLeader(topic, partition) ? [] : [{ topic: topic.name, partition }]
      )
    )
  }

  #hasLeader(topic: TopicState, partition: number): boolean {
    const leader = this.#options.cluster.leadershipOf(topic, partition)?.leader ?? -1
    return leader >= 0 && this.#options.cluster.isReachable(leader)
  }

  async #elect(
    kind: ElectionKind,
    { topic: name, partition }: TopicPartition,
    timeoutMs: number
  ): Promise<PartitionResult> {
    const { replica, cluster, elections } = this.#options
    const answer = (error: ErrorName, message: string | null = null): PartitionResult => {
      return { topic: name, partition, error, message }
    }
    const topic = replica.state.topics.get(name)
    const placement = topic?.partitions[partition]
    if (topic === undefined || placement === undefined) {
      return answer('UNKNOWN_TOPIC_OR_PARTITION', `No such topic as ${name} or partition ${partition}`)
    }
    const hasLeader = this.#hasLeader(topic, partition)
    if (kind === 'unclean') {
      return hasLeader
        ? answer('ELECTION_NOT_NEEDED')
        : answer('ELIGIBLE_LEADERS_NOT_AVAILABLE', uncleanRefusal(name, partition))
    }
    const leader = cluster.leadershipOf(topic, partition)?.leader ?? -1
    const target = preferredLeader(placement)
    if (leader === target) return answer('ELECTION_NOT_NEEDED')
    if (!hasLeader || !elections.canLead(replica.state, target)) return answer('PREFERRED_LEADER_NOT_AVAILABLE')
    const outcome = await elections.transfer(cluster.groupOf(topic, partition), target, timeoutMs)
    return answer(outcome === 'done' ? 'NONE' : 'PREFERRED_LEADER_NOT_AVAILABLE')
  }

  #viewMove(
    topic: string,
    partition: number,
    { replicas }: PartitionState,
    target: readonly number[]
  ): ReassignmentView {
    const shown = (ids: readonly number[]): readonly number[] => shownBrokerIds(ids, this.#options.byNode)
    const removing = replicas.filter(id => !target.includes(id))
    const adding = target.filter(id => !replicas.includes(id))
    return {
      topic,
      partition,
      replicas: shown([...target, ...removing]),
      adding: shown(adding),
      removing: shown(removing)
    }
  }

  /** What is decided by this shard's copy of the metadata is decided once it is as new as the controller's; undefined when it is. */
  async #catchUp(timeoutMs: number): Promise<Refusal | undefined> {
    const outcome = await this.#ask('catchUp', {}, timeoutMs)
    return 'error' in outcome ? (outcome as Refusal) : undefined
  }

  async #ask<N extends RequestName>(
    name: N,
    request: RequestOf<N>,
    timeoutMs: number
  ): Promise<AnswerOf<N> | (Refusal & { readonly kind: 'refused' })> {
    try {
      return await this.#options.controller.ask(name, request, timeoutMs)
    } catch (error) {
      if (!(error instanceof ControllerUnavailableError)) throw error
      return { kind: 'refused', error: 'REQUEST_TIMED_OUT', message: null }
    }
  }
}

/** See docs/decisions/0008-unclean-recovery.md. */
function uncleanRefusal(topic: string, partition: number): string {
  const query = `topic=${encodeURIComponent(topic)}&partition=${partition}`
  return `Too few replicas are left to elect a leader that has every acknowledged record. What an unclean recovery would keep and lose is shown by GET /v1/recovery?${query} of the admin API, which also says how to confirm it.`
}
