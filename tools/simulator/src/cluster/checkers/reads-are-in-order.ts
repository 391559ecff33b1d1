/** P5, P6, P24: a reader gets every offset, one after the other, in leader epochs that never fall. */
import type { ClusterChecker, ClusterHistory, Reader, ReadRecord } from '../history.ts'

export class ReadsAreInOrder implements ClusterChecker {
  readonly name = 'reads-are-in-order'
  readonly #history: ClusterHistory
  readonly #last = new WeakMap<Reader, ReadRecord>()

  constructor(history: ClusterHistory) {
    this.#history = history
  }

  read(reader: Reader, record: ReadRecord): void {
    const last = this.#last.get(reader) ?? { offset: -1, epoch: 0 }
    if (record.offset !== last.offset + 1) this.#fail(reader, `reads ${record.offset} after ${last.offset}`)
    if (record.epoch < last.epoch)
      this.#fail(reader, `reads ${record.offset} of epoch ${record.epoch}, after ${last.epoch}`)
    this.#last.set(reader, record)
  }

  #fail({ name, history }: Reader, explanation: string): never {
    return this.#history.world.violated(this.name, `${history.name}: ${name} ${explanation}`)
  }
}
