/**
 * The controller: the one place where the cluster's metadata changes. Lives on shard 0; the others reach it over the mesh.
 *
 * Work is done in turns: plan against the newest state, make the command durable, apply it, tell every shard. A shard that
 * cannot be reached is left out; it fetches the whole state when it comes back. `createTopics` answers when every reachable
 * shard has applied the command and opened its partitions.
 */
import type { TopicRequest, TopicResult } from '@milena/gateway'
import type { Mesh } from '@milena/shard-scheduler'
import type { BrokerSettings } from '../settings/broker-settings.ts'
import type { ClusterState, NodeDescription } from './cluster-state.ts'
import type { Command, CommandResult } from './commands.ts'
import type { CommandLog } from './command-log.ts'
import { planTopics } from './topic-plan.ts'
import { decodeMessage, encodeMessage, controllerServices, replicaServices, type AppliedCommand } from './messages.ts'

/** Producer ids handed to a shard at a time. */
export const PRODUCER_ID_BLOCK = 1000
/** How long a shard may take to apply a command (it opens the logs of its new partitions). */
const PUBLISH_DEADLINE_MS = 30_000

export class Controller {
  readonly #commands: CommandLog
  readonly #mesh: Mesh
  readonly #settings: BrokerSettings
  readonly #randomBytes: (count: number) => Uint8Array
  /** Proposals take turns. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: {
    commands: CommandLog
    mesh: Mesh
    settings: BrokerSettings
    randomBytes: (count: number) => Uint8Array
  }) {
    this.#commands = options.commands
    this.#mesh = options.mesh
    this.#settings = options.settings
    this.#randomBytes = options.randomBytes
  }

  get state(): ClusterState {
    return this.#commands.state
  }

  /** Offers the controller's services to all shards. */
  serve(): void {
    this.#mesh.serve(controllerServices.snapshot, () => encodeMessage({ state: this.#commands.state }))
    this.#mesh.serve(controllerServices.createTopics, async payload => {
      const { requests, validateOnly } = decodeMessage<{ requests: TopicRequest[]; validateOnly: boolean }>(payload)
      return encodeMessage(await this.createTopics(requests, validateOnly))
    })
    this.#mesh.serve(controllerServices.deleteTopics, async payload => {
      const { topics } = decodeMessage<{ topics: ({ name: string } | { topicId: string })[] }>(payload)
      return encodeMessage(await this.deleteTopics(topics))
    })
    this.#mesh.serve(controllerServices.allocateProducerIds, async () =>
      encodeMessage(
        await this.#inTurn(() => this.#execute({ type: 'allocate-producer-ids', version: 1, count: PRODUCER_ID_BLOCK }))
      )
    )
  }

  /** Records this node and its shards; nothing happens when the record is right already. */
  async registerNode(node: NodeDescription): Promise<void> {
    const known = this.#commands.state.nodes.get(node.nodeId)
    if (known !== undefined && known.shardCount === node.shardCount && known.rack === node.rack) return
    await this.#inTurn(() => this.#execute({ type: 'register-node', version: 1, node }))
  }

  async createTopics(requests: readonly TopicRequest[], validateOnly: boolean): Promise<readonly TopicResult[]> {
    const { results, published } = await this.#inTurn(async () => {
      const plan = planTopics(this.#commands.state, requests, this.#settings, () => this.#newTopicId())
      if (validateOnly || plan.topics.length === 0) return { results: plan.results, published: undefined }
      await this.#commands.execute({ type: 'create-topics', version: 1, topics: plan.topics })
      return {
        results: plan.results,
        published: this.#publish({ type: 'create-topics', version: 1, topics: plan.topics })
      }
    })
    await published
    return results
  }

  async deleteTopics(topics: readonly ({ name: string } | { topicId: string })[]): Promise<readonly TopicResult[]> {
    const { results, published } = await this.#inTurn(async () => {
      const { state } = this.#commands
      const gone = new Set<string>()
      const results = topics.map((wanted): TopicResult => {
        const topic = 'name' in wanted ? state.topics.get(wanted.name) : state.topicsById.get(wanted.topicId)
        if (topic === undefined || gone.has(topic.topicId)) {
          return 'name' in wanted
            ? { kind: 'refused', name: wanted.name, error: 'UNKNOWN_TOPIC_OR_PARTITION', message: null }
            : { kind: 'refused', name: '', error: 'UNKNOWN_TOPIC_ID', message: null }
        }
        gone.add(topic.topicId)
        const factor = topic.partitions[0]?.replicas.length ?? 0
        return {
          kind: 'done',
          name: topic.name,
          topicId: topic.topicId,
          partitionCount: topic.partitions.length,
          replicationFactor: factor,
          configs: []
        }
      })
      if (gone.size === 0) return { results, published: undefined }
      const command: Command = { type: 'delete-topics', version: 1, topicIds: [...gone] }
      await this.#commands.execute(command)
      return { results, published: this.#publish(command) }
    })
    await published
    return results
  }

  async #execute(command: Command): Promise<CommandResult> {
    const result = await this.#commands.execute(command)
    await this.#publish(command)
    return result
  }

  #publish(command: Command): Promise<unknown> {
    const applied: AppliedCommand = { revision: this.#commands.state.revision, command }
    return this.#mesh.invokeOnAll(replicaServices.apply, encodeMessage(applied), { deadlineMs: PUBLISH_DEADLINE_MS })
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => undefined)
    return result
  }

  /** A random topic id in Kafka's text form; never one that starts with '-', which tools would take for an option. */
  #newTopicId(): string {
    for (;;) {
      const id = Buffer.from(this.#randomBytes(16)).toString('base64url')
      if (!id.startsWith('-')) return id
    }
  }
}
