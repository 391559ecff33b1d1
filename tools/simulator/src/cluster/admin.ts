/**
 * Who administers the cluster: makes and deletes topics, moves replicas and leaders, puts nodes into maintenance. Waits for the
 * answer to each request, and remembers what it cannot know.
 */
import type { OperationName } from '@milena/broker/testing'
import { apis, errorCode } from '@milena/wire-protocol'
import { BACKOFF_MS, Client, isPassing, nameOf, type ClientSite } from './client.ts'
import type { ClusterNode } from './cluster-node.ts'
import type { TopicHistory } from './history.ts'

const DEADLINE_MS = 3000
/** Names of topics; few, so that they are used again. */
const NAMES = ['orders', 'events', 'audit', 'clicks', 'users', 'metrics']
const PREFERRED = 0

/** What became of a request of an operator; `none`: nobody answered. */
export type OperationAnswer =
  | { readonly kind: 'done'; readonly result: object }
  | { readonly kind: 'refused'; readonly status: number }
  | { readonly kind: 'none' }

export class Admin extends Client {
  readonly #nodes: readonly ClusterNode[]
  readonly #callMs: number
  readonly #replicaCounts: readonly number[]
  /** Names of topics of which nobody knows whether they exist. */
  readonly doubtful = new Set<string>()

  /** `replicaCounts`: of a partition, each as likely as the others. */
  constructor(site: ClientSite, nodes: readonly ClusterNode[], replicaCounts: readonly number[]) {
    super(site, 'admin')
    this.#nodes = nodes
    this.#replicaCounts = replicaCounts
    this.#callMs = this.random.pick([300, 1000, 3000])
  }

