/** A follower that says `matched` holds all entries up to there durably and undamaged, at the moment when it says so. */
import type { Message } from '@milena/raft'
import type { Payload } from '../log-image.ts'
import type { Checker, Observer, ReplicaView } from '../observer.ts'

export class AcknowledgedIsDurable implements Checker {
  readonly name = 'acknowledged-is-durable'
  readonly #observer: Observer

  constructor(observer: Observer) {
    this.#observer = observer
  }

  sent(replica: ReplicaView, message: Message<Payload>): void {
    if (message.kind !== 'appendResponse' || message.result !== 'matched') return
    const { matchIndex } = message
    const { durable, log } = replica
    // While a snapshot that covers it is being written, the process no longer reads the entry that the disk still holds.
    const chain = log.before.index > matchIndex ? durable.chainAt(matchIndex) : log.chainAt(matchIndex)
    const isDurable =
      durable.before.index >= matchIndex || (chain !== undefined && durable.chainAt(matchIndex) === chain)
    if (!isDurable) this.#fail(replica, `acknowledges ${matchIndex}, durable up to ${durable.lastIndex}`)
    for (const start of durable.damaged) {
      if (start <= matchIndex) this.#fail(replica, `acknowledges ${matchIndex} over damage at ${start}`)
    }
  }

  #fail(replica: ReplicaView, explanation: string): never {
    this.#observer.world.violated(this.name, `replica ${replica.id} ${explanation}`)
  }
}
