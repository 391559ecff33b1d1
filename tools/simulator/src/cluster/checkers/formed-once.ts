/** A cluster is formed exactly once: whoever becomes a member of one becomes a member of that, under a number of its own. */
import type { ClusterNode } from '../cluster-node.ts'
import type { ClusterChecker, ClusterHistory } from '../history.ts'

export class FormedOnce implements ClusterChecker {
  readonly name = 'formed-once'
  readonly #history: ClusterHistory
  #clusterId: string | undefined
  /** Instances by node id. */
  readonly #members = new Map<number, string>()

  constructor(history: ClusterHistory) {
    this.#history = history
  }

  claimed({ name, identity }: ClusterNode): void {
    const { clusterId, nodeId, instance } = identity
    this.#clusterId ??= clusterId
    if (clusterId !== this.#clusterId) this.#fail(`${name} is in ${clusterId}, others in ${this.#clusterId}`)
    const other = this.#members.get(nodeId)
    if (other !== undefined && other !== instance) this.#fail(`${name} and another node both have the number ${nodeId}`)
    this.#members.set(nodeId, instance)
  }

  finished(nodes: readonly ClusterNode[]): void {
    for (const node of nodes) {
      this.claimed(node)
      for (const { running } of node.shards) {
        const told = running?.open.metadata.clusterId
        if (told !== this.#clusterId) this.#fail(`${node.name} has the metadata of ${told ?? 'nobody'}`)
      }
    }
  }

  #fail(explanation: string): never {
    return this.#history.world.violated(this.name, explanation)
  }
}
