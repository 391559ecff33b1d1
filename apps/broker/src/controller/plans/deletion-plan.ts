/**
 * Planning of DeleteTopics: which topics a command takes away, or why not. Pure; checks, errors and messages are Kafka's.
 */
import type { TopicResult } from '@milena/gateway'
import type { ClusterState, TopicState } from '../metadata/cluster-state.ts'

export interface DeletionPlan {
  /** Ids of what the command should delete; empty when all was refused. */
  readonly topicIds: readonly string[]
  /** One a request, in order; those that are done hold if the command is carried out. */
  readonly results: readonly TopicResult[]
}

/** A topic by the one or the other. */
export type TopicKey = { readonly name: string } | { readonly topicId: string }

/** Plans all deletions of one request; no name and no id is in it twice. */
export function planDeletions(state: ClusterState, wanted: readonly TopicKey[]): DeletionPlan {
  const found = wanted.map(key => ('name' in key ? state.topics.get(key.name) : state.topicsById.get(key.topicId)))
  const ids = found.flatMap(topic => topic?.topicId ?? [])
  // By name and by id: neither is done.
  const twice = new Set(ids.filter((id, i) => ids.indexOf(id) !== i))
  const results = wanted.map((key, i): TopicResult => {
    const topic = found[i]
    if (topic === undefined) return unknownTopic(key)
    return twice.has(topic.topicId) ? namedTwice(topic) : deleted(topic)
  })
  return { topicIds: ids.filter(id => !twice.has(id)), results }
}

function unknownTopic(key: TopicKey): TopicResult {
  return 'name' in key
    ? { kind: 'refused', name: key.name, error: 'UNKNOWN_TOPIC_OR_PARTITION', message: null }
    : { kind: 'refused', name: '', error: 'UNKNOWN_TOPIC_ID', message: null }
}

function namedTwice({ name, topicId }: TopicState): TopicResult {
  const message = 'The provided topic name maps to an ID that was already supplied.'
  return { kind: 'refused', name, topicId, error: 'INVALID_REQUEST', message }
}

function deleted({ name, topicId, partitions }: TopicState): TopicResult {
  const replicationFactor = partitions[0]?.replicas.length ?? 0
  return { kind: 'done', name, topicId, partitionCount: partitions.length, replicationFactor, configs: [] }
}