  /** Does something, after a while. */
  async act(): Promise<void> {
    await this.sleep(this.random.exponential(this.#callMs))
    await this.random.pick([
      () => this.createTopic(this.random.pick(NAMES)),
      () => this.createTopic(this.random.pick(NAMES)),
      () => this.#deleteTopic(),
      () => this.#reassign(),
      () => this.#reassign(),
      () => this.#waver(),
      () => this.#electPreferred(),
      () => this.#transfer(),
      () => this.#maintain()
    ])()
  }

  async createTopic(name: string): Promise<void> {
    const { history, world } = this.site
    if (this.doubtful.has(name) || history.living.some(topic => topic.name === name)) return
    const partitionCount = this.random.pick([1, 2, 4])
    const replicationFactor = Math.min(this.random.pick(this.#replicaCounts), this.#nodes.length)
    const topics = [{ name, numPartitions: partitionCount, replicationFactor, assignments: [], configs: [] }]
    this.trace('create', `${name} with ${partitionCount} partitions, ${replicationFactor} replicas`)
    const answer = await this.askAny(apis.createTopics, 7, { topics, timeoutMs: DEADLINE_MS })
    const result = answer?.message.topics[0]
    if (result?.errorCode === 0) {
      const { topicId } = result
      this.trace('created', `${name} ${topicId}`)
      if (history.topics.has(topicId)) world.violated('topics-are-kept', `the id ${topicId} is given a second time`)
      history.topics.set(topicId, { name, topicId, partitionCount, deletion: 'none' })
      await this.refresh()
    } else if (result === undefined || isPassing(result.errorCode)) this.doubtful.add(name)
    else if (result.errorCode !== errorCode('INVALID_REPLICATION_FACTOR')) {
      this.unexpected(`making ${name} (${result.errorMessage ?? ''})`, result.errorCode)
    }
  }

  async #deleteTopic(): Promise<void> {
    const { living } = this.site.history
    if (living.length < 2) return
    const topic = this.random.pick(living)
    topic.deletion = 'doubtful'
    this.trace('delete', `${topic.name} ${topic.topicId}`)
    const topics = [{ name: null, topicId: topic.topicId }]
    const answer = await this.askAny(apis.deleteTopics, 6, { topics, timeoutMs: DEADLINE_MS })
    const code = answer?.message.responses[0]?.errorCode
    this.trace('deleted', `${topic.name} ${code === undefined ? 'no answer' : nameOf(code)}`)
    if (code === 0) topic.deletion = 'done'
    else if (code !== undefined && !isPassing(code)) this.unexpected(`deleting ${topic.name}`, code)
    else this.doubtful.add(topic.name)
  }

  /** Other replicas for a partition; as many as before, most often. */
  async #reassign(): Promise<void> {
    const topic = this.#anyTopic()
    if (topic === undefined) return
    const replicas = this.random.chance(0.1) ? null : this.#anyReplicas()
    await this.#alterReassignment(topic, this.random.below(topic.partitionCount), replicas)
  }

  /** The same move again and again, given up each time when it has just begun, is half done, or has just ended. */
  async #waver(): Promise<void> {
    const topic = this.#anyTopic()
    if (topic === undefined) return
    const partition = this.random.below(topic.partitionCount)
    const replicas = this.#anyReplicas()
    const patienceMs = this.random.pick([5, 100, 600])
    for (let round = this.random.pick([2, 3, 5]); round > 0; round--) {
      await this.#alterReassignment(topic, partition, replicas)
      await this.sleep(this.random.exponential(patienceMs))
      await this.#alterReassignment(topic, partition, this.random.chance(0.9) ? null : this.#anyReplicas())
      await this.sleep(this.random.exponential(patienceMs))
    }
  }

  #anyReplicas(): readonly number[] {
    const nodes = this.random.shuffled(this.#nodes.filter(({ nodeId }) => nodeId !== undefined))
    return nodes
      .slice(0, this.random.pick(this.#replicaCounts))
      .map(({ nodeId, shards }) => (nodeId ?? 0) * 1000 + this.random.below(shards.length))
  }

  /** `replicas`: null gives up the move that is under way. */
  async #alterReassignment(topic: TopicHistory, partition: number, replicas: readonly number[] | null): Promise<void> {
    const name = `${topic.name}-${partition}`
    this.trace('reassign', `${name} ${replicas?.join(' ') ?? 'as it was'}`)
    const partitions = [{ partitionIndex: partition, replicas: replicas === null ? null : [...replicas] }]
    const request = { timeoutMs: DEADLINE_MS, topics: [{ name: topic.name, partitions }] }
    const answer = await this.askAny(apis.alterPartitionReassignments, 1, request)
    const code = answer?.message.responses[0]?.partitions[0]?.errorCode
    this.trace('reassigned', `${name} ${code === undefined ? 'no answer' : nameOf(code)}`)
    const refusals = [errorCode('NO_REASSIGNMENT_IN_PROGRESS'), errorCode('INVALID_REPLICA_ASSIGNMENT')]
    if (code === undefined || code === 0 || isPassing(code) || refusals.includes(code)) return
    this.unexpected(`a reassignment of ${topic.name}`, code)
  }

  async #electPreferred(): Promise<void> {
    const topic = this.#anyTopic()
    if (topic === undefined) return
    const partitions = Array.from({ length: topic.partitionCount }, (_, at) => at)
    const topicPartitions = [{ topic: topic.name, partitions }]
    await this.askAny(apis.electLeaders, 2, { electionType: PREFERRED, topicPartitions, timeoutMs: DEADLINE_MS })
  }

  async #transfer(): Promise<void> {
    const topic = this.#anyTopic()
    const node = this.random.pick(this.#nodes)
    if (topic === undefined || node.nodeId === undefined) return
    const target = node.nodeId * 1000 + this.random.below(node.shards.length)
    const partition = this.random.below(topic.partitionCount)
    await this.operate('transferLeadership', { topic: topic.name, partition, target })
  }

  async #maintain(): Promise<void> {
    const { nodeId } = this.random.pick(this.#nodes)
    if (nodeId === undefined) return
    if ((await this.operate('maintenance', { nodeId, on: true })) === undefined) return
    await this.sleep(this.random.exponential(3000))
    await this.operate('maintenance', { nodeId, on: false })
  }

  /** Nobody is in maintenance any more; tries until that is so, or until it is told that a node leaves or has left. */
  async endMaintenance(): Promise<void> {
    for (const { nodeId } of [...this.#nodes]) {
      if (nodeId === undefined) continue
      for (;;) {
        const answer = await this.ask('maintenance', { nodeId, on: false })
        if (answer.kind === 'done' || (answer.kind === 'refused' && answer.status < 500)) break
        await this.sleep(BACKOFF_MS)
      }
    }
  }

  /** As `ask`; undefined when it is refused or nobody answers. */
  async operate(name: OperationName, request: object): Promise<object | undefined> {
    const answer = await this.ask(name, request)
    return answer.kind === 'done' ? answer.result : undefined
  }

  /** Asks any node, as its admin API would. */
  ask(name: OperationName, request: object): Promise<OperationAnswer> {
    const { world } = this.site
    const process = this.random.pick(this.#nodes).shards[0]?.running
    return new Promise(resolve => {
      const late = world.after(DEADLINE_MS * 3, () => resolve({ kind: 'none' }))
      const done = (answer: OperationAnswer): void => {
        late()
        world.schedule(0, () => resolve(answer))
      }
      if (process?.serves !== true) return done({ kind: 'none' })
      process.time.nextTurn(() => {
        process.open.operations.run(name, request).then(
          result => done({ kind: 'done', result }),
          (error: unknown) => {
            this.trace('refused', `${name}: ${String(error)}`)
            done({ kind: 'refused', status: (error as { readonly status?: number }).status ?? 500 })
          }
        )
      })
    })
  }

  #anyTopic(): TopicHistory | undefined {
    const { living } = this.site.history
    return living.length === 0 ? undefined : this.random.pick(living)
  }
}
