/** Handing leadership of a group to another replica on purpose; one at a time. */
import type { RaftNode } from '@milena/raft'
import type { Scheduler } from '@milena/shard-scheduler'
import type { BrokerId, ReplicatedLog } from '../contract.ts'
import { voterOn } from './roster.ts'

/** What it needs of its group. */
export interface HandingGroup {
  readonly node: RaftNode<Uint8Array>
  readonly self: BrokerId
  sync(): void
  perform(effects: ReturnType<RaftNode<Uint8Array>['tick']>): void
}

export class Handover {
  readonly #group: HandingGroup
  #resolve: ((done: boolean) => void) | undefined

  constructor(group: HandingGroup) {
    this.#group = group
  }

  /** Resolves true when `target` leads, false when it did not come about. */
  begin(target: BrokerId): Promise<boolean> {
    const { node, self } = this.#group
    if (target === self) return Promise.resolve(node.roleKind === 'leader')
    const replica = node.membership && voterOn(node.membership, target)
    if (replica === undefined || this.#resolve !== undefined) return Promise.resolve(false)
    this.#group.sync()
    const outcome = node.transferLeadership(replica)
    if (outcome.kind !== 'accepted') return Promise.resolve(false)
    return new Promise(resolve => {
      this.#resolve = resolve
      this.#group.perform(outcome.effects)
    })
  }

  end(done: boolean): void {
    this.#resolve?.(done)
    this.#resolve = undefined
  }
}

/** Begins to hand over every group that leads here and has somebody in sync to lead it. */
export function leaveAll(groups: Iterable<ReplicatedLog>): Promise<boolean>[] {
  const handovers: Promise<boolean>[] = []
  for (const group of groups) {
    const target = group.role === 'leader' ? group.inSync.find(id => id !== group.self) : undefined
    if (target !== undefined) handovers.push(group.transferLeadership(target))
  }
  return handovers
}

/** Resolves when the handovers have ended, or after `deadlineMs`. */
export async function endWithin(handovers: Promise<unknown>, deadlineMs: number, scheduler: Scheduler): Promise<void> {
  let cancel = (): void => undefined
  const deadline = new Promise<void>(resolve => (cancel = scheduler.after(deadlineMs, resolve)))
  await Promise.race([handovers, deadline])
  cancel()
}
