/**
 * What controller and shards say to each other: JSON, because there is little of it and it is read by people who debug. Maps of
 * the state travel as snapshots; numbers are safe integers.
 *
 *     any shard ──mesh: ask──► shard 0 of its node ──peers: handle──► shard 0 that leads the controller's group
 *                                     │ applies what is committed, like every shard 0
 *     every shard of its node ◄──mesh: apply── (and a whole state, when one asks for it)
 */
import type {
  ConfigAlteration,
  ConfigAlterationResult,
  MorePartitionsRequest,
  MorePartitionsResult,
  PartitionResults,
  QuorumView,
  ReassignmentRequest,
  TopicRequest,
  TopicResult
} from '@milena/gateway'
import {
  fromSnapshot,
  toSnapshot,
  type ClusterState,
  type NodeDescription,
  type NodeMode,
  type StateSnapshot
} from './metadata/cluster-state.ts'
import type { Deletion, FinishedMove, Recovery } from './metadata/commands.ts'

/** Services over the mesh: of each node's shard 0, and of every shard. */
export const meshServices = {
  /** Shard 0: a request to the controller, wherever it is. */
  ask: 'controller.ask',
  /** Shard 0: the whole state. */
  snapshot: 'metadata.snapshot',
  /** Every shard: commands that are committed. */
  apply: 'metadata.apply'
} as const

/** Services over the peer network. */
export const peerServices = {
  /** A request to the controller's leader. */
  handle: 'controller.handle'
} as const

/** A topic to be made under an id that the asking node chose: asking again after a lost answer does no harm. */
export interface IdentifiedTopicRequest extends TopicRequest {
  readonly topicId: string
}

/** A node that wants to become a member. */
export interface JoinRequest {
  readonly node: Omit<NodeDescription, 'nodeId'>
  /** Undefined: any. */
  readonly nodeId: number | undefined
}

export type JoinAnswer =
  | {
      readonly kind: 'joined'
      readonly clusterId: string
      readonly nodeId: number
      readonly nodes: readonly NodeDescription[]
    }
  | { readonly kind: 'refused'; readonly reason: string }

/** What an operation on nodes came to; `reason` is one sentence for people. */
export type NodeOutcome = { readonly kind: 'done' } | { readonly kind: 'refused'; readonly reason: string }

/** An unclean recovery as an operator agreed to it. */
export interface WantedRecovery extends Recovery {
  /** Brokers that the operator gives up: none of them may be reachable. */
  readonly lost: readonly number[]
}

/** All or nothing; `reason` is one sentence for people. */
export type RecoveryOutcome = { readonly kind: 'done' } | { readonly kind: 'refused'; readonly reason: string }

/** Everything that the controller can be asked, with what it answers. */
export interface ControllerRequests {
  readonly createTopics: {
    readonly request: { readonly requests: readonly IdentifiedTopicRequest[]; readonly validateOnly: boolean }
    readonly answer: readonly TopicResult[]
  }
  readonly deleteTopics: {
    readonly request: { readonly topics: readonly ({ name: string } | { topicId: string })[] }
    readonly answer: readonly TopicResult[]
  }
  readonly createPartitions: {
    readonly request: { readonly requests: readonly MorePartitionsRequest[]; readonly validateOnly: boolean }
    readonly answer: readonly MorePartitionsResult[]
  }
  readonly allocateProducerIds: {
    readonly request: object
    readonly answer: { readonly firstId: number; readonly count: number }
  }
  readonly join: { readonly request: JoinRequest; readonly answer: JoinAnswer }
  readonly updateNode: { readonly request: NodeDescription; readonly answer: NodeOutcome }
  readonly setNodeMode: {
    /** `from`: the modes that it may be in. */
    readonly request: { readonly nodeId: number; readonly mode: NodeMode; readonly from: readonly NodeMode[] }
    readonly answer: NodeOutcome
  }
  readonly removeNode: { readonly request: { readonly nodeId: number }; readonly answer: NodeOutcome }
  readonly alterReassignments: {
    readonly request: {
      readonly requests: readonly ReassignmentRequest[]
      readonly allowReplicationFactorChange: boolean
      /** The ids are of nodes, as their clients know them (node addressing). */
      readonly byNode: boolean
    }
    readonly answer: PartitionResults
  }
  readonly finishReassignment: {
    readonly request: { readonly moves: readonly FinishedMove[] }
    readonly answer: object
  }
  readonly alterConfigs: {
    readonly request: { readonly alterations: readonly ConfigAlteration[]; readonly validateOnly: boolean }
    readonly answer: readonly ConfigAlterationResult[]
  }
  readonly recoverPartitions: {
    readonly request: { readonly recoveries: readonly WantedRecovery[] }
    readonly answer: RecoveryOutcome
  }
  readonly deleteRecords: { readonly request: { readonly deletions: readonly Deletion[] }; readonly answer: object }
  readonly setClusterConfigs: {
    readonly request: { readonly set: Readonly<Record<string, string>>; readonly unset: readonly string[] }
    readonly answer: object
  }
  /** Changes nothing: the answer comes when the asking node knows all that was committed before it asked. `revision`: of that. */
  readonly catchUp: { readonly request: object; readonly answer: { readonly revision: number } }
  readonly describeQuorum: { readonly request: object; readonly answer: QuorumView }
}

/** What the controller can be asked for. */
export type RequestName = keyof ControllerRequests
/** The request of a name. */
export type RequestOf<N extends RequestName> = ControllerRequests[N]['request']
/** The answer to it. */
export type AnswerOf<N extends RequestName> = ControllerRequests[N]['answer']

/** A request on its way. */
export interface Question {
  readonly name: RequestName
  readonly request: unknown
  /** How long the asker waits, ms. */
  readonly deadlineMs: number
}

/**
 * What became of it. `revision`: of the leader's state when it answered; `recovery`: the last unclean recovery of the controller
 * that the leader (`leader`) is of.
 */
export type Reply =
  | {
      readonly kind: 'answer'
      readonly revision: number
      readonly recovery: number
      readonly leader: number
      readonly answer: unknown
    }
  | { readonly kind: 'notLeader'; readonly leader: number | undefined }
  /** No leader could be asked in time. */
  | { readonly kind: 'unavailable' }

export function encodeMessage(message: unknown): Uint8Array {
  return Buffer.from(
    JSON.stringify(message, (_, value: unknown) => (isState(value) ? { $state: toSnapshot(value) } : value))
  )
}

export function decodeMessage<T>(bytes: Uint8Array): T {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
  return JSON.parse(text, (_, value: unknown) => {
    const wrapped = value as { $state?: StateSnapshot } | null
    return typeof value === 'object' && wrapped?.$state !== undefined ? fromSnapshot(wrapped.$state) : value
  }) as T
}

function isState(value: unknown): value is ClusterState {
  return typeof value === 'object' && value !== null && 'topicsById' in value && value.topicsById instanceof Map
}
