/**
 * What a shard's partitions tell the rest of the cluster: that they lead, with whom in sync, and that they no longer do. Only
 * changes are told.
 */
import type { ReplicatedLog } from '../replication/contract.ts'

/** Where leadership is announced; `LeaderTable` is one. */
export interface LeadershipSink {
  announce(group: string, term: number, inSync: readonly number[]): void
  resign(group: string, term: number): void
  forget(group: string): void
}

interface Told {
  readonly term: number
  readonly inSync: readonly number[]
}

export class LeadershipReporter {
  readonly #sink: LeadershipSink
  readonly #told = new Map<string, Told>()

  constructor(sink: LeadershipSink) {
    this.#sink = sink
  }

  /** Something about the replica changed, perhaps. */
  report(group: ReplicatedLog, failed: boolean): void {
    const told = this.#told.get(group.name)
    if (group.leading && !failed) {
      const { term, inSync } = group
      if (told?.term === term && told.inSync === inSync) return
      this.#told.set(group.name, { term, inSync })
      this.#sink.announce(group.name, term, inSync)
    } else if (told !== undefined && (failed || group.role !== 'leader')) {
      this.#told.delete(group.name)
      this.#sink.resign(group.name, told.term)
    }
  }

  forget(name: string): void {
    this.#told.delete(name)
    this.#sink.forget(name)
  }
}
