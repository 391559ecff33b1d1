/**
 * Brings the replicas of the groups that this shard leads to what the metadata wants: the target of a reassignment while there is
 * one, otherwise the replicas themselves. When a target is reached the controller is told, who then makes it the replicas; so it
 * is when the replicas are reached again after a target was given up, because until then its brokers keep what they have.
 *
 *   leads ──► metadata is as new as this ──► replicas change, committed ──► still leads? ──► report, with the move's revision
 *                 leadership
 *
 * Invariant: what a report says is so as long as its move is the present one. A leader changes replicas only with metadata from
 * within its leadership, and reports only what it knew before it was confirmed as the leader. So whoever leads after it knows of
 * the move as well, or of a later one, with which the report counts for nothing.
 *
 * Each group has one change under way at most; what is wanted by then is looked at again when it ends.
 */
import type { PartitionState } from '../controller/metadata/cluster-state.ts'
import type { FinishedMove } from '../controller/metadata/commands.ts'
import type { ReplicatedLog } from '../replication/contract.ts'

/** Pause before a change that was given up, or a report that was not heard, is tried again. */
const RETRY_MS = 1_000

export interface ReplicaChangesOptions {
  /** What the metadata says now; undefined once the partition is gone. */
  readonly placementOf: (topicId: string, partition: number) => PartitionState | undefined
  /** Revision of that metadata. */
  readonly revision: () => number
  /** The controller's revision as of this call, or later. Rejects when it cannot be reached. */
  readonly newestRevision: () => Promise<number>
  /** Tells the controller that targets are reached. */
  readonly finish: (moves: readonly FinishedMove[]) => Promise<unknown>
  readonly after: (delayMs: number, callback: () => void) => () => void
}

/** A change under way: what is wanted, and the term of the leadership that it belongs to. */
interface Change {
  readonly wanted: readonly number[]
  readonly term: number
}

export class ReplicaChanges {
  readonly #options: ReplicaChangesOptions
  /** Groups that are being brought to what is wanted; undefined between two changes. */
  readonly #running = new Map<string, Change | undefined>()
  /** The look at the controller's revision that is under way, and the one after it. */
  #looking: Promise<unknown> = Promise.resolve()
  #nextLook: Promise<boolean> | undefined

  constructor(options: ReplicaChangesOptions) {
    this.#options = options
  }

  /** Leadership or placement may have changed. */
  consider(group: ReplicatedLog, topicId: string, partition: number): void {
    const placement = this.#options.placementOf(topicId, partition)
    if (!isWanted(group, placement)) return
    if (!this.#running.has(group.name)) {
      this.#running.set(group.name, undefined)
      void this.#run(group, topicId, partition)
      return
    }
    const change = this.#running.get(group.name)
    const wanted = placement.target ?? placement.replicas
    if (change?.term !== group.term || String(change.wanted) === String(wanted)) return
    // The change under way may wait for replicas that are not wanted any more, and are gone: this one takes its place.
    this.#running.set(group.name, { ...change, wanted })
    void group.changeReplicas(wanted, [])
  }

  async #run(group: ReplicatedLog, topicId: string, partition: number): Promise<void> {
    const placement = (): PartitionState | undefined => this.#options.placementOf(topicId, partition)
    while (isWanted(group, placement())) {
      const reached = await this.#change(group, placement)
      this.#running.set(group.name, undefined)
      if (reached !== undefined) await this.#tell({ topicId, partition, ...reached })
      // Told: the metadata changes soon. Not done, or not told: later again.
      await new Promise<void>(resolve => void this.#options.after(RETRY_MS, resolve))
    }
    this.#running.delete(group.name)
  }

  /** One change, in the present leadership. What the controller may be told when it is done. */
  async #change(group: ReplicatedLog, placement: () => PartitionState | undefined): Promise<Reached | undefined> {
    const { term } = group
    // One who has just been elected may not have heard of moves that an earlier leader reported already.
    if (!(await this.#isUpToDate())) return undefined
    const now = placement()
    if (group.term !== term || !isWanted(group, now)) return undefined
    const goal = goalOf(now)
    const wanted = now.target ?? now.replicas
    this.#running.set(group.name, { wanted, term })
    // Also when it seems done: a membership that is not committed may be lost with this leader, and must not be told.
    const done = await group.changeReplicas(wanted, [])
    if (!done || goal === undefined) return undefined
    // One who was paused may take for committed what others have changed since.
    if (!(await isConfirmed(group)) || group.term !== term) return undefined
    return { target: goal, ...(now.moveRevision !== undefined && { moveRevision: now.moveRevision }) }
  }

  /** Whether the metadata here is as new as this call. Who asks while one look is under way shares the next. */
  #isUpToDate(): Promise<boolean> {
    this.#nextLook ??= this.#looking.then(() => {
      this.#nextLook = undefined
      const look = this.#look()
      this.#looking = look
      return look
    })
    return this.#nextLook
  }

  async #look(): Promise<boolean> {
    try {
      return (await this.#options.newestRevision()) <= this.#options.revision()
    } catch {
      // The controller cannot be reached now: nothing could be reported either.
      return false
    }
  }

  async #tell(move: FinishedMove): Promise<void> {
    try {
      await this.#options.finish([move])
    } catch {
      // The controller cannot be reached now: told again later.
    }
  }
}

/** What a report says, besides of which partition. */
type Reached = Omit<FinishedMove, 'topicId' | 'partition'>

/** Whether there is something to do. */
function isWanted(group: ReplicatedLog, placement: PartitionState | undefined): placement is PartitionState {
  if (!group.leading || placement === undefined) return false
  return goalOf(placement) !== undefined || !isOn(group, placement.replicas)
}

/** Of what the controller waits to be told that it is reached: a move's target, or the replicas after a move was given up. */
function goalOf(placement: PartitionState): readonly number[] | undefined {
  return placement.target ?? (placement.leaving && placement.replicas)
}

/** The group's voters are these brokers, as far as its leader knows. */
function isOn(group: ReplicatedLog, brokers: readonly number[]): boolean {
  const { voters, learners, joint } = group.membership
  if (joint || learners.length > 0 || voters.length !== brokers.length) return false
  return voters.every(id => brokers.includes(id))
}

async function isConfirmed(group: ReplicatedLog): Promise<boolean> {
  try {
    await group.confirmLeadership()
    return true
  } catch {
    return false
  }
}
