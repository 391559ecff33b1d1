/**
 * Brings the replicas of the groups that this shard leads to what the metadata wants: the target of a reassignment while there is
 * one, otherwise the replicas themselves. When a target is reached the controller is told, who then makes it the replicas; so it
 * is when the replicas are reached again after a target was given up, because until then its brokers keep what they have.
 *
 * Each group has one change under way at most; what is wanted by then is looked at again when it ends.
 */
import type { PartitionState } from '../controller/cluster-state.ts'
import type { Move } from '../controller/commands.ts'
import type { ReplicatedLog } from '../replication/contract.ts'

/** Pause before a change that was given up, or a report that was not heard, is tried again. */
const RETRY_MS = 1_000

export interface ReplicaChangesOptions {
  /** What the metadata says now; undefined once the partition is gone. */
  readonly placementOf: (topicId: string, partition: number) => PartitionState | undefined
  /** Tells the controller that targets are reached. */
  readonly finish: (moves: readonly Move[]) => Promise<unknown>
  readonly after: (delayMs: number, callback: () => void) => () => void
}

export class ReplicaChanges {
  readonly #options: ReplicaChangesOptions
  /** Groups that are being brought to what is wanted, and what that was when their change under way began. */
  readonly #running = new Map<string, readonly number[]>()

  constructor(options: ReplicaChangesOptions) {
    this.#options = options
  }

  /** Leadership or placement may have changed. */
  consider(group: ReplicatedLog, topicId: string, partition: number): void {
    if (!this.#isWanted(group, topicId, partition)) return
    const wanted = this.#wanted(topicId, partition)
    const goal = this.#running.get(group.name)
    if (goal === undefined) {
      this.#running.set(group.name, wanted)
      void this.#run(group, topicId, partition)
    } else if (String(goal) !== String(wanted)) {
      // The change under way may wait for replicas that are not wanted any more, and are gone: this one takes its place.
      this.#running.set(group.name, wanted)
      void group.changeReplicas(wanted, [])
    }
  }

  /** The brokers that should have a replica. */
  #wanted(topicId: string, partition: number): readonly number[] {
    const placement = this.#options.placementOf(topicId, partition)
    return placement?.target ?? placement?.replicas ?? []
  }

  /** Whether there is something to do here. */
  #isWanted(group: ReplicatedLog, topicId: string, partition: number): boolean {
    const placement = this.#options.placementOf(topicId, partition)
    if (!group.leading || placement === undefined) return false
    return goalOf(placement) !== undefined || !isOn(group, placement.replicas)
  }

  async #run(group: ReplicatedLog, topicId: string, partition: number): Promise<void> {
    while (this.#isWanted(group, topicId, partition)) {
      const target = goalOf(this.#options.placementOf(topicId, partition))
      const wanted = this.#wanted(topicId, partition)
      this.#running.set(group.name, wanted)
      // Also when it seems done: a membership that is not committed may be lost with this leader, and must not be told.
      const done = await group.changeReplicas(wanted, [])
      if (done && target !== undefined) await this.#tell({ topicId, partition, target })
      // Told: the metadata changes soon. Not done, or not told: later again.
      await new Promise<void>(resolve => void this.#options.after(RETRY_MS, resolve))
    }
    this.#running.delete(group.name)
  }

  async #tell(move: Move): Promise<void> {
    try {
      await this.#options.finish([move])
    } catch {
      // The controller cannot be reached now: told again later.
    }
  }
}

/** Of what the controller waits to be told that it is reached: a move's target, or the replicas after a move was given up. */
function goalOf(placement: PartitionState | undefined): readonly number[] | undefined {
  return placement?.target ?? (placement?.leaving && placement.replicas)
}

/** The group's voters are these brokers, as far as its leader knows. */
function isOn(group: ReplicatedLog, brokers: readonly number[]): boolean {
  const { voters, learners, joint } = group.membership
  if (joint || learners.length > 0 || voters.length !== brokers.length) return false
  return voters.every(id => brokers.includes(id))
}
