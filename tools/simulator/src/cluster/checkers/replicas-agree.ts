/** P36, P37: at the end every replica of a partition can be read from its beginning, and holds the same bytes. */
import type { ReplicatedLog } from '@milena/broker/testing'
import { hashBytes } from '../../replication/hash-bytes.ts'
import type { ClusterNode } from '../cluster-node.ts'
import type { ClusterChecker, ClusterHistory } from '../history.ts'

const READ_BYTES = 256 << 10

export class ReplicasAgree implements ClusterChecker {
  readonly name = 'replicas-agree'
  readonly #history: ClusterHistory

  constructor(history: ClusterHistory) {
    this.#history = history
  }

  async finished(nodes: readonly ClusterNode[]): Promise<void> {
    const shards = nodes.flatMap(node => node.shards)
    for (const { group: name, topicId } of this.#history.partitions.values()) {
      if (this.#history.topics.get(topicId)?.deletion !== 'none') continue
      const replicas = shards.flatMap(({ running }) => running?.open.replicas.groups.get(name) ?? [])
      const end = Math.min(...replicas.map(({ committedOffset }) => committedOffset))
      const hashes = new Set<number>()
      for (const replica of replicas) hashes.add(await this.#hash(replica, end))
      if (hashes.size > 1) this.#fail(`${name}: replicas differ below ${end}`)
    }
  }

  async #hash({ name, self, log }: ReplicatedLog, end: number): Promise<number> {
    // Replicas give the same bytes in different pieces: hashed as one.
    const pieces: Uint8Array[] = []
    for (let offset = log.startOffset; offset < end;) {
      let read
      try {
        read = await log.read(offset, READ_BYTES, end, true)
      } catch (error) {
        return this.#fail(`${name} on ${self} cannot be read at ${offset}: ${String(error)}`)
      }
      for (const slice of read.slices) pieces.push(Uint8Array.from(slice))
      offset = read.nextOffset
      read.release()
    }
    return hashBytes(Buffer.concat(pieces))
  }

  #fail(explanation: string): never {
    return this.#history.world.violated(this.name, explanation)
  }
}
