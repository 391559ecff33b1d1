/** P34: of all groups, the controller's included, at most one replica leads in an epoch. */
import type { ClusterChecker, ClusterHistory } from '../history.ts'
import type { ShardProcess } from '../shard-process.ts'

export class OneLeaderAnEpoch implements ClusterChecker {
  readonly name = 'one-leader-an-epoch'
  readonly #history: ClusterHistory
  /** Brokers by group and epoch. */
  readonly #leaders = new Map<string, Map<number, number>>()

  constructor(history: ClusterHistory) {
    this.#history = history
  }

  observed(process: ShardProcess): void {
    const { brokerId, open } = process
    for (const [name, { role, term }] of open.replicas.groups) if (role === 'leader') this.#leads(name, term, brokerId)
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
