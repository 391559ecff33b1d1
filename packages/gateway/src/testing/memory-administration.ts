/**
 * The ports for operators' tools in memory: they remember what they were asked and answer what a test has set. They move
 * nothing and elect nobody.
 */
import type {
  AdministrationPort,
  ConfigAlteration,
  ConfigAlterationResult,
  ConfigDescription,
  ConfigResource,
  ConfigsPort,
  ConfigsView,
  ElectionKind,
  LogDirsPort,
  LogDirView,
  PartitionResult,
  PartitionResults,
  QuorumView,
  ReassignmentRequest,
  ReassignmentView,
  ReassignmentViews,
  Refusal,
  TopicPartition
} from '../ports.ts'

export class MemoryAdministration implements AdministrationPort {
  /** Everything is refused with this. */
  refusal: Refusal | null = null
  /** Calls with their arguments, newest last. */
  readonly calls: unknown[][] = []
  /** What becomes of a partition; by default everything is done. */
  resultOf: (partition: TopicPartition) => Pick<PartitionResult, 'error' | 'message'> = () => ({
    error: 'NONE',
    message: null
  })
  /** Partitions that an election of all looks at. */
  electable: TopicPartition[] = []
  reassignments: ReassignmentView[] = []
  quorum: QuorumView = {
    kind: 'done',
    leaderId: 1,
    leaderEpoch: 7,
    highWatermark: 40,
    voters: [],
    observers: [],
    nodes: []
  }

  electLeaders(
    kind: ElectionKind,
    partitions: readonly TopicPartition[] | 'all',
    options: { timeoutMs: number }
  ): Promise<PartitionResults> {
    this.calls.push(['electLeaders', kind, partitions, options])
    return Promise.resolve(this.#results(partitions === 'all' ? this.electable : partitions))
  }

  alterReassignments(
    requests: readonly ReassignmentRequest[],
    options: { timeoutMs: number; allowReplicationFactorChange: boolean }
  ): Promise<PartitionResults> {
    this.calls.push(['alterReassignments', requests, options])
    return Promise.resolve(this.#results(requests))
  }

  listReassignments(
    partitions: readonly TopicPartition[] | 'all',
    options: { timeoutMs: number }
  ): Promise<ReassignmentViews> {
    this.calls.push(['listReassignments', partitions, options])
    if (this.refusal !== null) return Promise.resolve(this.refusal)
    const asked = (view: TopicPartition): boolean =>
      partitions === 'all' || partitions.some(each => each.topic === view.topic && each.partition === view.partition)
    return Promise.resolve({ kind: 'done', results: this.reassignments.filter(asked) })
  }

  describeQuorum(): Promise<QuorumView> {
    this.calls.push(['describeQuorum'])
    return Promise.resolve(this.refusal ?? this.quorum)
  }

  unregisterBroker(brokerId: number): Promise<{ readonly kind: 'done' } | Refusal> {
    this.calls.push(['unregisterBroker', brokerId])
    return Promise.resolve(this.refusal ?? { kind: 'done' })
  }

  #results(partitions: readonly TopicPartition[]): PartitionResults {
    if (this.refusal !== null) return this.refusal
    const results = partitions.map(({ topic, partition }) => ({
      topic,
      partition,
      ...this.resultOf({ topic, partition })
    }))
    return { kind: 'done', results }
  }
}

export class MemoryConfigs implements ConfigsPort {
  /** Everything is refused with this. */
  refusal: Refusal | null = null
  /** Settings that every resource has. */
  configs: ConfigDescription[] = []
  /** Resources that were asked for, one list a call. */
  readonly calls: (readonly ConfigResource[])[] = []
  /** Changes that were asked for, one a call. */
  readonly alterations: { readonly alterations: readonly ConfigAlteration[]; readonly validateOnly: boolean }[] = []

  describe(resources: readonly ConfigResource[]): Promise<readonly ConfigsView[]> {
    this.calls.push(resources)
    return Promise.resolve(resources.map(() => this.refusal ?? { kind: 'done', configs: this.configs }))
  }

  alter(
    alterations: readonly ConfigAlteration[],
    { validateOnly }: { validateOnly: boolean }
  ): Promise<readonly ConfigAlterationResult[]> {
    this.alterations.push({ alterations, validateOnly })
    return Promise.resolve(alterations.map(() => this.refusal ?? { kind: 'done' }))
  }
}

export class MemoryLogDirs implements LogDirsPort {
  logDirs: LogDirView[] = []

  describe(): Promise<readonly LogDirView[]> {
    return Promise.resolve(this.logDirs)
  }
}
