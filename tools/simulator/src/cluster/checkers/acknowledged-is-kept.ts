/** P16, P19: at the end a reader that began at the beginning has read every record that was acknowledged. */
import type { ClusterChecker, ClusterHistory, PartitionHistory, Reader, ReadRecord } from '../history.ts'

export class AcknowledgedIsKept implements ClusterChecker {
  readonly name = 'acknowledged-is-kept'
  readonly #history: ClusterHistory
  readonly #read = new Map<PartitionHistory, Set<number>>()

  constructor(history: ClusterHistory) {
    this.#history = history
  }

  read({ history }: Reader, { id }: ReadRecord): void {
    let ids = this.#read.get(history)
    if (ids === undefined) this.#read.set(history, (ids = new Set()))
    ids.add(id)
  }

  finished(): void {
    for (const history of this.#history.partitions.values()) {
      if (this.#history.topics.get(history.topicId)?.deletion !== 'none') continue
      const read = this.#read.get(history)
      for (const [id, offset] of history.acknowledged) {
        if (read?.has(id) === true) continue
        const where = offset < 0 ? '' : ` at ${offset}`
        this.#history.world.violated(this.name, `${history.name}: record ${id}${where} was acknowledged and is gone`)
      }
    }
  }
}
