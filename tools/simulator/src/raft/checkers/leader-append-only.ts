/** Leader append-only (Raft, figure 3): a leader never cuts or overwrites entries of its own log while it leads. */
import type { Index, ReplicaId } from '@milena/raft'
import type { Checker, Observer, ReplicaView } from '../observer.ts'

interface Led {
  readonly term: number
  readonly lastIndex: Index
  readonly chain: number
}

export class LeaderAppendOnly implements Checker {
  readonly name = 'leader-append-only'
  /** The log's end of each leader after its last step. */
  readonly #led = new Map<ReplicaId, Led>()
  readonly #observer: Observer

  constructor(observer: Observer) {
    this.#observer = observer
  }

  started(replica: ReplicaView): void {
    this.#led.delete(replica.id)
  }

  stepped(replica: ReplicaView): void {
    const status = replica.node
    const before = this.#led.get(replica.id)
    if (status?.roleKind !== 'leader') return void this.#led.delete(replica.id)
    const { log } = replica
    if (before?.lastIndex === log.lastIndex && before.term === status.term) return
    if (before?.term === status.term && before.lastIndex > log.before.index) {
      const now = log.chainAt(before.lastIndex)
      if (now !== before.chain) {
        this.#observer.world.violated(
          this.name,
          `leader ${replica.id} of term ${status.term} changed its log at or before ${before.lastIndex}`
        )
      }
    }
    this.#led.set(replica.id, { term: status.term, lastIndex: log.lastIndex, chain: log.lastChain })
  }
}
