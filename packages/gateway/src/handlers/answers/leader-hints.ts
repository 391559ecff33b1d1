/**
 * Leader hints (KIP-951): an answer that says "not me" also says who, so that the client goes there at once instead of asking
 * for metadata first. Collects the endpoints that one response has to list.
 */
import type { ErrorName } from '@milena/wire-protocol'
import type { RequestContext } from '../../handler.ts'

export interface LeaderHint {
  readonly leaderId: number
  readonly leaderEpoch: number
}

export interface EndpointHint {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

export class LeaderHints {
  readonly #context: RequestContext
  readonly #leaderIds = new Set<number>()

  constructor(context: RequestContext) {
    this.#context = context
  }

  /**
   * Who leads the partition as far as this shard knows, -1 for nobody; undefined when it cannot say. After NOT_LEADER_OR_FOLLOWER
   * that we lead it ourselves is old news: the view has not heard yet of what the partition knows.
   */
  leaderOf(topicId: string, partition: number, error: ErrorName): LeaderHint | undefined {
    const { cluster, brokerId } = this.#context.host
    const view = cluster.view().topicById(topicId)?.partitions[partition]
    if (view === undefined) return undefined
    if (view.leader === brokerId && error === 'NOT_LEADER_OR_FOLLOWER') return undefined
    if (view.leader >= 0) this.#leaderIds.add(view.leader)
    return { leaderId: view.leader, leaderEpoch: view.leaderEpoch }
  }

  /** Nobody leads the partition as far as this shard knows, or it itself, which the partition has just denied: it will hear soon. */
  isUnsettled(topicId: string, partition: number): boolean {
    const { cluster, brokerId } = this.#context.host
    const view = cluster.view().topicById(topicId)?.partitions[partition]
    return view !== undefined && (view.leader < 0 || view.leader === brokerId)
  }

  /** Addresses of all leaders named so far; empty in the usual case. */
  endpoints(): EndpointHint[] {
    if (this.#leaderIds.size === 0) return []
    return this.#context.host.cluster
      .view()
      .brokers(this.#context.dial)
      .filter(broker => this.#leaderIds.has(broker.id))
      .map(({ id, host, port, rack }) => ({ nodeId: id, host, port, rack }))
  }
}
