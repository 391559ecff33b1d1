/**
 * P19: what was acknowledged stays, at its offset, with its bytes. Whoever begins to lead knows of all of it; at the end it is
 * in the committed log, once.
 */
import type { LiveReplica, ReplicationChecker, ReplicationObserver } from '../replication-observer.ts'

export class AcknowledgedIsKept implements ReplicationChecker {
  readonly name = 'acknowledged-is-kept'
  readonly #observer: ReplicationObserver

  constructor(observer: ReplicationObserver) {
    this.#observer = observer
  }

  changed({ group, history, by }: LiveReplica): void {
    // A former leader that does not know yet is behind, and not wrong; it cannot commit either.
    if (!group.leading || group.term < (history.committed.at(-1)?.epoch ?? 0)) return
    if (group.committedOffset < history.acknowledgedEnd && group.log.endOffset < history.acknowledgedEnd) {
      this.#fail(
        history.name,
        `${by} leads in term ${group.term} with ${group.log.endOffset}, ${history.acknowledgedEnd} was acknowledged`
      )
    }
  }

  finished(): void {
    for (const { name, acknowledged, at } of this.#histories()) {
      const seen = new Set<number>()
      for (const { baseOffset, lastOffset, contents } of acknowledged) {
        const kept = at(baseOffset)
        const isKept = kept?.baseOffset === baseOffset && kept.lastOffset === lastOffset && kept.contents === contents
        if (!isKept) this.#fail(name, `${baseOffset}..${lastOffset} was acknowledged and is not there`)
        if (seen.has(contents)) this.#fail(name, `${baseOffset}..${lastOffset} is there twice`)
        seen.add(contents)
      }
    }
  }

  *#histories() {
    for (const history of this.#observer.histories.values()) {
      yield { name: history.name, acknowledged: history.acknowledged, at: (offset: number) => history.at(offset) }
    }
  }

  #fail(name: string, explanation: string): never {
    this.#observer.world.violated(this.name, `${name}: ${explanation}`)
  }
}
