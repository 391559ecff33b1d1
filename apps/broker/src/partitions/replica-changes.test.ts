import { describe, expect, it } from 'vitest'
import type { PartitionState } from '../controller/cluster-state.ts'
import type { ReplicatedLog } from '../replication/contract.ts'
import { ReplicaChanges } from './replica-changes.ts'

/** A group that leads, and whose changes end when the test says so. */
class FakeGroup {
  readonly name = 'g'
  readonly leading = true
  membership = { voters: [0], learners: [] as number[], joint: false }
  /** Targets of the changes that began, and what ends each. */
  readonly began: (readonly number[])[] = []
  end: (done: boolean) => void = () => undefined

  changeReplicas(voters: readonly number[]): Promise<boolean> {
    this.end(false)
    this.began.push(voters)
    return new Promise(resolve => (this.end = resolve))
  }

  get log(): ReplicatedLog {
    return this as unknown as ReplicatedLog
  }
}

describe('changes of replicas', () => {
  it('do not wait for replicas that are not wanted any more', async () => {
    let placement: PartitionState = { replicas: [0], bootstrapReplicas: [], target: [1000, 2000] }
    const finished: (readonly number[])[] = []
    const pauses: (() => void)[] = []
    const changes = new ReplicaChanges({
      placementOf: () => placement,
      finish: moves => Promise.resolve(finished.push(...moves.map(({ target }) => target))),
      after: (_, callback) => {
        pauses.push(callback)
        return () => undefined
      }
    })
    const group = new FakeGroup()
    changes.consider(group.log, 't', 0)
    changes.consider(group.log, 't', 0)
    expect(group.began).toEqual([[1000, 2000]])
    placement = { ...placement, target: [1, 1001] }
    changes.consider(group.log, 't', 0)
    expect(group.began).toEqual([
      [1000, 2000],
      [1, 1001]
    ])
    group.membership = { voters: [1, 1001], learners: [], joint: false }
    group.end(true)
    while (pauses.length === 0) await Promise.resolve()
    pauses.shift()!()
    while (finished.length === 0) await Promise.resolve()
    expect(finished).toEqual([[1, 1001]])
  })
})
