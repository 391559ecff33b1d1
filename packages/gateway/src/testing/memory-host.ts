/**
 * A whole cluster in memory behind the gateway's ports: one broker that leads everything, unless a test says otherwise.
 *
 * For tests of the gateway, and for tests of anything that needs a listening Kafka endpoint without a disk.
 */
import { type ErrorName, ZERO_UUID } from '@milena/wire-protocol'
import type {
  BrokerView,
  ClockPort,
  ClusterPort,
  ClusterView,
  CoordinatorKind,
  Dial,
  GatewayHost,
  LogPort,
  MorePartitionsRequest,
  MorePartitionsResult,
  PartitionPort,
  PartitionView,
  TopicRequest,
  TopicResult,
  TopicView
} from '../ports.ts'
import { SystemClock } from './clocks.ts'
import { MemoryAdministration, MemoryConfigs, MemoryLogDirs } from './memory-administration.ts'
import { MemoryPartition } from './memory-partition.ts'

interface MemoryTopic {
  readonly view: TopicView
  readonly partitions: MemoryPartition[]
}

/** Another broker, which exists in the view only. */
export interface NeighbourBroker extends BrokerView {
  readonly id: number
}

export class MemoryHost implements GatewayHost {
  readonly brokerId = 1
  readonly clock: ClockPort
  readonly cluster: MemoryCluster
  readonly administration = new MemoryAdministration()
  readonly configs = new MemoryConfigs()
  readonly logDirs = new MemoryLogDirs()
  readonly admission = new MemoryAdmission()
  readonly log = new MemoryLog()
  /** Where coordinators are said to be; an error name: nowhere. */
  coordinator: number | ErrorName = 1
  /** Every request for a producer id is refused with this. */
  refuseProducerIds: ErrorName | null = null
  #lastProducerId = 999n

  constructor(options: { clock?: ClockPort; neighbours?: readonly NeighbourBroker[] } = {}) {
    this.clock = options.clock ?? new SystemClock()
    this.cluster = new MemoryCluster(this.brokerId, options.neighbours ?? [])
  }

  readonly partitions = {
    find: (topicId: string, partition: number): PartitionPort | { readonly error: ErrorName } =>
      this.cluster.findPartition(topicId, partition)
  }

  readonly producerIds = {
    allocate: (): Promise<{ readonly producerId: bigint } | { readonly error: ErrorName }> =>
      Promise.resolve(
        this.refuseProducerIds === null ? { producerId: ++this.#lastProducerId } : { error: this.refuseProducerIds }
      )
  }

  readonly coordinators = {
    find: (
      kind: CoordinatorKind,
      key: string
    ): Promise<{ readonly brokerId: number } | { readonly error: ErrorName; readonly message: string | null }> => {
      const { coordinator } = this
      if (typeof coordinator === 'number') return Promise.resolve({ brokerId: coordinator })
      return Promise.resolve({ error: coordinator, message: `no ${kind} coordinator for ${key.length} characters` })
    }
  }
}

export class MemoryCluster implements ClusterPort {
  autoCreateTopics = true
  /** Partitions of a topic whose creator did not say. */
  defaultPartitionCount = 1
  readonly #brokerId: number
  readonly #neighbours: readonly NeighbourBroker[]
  readonly #byName = new Map<string, MemoryTopic>()
  readonly #byId = new Map<string, MemoryTopic>()
  /** Leaders other than this broker, by topic id and partition. */
  readonly #leaders = new Map<string, number>()
  #revision = 0
  #topicsMade = 0
  #view: ClusterView | null = null

  constructor(brokerId: number, neighbours: readonly NeighbourBroker[]) {
    this.#brokerId = brokerId
    this.#neighbours = neighbours
  }

  view(): ClusterView {
    this.#view ??= this.#makeView()
    return this.#view
  }

