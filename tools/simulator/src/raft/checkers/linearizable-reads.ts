/** Linearizable reads (section 6.4): a read may use an index that is not below anything committed when the read began. */
import type { Index } from '@milena/raft'
import type { Checker, Observer, ReplicaView } from '../observer.ts'

export class LinearizableReads implements Checker {
  readonly name = 'linearizable-reads'
  readonly #floors = new Map<number, Index>()
  readonly #observer: Observer

  constructor(observer: Observer) {
    this.#observer = observer
  }

  readStarted(_replica: ReplicaView, request: number): void {
    this.#floors.set(request, this.#observer.committedIndex)
  }

  readReady(replica: ReplicaView, request: number, index: Index): void {
    const floor = this.#floors.get(request)
    this.#floors.delete(request)
    if (floor === undefined) return this.#fail(replica, `answers read ${request}, which nobody waits for`)
    if (index < floor) this.#fail(replica, `reads at ${index}, ${floor} was committed before`)
  }

  #fail(replica: ReplicaView, explanation: string): never {
    this.#observer.world.violated(this.name, `replica ${replica.id} ${explanation}`)
  }
}
