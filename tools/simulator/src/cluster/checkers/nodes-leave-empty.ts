/**
 * A node leaves its cluster only when somebody asked for it, and when nothing needs it: no partition has a replica on it, and the
 * controller's group has its majority without it. At the end the members are the nodes that there are, and nobody counts on others.
 */
import { brokerIdOf, CONTROLLER_LOG_NAME, nodeOf } from '@milena/broker/testing'
import type { ClusterNode } from '../cluster-node.ts'
import type { ClusterChecker, ClusterHistory } from '../history.ts'
import type { ShardProcess } from '../shard-process.ts'

export class NodesLeaveEmpty implements ClusterChecker {
  readonly name = 'nodes-leave-empty'
  readonly #history: ClusterHistory

  constructor(history: ClusterHistory) {
    this.#history = history
  }

  removed(node: ClusterNode, { open, brokerId }: ShardProcess): void {
    const { nodeId } = node.identity
    const says = `broker ${brokerId} says that node ${nodeId} has left`
    if (!node.mayLeave) this.#fail(`${says}, which nobody asked for`)
    for (const topic of open.metadata.topics.values()) {
      for (const [partition, { replicas, target }] of topic.partitions.entries()) {
        if ([...replicas, ...(target ?? [])].some(id => nodeOf(id) === nodeId)) {
          this.#fail(`${says}, and it has a replica of ${topic.name}-${partition}`)
        }
      }
    }
    const controller = open.replicas.groups.get(CONTROLLER_LOG_NAME)
    if (controller?.leading === true && controller.membership.voters.includes(brokerIdOf(nodeId, 0))) {
      this.#fail(`${says}, and it votes in the controller's group`)
    }
  }

  finished(nodes: readonly ClusterNode[]): void {
    const present = nodes.map(({ identity }) => identity.nodeId).sort((a, b) => a - b)
    for (const { running } of nodes.flatMap(({ shards }) => shards)) {
      if (running === undefined) continue
      const { metadata, replicas } = running.open
      const members = [...metadata.nodes.keys()].sort((a, b) => a - b)
      if (members.join() !== present.join()) {
        this.#fail(
          `broker ${running.brokerId} has the members ${members.join(' ')}, the nodes are ${present.join(' ')}`
        )
      }
      for (const { name, leading, membership } of replicas.groups.values()) {
        const stranger = [...membership.voters, ...membership.learners].find(id => !present.includes(nodeOf(id)))
        if (leading && stranger !== undefined) this.#fail(`${name} counts on broker ${stranger}, which has left`)
      }
    }
  }

  #fail(explanation: string): never {
    return this.#history.world.violated(this.name, explanation)
  }
}
