/** P34: of all groups, the controller's included, at most one replica leads in an epoch; no replica's epoch goes back. */
import type { ReplicatedLog } from '@milena/broker/testing'
import type { ClusterChecker, ClusterHistory } from '../history.ts'
import type { ShardProcess } from '../shard-process.ts'

export class OneLeaderAnEpoch implements ClusterChecker {
  readonly name = 'one-leader-an-epoch'
  readonly #history: ClusterHistory
  /** Brokers by group and epoch. */
  readonly #leaders = new Map<string, Map<number, number>>()
  readonly #epochs = new WeakMap<ReplicatedLog, number>()

  constructor(history: ClusterHistory) {
    this.#history = history
  }

  observed(process: ShardProcess): void {
    const { brokerId, open } = process
    for (const [name, group] of open.replicas.groups) {
      const { term } = group
      const before = this.#epochs.get(group) ?? 0
      if (term < before) this.#fail(`${name} on ${brokerId}: epoch ${term} after ${before}`)
      this.#epochs.set(group, term)
      if (group.role === 'leader') this.#leads(name, term, brokerId)
    }
  }

  #leads(name: string, epoch: number, brokerId: number): void {
    let leaders = this.#leaders.get(name)
    if (leaders === undefined) this.#leaders.set(name, (leaders = new Map()))
    const other = leaders.get(epoch)
    if (other !== undefined && other !== brokerId) this.#fail(`${name}: ${other} and ${brokerId} lead in ${epoch}`)
    leaders.set(epoch, brokerId)
  }

  #fail(explanation: string): never {
    return this.#history.world.violated(this.name, explanation)
  }
}
