/** P24: the epoch of a partition's leader that one shard tells clients never goes back, and names one leader. */
import type { ClusterChecker, ClusterHistory } from '../history.ts'
import type { ShardProcess } from '../shard-process.ts'

interface Told {
  readonly epoch: number
  readonly leader: number
}

export class ToldEpochsRise implements ClusterChecker {
  readonly name = 'told-epochs-rise'
  readonly #history: ClusterHistory
  readonly #told = new WeakMap<ShardProcess, Map<string, Told>>()

  constructor(history: ClusterHistory) {
    this.#history = history
  }

  observed(process: ShardProcess): void {
    let told = this.#told.get(process)
    if (told === undefined) this.#told.set(process, (told = new Map()))
    for (const topic of process.open.host.cluster.view().topics()) {
      for (const { partition, leader, leaderEpoch: epoch } of topic.partitions) {
        const key = `${topic.topicId}/${partition}`
        const before = told.get(key)
        if (before !== undefined) this.#compare(process, `${topic.name}-${partition}`, before, { epoch, leader })
        // Between two leaders there is none.
        told.set(key, leader < 0 && before?.epoch === epoch ? before : { epoch, leader })
      }
    }
  }

  #compare({ brokerId }: ShardProcess, partition: string, before: Told, now: Told): void {
    const isBack = now.epoch < before.epoch
    const isOther = now.epoch === before.epoch && now.leader >= 0 && before.leader >= 0 && now.leader !== before.leader
    if (!isBack && !isOther) return
    const explanation = `${now.leader} in epoch ${now.epoch} after ${before.leader} in ${before.epoch}`
    this.#history.world.violated(this.name, `${brokerId} tells of ${partition}: ${explanation}`)
  }
}
