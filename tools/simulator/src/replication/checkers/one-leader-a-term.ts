/** Election safety: at most one leader of a group in a term. */
import type { LiveReplica, ReplicationChecker, ReplicationObserver } from '../replication-observer.ts'

export class OneLeaderATerm implements ReplicationChecker {
  readonly name = 'one-leader-a-term'
  readonly #leaders = new Map<string, string>()
  readonly #observer: ReplicationObserver

  constructor(observer: ReplicationObserver) {
    this.#observer = observer
  }

  changed({ group, machine, by }: LiveReplica): void {
    if (group.role !== 'leader') return
    const key = `${group.name}/${group.term}`
    // A term has one leader in one life: after a restart it needs another term.
    const who = `${by} in life ${machine.startCount}`
    const other = this.#leaders.get(key)
    if (other !== undefined && other !== who) {
      this.#observer.world.violated(this.name, `${group.name}: ${other} and ${who} lead in term ${group.term}`)
    }
    this.#leaders.set(key, who)
  }
}
