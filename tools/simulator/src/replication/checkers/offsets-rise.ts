/**
 * P23: in the life of a process the high watermark of a replica and its term never go back, the watermark stays within the log,
 * and nothing below it is cut. A replica that is let in anew, because what it held is damaged, begins another life.
 */
import type { LiveReplica, ReplicationChecker, ReplicationObserver } from '../replication-observer.ts'

interface Reached {
  committedOffset: number
  term: number
}

export class OffsetsRise implements ReplicationChecker {
  readonly name = 'offsets-rise'
  readonly #reached = new Map<string, Reached>()
  readonly #observer: ReplicationObserver

  constructor(observer: ReplicationObserver) {
    this.#observer = observer
  }

  changed(replica: LiveReplica): void {
    const { group } = replica
    const before = this.#reachedBy(replica)
    if (group.committedOffset < before.committedOffset) {
      this.#fail(replica, `its high watermark goes from ${before.committedOffset} to ${group.committedOffset}`)
    }
    if (group.term < before.term) this.#fail(replica, `its term goes from ${before.term} to ${group.term}`)
    if (group.leading && group.committedOffset > group.log.endOffset) {
      this.#fail(replica, `its high watermark is ${group.committedOffset}, its log ends at ${group.log.endOffset}`)
    }
    before.committedOffset = group.committedOffset
    before.term = group.term
  }

  truncated(replica: LiveReplica, offset: number): void {
    const { committedOffset } = this.#reachedBy(replica)
    // A replica that is let in anew begins with nothing, once a majority holds everything without it.
    if (offset === 0 && this.#observer.isVictim(replica.machine)) {
      this.#reached.delete(keyOf(replica))
      return
    }
    if (offset < committedOffset) this.#fail(replica, `cuts at ${offset}, committed up to ${committedOffset}`)
  }

  #reachedBy(replica: LiveReplica): Reached {
    const key = keyOf(replica)
    let reached = this.#reached.get(key)
    if (reached === undefined) this.#reached.set(key, (reached = { committedOffset: 0, term: 0 }))
    return reached
  }

  #fail({ group, by }: LiveReplica, explanation: string): never {
    this.#observer.world.violated(this.name, `${group.name} on ${by}: ${explanation}`)
  }
}

/** A replica in one life of its process. */
function keyOf({ group, machine }: LiveReplica): string {
  return `${group.name}/${machine.number}/${machine.startCount}`
}