  /** Makes a topic at once. */
  addTopic(name: string, partitionCount = 1): TopicView {
    const topicId = topicIdOf(++this.#topicsMade)
    const partitions = Array.from({ length: partitionCount }, (_, i) => new MemoryPartition(topicId, i))
    const view = {
      name,
      topicId,
      internal: false,
      partitions: partitions.map((_, i) => this.#partitionView(topicId, i))
    }
    this.#replace({ view, partitions })
    return view
  }

  /** The partition itself; throws when there is none. */
  partition(name: string, partition: number): MemoryPartition {
    const found = this.#byName.get(name)?.partitions[partition]
    if (found === undefined) throw new Error(`no partition ${partition} of ${name}`)
    return found
  }

  /** Lets another broker lead: this one answers NOT_LEADER_OR_FOLLOWER from now on. -1: nobody leads. */
  moveLeader(name: string, partition: number, brokerId: number): void {
    const topic = this.#byName.get(name)
    if (topic === undefined) throw new Error(`no topic ${name}`)
    const { topicId } = topic.view
    this.#leaders.set(`${topicId}:${partition}`, brokerId)
    const partitions = topic.view.partitions.map((view, i) =>
      i === partition ? this.#partitionView(topicId, i) : view
    )
    this.#replace({ view: { ...topic.view, partitions }, partitions: topic.partitions })
    topic.partitions[partition]?.notify()
  }

  /** Changes what the view says of a partition, and nothing else. */
  describePartition(name: string, partition: number, change: Partial<PartitionView>): void {
    const topic = this.#byName.get(name)
    if (topic === undefined) throw new Error(`no topic ${name}`)
    const partitions = topic.view.partitions.map((view, i) => (i === partition ? { ...view, ...change } : view))
    this.#replace({ view: { ...topic.view, partitions }, partitions: topic.partitions })
  }

  findPartition(topicId: string, partition: number): PartitionPort | { readonly error: ErrorName } {
    const topic = this.#byId.get(topicId)
    const found = topic?.partitions[partition]
    if (topic === undefined) return { error: 'UNKNOWN_TOPIC_ID' }
    if (found === undefined) return { error: 'UNKNOWN_TOPIC_OR_PARTITION' }
    const leader = this.#leaders.get(`${topicId}:${partition}`) ?? this.#brokerId
    if (leader < 0) return { error: 'LEADER_NOT_AVAILABLE' }
    return leader === this.#brokerId ? found : { error: 'NOT_LEADER_OR_FOLLOWER' }
  }

  createTopics(requests: readonly TopicRequest[], options: { validateOnly: boolean }): Promise<readonly TopicResult[]> {
    return Promise.resolve(requests.map(request => this.#create(request, options.validateOnly)))
  }

  deleteTopics(topics: readonly ({ name: string } | { topicId: string })[]): Promise<readonly TopicResult[]> {
    return Promise.resolve(topics.map(topic => this.#delete(topic)))
  }

  createPartitions(
    requests: readonly MorePartitionsRequest[],
    { validateOnly }: { validateOnly: boolean }
  ): Promise<readonly MorePartitionsResult[]> {
    return Promise.resolve(requests.map(request => this.#grow(request, validateOnly)))
  }

  #grow({ name, count }: MorePartitionsRequest, validateOnly: boolean): MorePartitionsResult {
    const topic = this.#byName.get(name)
    if (topic === undefined) return { kind: 'refused', name, error: 'UNKNOWN_TOPIC_OR_PARTITION', message: null }
    const { topicId, partitions: before } = topic.view
    if (count <= before.length) {
      return { kind: 'refused', name, error: 'INVALID_PARTITIONS', message: `${name} has ${before.length} partitions` }
    }
    if (validateOnly) return { kind: 'done', name }
    const numbers = Array.from({ length: count - before.length }, (_, i) => before.length + i)
    this.#replace({
      view: { ...topic.view, partitions: [...before, ...numbers.map(i => this.#partitionView(topicId, i))] },
      partitions: [...topic.partitions, ...numbers.map(i => new MemoryPartition(topicId, i))]
    })
    return { kind: 'done', name }
  }

  #create(request: TopicRequest, validateOnly: boolean): TopicResult {
    const { name, configs, assignments, replicationFactor } = request
    const requested = assignments.length > 0 ? assignments.length : request.partitionCount
    if (this.#byName.has(name)) return { kind: 'refused', name, error: 'TOPIC_ALREADY_EXISTS', message: null }
    if (replicationFactor > 1 + this.#neighbours.length) {
      return { kind: 'refused', name, error: 'INVALID_REPLICATION_FACTOR', message: 'Not enough brokers' }
    }
    const unknown = assignments.flatMap(({ brokerIds }) => brokerIds).find(id => !this.#isBroker(id))
    if (unknown !== undefined) {
      const message = `The manual partition assignment includes broker ${unknown}, but no such broker is registered.`
      return { kind: 'refused', name, error: 'INVALID_REPLICA_ASSIGNMENT', message }
    }
    const partitionCount = requested === -1 ? this.defaultPartitionCount : requested
    const topicId = validateOnly ? ZERO_UUID : this.addTopic(name, partitionCount).topicId
    const views = configs.map(config => ({ ...config, readOnly: false, source: 1, sensitive: false }))
    return { kind: 'done', name, topicId, partitionCount, replicationFactor: 1, configs: views }
  }

  #isBroker(id: number): boolean {
    return id === this.#brokerId || this.#neighbours.some(broker => broker.id === id)
  }

  #delete(asked: { name: string } | { topicId: string }): TopicResult {
    const topic = 'name' in asked ? this.#byName.get(asked.name) : this.#byId.get(asked.topicId)
    if (topic === undefined) {
      return {
        kind: 'refused',
        name: 'name' in asked ? asked.name : '',
        error: 'name' in asked ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'UNKNOWN_TOPIC_ID',
        message: null
      }
    }
    const { name, topicId } = topic.view
    this.#byName.delete(name)
    this.#byId.delete(topicId)
    this.#changed()
    for (const partition of topic.partitions) partition.notify()
    const partitionCount = topic.partitions.length
    return { kind: 'done', name, topicId, partitionCount, replicationFactor: 1, configs: [] }
  }

  #partitionView(topicId: string, partition: number): PartitionView {
    const leader = this.#leaders.get(`${topicId}:${partition}`) ?? this.#brokerId
    const replicas = leader < 0 ? [this.#brokerId] : [leader]
    return { partition, leader, leaderEpoch: 0, replicas, inSyncReplicas: replicas, offlineReplicas: [] }
  }

  #replace(topic: MemoryTopic): void {
    this.#byName.set(topic.view.name, topic)
    this.#byId.set(topic.view.topicId, topic)
    this.#changed()
  }

  #changed(): void {
    this.#revision++
    this.#view = null
  }

  #makeView(): ClusterView {
    return {
      revision: this.#revision,
      clusterId: 'bWVtb3J5LWNsdXN0ZXItMQ',
      controllerId: this.#brokerId,
      topicByName: name => this.#byName.get(name)?.view,
      topicById: topicId => this.#byId.get(topicId)?.view,
      topics: () => [...this.#byName.values()].map(topic => topic.view),
      brokers: (dial: Dial) => [
        { id: this.#brokerId, host: dial.localAddress, port: dial.localPort, rack: null, fenced: false },
        ...this.#neighbours
      ]
    }
  }
}

export class MemoryAdmission {
  #open = true
  #waiting: (() => void)[] = []

  get open(): boolean {
    return this.#open
  }

  whenOpen(): Promise<void> {
    if (this.#open) return Promise.resolve()
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  close(): void {
    this.#open = false
  }

  reopen(): void {
    this.#open = true
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}

/** Keeps what was logged, the newest 1,000 lines. */
export class MemoryLog implements LogPort {
  readonly lines: { readonly level: string; readonly fields: object; readonly message: string }[] = []

  debug(fields: object, message: string): void {
    this.#add('debug', fields, message)
  }

  info(fields: object, message: string): void {
    this.#add('info', fields, message)
  }

  warn(fields: object, message: string): void {
    this.#add('warn', fields, message)
  }

  error(fields: object, message: string): void {
    this.#add('error', fields, message)
  }

  #add(level: string, fields: object, message: string): void {
    if (this.lines.length >= 1000) this.lines.shift()
    this.lines.push({ level, fields, message })
  }
}

/** Deterministic ids: the number of the topic in the first eight bytes. */
function topicIdOf(count: number): string {
  const bytes = Buffer.alloc(16)
  bytes.writeBigUInt64BE(BigInt(count) + 1n)
  return bytes.toString('base64url')
}
