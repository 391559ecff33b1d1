/**
 * P1, P4, P21: an offset holds one record, a record is at one offset, and in the partition to which somebody sent it. Whoever
 * says so, an acknowledgement or a reader, at any time.
 */
import type { ClusterChecker, ClusterHistory, PartitionHistory, Reader, ReadRecord } from '../history.ts'

interface Known {
  readonly byOffset: Map<number, number>
  readonly byId: Map<number, number>
}

export class OneRecordAnOffset implements ClusterChecker {
  readonly name = 'one-record-an-offset'
  readonly #history: ClusterHistory
  readonly #known = new Map<PartitionHistory, Known>()

  constructor(history: ClusterHistory) {
    this.#history = history
  }

  acknowledged(history: PartitionHistory, baseOffset: number, ids: readonly number[]): void {
    if (baseOffset < 0) return
    for (const [at, id] of ids.entries()) this.#isAt(history, baseOffset + at, id, 'acknowledged')
  }

  read({ history, name }: Reader, { offset, id }: ReadRecord): void {
    if (!history.sent.has(id)) this.#fail(history, `${name} reads record ${id} at ${offset}, which nobody sent there`)
    this.#isAt(history, offset, id, `read by ${name}`)
  }

  #isAt(history: PartitionHistory, offset: number, id: number, how: string): void {
    let known = this.#known.get(history)
    if (known === undefined) this.#known.set(history, (known = { byOffset: new Map(), byId: new Map() }))
    const other = known.byOffset.get(offset)
    if (other !== undefined && other !== id) {
      this.#fail(history, `record ${id} at ${offset} (${how}), where record ${other} was`)
    }
    const elsewhere = known.byId.get(id)
    if (elsewhere !== undefined && elsewhere !== offset) {
      this.#fail(history, `record ${id} at ${offset} (${how}), and at ${elsewhere}`)
    }
    known.byOffset.set(offset, id)
    known.byId.set(id, offset)
  }

  #fail({ name }: PartitionHistory, explanation: string): never {
    return this.#history.world.violated(this.name, `${name}: ${explanation}`)
  }
}
