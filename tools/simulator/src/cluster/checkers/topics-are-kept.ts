/**
 * P39: a topic whose creation was confirmed is there, with its id and its partitions, until somebody asks for its deletion; one
 * whose deletion was confirmed is gone.
 */
import type { ClusterNode } from '../cluster-node.ts'
import type { ClusterChecker, ClusterHistory } from '../history.ts'

export class TopicsAreKept implements ClusterChecker {
  readonly name = 'topics-are-kept'
  readonly #history: ClusterHistory

  constructor(history: ClusterHistory) {
    this.#history = history
  }

  finished(nodes: readonly ClusterNode[]): void {
    const [first] = nodes
    const metadata = first?.shards[0]?.running?.open.metadata
    if (metadata === undefined) return
    for (const { name, topicId, partitionCount, deletion } of this.#history.topics.values()) {
      const topic = metadata.topicsById.get(topicId)
      if (deletion === 'done' && topic !== undefined) this.#fail(`${name} ${topicId} was deleted and is there`)
      if (deletion !== 'none') continue
      if (topic === undefined) this.#fail(`${name} ${topicId} was made and is not there`)
      if (topic.name !== name || topic.partitions.length !== partitionCount) {
        this.#fail(`${topicId} was made as ${name} with ${partitionCount} partitions and is ${topic.name}`)
      }
    }
  }

  #fail(explanation: string): never {
    return this.#history.world.violated(this.name, explanation)
  }
}
