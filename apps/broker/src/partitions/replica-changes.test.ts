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

/** Lets everything happen that waits for nothing. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve))
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
    await turns()
    expect(pauses).toHaveLength(1)
    pauses.shift()!()
    await turns()
    group.end(true)
    await turns()
    expect(finished).toEqual([[1, 1001]])
  })

  it('are told when they are committed, not when the leader has appended them', async () => {
    const placement: PartitionState = { replicas: [0], bootstrapReplicas: [], target: [1000] }
    const finished: (readonly number[])[] = []
    const changes = new ReplicaChanges({
      placementOf: () => placement,
      finish: moves => Promise.resolve(finished.push(...moves.map(({ target }) => target))),
      after: () => () => undefined
    })
    const group = new FakeGroup()
    group.membership = { voters: [1000], learners: [], joint: false }
    changes.consider(group.log, 't', 0)
    await turns()
    expect(finished).toEqual([])
    group.end(true)
    await turns()
    expect(finished).toEqual([[1000]])
  })

  it('are undone after a move that was given up, and the controller hears when they are', async () => {
    const placement: PartitionState = { replicas: [0], bootstrapReplicas: [], leaving: [1000] }
    const finished: (readonly number[])[] = []
    const changes = new ReplicaChanges({
      placementOf: () => placement,
      finish: moves => Promise.resolve(finished.push(...moves.map(({ target }) => target))),
      after: () => () => undefined
    })
    const group = new FakeGroup()
    changes.consider(group.log, 't', 0)
    await turns()
    expect(group.began).toEqual([[0]])
    group.end(true)
    await turns()
    expect(finished).toEqual([[0]])
  })
})
